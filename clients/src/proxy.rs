//! A service as an object whose methods are called by name.

use bytestring::ByteString;
use callboard_core::body::Arguments;

use crate::{call::Call, client::Client};

/// A service of which nothing is declared here: [`Client::service`] makes it. A cheap clone.
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

impl Proxy {
    pub(crate) fn new(client: Client, name: ByteString) -> Proxy {
        Proxy { client, name }
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a call of one of its methods, as [`Client::call`] does.
    pub fn call<T>(&self, method: &str, arguments: impl Arguments) -> Call<T> {
        self.client.call(format!("{}.{method}", self.name), arguments)
    }
}
