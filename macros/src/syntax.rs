//! Helpers for the syntax tree that several files need.

use syn::{Attribute, Error, GenericArgument, Ident, Pat, PathArguments, PathSegment, Result, Type};

/// Returns the doc comments among the attributes.
pub(crate) fn docs(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect()
}

/// Returns whether a text is a valid name of a method or an argument.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|next| next.is_ascii_alphanumeric() || next == '_')
}

/// Returns an identifier without `r#`.
pub(crate) fn unraw(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

/// Returns the name of an argument.
pub(crate) fn ident(pattern: &Pat) -> Result<&Ident> {
    let Pat::Ident(name) = pattern else {
        return Err(Error::new_spanned(pattern, "give the argument a name: callers can pass it by name"));
    };
    if name.by_ref.is_some() || name.mutability.is_some() || name.subpat.is_some() {
        return Err(Error::new_spanned(pattern, "write only the argument's name, without `mut`, `ref` or a pattern"));
    }
    Ok(&name.ident)
}

/// Returns the generic type arguments of a path segment.
pub(crate) fn generic_types(arguments: &PathArguments) -> impl Iterator<Item = &Type> {
    let arguments = match arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter()),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Returns the last segment of a path type.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}
