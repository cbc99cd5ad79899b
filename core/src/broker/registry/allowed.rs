//! The services that workers may register.

use std::{fmt, str::FromStr};

use super::super::reserved;
use crate::wire::method;

/// The services that workers may register. The default allows all.
///
/// The text form is a list of names separated by commas. `billing.*` matches every service below `billing`.
///
/// ```
/// use callboard_core::broker::AllowedServices;
///
/// let allowed: AllowedServices = "calculator, billing.*".parse()?;
/// assert!(allowed.allows("calculator") && allowed.allows("billing.invoices"));
/// assert!(!allowed.allows("billing") && !allowed.allows("calculator.more"));
/// assert!(AllowedServices::default().allows("anything"));
/// # Ok::<(), callboard_core::broker::AllowedServicesError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedServices(Vec<String>);

/// The text is not a list of services.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid service {0:?}: write names such as calculator, or billing.* for all services below billing, separated by commas"
)]
pub struct AllowedServicesError(String);

impl AllowedServices {
    /// Returns whether a worker may register the service. A pool's own service is always allowed.
    pub fn allows(&self, service: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => service.len() > prefix.len() && service.starts_with(prefix),
            None => service == pattern,
        };
        self.0.is_empty() || service.starts_with(reserved::POOL_PREFIX) || self.0.iter().any(matches)
    }
}

impl FromStr for AllowedServices {
    type Err = AllowedServicesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = |pattern: &str| {
            let name = pattern.strip_suffix(".*").unwrap_or(pattern);
            let known = method::check_service(name).map(|()| pattern.to_owned());
            known.map_err(|_| AllowedServicesError(pattern.to_owned()))
        };
        text.split(',').map(str::trim).map(pattern).collect::<Result<_, _>>().map(AllowedServices)
    }
}

impl fmt::Display for AllowedServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}
