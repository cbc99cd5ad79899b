//! Settings: flags over environment over a TOML file over defaults.
//!
//! [`Typed`] is what somebody wrote, with the place where it was written; [`Settings`] is what it means. Every error names
//! the flag, the variable or the line that it is about.

mod authkey;
mod catalogue;
mod error;
mod file;
mod flags;
mod kind;
mod meant;
mod nearest;
mod source;
mod typed;
mod variables;

pub(crate) use self::{
    authkey::{Authkey, VARIABLE as AUTHKEY_VARIABLE},
    catalogue::variables,
    error::SettingError,
    file::GivenPool,
    flags::Flags,
    meant::{BrokerSettings, ClientSettings, PoolSettings, Row, Settings},
    source::{Source, Sourced},
    typed::{CONFIG_VARIABLE, pools_of},
    variables::mistyped,
};

#[cfg(test)]
pub(crate) use self::catalogue::settings_of;

#[cfg(test)]
mod tests;
