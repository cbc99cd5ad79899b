//! `#[derive(Schema)]`: generates the description of a type from its serde attributes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Data, DataEnum, DeriveInput, Error, Field, Fields, GenericParam, LitStr, Path, Result, Variant, parse_quote,
    spanned::Spanned,
};

use crate::{
    contract::{text, type_of},
    serde::{Case, Serde},
    syntax::docs,
};

/// Generates the implementation for a type.
pub(crate) fn derive(item: &DeriveInput) -> Result<TokenStream> {
    let generator = Generator { krate: krate(item)?, serde: Serde::parse(&item.attrs)? };
    let schema = match &item.data {
        _ if generator.serde.opaque => generator.opaque(&item.ident.to_string()),
        Data::Struct(data) => generator.structure(&data.fields)?,
        Data::Enum(data) => generator.choice(data)?,
        Data::Union(data) => return Err(Error::new(data.union_token.span(), "serde does not support unions")),
    };
    let (ident, krate) = (&item.ident, &generator.krate);
    let (name, doc) = (ident.to_string(), text(&docs(&item.attrs)));
    let mut generics = item.generics.clone();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(parse_quote!(#krate::Schema));
        }
    }
    let (implemented, types, clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #implemented #krate::Schema for #ident #types #clause {
            fn schema(types: &mut #krate::core::contract::Types) -> #krate::core::contract::Type {
                types.named::<Self>(#name, #doc, |types| #schema)
            }
        }
    })
}

/// Returns the path of the package `callboard`.
fn krate(item: &DeriveInput) -> Result<Path> {
    let mut krate = parse_quote!(::callboard);
    for attribute in item.attrs.iter().filter(|attribute| attribute.path().is_ident("schema")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("unknown option: use `crate`"));
            }
            krate = meta.value()?.parse::<LitStr>()?.parse()?;
            Ok(())
        })?;
    }
    Ok(krate)
}

/// Generates expressions for the parts of one type.
struct Generator {
    krate: Path,
    serde: Serde,
}

