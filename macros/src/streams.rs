//! The streams of a method: what it takes last, and what it returns.

use quote::ToTokens;
use syn::{
    Error, FnArg, GenericArgument, Ident, PathArguments, PathSegment, Result, Type, TypeImplTrait, TypeParamBound,
    parse_quote,
};

use crate::method::{generic_types, ident, last_segment};

const RETURN: &str = "return `Outgoing<impl Stream<Item = T>>`: the items that callers get";
const TAKE: &str = "take an `Incoming<T>` last: the items that callers send";

/// The items that callers send: the last argument.
pub(crate) struct Incoming {
    pub(crate) ident: Ident,
    /// As it is written in the trait.
    pub(crate) ty: Type,
    pub(crate) item: Type,
}

/// Where a type stands.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Argument,
    Return,
}

impl Incoming {
    /// That of an argument, if it is one.
    pub(crate) fn read(argument: &FnArg) -> Result<Option<Incoming>> {
        let FnArg::Typed(typed) = argument else { return Ok(None) };
        let Some(segment) = called(&typed.ty, "Incoming") else { return Ok(None) };
        let ident = ident(&typed.pat)?.clone();
        let mut types = generic_types(&segment.arguments);
        let (Some(item), None) = (types.next(), types.next()) else {
            return Err(Error::new_spanned(&typed.ty, "write `Incoming<T>`: callers must know what they send"));
        };
        check_item(item)?;
        Ok(Some(Incoming { ident, ty: (*typed.ty).clone(), item: item.clone() }))
    }
}

/// The items of an `Outgoing`, if the type is one.
pub(crate) fn outgoing_item(ty: &Type) -> Result<Option<&Type>> {
    let Some(segment) = called(ty, "Outgoing") else { return Ok(None) };
    let stream = generic_types(&segment.arguments).find_map(|stream| match stream {
        Type::ImplTrait(stream) => item_of(stream),
        _ => None,
    });
    let Some(item) = stream else {
        return Err(Error::new_spanned(ty, "write `Outgoing<impl Stream<Item = T>>`: callers must know what they get"));
    };
    check_item(item)?;
    Ok(Some(item))
}

/// `T` of `impl Stream<Item = T>`.
fn item_of(stream: &TypeImplTrait) -> Option<&Type> {
    let arguments = stream.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().filter(|segment| segment.ident == "Stream"),
        _ => None,
    });
    let PathArguments::AngleBracketed(arguments) = &arguments?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(item) if item.ident == "Item" => Some(&item.ty),
        _ => None,
    })
}

fn check_item(item: &Type) -> Result<()> {
    match item {
        Type::Reference(_) => Err(Error::new_spanned(item, "an item is a value: a reference cannot travel")),
        Type::ImplTrait(_) | Type::Infer(_) => {
            Err(Error::new_spanned(item, "name the type of the items: both sides must know it"))
        }
        _ => Ok(()),
    }
}

/// What is a stream at the wrong place, or in the wrong form.
pub(crate) fn refuse(ty: &Type, place: Place) -> Result<()> {
    let refuse = |text: &str| Err(Error::new_spanned(ty.to_token_stream(), text));
    let is = |name: &str| called(ty, name).is_some();
    match place {
        Place::Argument if is("Incoming") => {
            refuse("an `Incoming` comes last, and once: behind the arguments that travel with the request")
        }
        Place::Argument if is("Outgoing") => refuse(TAKE),
        Place::Return if is("Incoming") => refuse(RETURN),
        Place::Argument if is("Stream") || is_impl_stream(ty) => refuse(TAKE),
        Place::Return if is("Stream") || is_impl_stream(ty) => refuse(RETURN),
        _ => Ok(()),
    }
}

fn is_impl_stream(ty: &Type) -> bool {
    let Type::ImplTrait(implied) = ty else { return false };
    implied.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|segment| segment.ident == "Stream"),
        _ => false,
    })
}

fn called<'t>(ty: &'t Type, name: &str) -> Option<&'t PathSegment> {
    last_segment(ty).filter(|segment| segment.ident == name)
}

/// Asks of the streams in a returned type that they may move between threads: a worker polls them in a task.
pub(crate) fn send(ty: &mut Type) {
    match ty {
        Type::ImplTrait(stream) => stream.bounds.push(parse_quote!(::core::marker::Send)),
        Type::Path(path) => {
            let Some(segment) = path.path.segments.last_mut() else { return };
            let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { return };
            for argument in &mut arguments.args {
                if let GenericArgument::Type(ty) = argument {
                    send(ty);
                }
            }
        }
        _ => {}
    }
}
