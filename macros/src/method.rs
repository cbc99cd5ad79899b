//! One method of a service: parses its signature, and rejects what cannot be sent.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{
    Attribute, Error, FnArg, Ident, ReceiverKind, Result, ReturnType, Signature, TraitItemFn, Type, TypeParamBound,
    parse_quote,
};

use crate::{
    options::{Effect, RpcOptions},
    streams::{self, Incoming, Position},
    syntax::{docs, generic_types, ident, is_identifier, last_segment, unraw},
};

/// The maximum number of arguments of a handler.
const ARGUMENTS_MAX: usize = 8;
/// The reserved method names, with the reason.
const RESERVED: [(&str, &str); 3] = [
    ("into_service", "the macro adds a method of this name to the trait"),
    ("new", "the stub has a function of this name"),
    ("contract", "the stub has a function of this name"),
];

/// One method of a service.
pub(crate) struct Method {
    pub(crate) docs: Vec<Attribute>,
    /// Its `cfg` attributes, which the generated code repeats.
    pub(crate) conditions: Vec<Attribute>,
    /// Its `deprecated` and `allow` attributes, which the stub repeats.
    pub(crate) warnings: Vec<Attribute>,
    pub(crate) ident: Ident,
    /// The name on the wire.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) effect: Effect,
    pub(crate) is_async: bool,
    /// The type of the context argument, if it has one.
    pub(crate) context: Option<Type>,
    pub(crate) arguments: Vec<Argument>,
    /// The items that callers send, if it takes any.
    pub(crate) incoming: Option<Incoming>,
    pub(crate) returns: Returns,
}

/// One argument that is sent.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    /// The type in the trait.
    pub(crate) ty: Type,
    /// The type that a worker deserializes.
    pub(crate) owned: Type,
    /// Whether the implementation gets a reference to that value.
    pub(crate) borrowed: bool,
}

/// The return type of a method.
pub(crate) struct Returns {
    /// The type of the result, or of each item.
    pub(crate) value: Type,
    pub(crate) error: Option<ApplicationError>,
    pub(crate) form: Form,
}

/// The form of the return type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A value, or a `Result`.
    Value,
    /// A stream of items.
    Items {
        /// Whether the method can fail before the first item: a `Result` of an `Outgoing`.
        can_fail_first: bool,
        /// Whether an item can be an error, which ends the stream.
        can_fail: bool,
    },
}

/// The application error of a method.
pub(crate) struct ApplicationError {
    pub(crate) ty: Type,
    /// The name on the wire.
    pub(crate) name: String,
}

