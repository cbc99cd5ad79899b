//! The program of a pool: found, and found to be one, before anything is started.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// Why a program cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// Its path leads nowhere.
    #[error("there is no program {0:?}: check the path")]
    NoSuchFile(PathBuf),
    /// No folder of PATH has it.
    #[error("there is no program {0:?} in any folder of PATH: check the name, or give its path")]
    NotInPath(OsString),
    /// No folder of PATH has it, but the present one does.
    #[error("there is no program {0:?} in any folder of PATH, but one in this folder: write ./{name}", name = .0.display())]
    OnlyHere(OsString),
    /// It is there, but nothing to run.
    #[error("{0:?} is no program: it is a folder, or something else that is no file")]
    NotAFile(PathBuf),
    /// It is there, but must not be run.
    #[error("{0:?} may not be run: make it executable (chmod +x), or name the interpreter that runs it")]
    NotExecutable(PathBuf),
}

/// The path of `program`: as it is if it has a slash, else the first in the folders of PATH that can be run.
///
/// # Errors
/// [`ProgramError`] if it is not there or cannot be run.
pub fn find_program(program: &OsStr) -> Result<PathBuf, ProgramError> {
    find_in(program, env::var_os("PATH").unwrap_or_default().as_os_str())
}

fn find_in(program: &OsStr, folders: &OsStr) -> Result<PathBuf, ProgramError> {
    if program.as_encoded_bytes().contains(&b'/') {
        return check(Path::new(program)).map(|()| PathBuf::from(program));
    }
    let mut first_error = None;
    for path in env::split_paths(folders).map(|folder| folder.join(program)) {
        match check(&path) {
            Ok(()) => return Ok(path),
            // A shell, too, goes on looking after a file that it may not run, and then speaks of that one.
            Err(ProgramError::NoSuchFile(_) | ProgramError::NotAFile(_)) => {}
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| nowhere(program)))
}

fn nowhere(program: &OsStr) -> ProgramError {
    let here = !program.is_empty() && check(Path::new(program)).is_ok();
    if here { ProgramError::OnlyHere(program.into()) } else { ProgramError::NotInPath(program.into()) }
}

fn check(path: &Path) -> Result<(), ProgramError> {
    if !path.exists() {
        Err(ProgramError::NoSuchFile(path.into()))
    } else if !path.is_file() {
        Err(ProgramError::NotAFile(path.into()))
    } else if access(path, Access::EXEC_OK).is_err() {
        Err(ProgramError::NotExecutable(path.into()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(program: &str, folders: &str) -> Result<PathBuf, ProgramError> {
        find_in(program.as_ref(), folders.as_ref())
    }

    #[test]
    fn a_program_is_found_in_the_folders_of_path() {
        assert_eq!(find("sh", "/nowhere:/bin"), Ok("/bin/sh".into()));
        assert_eq!(find("/bin/sh", ""), Ok("/bin/sh".into()));
    }

    #[test]
    fn what_cannot_be_run_says_why() {
        assert_eq!(find("no-such-program", "/bin"), Err(ProgramError::NotInPath("no-such-program".into())));
        assert_eq!(find("", "/bin"), Err(ProgramError::NotInPath("".into())));
        assert_eq!(find("/bin/no-such-program", ""), Err(ProgramError::NoSuchFile("/bin/no-such-program".into())));
        assert_eq!(find("/bin/", ""), Err(ProgramError::NotAFile("/bin/".into())));
        assert_eq!(find("/etc/passwd", ""), Err(ProgramError::NotExecutable("/etc/passwd".into())));
        assert_eq!(find("passwd", "/etc"), Err(ProgramError::NotExecutable("/etc/passwd".into())));
    }
}
