//! A trait as a service: parses it, and reports all errors at once.

use std::collections::BTreeMap;

use proc_macro2::Span;
use quote::format_ident;
use syn::{Attribute, Error, Ident, ItemTrait, Path, Result, TraitItem, Visibility, parse_quote};

use crate::{
    method::Method,
    options::ServiceOptions,
    syntax::{docs, is_identifier},
};

/// The maximum length of a service's name, and of a full method name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A parsed trait.
pub(crate) struct Service {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    /// The name of the trait.
    pub(crate) ident: Ident,
    /// The name of the stub.
    pub(crate) client: Ident,
    /// The name on the wire.
    pub(crate) name: String,
    /// The path of the package `callboard`.
    pub(crate) krate: Path,
    pub(crate) methods: Vec<Method>,
}

impl Service {
    /// Parses a trait.
    ///
    /// # Errors
    /// All problems together, each at its own place in the source.
    pub(crate) fn parse(options: ServiceOptions, item: &ItemTrait) -> Result<Service> {
        let mut errors = Errors::default();
        errors.add(check_trait(item));
        let methods: Vec<_> = item.items.iter().filter_map(|item| errors.take(parse_item(item))).collect();
        let (name, span) = match &options.name {
            Some(name) => (name.value(), name.span()),
            None => (snake_case(&item.ident), item.ident.span()),
        };
        errors.add(check_service_name(&name, span));
        errors.add(check_methods(&name, &methods));
        errors.end()?;
        Ok(Service {
            docs: docs(&item.attrs),
            visibility: item.vis.clone(),
            ident: item.ident.clone(),
            client: format_ident!("{}Client", item.ident),
            name,
            krate: options.krate.unwrap_or_else(|| parse_quote!(::callboard)),
            methods,
        })
    }
}

/// A collection of errors, so that the compiler reports all of them at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn add(&mut self, result: Result<()>) {
        self.take(result);
    }

    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        match (result, &mut self.0) {
            (Ok(value), _) => return Some(value),
            (Err(error), Some(errors)) => errors.combine(error),
            (Err(error), none) => *none = Some(error),
        }
        None
    }

    fn end(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

fn check_trait(item: &ItemTrait) -> Result<()> {
    if !item.generics.params.is_empty() {
        let text = "a service cannot have generics: callers and workers could not agree on them";
        return Err(Error::new_spanned(&item.generics, text));
    }
    if let Some(clause) = &item.generics.where_clause {
        return Err(Error::new_spanned(clause, "a service cannot have a where clause"));
    }
    match &item.unsafety {
        Some(keyword) => {
            Err(Error::new_spanned(keyword, "a service cannot be unsafe: its callers are in other processes"))
        }
        None => Ok(()),
    }
}

fn parse_item(item: &TraitItem) -> Result<Method> {
    match item {
        TraitItem::Fn(function) => Method::parse(function),
        other => Err(Error::new_spanned(other, "a service can contain only methods")),
    }
}

fn check_service_name(name: &str, span: Span) -> Result<()> {
    if !name.split('.').all(is_identifier) || name.len() > NAME_BYTES_MAX {
        let text = "is not a valid service name: use parts of letters, digits and _, joined by dots, at most 128 bytes";
        return Err(Error::new(span, format!("`{name}` {text}")));
    }
    if name == "callboard" || name.starts_with("callboard.") {
        return Err(Error::new(span, format!("the name `{name}` is reserved for the broker")));
    }
    Ok(())
}

/// Checks the names of all methods together.
fn check_methods(service: &str, methods: &[Method]) -> Result<()> {
    let mut errors = Errors::default();
    let mut names = BTreeMap::new();
    for method in methods {
        if let Some(other) = names.insert(&method.name, &method.ident) {
            let text =
                format!("two methods have the name `{}` on the wire: `{other}` and `{}`", method.name, method.ident);
            errors.add(Err(Error::new(method.name_span, text)));
        }
        if service.len() + 1 + method.name.len() > NAME_BYTES_MAX {
            let text = format!("`{service}.{}` is longer than {NAME_BYTES_MAX} bytes", method.name);
            errors.add(Err(Error::new(method.name_span, text)));
        }
    }
    errors.end()
}

/// Converts `UserManager` to `user_manager`, and `HTTPServer` to `http_server`.
fn snake_case(ident: &Ident) -> String {
    let name = ident.to_string();
    let letters: Vec<char> = name.trim_start_matches("r#").chars().collect();
    let mut snake = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let begins_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() && before != '_' || letters.get(at + 1).is_some_and(|next| next.is_lowercase())
            });
        if begins_word && before != Some('_') {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_is_the_trait_name_in_snake_case() {
        for (name, snake) in [
            ("UserManager", "user_manager"),
            ("Kvs", "kvs"),
            ("HTTPServer", "http_server"),
            ("Sha256Sums", "sha256_sums"),
            ("Old_Style", "old_style"),
        ] {
            assert_eq!(snake_case(&Ident::new(name, Span::call_site())), snake);
        }
    }
}
