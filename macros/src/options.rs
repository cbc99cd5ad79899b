//! The options in `#[service(..)]` and `#[rpc(..)]`.

use syn::{
    Attribute, Ident, LitStr, Path, Result,
    meta::ParseNestedMeta,
    parse::{Parse, ParseStream, Parser},
};

const SERVICE_OPTIONS: [&str; 2] = ["name", "crate"];
const RPC_OPTIONS: [&str; 4] = ["read", "idempotent", "once", "name"];

/// The options in `#[service(..)]`.
#[derive(Default)]
pub(crate) struct ServiceOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Option<Path>,
}

/// The options in `#[rpc(..)]`.
#[derive(Default)]
pub(crate) struct RpcOptions {
    pub(crate) effect: Option<(Effect, Path)>,
    pub(crate) name: Option<LitStr>,
}

/// The effect of a method, which decides whether the broker can repeat a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Idempotent,
    Once,
}

impl Effect {
    /// Returns the option's name, which is also the name of the method of `Service` that declares it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Idempotent => "idempotent",
            Effect::Once => "once",
        }
    }
}

impl Parse for ServiceOptions {
    fn parse(input: ParseStream) -> Result<ServiceOptions> {
        let mut options = ServiceOptions::default();
        let parser = syn::meta::parser(|meta| options.parse_option(&meta));
        let tokens: proc_macro2::TokenStream = input.parse()?;
        parser.parse2(tokens)?;
        Ok(options)
    }
}

impl ServiceOptions {
    fn parse_option(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        if meta.path.is_ident("name") {
            set(&mut self.name, meta, meta.value()?.parse()?)
        } else if meta.path.is_ident("crate") {
            set(&mut self.krate, meta, meta.value()?.parse::<LitStr>()?.parse()?)
        } else {
            Err(unknown(meta, &SERVICE_OPTIONS))
        }
    }
}

impl RpcOptions {
    /// Parses the `rpc` attributes of a method.
    ///
    /// # Errors
    /// An unknown or repeated option.
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<RpcOptions> {
        let mut options = RpcOptions::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("rpc")) {
            attribute.parse_nested_meta(|meta| options.parse_option(&meta))?;
        }
        Ok(options)
    }

    fn parse_option(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        if meta.path.is_ident("name") {
            return set(&mut self.name, meta, meta.value()?.parse()?);
        }
        let effects = [Effect::Read, Effect::Idempotent, Effect::Once];
        let Some(effect) = effects.into_iter().find(|effect| meta.path.is_ident(effect.name())) else {
            return Err(unknown(meta, &RPC_OPTIONS));
        };
        if self.effect.is_some() {
            return Err(meta.error("a method has only one effect: read, idempotent or once"));
        }
        self.effect = Some((effect, meta.path.clone()));
        Ok(())
    }
}

fn set<T>(option: &mut Option<T>, meta: &ParseNestedMeta, value: T) -> Result<()> {
    if option.replace(value).is_some() {
        return Err(meta.error("this option is already set"));
    }
    Ok(())
}

fn unknown(meta: &ParseNestedMeta, known: &[&str]) -> syn::Error {
    let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
    let similarity = |option: &&&str| strsim::jaro_winkler(&name, option);
    let nearest = known.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    match nearest.filter(|option| similarity(option) > 0.7) {
        Some(option) => meta.error(format!("unknown option `{name}`: did you mean `{option}`?")),
        None => meta.error(format!("unknown option `{name}`: use one of {}", known.join(", "))),
    }
}
