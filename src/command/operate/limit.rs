//! `callboard limit`: how many calls of a service or method run at once, or start in a second.

use anyhow::anyhow;
use callboard::core::broker::{LimitStatus, LimitsStatus};
use clap::Args;

use super::request::operate;
use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit, table},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// Shown below `callboard limit --help`.
const AFTER_HELP: &str = "\
A call above a limit waits, in its order, until its timeout. A limit of a service holds for all its methods together. It
lasts until it is changed or removed, or until the broker ends. Limits that workers declare for their methods hold as
well. Without a target, the limits and pauses that are set are listed.

Examples:
  callboard limit
  callboard limit calculator --concurrency 8
  callboard limit calculator.add --rate 100/s --burst 20
  callboard limit mailer.send --rate 10/min
  callboard limit calculator --none";

/// Limit the calls of a service or method that run at once, or start in a second
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Limit {
    /// The service or method: SERVICE or SERVICE.METHOD. Without it: list the limits
    #[arg(value_name = "SERVICE[.METHOD]")]
    target: Option<String>,
    /// Calls that may run at once, over all workers
    #[arg(long, value_name = "NUMBER", value_parser = count, requires = "target")]
    concurrency: Option<u32>,
    /// Calls that may start in a second, minute or hour, such as 100/s, 10/min or 5/h
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "target")]
    rate: Option<f64>,
    /// Calls that may start at once after a pause [default: those of one second]
    #[arg(long, value_name = "NUMBER", value_parser = count, requires = "rate")]
    burst: Option<u32>,
    /// Remove the limits
    #[arg(long, requires = "target", conflicts_with_all = ["concurrency", "rate"])]
    none: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "target")]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Limit {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Sets the limits, or lists those that are set.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let Limit { target, concurrency, rate, burst, none, json, .. } = self;
        let text = match target {
            None => list(&settings.client, json).await?,
            Some(target) => {
                if !none && concurrency.is_none() && rate.is_none() {
                    let what = anyhow!("no limit is given for {target}: write --concurrency, --rate or --none");
                    return Err(Exit::Usage.because(what));
                }
                operate(&settings.client, "limit", (&target, concurrency, rate, burst)).await?;
                match none {
                    true => format!("{target} has no limit"),
                    false => format!("{target} is limited"),
                }
            }
        };
        output::print(&text)?;
        Ok(Exit::Success)
    }
}

async fn list(settings: &ClientSettings, json: bool) -> anyhow::Result<String> {
    let client = client::connect(settings).await?;
    let call = client.call::<LimitsStatus>("callboard.limits", ());
    let status = client::timed(call, settings).await.map_err(client::failed)?;
    client::leave(&client).await;
    if json {
        return Ok(serde_json::to_string(&status)?);
    }
    if status == LimitsStatus::default() {
        return Ok("nothing is limited or paused".to_owned());
    }
    let limits = status.limits.into_iter().map(|LimitStatus { target, limit }| [target, limit.to_string()]);
    let workers = status.paused_workers.into_iter().map(|worker| [format!("worker {worker}"), "paused".to_owned()]);
    Ok(table::render(["TARGET", "LIMIT"], limits.chain(workers)))
}

fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| "write a whole number of 1 or more, such as 8".to_owned())
}

/// Reads a rate as calls per second.
fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("{unit:?} is not a unit of a rate: write s, min or h, such as 10/min")),
    };
    let number: f64 = number.parse().map_err(|_| "write a number and a unit, such as 100/s or 10/min".to_owned())?;
    Ok(number / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_number_and_a_unit() {
        assert_eq!(
            ["100", "100/s", "30/min", "3600/h"].map(|text| rate(text).unwrap_or(0.0)),
            [100.0, 100.0, 0.5, 1.0]
        );
        for wrong in ["", "/s", "10/", "10/day", "ten/s", "1/s/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
