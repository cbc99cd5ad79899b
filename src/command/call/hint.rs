//! Suggestions for the name of a method that no worker serves.

use std::time::Duration;

use callboard::{
    Client, Code,
    core::{broker::ServiceContracts, wire::method::MethodName},
};

use crate::{
    command::{
        client::{contracts, failure::CallFailure},
        output::{self, exit::Exit},
    },
    settings::ClientSettings,
};

/// The timeout of the query for a suggestion.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// What precedes the names of services in the broker's error for a service without workers.
const SERVICES: &str = "services with workers: ";
/// The least similarity (Jaro-Winkler) at which a name is suggested.
const SIMILARITY_MIN: f64 = 0.8;

/// Returns the error of a call, with a suggestion if the method does not exist.
pub(super) async fn with_hint(client: &Client, method: &MethodName, mut error: anyhow::Error) -> anyhow::Error {
    let Some(failure) = Exit::cause::<CallFailure>(&mut error) else { return error };
    let text = failure.error.to_string();
    let is_unknown = text.starts_with("UNIMPLEMENTED") || text.starts_with("UNAVAILABLE: no worker serves");
    if is_unknown
        && !text.contains("did you mean")
        && let Some(suggestion) = suggestion(client, method, &text).await
    {
        failure.add_note(format!("did you mean {suggestion}?"));
    }
    error
}

/// Warns about a cast that will have no effect, since a cast gets no error.
pub(super) async fn warn_of_cast(client: &Client, method: &MethodName, settings: &ClientSettings) {
    let (service, name) = (method.service(), method.method());
    match contracts::query(client, service, settings).await {
        Err(error) if error.code() == Code::Unavailable => {
            output::warn(&format!("no worker serves {service} now, so this cast may have no effect"));
        }
        // Without a description, or with several, the methods are not known here.
        Ok(contracts)
            if contracts.len() == 1
                && contracts.iter().filter_map(contracts::read).any(|it| it.method(name).is_none()) =>
        {
            output::warn(&format!("{service} has no method {name}, so this cast has no effect"));
        }
        _ => {}
    }
}

/// Returns the name of a method that is served and similar to the one that the error is about.
///
/// Asks the broker only for the description of one service, which every peer may read. A query for all services would be logged as a
/// denied call of a peer whose rules do not allow it.
async fn suggestion(client: &Client, method: &MethodName, error: &str) -> Option<String> {
    let services = listed_services(error);
    let service = match services.is_empty() {
        true => method.service(),
        false => most_similar(services.into_iter(), method.service())?,
    };
    let query = client.call::<ServiceContracts>("callboard.describe", (service,)).timeout(QUERY_TIMEOUT);
    let descriptions: Vec<_> = query.await.ok()?.contracts.iter().filter_map(contracts::read).collect();
    let names = descriptions.iter().flat_map(|it| &it.methods).map(|it| &*it.name);
    let name = most_similar(names, method.method())?;
    Some(format!("{service}.{name}"))
}

/// Returns the services that the broker's error names.
fn listed_services(error: &str) -> Vec<&str> {
    let Some((_, names)) = error.split_once(SERVICES) else { return Vec::new() };
    // " (executed: no)" follows them.
    let names = names.split_once(" (").map_or(names, |(names, _)| names);
    names.split(", ").collect()
}

/// Returns the name that is most similar to a typed one (Jaro-Winkler), if any is similar enough.
fn most_similar<'a>(names: impl Iterator<Item = &'a str>, typed: &str) -> Option<&'a str> {
    let scored = names.map(|name| (strsim::jaro_winkler(&typed.to_lowercase(), &name.to_lowercase()), name));
    let (best, name) = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best >= SIMILARITY_MIN).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_a_letter_are_similar() {
        let services = ["greeter", "calculator"];
        for typed in ["calculator", "calculater", "Calculator"] {
            assert_eq!(most_similar(services.into_iter(), typed), Some("calculator"), "{typed}");
        }
        assert_eq!(most_similar(["add", "mul"].into_iter(), "ADD"), Some("add"));
        assert_eq!(most_similar(["add"].into_iter(), "frobnicate"), None);
    }

    #[test]
    fn the_services_of_an_error_are_read() {
        let error = "UNAVAILABLE: no worker serves cal; services with workers: billing.invoices, calc (executed: no)";
        assert_eq!(listed_services(error), ["billing.invoices", "calc"]);
        let error = "UNAVAILABLE: no worker serves cal; no worker is registered (executed: no)";
        assert_eq!(listed_services(error), [""; 0]);
    }
}
