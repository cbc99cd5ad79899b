//! The lookup of a pool's program, before the pool starts anything.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// Why a program cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The path does not exist.
    #[error("program {0:?} does not exist: check the path")]
    NoSuchFile(PathBuf),
    /// No directory of PATH contains the program.
    #[error("program {0:?} is in no directory of PATH: check the name, or give a path")]
    NotInPath(OsString),
    /// No directory of PATH contains the program, but the current directory does.
    #[error("program {0:?} is in no directory of PATH, but in the current directory: write ./{name}", name = .0.display())]
    OnlyInCurrentDirectory(OsString),
    /// The path is not a regular file.
    #[error("{0:?} is not a program: it is a directory or another special file")]
    NotAFile(PathBuf),
    /// This user may not execute the file.
    #[error("{0:?} is not executable: run chmod +x, or name the interpreter that runs it")]
    NotExecutable(PathBuf),
}

/// Returns the path of `program`: unchanged if it contains a slash, else the first executable match in the directories of PATH.
///
/// # Errors
/// [`ProgramError`] if the program does not exist or cannot be executed.
pub fn find_program(program: &OsStr) -> Result<PathBuf, ProgramError> {
    find_in(program, env::var_os("PATH").unwrap_or_default().as_os_str())
}

fn find_in(program: &OsStr, directories: &OsStr) -> Result<PathBuf, ProgramError> {
    if program.as_encoded_bytes().contains(&b'/') {
        return check(Path::new(program)).map(|()| PathBuf::from(program));
    }
    let mut first_error = None;
    for path in env::split_paths(directories).map(|directory| directory.join(program)) {
        match check(&path) {
            Ok(()) => return Ok(path),
            // Like a shell, continue after a file that is not executable, and report that file if there is no other match.
            Err(ProgramError::NoSuchFile(_) | ProgramError::NotAFile(_)) => {}
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| not_found(program)))
}

fn not_found(program: &OsStr) -> ProgramError {
    let in_current_directory = !program.is_empty() && check(Path::new(program)).is_ok();
    if in_current_directory {
        ProgramError::OnlyInCurrentDirectory(program.into())
    } else {
        ProgramError::NotInPath(program.into())
    }
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

    fn find(program: &str, directories: &str) -> Result<PathBuf, ProgramError> {
        find_in(program.as_ref(), directories.as_ref())
    }

    #[test]
    fn a_program_is_found_in_the_directories_of_path() {
        assert_eq!(find("sh", "/nowhere:/bin"), Ok("/bin/sh".into()));
        assert_eq!(find("/bin/sh", ""), Ok("/bin/sh".into()));
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_an_error_with_the_reason() {
        assert_eq!(find("no-such-program", "/bin"), Err(ProgramError::NotInPath("no-such-program".into())));
        assert_eq!(find("", "/bin"), Err(ProgramError::NotInPath("".into())));
        assert_eq!(find("/bin/no-such-program", ""), Err(ProgramError::NoSuchFile("/bin/no-such-program".into())));
        assert_eq!(find("/bin/", ""), Err(ProgramError::NotAFile("/bin/".into())));
        assert_eq!(find("/etc/passwd", ""), Err(ProgramError::NotExecutable("/etc/passwd".into())));
        assert_eq!(find("passwd", "/etc"), Err(ProgramError::NotExecutable("/etc/passwd".into())));
    }
}
