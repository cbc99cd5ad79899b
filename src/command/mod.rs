//! The command line: its syntax, the command that it runs, and the exit code.

mod admin;
mod call;
mod client;
mod control;
mod generate;
mod inspect;
mod keygen;
mod keys;
mod line;
mod logging;
mod measure;
mod operate;
mod output;
mod process;
mod run;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};

use self::{logging::Log, output::exit::Exit, process::signals};
use crate::settings::{Flags, Settings, config_file, misspelled};

/// Shown below `callboard --help`, above the exit codes.
const AFTER_HELP: &str = "\
A first look:
  callboard demo                    a broker, 4 worker processes and 10,000 calls, all at once

The parts, each in its own terminal:
  callboard broker
  callboard pool -n 4 -- PROGRAM    PROGRAM serves methods such as calculator.add
  callboard call calculator.add 2 3

Or all from one file:
  callboard up callboard.toml

Settings:
A flag overrides a CALLBOARD_* variable, which overrides a TOML file (--config), which overrides the default. `callboard config`
prints each with its source. CALLBOARD_LOG=debug logs more on stderr.

Exit codes:";

/// Call methods of worker processes, through a broker.
#[derive(Debug, Parser)]
#[command(name = "callboard", version = env!("BUILD_VERSION"), after_help = format!("{AFTER_HELP}\n{}", Exit::table()))]
struct CommandLine {
    /// Read settings from this TOML file [variable: CALLBOARD_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// Format of the log on stderr [variable: CALLBOARD_LOG_FORMAT] [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT", help_heading = "Global options")]
    log_format: Option<logging::Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(measure::demo::Demo),
    Broker(run::broker::Broker),
    Pool(run::pool::Pool),
    Up(run::up::Up),
    Scale(control::scale::Scale),
    Reload(control::reload::Reload),
    Status(inspect::status::Status),
    Top(inspect::top::Top),
    Call(call::Call),
    Services(inspect::services::Services),
    Peers(inspect::peers::Peers),
    Describe(inspect::describe::Describe),
    Contract(inspect::contract::Contract),
    Ping(inspect::ping::Ping),
    Why(inspect::why::Why),
    Pause(operate::pause::Pause),
    Resume(operate::pause::Resume),
    Limit(operate::limit::Limit),
    Cancel(operate::cancel::Cancel),
    Purge(operate::purge::Purge),
    Drain(operate::drain::Drain),
    Dead(inspect::dead::Dead),
    Keys(keys::Keys),
    Config(inspect::config::Config),
    Bench(measure::bench::Bench),
    Keygen(keygen::Keygen),
    Completions(generate::completions::Completions),
    Man(generate::man::Man),
    #[command(hide = true)]
    Internal(run::internal::Internal),
}

/// Runs the command line of this process, and returns its exit code.
pub(crate) fn main() -> ExitCode {
    line::parse::<CommandLine>()
        .run_with_log()
        .unwrap_or_else(|error| {
            output::error(&error);
            Exit::of(&error)
        })
        .into()
}

impl CommandLine {
    /// Runs the command with a log. The log's last lines come before the error that ends the command.
    fn run_with_log(self) -> anyhow::Result<Exit> {
        let log = Log::start(self.command.log_level(), self.log_format)?;
        let ended = self.run();
        match (ended, log.finish()) {
            // If stderr blocks, printing the error would block for ever, too.
            (Err(error), false) => Ok(Exit::of(&error)),
            (ended, _) => ended,
        }
    }

    fn run(self) -> anyhow::Result<Exit> {
        if !matches!(self.command, Command::Internal(_)) {
            let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
            misspelled(names).iter().for_each(|warning| output::warn(warning));
        }
        let flags = self.command.flags().with_config(self.config);
        // One thread: it owns every socket of the command. It also starts a pool's workers, whose parent-death signal fires when the
        // thread that started them ends.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start: the system provides no event queue")?;
        runtime.block_on(self.command.run(&flags, self.log_format))
    }
}

