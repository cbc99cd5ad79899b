//! The worker's side: whatever implements the trait, as a service.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::{
    method::{Argument, Form, Method, OwnError},
    service::Service,
    streams::Incoming,
};

/// A method of the trait itself: who implements the trait has it at hand, with nothing to import.
pub(crate) fn into_service(service: &Service) -> TokenStream {
    let Service { krate, name, client, .. } = service;
    let about = format!("This as the service `{name}`, for `Worker::serve`. Leave it as it is.");
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

/// A name that no argument of a method can take from us.
fn implementation() -> Ident {
    Ident::new("implementation", Span::mixed_site())
}

/// `let service = service.read("get", ["id"], |id: u32| ...);`
fn serve(service: &Service, method: &Method) -> TokenStream {
    let Method { conditions, name, arguments, .. } = method;
    let effect = format_ident!("{}", method.effect.word(), span = method.place());
    let names = arguments.iter().map(|argument| &argument.name);
    let (implementation, handler) = (implementation(), handler(service, method));
    quote_spanned! {method.place()=>
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
        Form::Items { may_refuse, may_fail } => deliver(krate, method, run, may_refuse, may_fail),
        Form::Value if method.is_async => answer(krate, method, quote!(#run.await)),
        Form::Value => {
            let answer = answer(krate, method, run);
            return quote_spanned!(method.place()=> move |#parameters| { #answer });
        }
    };
    let implementation = implementation();
    quote_spanned! {method.place()=>
        move |#parameters| {
            let #implementation = ::std::sync::Arc::clone(&#implementation);
            async move { #body }
        }
    }
}

/// What the worker hands in. A method with items of its own needs the call's context whether it takes it or not.
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

/// The implementation's method, called.
fn run(service: &Service, method: &Method) -> TokenStream {
    let (trait_ident, Method { ident, arguments, context, incoming, .. }) = (&service.ident, method);
    let (implementation, name) = (implementation(), context_name());
    let context = context.iter().map(|_| match method.sends_items() {
        true => quote!(::core::clone::Clone::clone(&#name),),
        false => quote!(#name,),
    });
    let arguments = arguments.iter().map(|Argument { ident, lent, .. }| match lent {
        true => quote!(&#ident,),
        false => quote!(#ident,),
    });
    let incoming = incoming.iter().map(|Incoming { ident, .. }| ident);
    quote!(<Self as #trait_ident>::#ident(&*#implementation, #(#context)* #(#arguments)* #(#incoming)*))
}

/// A method that sends items. They are sent where it ran, for they may borrow from the implementation.
fn deliver(krate: &syn::Path, method: &Method, run: TokenStream, may_refuse: bool, may_fail: bool) -> TokenStream {
    let (context, items) = (context_name(), Ident::new("items", Span::mixed_site()));
    let item = match may_fail {
        true => answer(krate, method, quote!(item)),
        false => quote!(#krate::Reply(item)),
    };
    let deliver = quote!(#krate::__private::send_items(&#context, #items, |item| #item).await);
    if !may_refuse {
        return quote!(let #items = #run.await; #deliver);
    }
    let refused = answer(krate, method, quote!(::core::result::Result::<(), _>::Err(error)));
    quote! {
        let #items = #run.await;
        match #items {
            ::core::result::Result::Ok(#items) => #deliver,
            ::core::result::Result::Err(error) => #krate::__private::fail_before_items(#refused),
        }
    }
}

/// What a method came to, as a handler returns it.
fn answer(krate: &syn::Path, method: &Method, result: TokenStream) -> TokenStream {
    match &method.returns.error {
        None => quote!(#krate::Reply(#result)),
        Some(OwnError { ty: error, name }) => quote! {
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