impl Generator {
    fn ty(&self, variant: &str) -> TokenStream {
        let (krate, variant) = (&self.krate, quote::format_ident!("{variant}"));
        quote!(#krate::core::contract::Type::#variant)
    }

    fn opaque(&self, name: &str) -> TokenStream {
        let opaque = self.ty("Opaque");
        quote!(#opaque(#name.into()))
    }

    fn literal(&self, text: &str) -> TokenStream {
        let literal = self.ty("Literal");
        quote!(#literal(#text.into()))
    }

    fn structure(&self, fields: &Fields) -> Result<TokenStream> {
        match (fields, &self.serde.tag) {
            _ if self.serde.transparent => {
                let field = fields.iter().find(|field| Serde::parse(&field.attrs).is_ok_and(|serde| !serde.skip));
                field.map_or_else(|| Ok(self.ty("Null")), |field| self.value(field))
            }
            (Fields::Named(_), tag) => {
                let tag = tag.as_ref().map(|tag| {
                    // The tag has the type's own name, which only serde's `rename` changes.
                    let text = self.ty("Text");
                    self.entry(tag, &text, false, "")
                });
                self.record(tag.into_iter().collect(), fields, self.serde.rename_all)
            }
            _ => self.content(fields, None),
        }
    }

    /// Generates the content of a struct or a variant: null, one value, a tuple or a record.
    fn content(&self, fields: &Fields, case: Option<Case>) -> Result<TokenStream> {
        match fields {
            Fields::Unit => Ok(self.ty("Null")),
            Fields::Named(_) => self.record(Vec::new(), fields, case),
            Fields::Unnamed(all) if all.unnamed.len() == 1 => self.value(&all.unnamed[0]),
            Fields::Unnamed(all) => {
                let all = all.unnamed.iter().map(|field| self.value(field)).collect::<Result<Vec<_>>>()?;
                let tuple = self.ty("Tuple");
                Ok(quote!(#tuple(::std::vec![#(#all),*])))
            }
        }
    }

    fn value(&self, field: &Field) -> Result<TokenStream> {
        let (serde, ty) = (Serde::parse(&field.attrs)?, &field.ty);
        Ok(match serde {
            Serde { bytes: true, .. } => self.ty("Bytes"),
            Serde { opaque: true, .. } => self.opaque(&quote!(#ty).to_string().replace(' ', "")),
            _ => {
                let value = type_of(&self.krate, ty);
                // Inside of `named`, `types` is already a reference.
                quote!({ let mut types = &mut *types; #value })
            }
        })
    }

    /// Generates a record of these entries and these fields.
    fn record(&self, mut entries: Vec<TokenStream>, fields: &Fields, case: Option<Case>) -> Result<TokenStream> {
        for field in fields {
            let serde = Serde::parse(&field.attrs)?;
            if serde.skip {
                continue;
            }
            let Some(ident) = &field.ident else { continue };
            // A flattened field adds keys that the macro cannot see.
            if serde.opaque && is_flat(field) {
                return Ok(self.ty("Any"));
            }
            let plain = ident.to_string().trim_start_matches("r#").to_owned();
            let name = serde.rename.clone().unwrap_or_else(|| case.map_or(plain.clone(), |case| case.field(&plain)));
            let optional = serde.default || serde.optional || self.serde.default || is_option(field);
            let (value, doc) = (self.value(field)?, text(&docs(&field.attrs)));
            entries.push(self.entry(&name, &value, optional, &doc));
        }
        let (record, krate, closed) = (self.ty("Record"), &self.krate, self.serde.closed);
        let fields = quote!(::std::vec![#(#entries),*]);
        Ok(quote!(#record(#krate::core::contract::Record { fields: #fields, closed: #closed })))
    }

    fn entry(&self, name: &str, ty: &TokenStream, optional: bool, doc: &str) -> TokenStream {
        let krate = &self.krate;
        quote!(#krate::core::contract::Field { name: #name.into(), ty: #ty, optional: #optional, doc: #doc.into() })
    }

    fn choice(&self, data: &DataEnum) -> Result<TokenStream> {
        let mut variants = Vec::new();
        for variant in &data.variants {
            let serde = Serde::parse(&variant.attrs)?;
            if !serde.skip {
                variants.push(self.variant(variant, &serde)?);
            }
        }
        let one_of = self.ty("OneOf");
        Ok(quote!(#one_of(::std::vec![#(#variants),*])))
    }

    fn variant(&self, variant: &Variant, serde: &Serde) -> Result<TokenStream> {
        let plain = variant.ident.to_string().trim_start_matches("r#").to_owned();
        let all = self.serde.rename_all;
        let name = serde.rename.clone().unwrap_or_else(|| all.map_or(plain.clone(), |case| case.variant(&plain)));
        let case = serde.rename_all.or(self.serde.rename_all_fields);
        if serde.opaque {
            return Ok(self.ty("Any"));
        }
        let content = self.content(&variant.fields, case)?;
        if self.serde.untagged || serde.untagged {
            return Ok(content);
        }
        let is_unit = matches!(variant.fields, Fields::Unit);
        let literal = self.literal(&name);
        match (&self.serde.tag, &self.serde.content) {
            (None, _) if is_unit => Ok(literal),
            (None, _) => self.record(vec![self.entry(&name, &content, false, "")], &Fields::Unit, None),
            (Some(tag), Some(key)) => {
                let tag = self.entry(tag, &literal, false, "");
                let content = (!is_unit).then(|| self.entry(key, &content, false, ""));
                self.record([tag].into_iter().chain(content).collect(), &Fields::Unit, None)
            }
            // A newtype variant adds the fields of its type, which the macro cannot see.
            (Some(tag), None) => {
                let named = matches!(variant.fields, Fields::Named(_));
                let fields = if named { &variant.fields } else { &Fields::Unit };
                self.record(vec![self.entry(tag, &literal, false, "")], fields, case)
            }
        }
    }
}

fn is_flat(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| {
        let mut flat = false;
        let looked = attribute.path().is_ident("serde")
            && attribute
                .parse_nested_meta(|meta| {
                    flat |= meta.path.is_ident("flatten");
                    if meta.input.peek(syn::Token![=]) {
                        meta.value()?.parse::<syn::Expr>()?;
                    }
                    Ok(())
                })
                .is_ok();
        looked && flat
    })
}

/// Returns whether serde accepts a missing field of this type without `default`.
fn is_option(field: &Field) -> bool {
    match &field.ty {
        syn::Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == "Option"),
        _ => false,
    }
}
