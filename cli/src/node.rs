//! A node as this program sees it: calls, and failures in this program's words.

use std::time::{Duration, Instant};

use consign_rpc::client::{Client, ClientError, Credentials};
use consign_rpc::errors::ErrorKind;
use consign_rpc::methods::Call;
use consign_rpc::views::StatusView;

use crate::args::Global;
use crate::credentials::{credentials, credentials_of_another};
use crate::failure::{Exit, Failure};

/// Where a node of a development network answers unless told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9101";
const POLL: Duration = Duration::from_millis(50);

/// A node that is asked.
#[derive(Clone, Debug)]
pub struct Node {
    url: String,
    client: Client,
}

impl Node {
    /// The node at `url`, which is shown nothing. Nothing is sent yet.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let client = Client::connect(url).map_err(|e| failure(url, e))?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// The node at `url`, which is shown what the command line has for it.
    ///
    /// # Errors
    /// When `url` is none, or what is to be shown cannot be read.
    pub fn named(global: &Global, url: &str) -> Result<Self, Failure> {
        Self::shown(url, credentials(global, url)?)
    }

    /// The node at `url`, which the command line does not name: see [`credentials_of_another`].
    ///
    /// # Errors
    /// As [`Self::named`].
    pub fn of_another(global: &Global, url: &str) -> Result<Self, Failure> {
        Self::shown(url, credentials_of_another(global, url)?)
    }

    fn shown(url: &str, credentials: Credentials) -> Result<Self, Failure> {
        let client = Client::connect_with(url, credentials).map_err(|e| failure(url, e))?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// The first of the nodes on the command line that answers.
    ///
    /// # Errors
    /// When none does.
    pub async fn first(global: &Global) -> Result<Self, Failure> {
        let mut failed = None;
        for url in urls(global) {
            let node = Self::named(global, &url)?;
            match within(global.patience(), node.status()).await {
                Ok(_) => return Ok(node),
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(|| unreachable_node(DEFAULT_URL, "no node is named")))
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client, for subscriptions.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Calls a method.
    ///
    /// # Errors
    /// What the node, or the way to it, says.
    pub async fn call<C: Call>(&self, params: C) -> Result<C::Answer, Failure> {
        self.client.call(&params).await.map_err(|e| failure(&self.url, e))
    }

    /// How the node is doing.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<StatusView, Failure> {
        self.client.status().await.map_err(|e| failure(&self.url, e))
    }

    /// Waits until the node's status is as `wanted` says.
    ///
    /// # Errors
    /// The last failure, or that it took too long.
    pub async fn until(
        &self,
        patience: Duration,
        what: &str,
        wanted: impl Fn(&StatusView) -> bool,
    ) -> Result<StatusView, Failure> {
        let since = Instant::now();
        loop {
            let last = match self.status().await {
                Ok(status) if wanted(&status) => return Ok(status),
                Ok(_) => None,
                Err(failure) => Some(failure),
            };
            if since.elapsed() > patience {
                return Err(last.unwrap_or_else(|| timed_out(&self.url, what, patience)));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The nodes that the command line names.
pub fn urls(global: &Global) -> Vec<String> {
    if global.nodes.is_empty() { vec![DEFAULT_URL.to_owned()] } else { global.nodes.clone() }
}

/// What the call of `url` came to, in this program's words.
pub fn failure(url: &str, error: ClientError) -> Failure {
    let exit = match error.kind {
        ErrorKind::Rejected
        | ErrorKind::Unauthorised
        | ErrorKind::Unauthenticated
        | ErrorKind::ScopeMissing
        | ErrorKind::BadSignature
        | ErrorKind::UnknownDevice
        | ErrorKind::RevokedKey
        | ErrorKind::SequenceConflict
        | ErrorKind::RuleViolation
        | ErrorKind::Unsupported => Exit::Refused,
        ErrorKind::ProofUnavailable => Exit::Incomplete,
        ErrorKind::InvalidParams => Exit::Usage,
        ErrorKind::Unreachable => return unreachable_node(url, &error.message),
        _ => Exit::Operational,
    };
    let code = error.rule().unwrap_or(error.kind.as_str());
    Failure::new(exit, code, &error.message, &error.help)
}

/// Gives up after `patience`.
///
/// # Errors
/// What the call says, or that it took too long.
pub async fn within<T>(
    patience: Duration,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(patience, call)
        .await
        .unwrap_or_else(|_| Err(timed_out("the node", "an answer", patience)))
}

/// Something that did not come in time.
pub fn timed_out(whom: &str, what: &str, patience: Duration) -> Failure {
    let message = format!("waited {} s for {what} of {whom}", patience.as_secs());
    let help = "look at `consign health`, or wait longer with --timeout";
    Failure::operational("timed_out", message, help)
}

fn unreachable_node(url: &str, why: &str) -> Failure {
    let message = format!("no node answers at {url}: {why}");
    let help = "start one with `consign devnet up`, or name another with --node";
    Failure::operational("node_unreachable", message, help)
}
