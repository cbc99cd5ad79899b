//! `callboard bench`: measures calls, casts and streams, with processes for the broker, the workers and the clients.

mod arguments;
mod environment;
mod input;
pub(crate) mod load;
mod machine;
mod parameters;
mod processes;
mod report;
mod round;
mod threads;
pub(crate) mod worker;

use std::fs;

use anyhow::Context as _;
use callboard::broker::gate::raise_file_limit;
use clap::Args;

use self::{
    arguments::{AFTER_HELP, Arguments, OutputFlags},
    report::{Report, baseline::Baseline, csv, json, plot, text},
    round::Round,
};
use crate::{
    command::output::{self, exit::Exit},
    settings::{Flags, Settings},
};

/// Measure calls per second, latency, CPU and memory on this machine
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Bench {
    #[command(flatten)]
    arguments: Arguments,
}

impl Bench {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.arguments.flags()
    }

    /// Runs the measurement. `has_config`: the command line names a settings file.
    pub(crate) async fn run(self, settings: Settings, has_config: bool) -> anyhow::Result<Exit> {
        let plan = self.arguments.plan(&settings, has_config)?;
        let output = &self.arguments.output;
        // Read first: a wrong file must not cost a measurement.
        let baseline = output.baseline.as_deref().map(Baseline::read).transpose()?;
        // Each process takes two files of this one. A failure shows when there are too few.
        let _ = raise_file_limit();
        let mut rounds = Vec::new();
        for _ in 0..plan.parameters.repeat {
            rounds.push(Round::run(&plan).await?);
        }
        let report = Report { parameters: plan.parameters, processors: machine::processors()?, rounds };
        report.warnings().iter().for_each(|warning| output::warn(warning));
        print(&report, output, baseline.as_ref())?;
        Ok(if report.errors() == 0 { Exit::Success } else { Exit::Failed })
    }
}

fn print(report: &Report, output: &OutputFlags, baseline: Option<&Baseline>) -> anyhow::Result<()> {
    if let Some(path) = &output.plot {
        let plot = plot::latencies(report, baseline);
        fs::write(path, plot).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let shown = match output {
        OutputFlags { json: true, .. } => json::of(report, baseline)?.to_string(),
        OutputFlags { csv: true, .. } => csv::of(report),
        _ => text::of(report, baseline),
    };
    output::print(&shown)
}
