//! The command line as a user meets it: arguments in; output, errors and exit code out.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

use super::built;

/// What a command did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Ran {
    /// Of a process that ended by itself.
    ///
    /// # Panics
    /// When a signal ended it.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Starts `consign` with these arguments; it is killed when the answer is dropped.
///
/// # Panics
/// When it cannot be started.
pub fn consign_running<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Child {
    Command::new(built("consign"))
        .args(arguments)
        .env_remove("CONSIGN_NODE")
        .env_remove("CONSIGN_TRUST")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it can be run")
}

/// Runs a script in `dir` as a person would, with `consign` on the path and a node named in the environment.
///
/// # Panics
/// When it cannot be started, or is ended by a signal.
pub async fn shell(dir: &Path, node: &str, script: &str) -> Ran {
    let consign = built("consign");
    let bins = consign.parent().expect("a directory").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(dir)
        .env("PATH", format!("{bins}:{path}"))
        .env("CONSIGN_NODE", node)
        .env("CONSIGN_TRUST", "network.trust.json")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it can be run");
    Ran::of(output)
}

/// Runs `consign` with these arguments.
///
/// # Panics
/// When it cannot be started, or is ended by a signal.
pub async fn consign<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    let output = Command::new(built("consign"))
        .args(arguments)
        // Whoever runs the tests may have a network of their own.
        .env_remove("CONSIGN_NODE")
        .env_remove("CONSIGN_TRUST")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it can be run");
    Ran::of(output)
}
