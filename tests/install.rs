//! What an installation consists of: the version, completions, man pages, and the files in `deploy/`.
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn callboard(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CALLBOARD_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = callboard(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the names of the subcommands that the help of a command lists.
fn subcommands(words: &[&str]) -> Vec<String> {
    let help = printed(&[words, &["--help"]].concat());
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(ToOwned::to_owned).collect()
}

/// Runs a tool of the machine. Returns none, and prints that the test is skipped, if it is not installed.
fn tool(name: &str, arguments: &[&Path]) -> Option<Output> {
    match Command::new(name).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: {name} is not installed");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_version_is_that_of_the_package_with_at_most_a_commit() {
    for flag in ["--version", "-V"] {
        let printed = printed(&[flag]);
        let rest = printed.trim_end().strip_prefix(concat!("callboard ", env!("CARGO_PKG_VERSION"))).unwrap();
        let is_commit = rest.starts_with(" (") && rest.ends_with(')') && rest.len() > 9;
        assert!(rest.is_empty() || is_commit, "{printed:?}");
    }
}

#[test]
fn completions_of_each_shell_contain_all_commands_and_only_public_ones() {
    let commands = subcommands(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        let missing: Vec<_> = commands.iter().filter(|command| !script.contains(command.as_str())).collect();
        assert!(missing.is_empty(), "{shell}: {missing:?}");
        assert!(!script.contains("stuck-worker"), "{shell} completes internal programs");
    }
    let unknown = callboard(&["completions", "tcl"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

#[test]
fn bash_parses_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("callboard");
    fs::write(&script, printed(&["completions", "bash"])).unwrap();
    let Some(parsed) = tool("bash", &[Path::new("-n"), &script]) else { return };
    assert!(parsed.status.success() && parsed.stderr.is_empty(), "{parsed:?}");
}

#[test]
fn each_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man/man1");
    printed(&["man", pages.to_str().unwrap()]);
    let mut expected = BTreeSet::from(["callboard.1".to_owned()]);
    for command in subcommands(&[]) {
        let inner = subcommands(&[&command]);
        expected.extend(inner.iter().map(|inner| format!("callboard-{command}-{inner}.1")));
        expected.insert(format!("callboard-{command}.1"));
    }
    let written: BTreeSet<_> =
        fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(written, expected);
    for name in &written {
        let page = fs::read_to_string(pages.join(name)).unwrap();
        for section in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH \"GLOBAL OPTIONS\""] {
            assert!(page.contains(section), "{name} has no {section}");
        }
    }
}

#[test]
fn a_folder_for_man_pages_that_cannot_be_created_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let failed = callboard(&["man", file.join("man1").to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(4), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).starts_with("error: cannot create the folder "), "{failed:?}");
}

#[test]
fn systemd_accepts_the_unit() {
    let unit = fs::read_to_string(checkout("deploy/systemd/callboard.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("callboard.service");
    // systemd looks for the program, and this machine has it elsewhere.
    fs::write(&copy, unit.replace("ExecStart=callboard", concat!("ExecStart=", env!("CARGO_BIN_EXE_callboard"))))
        .unwrap();
    let Some(verified) = tool("systemd-analyze", &["verify".as_ref(), "--man=no".as_ref(), &copy]) else { return };
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
}

#[test]
fn helm_accepts_the_chart() {
    let chart = checkout("deploy/helm/callboard");
    let Some(linted) = tool("helm", &["lint".as_ref(), "--strict".as_ref(), &chart]) else { return };
    assert!(linted.status.success(), "{linted:?}");
}

#[test]
fn the_versions_of_packages_are_that_of_callboard() {
    let version = env!("CARGO_PKG_VERSION");
    let has = |path: &str, text: &str| {
        let file = fs::read_to_string(checkout(path)).unwrap();
        assert!(file.contains(&text.replace("VERSION", version)), "{path} has no {text} of version {version}");
    };
    has("deploy/helm/callboard/Chart.yaml", "version: VERSION");
    has("deploy/helm/callboard/Chart.yaml", "appVersion: \"VERSION\"");
    has("deploy/container/compose.yaml", "image: callboard:VERSION");
    has("deploy/container/compose.yaml", "image: callboard-sample:VERSION");
    has("deploy/container/Containerfile", "-t callboard:VERSION");
}

/// Returns the paths of all files below a folder of the checkout.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(checkout(folder)).unwrap().map(Result::unwrap) {
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_guide_names_each_file_for_deployments() {
    let guide = fs::read_to_string(checkout("docs/guide/install.md")).unwrap();
    // deploy/debian/build generates files there.
    let committed = files("deploy").into_iter().filter(|path| !path.starts_with("deploy/debian/generated/"));
    let unnamed: Vec<_> = committed.filter(|path| !guide.contains(path.as_str())).collect();
    assert!(unnamed.is_empty(), "docs/guide/install.md does not name {unnamed:?}");
}
