//! The worker's side: whatever implements the trait, as a service.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::{
    method::{Method, OwnError},
    service::Service,
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
            let service = #krate::Service::new(#name).described(<#client>::contract());
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
    let (krate, trait_ident) = (&service.krate, &service.ident);
    let Method { ident, arguments, context, .. } = method;
    let context_type = context.iter();
    let (implementation, context_name) = (implementation(), Ident::new("context", Span::mixed_site()));
    let context_given = context.iter().map(|_| quote!(#context_name,));
    let (idents, types) = (arguments.iter().map(|a| &a.ident), arguments.iter().map(|a| &a.owned));
    let given = arguments.iter().map(|argument| {
        let ident = &argument.ident;
        if argument.lent { quote!(&#ident) } else { quote!(#ident) }
    });
    let run = quote!(<Self as #trait_ident>::#ident(&*#implementation, #(#context_given)* #(#given),*));
    let parameters = quote!(#(#context_name: #context_type,)* #(#idents: #types),*);
    if method.is_async {
        let answer = answer(krate, method, quote!(#run.await));
        quote_spanned! {method.place()=>
            move |#parameters| {
                let #implementation = ::std::sync::Arc::clone(&#implementation);
                async move { #answer }
            }
        }
    } else {
        let answer = answer(krate, method, run);
        quote_spanned!(method.place()=> move |#parameters| { #answer })
    }
}

/// What a method came to, as a handler returns it.
fn answer(krate: &syn::Path, method: &Method, result: TokenStream) -> TokenStream {
    match &method.returns.error {
        None => quote!(#krate::Reply(#result)),
        Some(OwnError { ty: error, name }) => quote! {
            #krate::__private::Own {
                result: #result,
                name: #name,
                code: |error: &#error| {
                    #[allow(unused_imports)]
                    use #krate::__private::{WithCode as _, WithoutCode as _};
                    (&#krate::__private::CodeOf(error)).code()
                },
            }
        },
    }
}
