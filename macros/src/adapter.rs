//! Generates the worker's side: `into_service`, which converts an implementation of the trait to a service.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::{
    method::{ApplicationError, Argument, Form, Method},
    service::Service,
    streams::Incoming,
};

/// Generates `into_service` as a method of the trait itself, so that an implementation needs no further import.
pub(crate) fn into_service(service: &Service) -> TokenStream {
    let Service { krate, name, client, .. } = service;
    let about = format!("Converts this to the service `{name}`, for `Worker::serve`. Do not override it.");
    let methods = service.methods.iter().map(|method| serve(service, method));
    let implementation = implementation();
    quote! {
        #[doc = #about]
        #[allow(deprecated)]
        fn into_service(self) -> #krate::Service
        where
            Self: ::core::marker::Sized,
        {
            let #implementation = ::std::sync::Arc::new(self);
            let service = #krate::Service::new(#name).with_description(<#client>::contract());
            #(#methods)*
            service
        }
    }
}

/// Returns an identifier that cannot collide with an argument of a method.
fn implementation() -> Ident {
    Ident::new("implementation", Span::mixed_site())
}

/// Generates `let service = service.read("get", ["id"], |id: u32| ...);`
fn serve(service: &Service, method: &Method) -> TokenStream {
    let Method { conditions, name, arguments, .. } = method;
    let effect = format_ident!("{}", method.effect.name(), span = method.span());
    let names = arguments.iter().map(|argument| &argument.name);
    let (implementation, handler) = (implementation(), handler(service, method));
    quote_spanned! {method.span()=>
        #(#conditions)*
        let service = {
            let #implementation = ::std::sync::Arc::clone(&#implementation);
            service.#effect(#name, [#(#names),*], #handler)
        };
    }
}

fn handler(service: &Service, method: &Method) -> TokenStream {
    let krate = &service.krate;
    let parameters = parameters(krate, method);
    let run = run(service, method);
    let body = match method.returns.form {
        Form::Items { can_fail_first, can_fail } => send_items(krate, method, run, can_fail_first, can_fail),
        Form::Value if method.is_async => convert_result(krate, method, quote!(#run.await)),
        Form::Value => {
            let result = convert_result(krate, method, run);
            return quote_spanned!(method.span()=> move |#parameters| { #result });
        }
    };
    let implementation = implementation();
    quote_spanned! {method.span()=>
        move |#parameters| {
            let #implementation = ::std::sync::Arc::clone(&#implementation);
            async move { #body }
        }
    }
}

/// Generates the parameters of the handler. A method that sends items needs the call's context, even if the trait's method does not
/// take it.
fn parameters(krate: &syn::Path, method: &Method) -> TokenStream {
    let Method { arguments, context, incoming, .. } = method;
    let name = context_name();
    let context = match context {
        Some(ty) => Some(quote!(#name: #ty,)),
        None => method.sends_items().then(|| quote!(#name: #krate::Context,)),
    };
    let arguments = arguments.iter().map(|Argument { ident, owned, .. }| quote!(#ident: #owned,));
    let incoming = incoming.iter().map(|Incoming { ident, ty, .. }| quote!(#ident: #ty));
    quote!(#context #(#arguments)* #(#incoming)*)
}

fn context_name() -> Ident {
    Ident::new("context", Span::mixed_site())
}

/// Generates the call of the implementation's method.
fn run(service: &Service, method: &Method) -> TokenStream {
    let (trait_ident, Method { ident, arguments, context, incoming, .. }) = (&service.ident, method);
    let (implementation, name) = (implementation(), context_name());
    let context = context.iter().map(|_| match method.sends_items() {
        true => quote!(::core::clone::Clone::clone(&#name),),
        false => quote!(#name,),
    });
    let arguments = arguments.iter().map(|Argument { ident, borrowed, .. }| match borrowed {
        true => quote!(&#ident,),
        false => quote!(#ident,),
    });
    let incoming = incoming.iter().map(|Incoming { ident, .. }| ident);
    quote!(<Self as #trait_ident>::#ident(&*#implementation, #(#context)* #(#arguments)* #(#incoming)*))
}

/// Generates the sending of items. They are sent inside of the handler, because they can borrow from the implementation.
fn send_items(
    krate: &syn::Path,
    method: &Method,
    run: TokenStream,
    can_fail_first: bool,
    can_fail: bool,
) -> TokenStream {
    let (context, items) = (context_name(), Ident::new("items", Span::mixed_site()));
    let item = match can_fail {
        true => convert_result(krate, method, quote!(item)),
        false => quote!(#krate::Reply(item)),
    };
    let send = quote!(#krate::__private::send_items(&#context, #items, |item| #item).await);
    if !can_fail_first {
        return quote!(let #items = #run.await; #send);
    }
    let failed = convert_result(krate, method, quote!(::core::result::Result::<(), _>::Err(error)));
    quote! {
        let #items = #run.await;
        match #items {
            ::core::result::Result::Ok(#items) => #send,
            ::core::result::Result::Err(error) => #krate::__private::fail_before_items(#failed),
        }
    }
}

/// Generates the conversion of a method's result to a valid return value of a handler.
fn convert_result(krate: &syn::Path, method: &Method, result: TokenStream) -> TokenStream {
    match &method.returns.error {
        None => quote!(#krate::Reply(#result)),
        Some(ApplicationError { ty: error, name }) => quote! {
            #krate::__private::ApplicationResult {
                result: #result,
                name: #name,
                code: |error: &#error| {
                    #[allow(unused_imports)]
                    use #krate::__private::{DeclaredCode as _, DefaultCode as _};
                    (&#krate::__private::CodeOf(error)).code()
                },
            }
        },
    }
}
