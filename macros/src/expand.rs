//! Generates the rewritten trait, and combines it with the stub and the checks.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{FnArg, ItemTrait, ReturnType, Signature, TraitItem, TraitItemFn, Type, parse_quote, spanned::Spanned};

use crate::{adapter, service::Service, streams, stub};

/// Generates the trait with `into_service`, and its stub.
pub(crate) fn expand(service: &Service, mut item: ItemTrait) -> TokenStream {
    // A program that shares a contract is often only one of its sides.
    item.attrs.push(parse_quote!(#[allow(dead_code)]));
    item.supertraits.extend([
        parse_quote!(::core::marker::Send),
        parse_quote!(::core::marker::Sync),
        parse_quote!('static),
    ] as [syn::TypeParamBound; 3]);
    for function in functions(&mut item) {
        make_future_send(function);
    }
    remove_attributes(&mut item);
    let into_service = adapter::into_service(service);
    item.items.push(TraitItem::Verbatim(into_service));
    let (checks, stub) = (checks(service), stub::stub(service));
    // The checks come first, so that the compiler first reports the types, and then what follows from them.
    quote!(#checks #item #stub)
}

/// Generates a check for each type that must be sent, so that the compiler reports an unsuitable type where it is written.
fn checks(service: &Service) -> TokenStream {
    let krate = &service.krate;
    let checks = service.methods.iter().map(|method| {
        let ((values, error), conditions) = (method.types(), &method.conditions);
        let values = values.into_iter().map(|ty| quote_spanned!(ty.span()=> #krate::__private::value::<#ty>();));
        let error = error.map(|ty| quote_spanned!(ty.span()=> #krate::__private::error::<#ty>();));
        quote!(#(#conditions)* { #(#values)* #error })
    });
    quote! {
        const _: fn() = || {
            #(#checks)*
        };
    }
}

/// Generates the unchanged trait, and the error.
pub(crate) fn with_error(error: &syn::Error, mut item: ItemTrait) -> TokenStream {
    remove_attributes(&mut item);
    let error = error.to_compile_error();
    quote!(#error #item)
}

/// Removes our attributes, and functions with patterns, which the compiler would report again.
fn remove_attributes(item: &mut ItemTrait) {
    for function in functions(item) {
        function.attrs.retain(|attribute| !attribute.path().is_ident("rpc"));
    }
    item.items.retain(|item| match item {
        TraitItem::Fn(function) => function.default.is_some() || has_plain_arguments(&function.sig),
        _ => true,
    });
}

fn has_plain_arguments(signature: &Signature) -> bool {
    signature.inputs.iter().all(|input| match input {
        FnArg::Typed(typed) => matches!(&*typed.pat, syn::Pat::Ident(_)),
        FnArg::Receiver(_) => true,
    })
}

fn functions(item: &mut ItemTrait) -> impl Iterator<Item = &mut TraitItemFn> {
    item.items.iter_mut().filter_map(|item| match item {
        TraitItem::Fn(function) => Some(function),
        _ => None,
    })
}

/// Replaces an `async fn` with a function that returns a `Send` future, because a worker runs it as a task.
fn make_future_send(function: &mut TraitItemFn) {
    if function.sig.asyncness.take().is_none() {
        return;
    }
    let mut output: Type = match &function.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    streams::make_send(&mut output);
    function.sig.output = parse_quote!(-> impl ::core::future::Future<Output = #output> + ::core::marker::Send);
    if let Some(body) = &function.default {
        function.default = Some(parse_quote!({ async move #body }));
    }
}
