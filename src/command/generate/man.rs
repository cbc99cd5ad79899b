//! `callboard man`: writes the man pages.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap_mangen::Man as Page;

use crate::command::output::{self, exit::Exit};

/// Shown below `callboard man --help`.
const AFTER_HELP: &str = "\
The folder is created if it does not exist. A page that exists is replaced.

Example:
  callboard man ~/.local/share/man/man1
  man callboard-call";

/// Write a man page for each command into a folder
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Man {
    /// The folder, such as /usr/local/share/man/man1
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Man {
    /// Writes the pages of `command`, which is the whole command line.
    pub(crate) fn run(&self, command: clap::Command) -> anyhow::Result<Exit> {
        let folder = self.folder.display();
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot create the folder {folder}"))?;
        let pages = pages(command)?;
        for (name, text) in &pages {
            let path = self.folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        output::note(&format!("wrote {} man pages into {folder}", pages.len()));
        Ok(Exit::Success)
    }
}

/// Returns the file name and the text of each page: one of the command itself, and one of each subcommand that its help shows.
fn pages(command: clap::Command) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    // The page of `help` would repeat what each page is.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut remaining = vec![command];
    while let Some(command) = remaining.pop() {
        remaining.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        let page = Page::new(command).manual("Callboard");
        let mut text = Vec::new();
        page.render(&mut text).context("cannot generate a man page")?;
        pages.push((page.get_filename(), text));
    }
    Ok(pages)
}
