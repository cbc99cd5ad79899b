//! A service whose methods are called by name.

use bytestring::ByteString;
use callboard_core::body::Arguments;

use super::Client;
use crate::call::Call;

/// A service without a declared contract. [`Client::service`] creates it. Clones are cheap.
///
/// ```no_run
/// # async fn example(client: callboard_clients::Client) -> Result<(), callboard_clients::CallError> {
/// let calculator = client.service("calculator");
/// let sum: i64 = calculator.call("add", (2, 3)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Proxy {
    client: Client,
    name: ByteString,
}

impl Client {
    /// Returns a service whose methods are called by name: `client.service("calculator").call("add", (2, 3))`.
    pub fn service(&self, name: impl Into<ByteString>) -> Proxy {
        Proxy { client: self.clone(), name: name.into() }
    }
}

impl Proxy {
    /// Returns the service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates a call of one of the service's methods, as [`Client::call`] does.
    pub fn call<T>(&self, method: &str, arguments: impl Arguments) -> Call<T> {
        self.client.call(format!("{}.{method}", self.name), arguments)
    }
}
