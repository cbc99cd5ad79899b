//! The default name of a pool.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// The maximum length of a name from [`pool_name`], in bytes. Names derived from it (of the pool's service and processes) stay far
/// below the limit for names.
pub const POOL_NAME_BYTES_MAX: usize = 64;

/// How to find the script in the arguments of an interpreter.
struct Interpreter {
    /// The interpreter's names without a version suffix (`python3.12` is `python`).
    names: &'static [&'static str],
    /// Options that take a value.
    with_value: &'static [&'static str],
    /// Options whose value is the script.
    script: &'static [&'static str],
    /// Options whose value is code: then there is no script.
    code: &'static [&'static str],
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter { names: &["python", "pypy"], with_value: &["-W", "-X"], script: &["-m"], code: &["-c"] },
    Interpreter {
        names: &["node", "nodejs", "bun"],
        with_value: &["-r", "--require", "--import", "--loader"],
        script: &[],
        code: &["-e", "--eval", "-p", "--print"],
    },
    Interpreter { names: &["ruby"], with_value: &["-r", "-I", "-C"], script: &[], code: &["-e"] },
    Interpreter { names: &["perl"], with_value: &["-I"], script: &[], code: &["-e", "-E"] },
    Interpreter { names: &["php"], with_value: &["-c", "-d"], script: &["-f"], code: &["-r"] },
    Interpreter { names: &["lua", "luajit"], with_value: &["-l"], script: &[], code: &["-e"] },
    Interpreter { names: &["java"], with_value: &["-cp", "-classpath", "--class-path"], script: &["-jar"], code: &[] },
    Interpreter {
        names: &["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"],
        with_value: &["-o", "-O"],
        script: &[],
        code: &["-c"],
    },
];

/// Returns the default name of a pool that runs `program arguments...`: the file name of the program without its extension. If a known
/// interpreter runs a script, it is the file name of the script. The result is an identifier: other characters become `_`.
///
/// ```
/// use callboard_workers::pool::pool_name;
///
/// assert_eq!(pool_name("/usr/bin/calculator-worker".as_ref(), &[]), "calculator_worker");
/// assert_eq!(pool_name("python3".as_ref(), &["-u".into(), "jobs/resize.py".into()]), "resize");
/// ```
pub fn pool_name(program: &OsStr, arguments: &[OsString]) -> String {
    let stem = stem(program);
    if stem == "env"
        && let Some(at) = arguments.iter().position(|argument| !is_option(argument) && !is_assignment(argument))
    {
        return pool_name(&arguments[at], &arguments[at + 1..]);
    }
    let script = interpreter(&stem).and_then(|interpreter| interpreter.script(arguments));
    identifier(&script.unwrap_or(stem))
}

impl Interpreter {
    /// Returns the name of the script that the interpreter runs with these arguments, if it runs one.
    fn script(&self, arguments: &[OsString]) -> Option<String> {
        let mut arguments = arguments.iter();
        loop {
            let argument = arguments.next()?;
            let option = argument.to_str().unwrap_or_default();
            if option == "--" || self.script.contains(&option) {
                return arguments.next().map(|script| self.stem(option, script));
            } else if self.code.contains(&option) {
                return None;
            } else if self.with_value.contains(&option) {
                arguments.next();
            } else if !is_option(argument) {
                return Some(stem(argument));
            }
        }
    }

    /// Returns the name of a script without its extension. A module has no extension: `-m jobs.resize` names `jobs.resize`.
    fn stem(&self, option: &str, script: &OsStr) -> String {
        if option == "-m" { script.to_string_lossy().into_owned() } else { stem(script) }
    }
}

fn interpreter(stem: &str) -> Option<&'static Interpreter> {
    let name = stem.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    INTERPRETERS.iter().find(|interpreter| interpreter.names.contains(&name))
}

fn is_option(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().starts_with(b"-")
}

/// Returns whether `env` reads this argument as an assignment of a variable.
fn is_assignment(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().contains(&b'=')
}

/// Returns the file name without its extension. A dot followed by digits is a version, not an extension.
fn stem(path: &OsStr) -> String {
    let path = Path::new(path);
    let version = path.extension().is_some_and(|extension| extension.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let stem = if version { path.file_name() } else { path.file_stem() };
    stem.unwrap_or_default().to_string_lossy().into_owned()
}

/// Replaces the characters of `text` that an identifier cannot contain, and truncates it.
fn identifier(text: &str) -> String {
    let first = text.chars().next().filter(|first| !first.is_ascii_digit());
    let prefix = if first.is_none() { "_" } else { "" };
    let replaced = text.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' });
    prefix.chars().chain(replaced).take(POOL_NAME_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use callboard_core::wire::method::is_identifier;

    use super::*;

    fn name(line: &str) -> String {
        let mut words = line.split_whitespace().map(OsString::from);
        let program = words.next().unwrap_or_default();
        let name = pool_name(&program, &words.collect::<Vec<_>>());
        assert!(is_identifier(&name), "{name:?}");
        name
    }

    #[test]
    fn a_pool_has_the_name_of_its_program() {
        assert_eq!(name("calculator"), "calculator");
        assert_eq!(name("./target/debug/calculator-worker --slots 2"), "calculator_worker");
        assert_eq!(name("worker.exe"), "worker");
        assert_eq!(name("/opt/ai-1.5/model-1.5"), "model_1_5");
        assert_eq!(name("2fast"), "_2fast");
        assert_eq!(name("rechnen.é"), "rechnen");
        assert_eq!(name("größe"), "gr__e");
        assert_eq!(name(""), "_");
        assert_eq!(name(&"x".repeat(300)).len(), POOL_NAME_BYTES_MAX);
    }

    #[test]
    fn a_pool_of_a_script_has_the_name_of_the_script() {
        assert_eq!(name("python3 worker.py"), "worker");
        assert_eq!(name("/usr/bin/python3.12 -u -W ignore jobs/resize.py --fast x.py"), "resize");
        assert_eq!(name("python -m jobs.resize"), "jobs_resize");
        assert_eq!(name("node --require ./trace.js serve.mjs"), "serve");
        assert_eq!(name("bash -o pipefail -- run.sh"), "run");
        assert_eq!(name("java -cp lib -jar shop.jar"), "shop");
        assert_eq!(name("/usr/bin/env -i LANG=C python3 worker.py"), "worker");
    }

    #[test]
    fn a_pool_of_an_interpreter_without_a_script_has_the_name_of_the_interpreter() {
        assert_eq!(name("sh -c sleep"), "sh");
        assert_eq!(name("python3 -c pass"), "python3");
        assert_eq!(name("python3.12 -u"), "python3_12");
        assert_eq!(name("env"), "env");
    }
}
