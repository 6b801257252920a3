//! Tokens, made by the operator of a node for those who may ask it.
//!
//! A secret is printed once, or goes into a file of mode 0600. What a node reads holds its digest alone.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use consign_rpc::errors::RpcError;
use consign_rpc::methods::{Call as _, ListTokens, ReloadTokens};
use consign_rpc::scope::Scope;
use consign_rpc::token::{Secret, Token, is_token_name};
use consign_rpc::views::{TokenView, TokensView};
use consign_types::time::Millis;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::console::{Console, Report};
use crate::durable::{self, Mode};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::keys::read_private;

/// Bytes of a node's file of tokens.
const TOKENS_BYTES_MAX: usize = 1 << 20;

/// `consign token`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token; its secret is printed once, and the node's file gets its SHA-256
    New(New),
    /// Tokens that a running node knows, asked on its own socket
    List(Socket),
    /// Have a running node read its file of tokens again
    Reload(Socket),
}

/// Where the operator speaks with the node.
#[derive(Args, Debug)]
pub struct Socket {
    /// The node's rpc.admin_socket
    #[arg(long, value_name = "FILE")]
    socket: PathBuf,
}

/// `consign token new`.
#[derive(Args, Debug)]
pub struct New {
    /// Whose it is: 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: String,
    /// What it allows: read, submit, metrics
    #[arg(
        long = "scope",
        value_name = "SCOPE,...",
        value_delimiter = ',',
        required = true,
        value_parser = |text: &str| text.parse::<Scope>()
    )]
    scopes: Vec<Scope>,
    /// The first instant at which it allows nothing any more
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    until: Option<Millis>,
    /// The node's rpc.tokens_file, to which it is added; made where absent. Without it, its lines are printed
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// New file for the secret, of mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no name: 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'");
    is_token_name(text).then(|| text.to_owned()).ok_or_else(wrong)
}

#[derive(Serialize)]
struct Made {
    name: String,
    scopes: Vec<&'static str>,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
}

impl Report for Made {
    fn text(&self) -> String {
        let entry = self.entry.as_deref().map(str::trim_end);
        let secret = self.secret.as_deref();
        let lines: Vec<&str> = [entry, secret].into_iter().flatten().collect();
        if lines.is_empty() { format!("made the token {}", self.name) } else { lines.join("\n") }
    }
}

/// Carries out `consign token`.
///
/// # Errors
/// When there is no randomness, the name is taken, or a file cannot be written.
pub fn run(console: &Console, command: Command) -> Result<(), Failure> {
    let new = match command {
        Command::New(new) => new,
        Command::List(at) => return console.result(&ask(&at.socket, ListTokens::METHOD)?),
        Command::Reload(at) => return console.result(&ask(&at.socket, ReloadTokens::METHOD)?),
    };
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random)
        .map_err(|e| Failure::operational("randomness", e, "no token is made without it"))?;
    let secret = Secret::of(&random);
    let mut scopes = new.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let token = Token { name: new.name, sha256: secret.digest(), scopes, until: new.until };
    // The secret comes first: a token that nobody has is harmless, one that is lost is not made.
    if let Some(out) = &new.out {
        write_new(out, &secret)?;
    }
    if let Some(into) = &new.into {
        add(into, &token)?;
    }
    let made = Made {
        scopes: token.scopes.iter().map(|scope| scope.as_str()).collect(),
        sha256: token.sha256.to_string(),
        secret: new.out.is_none().then(|| secret.reveal().to_owned()),
        entry: new.into.is_none().then(|| token.to_toml()),
        name: token.name,
    };
    console.result(&made)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Known(TokensView);

impl Report for Known {
    fn text(&self) -> String {
        let line = |token: &TokenView| {
            let until = token
                .until
                .as_ref()
                .map_or(String::new(), |until| format!(", until {}", until.rfc3339));
            format!("{}: {}{until}", token.name, token.scopes.join(", "))
        };
        let lines: Vec<String> = self.0.tokens.iter().map(line).collect();
        if lines.is_empty() { "the node knows no token".to_owned() } else { lines.join("\n") }
    }
}

/// Asks the node on its own socket.
fn ask(socket: &Path, method: &str) -> Result<Known, Failure> {
    let answer = exchange(socket, method).map_err(|e| {
        let message = format!("no answer at {}: {e}", socket.display());
        let help = "name the node's rpc.admin_socket, as the user that runs the node";
        Failure::new(Exit::Operational, "no_answer", message, help)
    })?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let answer: Answer = serde_json::from_str(body).map_err(|e| {
        Failure::new(Exit::Operational, "bad_answer", e, "is a node of this version there?")
    })?;
    match (answer.result, answer.error) {
        (Some(known), _) => Ok(Known(known)),
        (None, Some(error)) => {
            Err(Failure::new(Exit::Refused, error.kind.as_str(), error.message, error.kind.help()))
        }
        (None, None) => {
            Err(Failure::new(Exit::Operational, "bad_answer", "no result", "is a node there?"))
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    result: Option<TokensView>,
    error: Option<RpcError>,
}

fn exchange(socket: &Path, method: &str) -> io::Result<String> {
    const WAIT: Duration = Duration::from_secs(10);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.take(TOKENS_BYTES_MAX as u64).read_to_string(&mut answer)?;
    Ok(answer)
}

fn write_new(path: &Path, secret: &Secret) -> Result<(), Failure> {
    let line = Zeroizing::new(format!("{}\n", secret.reveal()));
    durable::create(path, line.as_bytes()).map_err(|e| Failure::file("create", path, e))
}

/// Adds the token at the end of the node's file; what is there stays as it is.
fn add(path: &Path, token: &Token) -> Result<(), Failure> {
    let mut text = String::new();
    if fs::exists(path).map_err(|e| Failure::file("read", path, e))? {
        text.push_str(&read_private(path, "tokens", TOKENS_BYTES_MAX)?);
        let taken = format!("name = \"{}\"", token.name);
        if text.lines().any(|line| line.trim() == taken) {
            let message = format!("{} has a token {:?} already", path.display(), token.name);
            let help = "choose another --name, or remove that one first";
            return Err(Failure::new(Exit::Refused, "token_exists", message, help));
        }
        if !text.is_empty() {
            text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
        }
    }
    text.push_str(&token.to_toml());
    // Whole or not at all: a node may be reading it.
    durable::replace(path, text.as_bytes(), Mode::Private)
}
