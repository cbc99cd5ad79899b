//! Generates the description of the service: `contract()` of the stub.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Type, spanned::Spanned};

use crate::{
    method::{ApplicationError, Method, Returns},
    options::Effect,
    service::Service,
};

/// Generates the function `contract`.
pub(crate) fn contract(service: &Service) -> TokenStream {
    let Service { krate, name, docs, .. } = service;
    let doc = text(docs);
    let methods = service.methods.iter().map(|method| describe(krate, method));
    quote! {
        /// Returns the contract that this program was compiled with. `callboard describe` shows the contract of the running workers.
        pub fn contract() -> #krate::core::contract::ServiceDescription {
            let mut service = #krate::core::contract::ServiceDescription::new(#name, #doc);
            let mut types = #krate::core::contract::Types::new();
            #(#methods)*
            service.types = types.into_definitions();
            service
        }
    }
}

fn describe(krate: &syn::Path, method: &Method) -> TokenStream {
    let Method { conditions, name, docs, effect, arguments, incoming, returns, .. } = method;
    let doc = text(docs);
    let effect = format_ident!(
        "{}",
        match effect {
            Effect::Read => "Read",
            Effect::Idempotent => "Idempotent",
            Effect::Once => "Once",
        }
    );
    let arguments = arguments.iter().map(|argument| {
        let (name, ty) = (&argument.name, type_of(krate, &argument.owned));
        quote!(#krate::core::contract::ArgumentDescription { name: #name.into(), ty: #ty })
    });
    let (style, incoming) = (style(krate, method), optional(krate, incoming.as_ref().map(|incoming| &incoming.item)));
    let Returns { value, .. } = returns;
    let null = quote!(#krate::core::contract::Type::Null);
    let (outgoing, result) = match method.sends_items() {
        true => (optional(krate, Some(value)), null),
        false => (optional(krate, None), type_of(krate, value)),
    };
    let error = match &returns.error {
        None => quote!(::core::option::Option::None),
        Some(ApplicationError { ty, name }) => {
            let ty = type_of(krate, ty);
            quote!(::core::option::Option::Some(#krate::core::contract::ErrorDescription { name: #name.into(), ty: #ty }))
        }
    };
    quote! {
        #(#conditions)*
        {
            let method = #krate::core::contract::MethodDescription {
                name: #name.into(),
                doc: #doc.into(),
                effect: #krate::Effect::#effect,
                style: #style,
                arguments: ::std::vec![#(#arguments),*],
                incoming: #incoming,
                outgoing: #outgoing,
                result: #result,
                error: #error,
            };
            service.methods.push(method);
        }
    }
}

fn style(krate: &syn::Path, method: &Method) -> TokenStream {
    let style = match (method.sends_items(), &method.incoming) {
        (false, None) => "Unary",
        (true, None) => "Server",
        (false, Some(_)) => "Client",
        (true, Some(_)) => "Bidi",
    };
    let style = format_ident!("{style}");
    quote!(#krate::core::contract::Style::#style)
}

/// Generates an expression for an optional type.
fn optional(krate: &syn::Path, ty: Option<&Type>) -> TokenStream {
    match ty.map(|ty| type_of(krate, ty)) {
        Some(ty) => quote!(::core::option::Option::Some(#ty)),
        None => quote!(::core::option::Option::None),
    }
}

/// Generates an expression for a type: its schema if it has one, else its name.
pub(crate) fn type_of(krate: &syn::Path, ty: &Type) -> TokenStream {
    let rust = quote!(#ty).to_string().replace(' ', "");
    let probe = quote_spanned!(ty.span()=> #krate::core::contract::Probe::<#ty>::new());
    quote! {{
        #[allow(unused_imports)]
        use #krate::core::contract::{WithSchema as _, WithoutSchema as _};
        (&#probe).type_of(&mut types, #rust)
    }}
}

/// Returns the text of doc comments, without the space after `///`.
pub(crate) fn text(docs: &[Attribute]) -> String {
    let lines = docs.iter().filter_map(|doc| match &doc.meta {
        Meta::NameValue(meta) => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n").trim().to_owned()
}
