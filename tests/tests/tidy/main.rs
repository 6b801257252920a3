//! The rules of this repository that a machine can check, as tests.
//!
//! Each test collects all findings before it fails, and a finding names file and line. A rule that turns
//! out wrong is changed here, in one place; there are no exceptions by comment.
//!
//! Leaves out what `rustfmt`, `clippy` and `cargo deny` already check.

mod files;
mod rooms;
mod source;
mod tables;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top directory of the workspace.
///
/// Asked for when the test runs: clones may share a target directory, and with it this program.
fn workspace() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the crate that it tests");
    Path::new(&own).parent().expect("the crate lies in the workspace").to_owned()
}

/// A file that is, or with the next commit would be, under version control.
struct TrackedFile {
    /// Relative to the workspace.
    path: PathBuf,
    text: String,
}

impl TrackedFile {
    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|own| own == extension)
    }

    /// The finding `what` at the line `line`, counted from one.
    fn finding(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }
}

/// All tracked files that hold text. Files not yet added count, so that a mistake shows before the commit.
fn tracked_files() -> Vec<TrackedFile> {
    let listed = run(Command::new("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]));
    let files: Vec<_> = listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(|name| {
            let path = PathBuf::from(name);
            // Not text, or deleted and not yet committed as such: nothing to check.
            let text = std::fs::read_to_string(workspace().join(&path)).ok()?;
            Some(TrackedFile { path, text })
        })
        .collect();
    assert!(
        files.len() > 20,
        "git lists only {} files: these tests would check nothing",
        files.len()
    );
    files
}

/// The Rust files among them.
fn rust_files() -> Vec<TrackedFile> {
    tracked_files().into_iter().filter(|file| file.has_extension("rs")).collect()
}

/// What `command` prints when run at the top of the workspace.
fn run(command: &mut Command) -> String {
    let output = command
        .current_dir(workspace())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {complaint}");
    String::from_utf8(output.stdout).expect("file names and JSON are UTF-8")
}

/// Fails with `rule` and the list of findings, if there are any.
fn assert_none(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}\n\n  {}\n", findings.join("\n  "));
}
