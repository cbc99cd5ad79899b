//! The source of the broker's CURVE key.

use callboard::{
    broker::gate::{Curve, PlainConnections},
    read_broker_curve_secrets,
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
    /// Reads the keys; `None` if no file is set.
    ///
    /// # Errors
    /// If the file has no usable secret key.
    pub(crate) fn read(&self) -> Result<Option<Curve>, SettingError> {
        let Some(file) = &self.secret_file else { return Ok(None) };
        let keys = read_broker_curve_secrets(&file.value);
        let (secret_key, previous_key) =
            keys.map_err(|error| SettingError::CurveKeys { place: file.source.clone(), error })?;
        Ok(Some(Curve { secret_key, previous_key, plain: self.plain.value }))
    }
}
