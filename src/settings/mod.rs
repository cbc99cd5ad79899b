//! Settings: flags override environment variables, which override a TOML file, which overrides the defaults.
//!
//! [`RawSettings`] holds each value as it was written, with the place where it was written. [`Settings`] holds the values
//! after parsing. Every error names the flag, the variable or the line of the file.

mod authkey;
mod catalogue;
mod credentials;
mod curve;
mod environment;
mod error;
mod file;
mod flags;
mod kind;
mod nearest;
mod peers;
mod raw;
mod resolved;
mod source;

pub(crate) use self::{
    catalogue::variables,
    credentials::Credentials,
    environment::{AUTHKEY_VARIABLE, CONFIG_VARIABLE, CURVE_SECRET_VARIABLE, misspelled},
    error::SettingError,
    file::RawPool,
    flags::Flags,
    raw::{config_file, read_pools},
    resolved::{BrokerSettings, ClientSettings, PoolSettings, Row, Settings},
    source::{Source, Sourced},
};

#[cfg(test)]
pub(crate) use self::catalogue::settings_of;

#[cfg(test)]
mod tests;
