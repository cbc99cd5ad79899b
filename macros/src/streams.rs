//! The streams of a method: its last argument, and its return type.

use quote::ToTokens;
use syn::{
    Error, FnArg, GenericArgument, Ident, PathArguments, PathSegment, Result, Type, TypeImplTrait, TypeParamBound,
    parse_quote,
};

use crate::syntax::{generic_types, ident, last_segment};

const RETURN: &str = "return `Outgoing<impl Stream<Item = T>>` to send items to callers";
const TAKE: &str = "take an `Incoming<T>` as the last argument to receive items from callers";

/// The last argument of a method that receives items from callers.
pub(crate) struct Incoming {
    pub(crate) ident: Ident,
    /// The type in the trait.
    pub(crate) ty: Type,
    pub(crate) item: Type,
}

/// The position of a type in a signature.
#[derive(Clone, Copy)]
pub(crate) enum Position {
    Argument,
    Return,
}

impl Incoming {
    /// Parses an argument, if it is an `Incoming`.
    pub(crate) fn parse(argument: &FnArg) -> Result<Option<Incoming>> {
        let FnArg::Typed(typed) = argument else { return Ok(None) };
        let Some(segment) = segment_named(&typed.ty, "Incoming") else { return Ok(None) };
        let ident = ident(&typed.pat)?.clone();
        let mut types = generic_types(&segment.arguments);
        let (Some(item), None) = (types.next(), types.next()) else {
            return Err(Error::new_spanned(&typed.ty, "write `Incoming<T>`: callers must know the type of the items"));
        };
        check_item(item)?;
        Ok(Some(Incoming { ident, ty: (*typed.ty).clone(), item: item.clone() }))
    }
}

/// Returns the item type of an `Outgoing`, if the type is one.
pub(crate) fn outgoing_item(ty: &Type) -> Result<Option<&Type>> {
    let Some(segment) = segment_named(ty, "Outgoing") else { return Ok(None) };
    let stream = generic_types(&segment.arguments).find_map(|stream| match stream {
        Type::ImplTrait(stream) => item_of(stream),
        _ => None,
    });
    let Some(item) = stream else {
        return Err(Error::new_spanned(
            ty,
            "write `Outgoing<impl Stream<Item = T>>`: callers must know the type of the items",
        ));
    };
    check_item(item)?;
    Ok(Some(item))
}

/// Returns `T` of `impl Stream<Item = T>`.
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
        Type::Reference(_) => Err(Error::new_spanned(item, "an item must be a value: a reference cannot be sent")),
        Type::ImplTrait(_) | Type::Infer(_) => {
            Err(Error::new_spanned(item, "write a concrete item type: both sides must know it"))
        }
        _ => Ok(()),
    }
}

/// Rejects a stream in the wrong position or form.
pub(crate) fn reject_misplaced(ty: &Type, position: Position) -> Result<()> {
    let reject = |text: &str| Err(Error::new_spanned(ty.to_token_stream(), text));
    let is = |name: &str| segment_named(ty, name).is_some();
    match position {
        Position::Argument if is("Incoming") => reject("a method can have one `Incoming`, as its last argument"),
        Position::Argument if is("Outgoing") => reject(TAKE),
        Position::Return if is("Incoming") => reject(RETURN),
        Position::Argument if is("Stream") || is_impl_stream(ty) => reject(TAKE),
        Position::Return if is("Stream") || is_impl_stream(ty) => reject(RETURN),
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

fn segment_named<'t>(ty: &'t Type, name: &str) -> Option<&'t PathSegment> {
    last_segment(ty).filter(|segment| segment.ident == name)
}

/// Adds `Send` to the streams in a return type, because a worker polls them in a task.
pub(crate) fn make_send(ty: &mut Type) {
    match ty {
        Type::ImplTrait(stream) => stream.bounds.push(parse_quote!(::core::marker::Send)),
        Type::Path(path) => {
            let Some(segment) = path.path.segments.last_mut() else { return };
            let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { return };
            for argument in &mut arguments.args {
                if let GenericArgument::Type(ty) = argument {
                    make_send(ty);
                }
            }
        }
        _ => {}
    }
}