impl Method {
    /// Parses and checks a method.
    ///
    /// # Errors
    /// The first problem, at its place in the source.
    pub(crate) fn parse(function: &TraitItemFn) -> Result<Method> {
        let signature = &function.sig;
        let options = RpcOptions::parse(&function.attrs)?;
        check_signature(signature)?;
        let (context, arguments, incoming) = parse_arguments(signature)?;
        let returns = parse_returns(&signature.output)?;
        check_streams(signature, incoming.as_ref(), &returns)?;
        let (name, name_span) = match &options.name {
            Some(name) => (name.value(), name.span()),
            None => (unraw(&signature.ident), signature.ident.span()),
        };
        if !is_identifier(&name) {
            let text = format!("`{name}` is not a valid method name: use letters, digits and _");
            return Err(Error::new(name_span, text));
        }
        let attributes = |names: &[&str]| {
            let named = |attribute: &&Attribute| names.iter().any(|name| attribute.path().is_ident(name));
            function.attrs.iter().filter(named).cloned().collect()
        };
        Ok(Method {
            docs: docs(&function.attrs),
            conditions: attributes(&["cfg"]),
            warnings: attributes(&["deprecated", "allow"]),
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
    /// Returns the span at which the compiler reports errors of the generated code.
    pub(crate) fn span(&self) -> Span {
        self.ident.span().resolved_at(Span::call_site())
    }

    /// Returns the types that are sent in either direction, and the error type.
    pub(crate) fn types(&self) -> (Vec<&Type>, Option<&Type>) {
        let Returns { value, error, .. } = &self.returns;
        let error = error.as_ref().map(|error| &error.ty);
        let items = self.incoming.iter().map(|incoming| &incoming.item);
        (self.arguments.iter().map(|argument| &argument.owned).chain(items).chain([value]).collect(), error)
    }

    /// Returns whether the method sends items.
    pub(crate) fn sends_items(&self) -> bool {
        self.returns.form != Form::Value
    }
}

fn check_signature(signature: &Signature) -> Result<()> {
    let reject = |tokens: &dyn ToTokens, text: &str| Err(Error::new_spanned(tokens, text));
    let name = signature.ident.to_string();
    if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| name == *reserved) {
        let text = format!("{reason}: rename the method, and add `#[rpc(name = \"{name}\")]`");
        return reject(&signature.ident, &text);
    }
    if let Some(keyword) = &signature.constness {
        return reject(keyword, "a method of a service cannot be const");
    }
    if let Some(abi) = &signature.abi {
        return reject(abi, "a method of a service cannot be extern");
    }
    if !signature.generics.params.is_empty() {
        let text = "a method of a service cannot have generics or lifetimes: both sides must know its types";
        return reject(&signature.generics.params, text);
    }
    if let Some(clause) = &signature.generics.where_clause {
        return reject(clause, "a method of a service cannot have a where clause");
    }
    Ok(())
}

fn parse_arguments(signature: &Signature) -> Result<(Option<Type>, Vec<Argument>, Option<Incoming>)> {
    let mut inputs = signature.inputs.iter();
    let Some(FnArg::Receiver(receiver)) = inputs.next() else {
        return Err(Error::new_spanned(&signature.ident, "a method of a service needs `&self` as its first argument"));
    };
    let ReceiverKind::Reference(_, None, None) = receiver.kind else {
        let text =
            "a method of a service takes `&self`, because calls run concurrently: put mutable state behind a lock";
        return Err(Error::new_spanned(receiver, text));
    };
    let mut typed: Vec<_> = inputs.collect();
    let context = typed.first().and_then(|first| context_type(first));
    if context.is_some() {
        typed.remove(0);
    }
    let incoming = typed.last().map_or(Ok(None), |last| Incoming::parse(last))?;
    if incoming.is_some() {
        typed.pop();
    }
    if let Some(extra) = typed.get(ARGUMENTS_MAX) {
        let text = format!("a method has at most {ARGUMENTS_MAX} arguments: move some into a struct");
        return Err(Error::new_spanned(extra, text));
    }
    let arguments = typed.into_iter().map(parse_argument).collect::<Result<_>>()?;
    Ok((context, arguments, incoming))
}

/// Checks that a method with streams is async: only a future can wait for items while the method runs.
fn check_streams(signature: &Signature, incoming: Option<&Incoming>, returns: &Returns) -> Result<()> {
    let text = "a method with streams must be an `async fn`";
    match (signature.asyncness, incoming, returns.form) {
        (Some(_), ..) | (None, None, Form::Value) => Ok(()),
        (None, Some(incoming), _) => Err(Error::new_spanned(&incoming.ty, text)),
        (None, None, Form::Items { .. }) => Err(Error::new_spanned(&signature.output, text)),
    }
}

/// Returns the type of an argument if it is the call's context.
fn context_type(argument: &FnArg) -> Option<Type> {
    let FnArg::Typed(typed) = argument else { return None };
    let segment = last_segment(&typed.ty)?;
    (segment.ident == "Context" && segment.arguments.is_none()).then(|| (*typed.ty).clone())
}

fn parse_argument(argument: &FnArg) -> Result<Argument> {
    let FnArg::Typed(typed) = argument else {
        return Err(Error::new_spanned(argument, "`self` must be the first argument"));
    };
    let ident = ident(&typed.pat)?;
    let name = unraw(ident);
    if !is_identifier(&name) {
        return Err(Error::new_spanned(ident, "an argument's name can contain only letters, digits and _"));
    }
    check_type(&typed.ty, Position::Argument)?;
    let (owned, borrowed) = owned_type(&typed.ty)?;
    Ok(Argument { ident: ident.clone(), name, ty: (*typed.ty).clone(), owned, borrowed })
}

/// Returns the type that a worker deserializes for an argument of this type, and whether the implementation borrows it.
fn owned_type(ty: &Type) -> Result<(Type, bool)> {
    let Type::Reference(reference) = ty else { return Ok((ty.clone(), false)) };
    if reference.mutability.is_some() {
        return Err(Error::new_spanned(ty, "an argument is sent one way: a method cannot change it for the caller"));
    }
    if let Some(lifetime) = &reference.lifetime {
        return Err(Error::new_spanned(lifetime, "remove the lifetime: the argument is borrowed for the call"));
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

/// Rejects types that cannot be sent, as far as their syntax shows it.
fn check_type(ty: &Type, position: Position) -> Result<()> {
    streams::reject_misplaced(ty, position)?;
    match ty {
        Type::ImplTrait(bounds) if bounds.bounds.iter().any(|bound| is_trait(bound, "Future")) => {
            Err(Error::new_spanned(ty, "write `async fn`"))
        }
        Type::ImplTrait(_) => Err(Error::new_spanned(ty, "write a concrete type: both sides must know it")),
        Type::Infer(_) => Err(Error::new_spanned(ty, "write the type: both sides must know it")),
        _ => Ok(()),
    }
}

fn is_trait(bound: &TypeParamBound, name: &str) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    bound.path.segments.last().is_some_and(|segment| segment.ident == name)
}

fn parse_returns(output: &ReturnType) -> Result<Returns> {
    let none = parse_quote!(());
    let ty = match output {
        ReturnType::Default => &none,
        ReturnType::Type(_, ty) => &**ty,
    };
    let (value, error) = parse_result(ty)?;
    let Some(item) = streams::outgoing_item(value)? else {
        return Ok(Returns {
            value: value.clone(),
            error: error.map(application_error).transpose()?,
            form: Form::Value,
        });
    };
    let (item, item_error) = parse_result(item)?;
    if let (Some(error), Some(item_error)) = (error, item_error)
        && error.to_token_stream().to_string() != item_error.to_token_stream().to_string()
    {
        let text = "a method has one error type: use the same type for items and for the whole";
        return Err(Error::new_spanned(item_error, text));
    }
    let form = Form::Items { can_fail_first: error.is_some(), can_fail: item_error.is_some() };
    let error = error.or(item_error).map(application_error).transpose()?;
    Ok(Returns { value: item.clone(), error, form })
}

/// Returns `T` and `E` of `Result<T, E>`; any other type is a `T` without an error.
fn parse_result(ty: &Type) -> Result<(&Type, Option<&Type>)> {
    check_type(ty, Position::Return)?;
    if let Type::Reference(_) = ty {
        return Err(Error::new_spanned(ty, "return a value: a reference cannot be sent"));
    }
    let Some(segment) = last_segment(ty).filter(|segment| segment.ident == "Result") else {
        return Ok((ty, None));
    };
    let types: Vec<_> = generic_types(&segment.arguments).collect();
    let [value, error] = types[..] else {
        let text = "write `Result<T, E>` with both types: callers must know the error type";
        return Err(Error::new_spanned(ty, text));
    };
    check_type(value, Position::Return)?;
    Ok((value, Some(error)))
}

fn application_error(error: &Type) -> Result<ApplicationError> {
    let name = last_segment(error).map(|segment| unraw(&segment.ident));
    let Some(name) = name.filter(|name| is_identifier(name)) else {
        let text = "use an error type with a name, such as `UserError`: the name is sent to callers";
        return Err(Error::new_spanned(error, text));
    };
    Ok(ApplicationError { ty: error.clone(), name })
}