impl Command {
    /// Returns the log level without CALLBOARD_LOG. Commands that keep running log events, demo and bench log warnings. Commands that
    /// do one thing log nothing: their final error is enough.
    fn log_level(&self) -> &'static str {
        match self {
            Command::Broker(_) | Command::Pool(_) | Command::Up(_) => "info",
            Command::Call(_)
            | Command::Scale(_)
            | Command::Reload(_)
            | Command::Status(_)
            | Command::Top(_)
            | Command::Services(_)
            | Command::Describe(_)
            | Command::Contract(_)
            | Command::Peers(_)
            | Command::Why(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Limit(_)
            | Command::Cancel(_)
            | Command::Purge(_)
            | Command::Drain(_)
            | Command::Dead(_)
            | Command::Ping(_)
            | Command::Keys(_)
            | Command::Config(_)
            | Command::Completions(_)
            | Command::Man(_) => "off",
            Command::Demo(_) | Command::Bench(_) | Command::Keygen(_) | Command::Internal(_) => "warn",
        }
    }

    /// Returns the settings that were given as flags.
    fn flags(&self) -> Flags {
        match self {
            Command::Broker(broker) => broker.flags(),
            Command::Pool(pool) => pool.flags(),
            Command::Scale(scale) => scale.flags(),
            Command::Reload(reload) => reload.flags(),
            Command::Status(status) => status.flags(),
            Command::Top(top) => top.flags(),
            Command::Call(call) => call.flags(),
            Command::Services(services) => services.flags(),
            Command::Peers(peers) => peers.flags(),
            Command::Describe(describe) => describe.flags(),
            Command::Contract(contract) => contract.flags(),
            Command::Ping(ping) => ping.flags(),
            Command::Why(why) => why.flags(),
            Command::Pause(pause) => pause.flags(),
            Command::Resume(resume) => resume.flags(),
            Command::Limit(limit) => limit.flags(),
            Command::Cancel(cancel) => cancel.flags(),
            Command::Purge(purge) => purge.flags(),
            Command::Drain(drain) => drain.flags(),
            Command::Dead(dead) => dead.flags(),
            Command::Keys(keys) => keys.flags(),
            Command::Config(config) => config.flags(),
            Command::Bench(bench) => bench.flags(),
            Command::Up(_)
            | Command::Demo(_)
            | Command::Keygen(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Internal(_) => Flags::default(),
        }
    }

    /// Runs the command. Broker, pool, up, call, top and the internal programs handle signals themselves; the rest ends at the first Ctrl-C.
    async fn run(self, flags: &Flags, log_format: Option<logging::Format>) -> anyhow::Result<Exit> {
        let settings = || Settings::load(flags);
        match self {
            Command::Broker(broker) => broker.run(settings()?).await,
            Command::Pool(pool) => pool.run(settings()?).await,
            Command::Up(up) => up.run(config_file(flags), log_format).await,
            Command::Scale(scale) => signals::or_interrupted(scale.run(settings()?)).await,
            Command::Reload(reload) => signals::or_interrupted(reload.run(settings()?)).await,
            Command::Status(status) => signals::or_interrupted(status.run(settings()?)).await,
            Command::Top(top) => top.run(settings()?).await,
            Command::Call(call) => call.run(settings()?).await,
            Command::Services(services) => signals::or_interrupted(services.run(settings()?)).await,
            Command::Peers(peers) => signals::or_interrupted(peers.run(settings()?)).await,
            Command::Describe(describe) => signals::or_interrupted(describe.run(settings()?)).await,
            Command::Contract(contract) => signals::or_interrupted(contract.run(settings()?)).await,
            Command::Ping(ping) => signals::or_interrupted(ping.run(settings()?)).await,
            Command::Why(why) => signals::or_interrupted(why.run(settings()?)).await,
            Command::Pause(pause) => signals::or_interrupted(pause.run(settings()?)).await,
            Command::Resume(resume) => signals::or_interrupted(resume.run(settings()?)).await,
            Command::Limit(limit) => signals::or_interrupted(limit.run(settings()?)).await,
            Command::Cancel(cancel) => signals::or_interrupted(cancel.run(settings()?)).await,
            Command::Purge(purge) => signals::or_interrupted(purge.run(settings()?)).await,
            Command::Drain(drain) => signals::or_interrupted(drain.run(settings()?)).await,
            Command::Dead(dead) => signals::or_interrupted(dead.run(settings()?)).await,
            Command::Keys(keys) => signals::or_interrupted(keys.run(settings()?)).await,
            Command::Config(config) => config.run(&settings()?),
            Command::Demo(demo) => signals::or_interrupted(demo.run(settings()?)).await,
            Command::Bench(bench) => signals::or_interrupted(bench.run(settings()?, flags.config.is_some())).await,
            Command::Keygen(keygen) => keygen.run(),
            Command::Completions(completions) => completions.run(CommandLine::command()),
            Command::Man(man) => man.run(CommandLine::command()),
            Command::Internal(internal) => internal.run().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::settings_of;

    fn parsed(words: &[&str]) -> Command {
        line::try_parse::<CommandLine>(words).expect("the words are valid").command
    }

    #[test]
    fn the_command_line_is_consistent() {
        line::command::<CommandLine>().debug_assert();
    }

    #[test]
    fn the_help_of_a_flag_has_the_default_of_its_setting() {
        let tables = [
            ("broker", "broker"),
            ("pool", "pool"),
            ("call", "client"),
            ("services", "client"),
            ("peers", "client"),
            ("describe", "client"),
            ("ping", "client"),
            ("scale", "client"),
            ("reload", "client"),
            ("status", "client"),
        ];
        for (name, table) in tables {
            let line = CommandLine::command();
            let subcommand = line.find_subcommand(name).unwrap_or_else(|| panic!("{name} is not a command"));
            for setting in
                settings_of(table).filter(|setting| setting.default.is_some_and(|default| default != "false"))
            {
                let flag = |arg: &&clap::Arg| match setting.flag {
                    "-n" => arg.get_short() == Some('n'),
                    flag => arg.get_long() == flag.strip_prefix("--"),
                };
                let arg = subcommand
                    .get_arguments()
                    .find(flag)
                    .unwrap_or_else(|| panic!("{name} does not take {}", setting.flag));
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let default = setting.default.unwrap_or_default();
                assert!(help.contains(&format!("[default: {default}]")), "{name} {}: {help}", setting.flag);
            }
        }
    }

    #[test]
    fn flags_may_follow_arguments_and_negative_numbers_need_no_separator() {
        let words =
            ["callboard", "call", "calculator.add", "2", "-3", "-1e-5", "--timeout", "5s", "y=-4", "--cast", "-.5"];
        let Command::Call(call) = parsed(&words) else { panic!("not parsed as call") };
        assert_eq!(call.arguments, ["2", "-3", "-1e-5", "y=-4", "-.5"]);
        assert_eq!(call.connection.timeout.as_deref(), Some("5s"));
        assert!(call.cast);
    }

    #[test]
    fn a_pools_program_keeps_its_own_flags() {
        for line in [
            vec!["callboard", "pool", "-n", "2", "--", "worker", "-n", "9"],
            vec!["callboard", "pool", "-n", "2", "worker", "-n", "9"],
        ] {
            let Command::Pool(pool) = parsed(&line) else { panic!("not parsed as pool") };
            assert_eq!(pool.program, ["worker", "-n", "9"]);
            assert_eq!(pool.flags().value_of("-n"), Some("2"));
        }
    }

    #[test]
    fn a_misspelled_flag_of_a_pool_is_not_its_program() {
        assert!(CommandLine::try_parse_from(["callboard", "pool", "--nam", "x", "worker"]).is_err());
    }

    #[test]
    fn former_spellings_of_flags_still_work() {
        let line = ["callboard", "pool", "--ready", "5s", "--trial", "1s", "worker"];
        let Command::Pool(pool) = parsed(&line) else { panic!("not parsed as pool") };
        assert_eq!(pool.flags().value_of("--startup-timeout"), Some("5s"));
        assert_eq!(pool.flags().value_of("--canary-period"), Some("1s"));
        for flags in [["--latest", "--style=both"], ["--conflate", "--style=bidi"]] {
            assert!(
                CommandLine::try_parse_from(["callboard", "call", "a.b"].iter().chain(&flags)).is_ok(),
                "{flags:?}"
            );
        }
    }
}
