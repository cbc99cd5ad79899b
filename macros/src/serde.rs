//! The serde attributes that decide how a type is serialized.

use syn::{Attribute, Ident, LitStr, Result, meta::ParseNestedMeta};

/// The relevant attributes of a type, a variant or a field.
#[derive(Default)]
pub(crate) struct Serde {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) tag: Option<String>,
    pub(crate) content: Option<String>,
    pub(crate) untagged: bool,
    pub(crate) transparent: bool,
    pub(crate) default: bool,
    pub(crate) skip: bool,
    /// The field can be missing, at least in one direction.
    pub(crate) optional: bool,
    /// Unknown fields are errors.
    pub(crate) closed: bool,
    pub(crate) bytes: bool,
    /// Code that the macro cannot see decides the form.
    pub(crate) opaque: bool,
}

/// The case of names.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Serde {
    /// Parses the `serde` attributes.
    ///
    /// # Errors
    /// A syntax error in an attribute.
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Serde> {
        let mut serde = Serde::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| serde.parse_option(&meta))?;
        }
        Ok(serde)
    }

    fn parse_option(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
        match name.as_str() {
            "rename" => self.rename = value(meta)?,
            "rename_all" => self.rename_all = value(meta)?.and_then(|case| Case::parse(&case)),
            "rename_all_fields" => self.rename_all_fields = value(meta)?.and_then(|case| Case::parse(&case)),
            "tag" => self.tag = value(meta)?,
            "content" => self.content = value(meta)?,
            "untagged" => self.untagged = true,
            "transparent" => self.transparent = true,
            "default" => {
                value(meta)?;
                self.default = true;
            }
            "skip" => self.skip = true,
            "skip_serializing" | "skip_deserializing" => self.optional = true,
            "skip_serializing_if" => {
                value(meta)?;
                self.optional = true;
            }
            "deny_unknown_fields" => self.closed = true,
            "with" => match value(meta)?.as_deref() {
                Some("serde_bytes") => self.bytes = true,
                _ => self.opaque = true,
            },
            "flatten" | "other" => self.opaque = true,
            "from" | "try_from" | "into" | "remote" | "serialize_with" | "deserialize_with" | "getter" => {
                value(meta)?;
                self.opaque = true;
            }
            // Bounds, aliases and the path of serde do not change the form. serde itself reports unknown attributes.
            _ => drop(value(meta)?),
        }
        Ok(())
    }
}

/// Returns the value of an option, if it has one; of `(serialize = "a", deserialize = "b")` the first.
fn value(meta: &ParseNestedMeta) -> Result<Option<String>> {
    if meta.input.peek(syn::Token![=]) {
        return Ok(meta.value()?.parse::<LitStr>().ok().map(|text| text.value()));
    }
    let mut first = None;
    if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|inner| {
            let text = inner.value()?.parse::<LitStr>()?.value();
            first.get_or_insert(text);
            Ok(())
        })?;
    }
    Ok(first)
}

impl Case {
    fn parse(name: &str) -> Option<Case> {
        Some(match name {
            "lowercase" => Case::Lower,
            "UPPERCASE" => Case::Upper,
            "PascalCase" => Case::Pascal,
            "camelCase" => Case::Camel,
            "snake_case" => Case::Snake,
            "SCREAMING_SNAKE_CASE" => Case::ScreamingSnake,
            "kebab-case" => Case::Kebab,
            "SCREAMING-KEBAB-CASE" => Case::ScreamingKebab,
            _ => return None,
        })
    }

    /// Converts a field's name, which is snake_case in Rust.
    pub(crate) fn field(self, name: &str) -> String {
        let words = || name.split('_').filter(|word| !word.is_empty());
        let pascal = || words().map(capitalized).collect::<String>();
        match self {
            Case::Lower | Case::Snake => name.to_owned(),
            Case::Upper | Case::ScreamingSnake => name.to_ascii_uppercase(),
            Case::Pascal => pascal(),
            Case::Camel => uncapitalized(&pascal()),
            Case::Kebab => name.replace('_', "-"),
            Case::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// Converts a variant's name, which is PascalCase in Rust.
    pub(crate) fn variant(self, name: &str) -> String {
        let snake = || {
            let mut snake = String::new();
            for (at, letter) in name.char_indices() {
                if at > 0 && letter.is_uppercase() {
                    snake.push('_');
                }
                snake.push(letter.to_ascii_lowercase());
            }
            snake
        };
        match self {
            Case::Pascal => name.to_owned(),
            Case::Lower => name.to_ascii_lowercase(),
            Case::Upper => name.to_ascii_uppercase(),
            Case::Camel => uncapitalized(name),
            Case::Snake => snake(),
            Case::ScreamingSnake => snake().to_ascii_uppercase(),
            Case::Kebab => snake().replace('_', "-"),
            Case::ScreamingKebab => snake().to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    first.to_ascii_uppercase() + rest
}

fn uncapitalized(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    first.to_ascii_lowercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_converted_as_serde_converts_them() {
        let cases = [
            ("lowercase", "mail_address", "veryold"),
            ("UPPERCASE", "MAIL_ADDRESS", "VERYOLD"),
            ("PascalCase", "MailAddress", "VeryOld"),
            ("camelCase", "mailAddress", "veryOld"),
            ("snake_case", "mail_address", "very_old"),
            ("SCREAMING_SNAKE_CASE", "MAIL_ADDRESS", "VERY_OLD"),
            ("kebab-case", "mail-address", "very-old"),
            ("SCREAMING-KEBAB-CASE", "MAIL-ADDRESS", "VERY-OLD"),
        ];
        for (name, field, variant) in cases {
            let case = Case::parse(name).expect(name);
            assert_eq!((case.field("mail_address"), case.variant("VeryOld")), (field.to_owned(), variant.to_owned()));
        }
    }
}
