//! The trait as it goes on, and what comes beside it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{FnArg, ItemTrait, ReturnType, Signature, TraitItem, TraitItemFn, Type, parse_quote, spanned::Spanned};

use crate::{adapter, service::Service, streams, stub};

/// The trait, with `into_service`, and its stub.
pub(crate) fn expand(service: &Service, mut item: ItemTrait) -> TokenStream {
    // A program that shares a contract is mostly one of its sides.
    item.attrs.push(parse_quote!(#[allow(dead_code)]));
    item.supertraits.extend([
        parse_quote!(::core::marker::Send),
        parse_quote!(::core::marker::Sync),
        parse_quote!('static),
    ] as [syn::TypeParamBound; 3]);
    for function in functions(&mut item) {
        send(function);
    }
    clean(&mut item);
    let into_service = adapter::into_service(service);
    item.items.push(TraitItem::Verbatim(into_service));
    let (checks, stub) = (checks(service), stub::stub(service));
    // First, so that the compiler's first words are on the types, and not on what follows from them.
    quote!(#checks #item #stub)
}

/// Says of each type that it must travel, so that the compiler complains of one that cannot where it is written.
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

/// The trait as it was, beside what is wrong with it.
pub(crate) fn despite(error: &syn::Error, mut item: ItemTrait) -> TokenStream {
    clean(&mut item);
    let error = error.to_compile_error();
    quote!(#error #item)
}

/// Takes out what is ours, and patterns, of which the compiler would complain after us.
fn clean(item: &mut ItemTrait) {
    for function in functions(item) {
        function.attrs.retain(|attribute| !attribute.path().is_ident("rpc"));
    }
    item.items.retain(|item| match item {
        TraitItem::Fn(function) => function.default.is_some() || named(&function.sig),
        _ => true,
    });
}

fn named(signature: &Signature) -> bool {
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

/// An `async fn` as a function that returns a future that may move between threads: a worker runs it as a task.
fn send(function: &mut TraitItemFn) {
    if function.sig.asyncness.take().is_none() {
        return;
    }
    let mut output: Type = match &function.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    streams::send(&mut output);
    function.sig.output = parse_quote!(-> impl ::core::future::Future<Output = #output> + ::core::marker::Send);
    if let Some(body) = &function.default {
        function.default = Some(parse_quote!({ async move #body }));
    }
}
