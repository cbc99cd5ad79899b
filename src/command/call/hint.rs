//! Suggestions for the name of a method that no worker serves.

use std::time::Duration;

use anyhow::anyhow;
use callboard::{
    Client, Code,
    core::{broker::ServiceStatus, wire::method::MethodName},
};

use crate::{
    command::{
        client::contracts,
        output::{self, exit::Exit},
    },
    settings::ClientSettings,
};

/// The timeout of the query for a suggestion.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// The least similarity (Jaro-Winkler) at which a name is suggested.
const SIMILARITY_MIN: f64 = 0.8;

/// Returns the error of a call, with a suggestion if the method does not exist.
pub(super) async fn with_hint(client: &Client, method: &MethodName, error: anyhow::Error) -> anyhow::Error {
    let text = error.to_string();
    let is_unknown = text.starts_with("UNIMPLEMENTED") || text.starts_with("UNAVAILABLE: no worker serves");
    if !is_unknown || text.contains("did you mean") {
        return error;
    }
    match suggestion(client, method).await {
        Some(suggestion) => Exit::of(&error).because(anyhow!("{text}\n  did you mean {suggestion}?")),
        None => error,
    }
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

async fn suggestion(client: &Client, method: &MethodName) -> Option<String> {
    let services = client.call::<Vec<ServiceStatus>>("callboard.services", ()).timeout(QUERY_TIMEOUT).await.ok()?;
    let names =
        services.iter().flat_map(|service| service.methods.iter().map(|method| (&*service.name, &*method.name)));
    let scored = names.map(|(service, name)| (similarity(method, service, name), format!("{service}.{name}")));
    let (best, name) = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best >= SIMILARITY_MIN).then_some(name)
}

/// Returns the similarity of a method's name to one that is served: that of its less similar part.
fn similarity(typed: &MethodName, service: &str, name: &str) -> f64 {
    let of = |typed: &str, known: &str| strsim::jaro_winkler(&typed.to_lowercase(), &known.to_lowercase());
    of(typed.service(), service).min(of(typed.method(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_similar_if_both_parts_are() {
        let is_suggested = |typed: &str| {
            let typed = MethodName::parse(typed).expect("a valid name");
            similarity(&typed, "calculator", "add") >= SIMILARITY_MIN
        };
        assert!(["calculator.ADD", "calculater.add", "Calculator.Add"].into_iter().all(is_suggested));
        assert!(!["calculator.frobnicate", "greeter.add"].into_iter().any(is_suggested));
    }
}
