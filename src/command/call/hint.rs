//! What was probably meant by a method that no worker serves.

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

/// How long a failure waits for a hint.
const ASK_MAX: Duration = Duration::from_secs(1);
/// Names this alike or more are taken for the same one misspelled.
const ALIKE_MIN: f64 = 0.8;

/// The error that ends a call, with the method that was probably meant, if there is no such one.
pub(super) async fn with_hint(client: &Client, method: &MethodName, error: anyhow::Error) -> anyhow::Error {
    let text = error.to_string();
    let is_unknown = text.starts_with("UNIMPLEMENTED") || text.starts_with("UNAVAILABLE: no worker serves");
    if !is_unknown || text.contains("did you mean") {
        return error;
    }
    match meant(client, method).await {
        Some(meant) => Exit::of(&error).because(anyhow!("{text}\n  did you mean {meant}?")),
        None => error,
    }
}

/// Says what is known to come to nothing: who casts is not answered.
pub(super) async fn warn_of_cast(client: &Client, method: &MethodName, settings: &ClientSettings) {
    let (service, name) = (method.service(), method.method());
    match contracts::contracts(client, service, settings).await {
        Err(error) if error.code() == Code::Unavailable => {
            output::warn(&format!("no worker serves {service} now, so nothing may come of this cast"));
        }
        // Without a description, or with several, nobody knows here.
        Ok(said) if said.len() == 1 && said.iter().filter_map(contracts::read).any(|it| it.method(name).is_none()) => {
            output::warn(&format!("{service} has no method {name}, so nothing comes of this cast"));
        }
        _ => {}
    }
}

async fn meant(client: &Client, method: &MethodName) -> Option<String> {
    let services = client.call::<Vec<ServiceStatus>>("callboard.services", ()).timeout(ASK_MAX).await.ok()?;
    let names =
        services.iter().flat_map(|service| service.methods.iter().map(|method| (&*service.name, &*method.name)));
    let alike = names.map(|(service, name)| (alike(method, service, name), format!("{service}.{name}")));
    let (most, name) = alike.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (most >= ALIKE_MIN).then_some(name)
}

/// How alike a method's name is to one that is served: as much as the part that is less so.
fn alike(typed: &MethodName, service: &str, name: &str) -> f64 {
    let of = |typed: &str, known: &str| strsim::jaro_winkler(&typed.to_lowercase(), &known.to_lowercase());
    of(typed.service(), service).min(of(typed.method(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_if_both_parts_are() {
        let is_meant = |typed: &str| {
            let typed = MethodName::parse(typed).expect("a name");
            alike(&typed, "calculator", "add") >= ALIKE_MIN
        };
        assert!(["calculator.ADD", "calculater.add", "Calculator.Add"].into_iter().all(is_meant));
        assert!(!["calculator.frobnicate", "greeter.add"].into_iter().any(is_meant));
    }
}
