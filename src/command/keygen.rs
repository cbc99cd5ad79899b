//! `callboard keygen`: makes a pair of CURVE keys.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use callboard::core::zmtp::curve::SecretKey;
use clap::Args;
use rand::random;

use super::output::{self, exit::Exit};

/// Shown below `callboard keygen --help`.
const AFTER_HELP: &str = "\
The public key is printed on stdout. NAME.public is for the peers of its owner. NAME.secret is for
the owner alone.

Example:
  callboard keygen broker
  callboard broker --curve-secret-file broker.secret";

/// The mode of both files. With the same mode, a public key that is passed as a secret one is reported as such.
const FILE_MODE: u32 = 0o600;

/// Make a pair of CURVE keys: NAME.secret and NAME.public
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Keygen {
    /// Path of both files, without their endings
    #[arg(value_name = "NAME")]
    name: PathBuf,
    /// Replace files that exist: peers with the old public key can no longer connect
    #[arg(long)]
    force: bool,
}

impl Keygen {
    /// Writes both files, and prints the public key.
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let key = SecretKey::from_bytes(random());
        let (secret, public) = (self.path("secret"), self.path("public"));
        if !self.force {
            [&secret, &public].into_iter().try_for_each(|path| refuse_existing(path))?;
        }
        write(&secret, &key.to_file())?;
        write(&public, &key.public_key().to_file())?;
        output::note(&format!("wrote {} (keep it secret) and {} (for peers)", secret.display(), public.display()));
        output::print(&key.public_key().to_string())?;
        Ok(Exit::Success)
    }

    /// Returns the path of a file. `with_extension` would cut a name with a dot.
    fn path(&self, ending: &str) -> PathBuf {
        let mut path = self.name.clone().into_os_string();
        path.push(".");
        path.push(ending);
        path.into()
    }
}

fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_ok() {
        let error = anyhow!("{} exists: choose another name, or replace the pair with --force", path.display());
        return Err(Exit::Usage.because(error));
    }
    Ok(())
}

/// Creates a file that only its owner can access. A file that exists is removed first, so that it keeps neither its mode nor its readers.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot_write(path, error)),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| cannot_write(path, error))
}

fn cannot_write(path: &Path, error: io::Error) -> anyhow::Error {
    Exit::GaveUp.because(anyhow::Error::new(error).context(format!("cannot write {}", path.display())))
}
