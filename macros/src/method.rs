//! One method of a service.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, Pat, PathArguments, ReceiverKind, Result, ReturnType, Signature,
    TraitItemFn, Type, TypeParamBound, parse_quote,
};

use crate::{
    options::{Effect, RpcOptions},
    service::{docs, is_identifier},
    streams::{self, Incoming, Place},
};

/// Arguments that a handler can have.
const ARGUMENTS_MAX: usize = 8;
/// What a trait's methods must not be called, and why.
const TAKEN: [(&str, &str); 3] = [
    ("into_service", "the trait gets a method of that name"),
    ("new", "the stub has a function of that name"),
    ("contract", "the stub has a function of that name"),
];

/// One method of a service.
pub(crate) struct Method {
    pub(crate) docs: Vec<Attribute>,
    /// Its `cfg`s: what is made of the method is there where it is.
    pub(crate) conditions: Vec<Attribute>,
    /// `deprecated`, of which its callers are told, and warnings that its author does not want.
    pub(crate) warnings: Vec<Attribute>,
    pub(crate) ident: Ident,
    /// What it is called on the wire.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) effect: Effect,
    pub(crate) is_async: bool,
    /// The type of the context, if it takes one.
    pub(crate) context: Option<Type>,
    pub(crate) arguments: Vec<Argument>,
    /// The items that its callers send, if they do.
    pub(crate) incoming: Option<Incoming>,
    pub(crate) returns: Returns,
}

/// One argument that travels.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    /// As it is written in the trait.
    pub(crate) ty: Type,
    /// What a worker reads.
    pub(crate) owned: Type,
    /// Whether the implementation gets a reference to that.
    pub(crate) lent: bool,
}

/// What a method returns.
pub(crate) struct Returns {
    /// Its result; where it sends items, each of them.
    pub(crate) value: Type,
    pub(crate) error: Option<OwnError>,
    pub(crate) form: Form,
}

/// How a method returns that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a value, or a `Result`.
    Value,
    /// As items.
    Items {
        /// Whether it may fail before there are any: a `Result` of an `Outgoing`.
        may_refuse: bool,
        /// Whether an item may be the error that ends them.
        may_fail: bool,
    },
}

/// A method's own error.
pub(crate) struct OwnError {
    pub(crate) ty: Type,
    /// What it is called on the wire.
    pub(crate) name: String,
}

impl Method {
    pub(crate) fn read(function: &TraitItemFn) -> Result<Method> {
        let signature = &function.sig;
        let options = RpcOptions::of(&function.attrs)?;
        check_signature(signature)?;
        let (context, arguments, incoming) = read_arguments(signature)?;
        let returns = read_returns(&signature.output)?;
        check_streams(signature, incoming.as_ref(), &returns)?;
        let (name, name_span) = match &options.name {
            Some(name) => (name.value(), name.span()),
            None => (bare(&signature.ident), signature.ident.span()),
        };
        if !is_identifier(&name) {
            let text = format!("`{name}` is no name of a method: letters, digits and _");
            return Err(Error::new(name_span, text));
        }
        let called = |words: &[&str]| {
            let called = |attribute: &&Attribute| words.iter().any(|word| attribute.path().is_ident(word));
            function.attrs.iter().filter(called).cloned().collect()
        };
        Ok(Method {
            docs: docs(&function.attrs),
            conditions: called(&["cfg"]),
            warnings: called(&["deprecated", "allow"]),
            ident: signature.ident.clone(),
            name,
            name_span,
            effect: options.effect.map_or(Effect::Once, |(effect, _)| effect),
            is_async: signature.asyncness.is_some(),
            context,
            arguments,
            incoming,
            returns,
        })
    }
}

impl Method {
    /// Where the compiler shall complain of what is made of it.
    pub(crate) fn place(&self) -> Span {
        self.ident.span().resolved_at(Span::call_site())
    }

    /// The types that travel both ways, and the error if there is one.
    pub(crate) fn types(&self) -> (Vec<&Type>, Option<&Type>) {
        let Returns { value, error, .. } = &self.returns;
        let error = error.as_ref().map(|error| &error.ty);
        let items = self.incoming.iter().map(|incoming| &incoming.item);
        (self.arguments.iter().map(|argument| &argument.owned).chain(items).chain([value]).collect(), error)
    }

