//! The source of the broker's CURVE key.

use callboard::{
    broker::gate::{Curve, PlainConnections},
    read_curve_secret,
};

use super::{error::SettingError, source::Sourced};

/// The settings of the broker's encryption.
#[derive(Debug)]
pub(crate) struct BrokerCurve {
    /// The file with the secret key, if one is set.
    pub(crate) secret_file: Option<Sourced<String>>,
    /// Which peers may connect without encryption.
    pub(crate) plain: Sourced<PlainConnections>,
}

impl BrokerCurve {
    /// Reads the key; `None` if no file is set.
    ///
    /// # Errors
    /// If the file has no usable secret key.
    pub(crate) fn read(&self) -> Result<Option<Curve>, SettingError> {
        let Some(file) = &self.secret_file else { return Ok(None) };
        let secret_key = read_curve_secret(&file.value);
        let secret_key = secret_key.map_err(|error| SettingError::CurveKeys { place: file.source.clone(), error })?;
        Ok(Some(Curve { secret_key, plain: self.plain.value }))
    }
}
