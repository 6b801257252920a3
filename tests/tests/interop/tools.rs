//! The tools, and how one is asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use consign_tests::drill::command::Ran;

use crate::cases::{Case, expected};

/// How long a tool may take over all of its cases.
const PATIENCE: Duration = Duration::from_secs(120);

/// A tool that others wrote.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tool {
    /// Go's `golang.org/x/mod/sumdb`: note and tlog.
    GoSumdb,
    /// Python's sigstore.
    Sigstore,
    /// The npm package `@sigstore/verify`.
    SigstoreJs,
    /// Python's cwt.
    Cwt,
    /// Python's pycose.
    Pycose,
    /// The npm package `@transmute/cose`.
    Transmute,
}

impl Tool {
    /// Whether it can judge a case.
    fn knows(self, case: &Case) -> bool {
        let es256 = || case.input["alg"] == "es256";
        match self {
            Self::GoSumdb => {
                ["checkpoint", "inclusion", "consistency", "tiles"].contains(&case.kind)
            }
            Self::Sigstore => case.kind == "inclusion",
            Self::SigstoreJs => ["checkpoint", "inclusion"].contains(&case.kind),
            Self::Cwt => ["event", "receipt"].contains(&case.kind),
            Self::Pycose | Self::Transmute => case.kind == "receipt" && es256(),
        }
    }

    fn command(self) -> Option<Command> {
        match self {
            Self::GoSumdb => program("golang.org/x/mod/sumdb", "bin/check-go", &[]),
            Self::Sigstore => python("check.py", &["sigstore"]),
            Self::Cwt => python("check.py", &["cwt"]),
            Self::Pycose => python("check.py", &["pycose"]),
            Self::SigstoreJs => node("@sigstore/verify"),
            Self::Transmute => node("@transmute/cose"),
        }
    }

    /// Hands it the cases and holds its answers against what they ought to be.
    pub async fn judges(self, cases: &[Case]) {
        let expected = expected(cases, |case| self.knows(case));
        let Some(command) = self.command() else { return };
        let input = Value::Array(cases.iter().map(Case::json).collect());
        let answers: BTreeMap<String, bool> = ask(command, &input).await;
        let differing: Vec<_> = expected
            .iter()
            .filter(|(name, genuine)| answers.get(*name) != Some(genuine))
            .map(|(name, genuine)| (name, genuine, answers.get(name)))
            .collect();
        assert!(differing.is_empty(), "{self:?}: case, expected, answered: {differing:#?}");
        assert_eq!(answers, expected, "{self:?}");
    }
}

/// Runs a tool on this input; its answer is JSON.
pub async fn ask<A: DeserializeOwned>(mut command: Command, input: &Value) -> A {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("an installed tool can be started");
    let mut stdin = child.stdin.take().expect("its input");
    let input = input.to_string();
    let writing = async move {
        // A tool that ends early says why itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let answering = async { tokio::join!(writing, child.wait_with_output()).1 };
    let output = tokio::time::timeout(PATIENCE, answering).await;
    let output = output.expect("it answers in time").expect("it ends");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Runs a program on this text.
pub async fn fed(mut command: Command, input: String) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it can be started");
    let mut stdin = child.stdin.take().expect("its input");
    let writing = async move {
        // A program that ends early says why itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let answering = async { tokio::join!(writing, child.wait_with_output()).1 };
    let output = tokio::time::timeout(PATIENCE, answering).await;
    Ran::of(output.expect("it answers in time").expect("it ends"))
}

/// The browser's verifier: the module, and the script around it.
pub fn node_module() -> Option<(PathBuf, PathBuf)> {
    let own = std::env::current_exe().expect("the path of the test");
    let folder = own.ancestors().nth(3).expect("a target directory").join("wasm-sdk");
    let parts = (folder.join("consign.wasm"), folder.join("verifier.js"));
    if parts.0.exists() && parts.1.exists() {
        return Some(parts);
    }
    println!("NOT RUN: the browser's verifier is not built; scripts/wasm-sdk builds it");
    None
}

/// A script in Python, where its packages are installed.
pub fn python(script: &str, arguments: &[&str]) -> Option<Command> {
    let path = scripts().join(script);
    let path = path.to_str().expect("a plain path");
    let tool = [&[script], arguments].concat().join(" ");
    program(&tool, "venv/bin/python", &[&[path], arguments].concat())
}

fn node(package: &str) -> Option<Command> {
    let folder = installed().join("npm");
    if !folder.join("node_modules").join(package).exists() {
        not_run(package);
        return None;
    }
    let mut command = Command::new("node");
    command.arg(scripts().join("check.cjs")).arg(package).arg(folder);
    Some(command)
}

/// A script for Node.js, which is told where npm installed `package`.
pub fn node_script(script: &str, package: &str) -> Option<Command> {
    let folder = installed().join("npm");
    if !folder.join("node_modules").join(package).exists() {
        not_run(package);
        return None;
    }
    let mut command = Command::new("node");
    command.arg(scripts().join(script)).arg(folder);
    Some(command)
}

fn program(tool: &str, path: &str, arguments: &[&str]) -> Option<Command> {
    let program = installed().join(path);
    if !program.exists() {
        not_run(tool);
        return None;
    }
    let mut command = Command::new(program);
    command.args(arguments);
    Some(command)
}

/// A folder that an npm package brings.
pub fn npm_folder(path: &str) -> Option<PathBuf> {
    let folder = installed().join("npm/node_modules").join(path);
    if folder.exists() {
        return Some(folder);
    }
    not_run(path);
    None
}

fn not_run(tool: &str) {
    println!("NOT RUN: {tool} is not installed; scripts/setup-interop says why");
}

/// Where `scripts/setup-interop` installs: in the target directory, which this program is in too.
fn installed() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    own.ancestors().nth(3).expect("a target directory").join("interop")
}

fn scripts() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the crate that it tests");
    Path::new(&own).join("interop")
}