    /// Whether it sends items.
    pub(crate) fn sends_items(&self) -> bool {
        self.returns.form != Form::Value
    }
}

/// An identifier without `r#`.
fn bare(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

fn check_signature(signature: &Signature) -> Result<()> {
    let refuse = |place: &dyn ToTokens, text: &str| Err(Error::new_spanned(place, text));
    let name = signature.ident.to_string();
    if let Some((_, why)) = TAKEN.iter().find(|(taken, _)| name == *taken) {
        let text = format!("{why}: call the method something else, and say `#[rpc(name = \"{name}\")]`");
        return refuse(&signature.ident, &text);
    }
    if let Some(word) = &signature.constness {
        return refuse(word, "a method of a service is not const");
    }
    if let Some(abi) = &signature.abi {
        return refuse(abi, "a method of a service is not extern");
    }
    if !signature.generics.params.is_empty() {
        let text = "a method of a service has no generics and names no lifetimes: both sides must know its types";
        return refuse(&signature.generics.params, text);
    }
    if let Some(clause) = &signature.generics.where_clause {
        return refuse(clause, "a method of a service has no where clause");
    }
    Ok(())
}

fn read_arguments(signature: &Signature) -> Result<(Option<Type>, Vec<Argument>, Option<Incoming>)> {
    let mut inputs = signature.inputs.iter();
    let Some(FnArg::Receiver(receiver)) = inputs.next() else {
        return Err(Error::new_spanned(&signature.ident, "a method of a service takes `&self` first"));
    };
    let ReceiverKind::Reference(_, None, None) = receiver.kind else {
        let text = "a method of a service takes `&self`: calls run side by side; keep what changes behind a lock";
        return Err(Error::new_spanned(receiver, text));
    };
    let mut typed: Vec<_> = inputs.collect();
    let context = typed.first().and_then(|first| context_type(first));
    if context.is_some() {
        typed.remove(0);
    }
    let incoming = typed.last().map_or(Ok(None), |last| Incoming::read(last))?;
    if incoming.is_some() {
        typed.pop();
    }
    if let Some(beyond) = typed.get(ARGUMENTS_MAX) {
        let text = format!("a method has at most {ARGUMENTS_MAX} arguments: put some into a struct");
        return Err(Error::new_spanned(beyond, text));
    }
    let arguments = typed.into_iter().map(read_argument).collect::<Result<_>>()?;
    Ok((context, arguments, incoming))
}

/// Items travel while the method runs, which only a future can wait for.
fn check_streams(signature: &Signature, incoming: Option<&Incoming>, returns: &Returns) -> Result<()> {
    let text = "a method with streams is an `async fn`";
    match (signature.asyncness, incoming, returns.form) {
        (Some(_), ..) | (None, None, Form::Value) => Ok(()),
        (None, Some(incoming), _) => Err(Error::new_spanned(&incoming.ty, text)),
        (None, None, Form::Items { .. }) => Err(Error::new_spanned(&signature.output, text)),
    }
}

/// The type of an argument that is the call's context.
fn context_type(argument: &FnArg) -> Option<Type> {
    let FnArg::Typed(typed) = argument else { return None };
    let segment = last_segment(&typed.ty)?;
    (segment.ident == "Context" && segment.arguments.is_none()).then(|| (*typed.ty).clone())
}

fn read_argument(argument: &FnArg) -> Result<Argument> {
    let FnArg::Typed(typed) = argument else {
        return Err(Error::new_spanned(argument, "`self` comes first"));
    };
    let ident = ident(&typed.pat)?;
    let name = bare(ident);
    if !is_identifier(&name) {
        return Err(Error::new_spanned(ident, "an argument's name has letters, digits and _ only"));
    }
    check_type(&typed.ty, Place::Argument)?;
    let (owned, lent) = owned(&typed.ty)?;
    Ok(Argument { ident: ident.clone(), name, ty: (*typed.ty).clone(), owned, lent })
}

/// The name of an argument.
pub(crate) fn ident(pattern: &Pat) -> Result<&Ident> {
    let Pat::Ident(name) = pattern else {
        return Err(Error::new_spanned(pattern, "give the argument a name: callers may pass it by that"));
    };
    if name.by_ref.is_some() || name.mutability.is_some() || name.subpat.is_some() {
        return Err(Error::new_spanned(pattern, "write the argument's name alone, without `mut`, `ref` or a pattern"));
    }
    Ok(&name.ident)
}

/// What a worker reads for an argument of this type, and whether it lends that to the implementation.
fn owned(ty: &Type) -> Result<(Type, bool)> {
    let Type::Reference(reference) = ty else { return Ok((ty.clone(), false)) };
    if reference.mutability.is_some() {
        return Err(Error::new_spanned(ty, "an argument travels one way: nothing can be changed in it for the caller"));
    }
    if let Some(lifetime) = &reference.lifetime {
        return Err(Error::new_spanned(lifetime, "leave the lifetime out: the argument is lent for the call"));
    }
    let owned = match &*reference.elem {
        Type::Slice(slice) => {
            let item = &slice.elem;
            parse_quote!(::std::vec::Vec<#item>)
        }
        Type::Path(path) if path.path.is_ident("str") => parse_quote!(::std::string::String),
        other => other.clone(),
    };
    Ok((owned, true))
}

/// What cannot travel, as far as its form shows it.
fn check_type(ty: &Type, place: Place) -> Result<()> {
    streams::refuse(ty, place)?;
    match ty {
        Type::ImplTrait(bounds) if bounds.bounds.iter().any(|bound| names(bound, "Future")) => {
            Err(Error::new_spanned(ty, "write `async fn`"))
        }
        Type::ImplTrait(_) => Err(Error::new_spanned(ty, "name the type: both sides must know it")),
        Type::Infer(_) => Err(Error::new_spanned(ty, "write the type: both sides must know it")),
        _ => Ok(()),
    }
}

fn names(bound: &TypeParamBound, name: &str) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    bound.path.segments.last().is_some_and(|segment| segment.ident == name)
}

fn read_returns(output: &ReturnType) -> Result<Returns> {
    let none = parse_quote!(());
    let ty = match output {
        ReturnType::Default => &none,
        ReturnType::Type(_, ty) => &**ty,
    };
    let (value, error) = read_result(ty)?;
    let Some(item) = streams::outgoing_item(value)? else {
        return Ok(Returns { value: value.clone(), error: error.map(own_error).transpose()?, form: Form::Value });
    };
    let (item, item_error) = read_result(item)?;
    if let (Some(error), Some(item_error)) = (error, item_error)
        && error.to_token_stream().to_string() != item_error.to_token_stream().to_string()
    {
        let text = "a method has one error: the same here as of the whole";
        return Err(Error::new_spanned(item_error, text));
    }
    let form = Form::Items { may_refuse: error.is_some(), may_fail: item_error.is_some() };
    let error = error.or(item_error).map(own_error).transpose()?;
    Ok(Returns { value: item.clone(), error, form })
}

/// `T` and `E` of `Result<T, E>`; any other type is a `T` alone.
fn read_result(ty: &Type) -> Result<(&Type, Option<&Type>)> {
    check_type(ty, Place::Return)?;
    if let Type::Reference(_) = ty {
        return Err(Error::new_spanned(ty, "return a value: a reference cannot travel"));
    }
    let Some(segment) = last_segment(ty).filter(|segment| segment.ident == "Result") else {
        return Ok((ty, None));
    };
    let types: Vec<_> = generic_types(&segment.arguments).collect();
    let [value, error] = types[..] else {
        let text = "write `Result<T, E>` with both types: callers must know the error as well";
        return Err(Error::new_spanned(ty, text));
    };
    check_type(value, Place::Return)?;
    Ok((value, Some(error)))
}

fn own_error(error: &Type) -> Result<OwnError> {
    let name = last_segment(error).map(|segment| bare(&segment.ident));
    let Some(name) = name.filter(|name| is_identifier(name)) else {
        let text = "an error has a type with a name, such as `UserError`: that is what it is called on the wire";
        return Err(Error::new_spanned(error, text));
    };
    Ok(OwnError { ty: error.clone(), name })
}

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

pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}
