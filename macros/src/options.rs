//! The words in `#[service(..)]` and `#[rpc(..)]`.

use syn::{
    Attribute, Ident, LitStr, Path, Result,
    meta::ParseNestedMeta,
    parse::{Parse, ParseStream, Parser},
};

const SERVICE_WORDS: [&str; 2] = ["name", "crate"];
const RPC_WORDS: [&str; 4] = ["read", "idempotent", "once", "name"];

/// `#[service(..)]`.
#[derive(Default)]
pub(crate) struct ServiceOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Option<Path>,
}

/// `#[rpc(..)]`.
#[derive(Default)]
pub(crate) struct RpcOptions {
    pub(crate) effect: Option<(Effect, Path)>,
    pub(crate) name: Option<LitStr>,
}

/// What a method may do to the world.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Idempotent,
    Once,
}

impl Effect {
    /// The method of `Service` that declares it.
    pub(crate) fn word(self) -> &'static str {
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
        let parser = syn::meta::parser(|meta| options.read(&meta));
        let tokens: proc_macro2::TokenStream = input.parse()?;
        parser.parse2(tokens)?;
        Ok(options)
    }
}

impl ServiceOptions {
    fn read(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        if meta.path.is_ident("name") {
            set(&mut self.name, meta, meta.value()?.parse()?)
        } else if meta.path.is_ident("crate") {
            set(&mut self.krate, meta, meta.value()?.parse::<LitStr>()?.parse()?)
        } else {
            Err(unknown(meta, &SERVICE_WORDS))
        }
    }
}

impl RpcOptions {
    /// Reads a method's attributes of the name `rpc`.
    pub(crate) fn of(attributes: &[Attribute]) -> Result<RpcOptions> {
        let mut options = RpcOptions::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("rpc")) {
            attribute.parse_nested_meta(|meta| options.read(&meta))?;
        }
        Ok(options)
    }

    fn read(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        if meta.path.is_ident("name") {
            return set(&mut self.name, meta, meta.value()?.parse()?);
        }
        let effects = [Effect::Read, Effect::Idempotent, Effect::Once];
        let Some(effect) = effects.into_iter().find(|effect| meta.path.is_ident(effect.word())) else {
            return Err(unknown(meta, &RPC_WORDS));
        };
        if self.effect.is_some() {
            return Err(meta.error("a method has one effect: read, idempotent or once"));
        }
        self.effect = Some((effect, meta.path.clone()));
        Ok(())
    }
}

fn set<T>(place: &mut Option<T>, meta: &ParseNestedMeta, value: T) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(meta.error("this was said already"));
    }
    Ok(())
}

fn unknown(meta: &ParseNestedMeta, words: &[&str]) -> syn::Error {
    let word = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
    let likeness = |known: &&&str| strsim::jaro_winkler(&word, known);
    let nearest = words.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|known| likeness(known) > 0.7) {
        Some(known) => meta.error(format!("unknown option `{word}`; did you mean `{known}`?")),
        None => meta.error(format!("unknown option `{word}`; there are {}", words.join(", "))),
    }
}
