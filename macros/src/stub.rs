//! Generates the caller's stub: a type with the trait's methods, each of which creates a call.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::{
    contract,
    method::{ApplicationError, Method},
    service::Service,
};

pub(crate) fn stub(service: &Service) -> TokenStream {
    let Service { visibility, ident, client, name, krate, docs, .. } = service;
    let about = format!("The stub of [`{ident}`]: calls the workers that serve `{name}`. Cheap to clone.");
    let separator = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
    let methods = service.methods.iter().map(|method| stub_method(service, method));
    let contract = contract::contract(service);
    quote! {
        #[doc = #about]
        #separator
        #(#docs)*
        #[allow(dead_code)]
        #[derive(Clone, Debug)]
        #visibility struct #client {
            client: #krate::Client,
        }

        #[allow(dead_code)]
        impl #client {
            /// Creates a stub that makes its calls through this client.
            pub fn new(client: &#krate::Client) -> Self {
                Self { client: ::core::clone::Clone::clone(client) }
            }

            #contract

            #(#methods)*
        }

        impl ::core::convert::From<#krate::Client> for #client {
            fn from(client: #krate::Client) -> Self {
                Self { client }
            }
        }

        impl ::core::convert::From<&#krate::blocking::Client> for #client {
            fn from(client: &#krate::blocking::Client) -> Self {
                Self::new(client.as_async())
            }
        }

        impl ::core::convert::From<&#krate::polled::Client> for #client {
            fn from(client: &#krate::polled::Client) -> Self {
                Self::new(client.as_async())
            }
        }

        impl ::core::convert::From<&#krate::Client> for #client {
            fn from(client: &#krate::Client) -> Self {
                Self::new(client)
            }
        }
    }
}

fn stub_method(service: &Service, method: &Method) -> TokenStream {
    let krate = &service.krate;
    let Method { docs, conditions, warnings, ident, arguments, .. } = method;
    let full = format!("{}.{}", service.name, method.name);
    let (value, style) = (&method.returns.value, style(krate, method));
    let (failure, error_name) = match &method.returns.error {
        None => (quote!(#krate::CallError), ""),
        Some(ApplicationError { ty, name }) => (quote!(#krate::Failed<#ty>), name.as_str()),
    };
    let call = quote!(#krate::TypedCall<#value, #failure #style>);
    let (names, types) =
        (arguments.iter().map(|argument| &argument.ident), arguments.iter().map(|argument| &argument.ty));
    let given = arguments.iter().map(|argument| &argument.ident);
    quote_spanned! {method.span()=>
        #(#docs)*
        #(#conditions)*
        #(#warnings)*
        pub fn #ident(&self, #(#names: #types),*) -> #call {
            #krate::TypedCall::new(self.client.call(#full, (#(#given,)*)), #error_name)
        }
    }
}

/// Generates the style argument of a streaming call.
fn style(krate: &syn::Path, method: &Method) -> Option<TokenStream> {
    let item = method.incoming.as_ref().map(|incoming| &incoming.item);
    match (method.sends_items(), item) {
        (false, None) => None,
        (true, None) => Some(quote!(, #krate::style::ServerStreaming)),
        (false, Some(item)) => Some(quote!(, #krate::style::ClientStreaming<#item>)),
        (true, Some(item)) => Some(quote!(, #krate::style::BidiStreaming<#item>)),
    }
}
