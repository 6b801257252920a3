//! Where a log is read: a folder of its files, or whoever serves them by HTTP.
//!
//! What is read is bounded and not believed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use consign_ledger::log::TilePath;
use consign_rpc::token::Secret;
use consign_types::causes::on_one_line;
use consign_types::limits::LOG_ENTRY_BYTES_MAX;
use consign_types::note::NOTE_BYTES_MAX;
use ureq::Agent;

use crate::args::Global;
use crate::credentials::token_for;
use crate::failure::{Exit, Failure};

/// The largest file of a log: a bundle of 256 entries, each behind its length.
const FILE_BYTES_MAX: u64 = 256 * (2 + LOG_ENTRY_BYTES_MAX as u64);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a log is read.
#[derive(Clone, Debug)]
pub enum Source {
    /// A folder with `checkpoint` and `tile/` in it.
    Folder(PathBuf),
    /// A server of `/tlog/checkpoint` and `/tlog/tile/`: a node, a cache, a bucket.
    Web {
        /// Up to and without `/tlog`.
        url: String,
        /// Keeps connections.
        agent: Agent,
        /// The token that is shown for entries, where there is one.
        token: Option<Secret>,
    },
}

impl Source {
    /// The folder `path`, or the `tlog` in it where a mirror has the server's paths.
    pub fn folder(path: &Path) -> Self {
        let inner = path.join("tlog");
        Self::Folder(if inner.is_dir() { inner } else { path.to_owned() })
    }

    /// From now on shows what the command line has for it.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn show(&mut self, global: &Global) -> Result<(), Failure> {
        if let Self::Web { url, token, .. } = self {
            *token = token_for(global, url)?;
        }
        Ok(())
    }

    /// As it was named.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Web { url, .. } => url.clone(),
        }
    }

    /// The newest checkpoint that it has, as text; `None` where it has none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn checkpoint(&self) -> Result<Option<String>, Failure> {
        let Some(bytes) = self.read("checkpoint", NOTE_BYTES_MAX as u64)? else { return Ok(None) };
        // What is no text is no checkpoint; the reader of notes says so.
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A file of the log; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(&self, path: &TilePath) -> Result<Option<Vec<u8>>, Failure> {
        self.read(&path.to_string(), FILE_BYTES_MAX)
    }

    fn read(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Folder(folder) => read_file(&folder.join(path), bytes_max),
            Self::Web { url, agent, token } => {
                get(agent, &format!("{url}/tlog/{path}"), token.as_ref(), bytes_max)
            }
        }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let url = text.trim_end_matches('/');
            let url = url.strip_suffix("/tlog").unwrap_or(url).to_owned();
            return Ok(Self::Web { url, agent: agent(), token: None });
        }
        if text.contains("://") {
            return Err(format!("{text:?} is neither http:// nor https:// nor a folder"));
        }
        Ok(Self::folder(Path::new(text)))
    }
}

/// What asks servers.
pub fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .user_agent(concat!("consign/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

fn read_file(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Failure> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > bytes_max => {
            let message = format!("{} is larger than any such file", path.display());
            return Err(Failure::operational("oversize", message, "make the mirror again"));
        }
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Ok(None),
        Err(e) if missing(&e) => return Ok(None),
        Err(e) => return Err(Failure::file("read", path, e)),
    }
    fs::read(path).map(Some).map_err(|e| Failure::file("read", path, e))
}

fn missing(error: &io::Error) -> bool {
    // `.p` of a partial tile may be a file where a folder is looked for.
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn get(
    agent: &Agent,
    url: &str,
    token: Option<&Secret>,
    bytes_max: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |why: String| {
        let help = "check that the source is up and the address right";
        Failure::operational("source_unreachable", format!("{url}: {why}"), help)
    };
    let mut request = agent.get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.reveal()));
    }
    let mut answer = request.call().map_err(|e| failed(on_one_line(&e)))?;
    match answer.status().as_u16() {
        200 => {}
        404 | 410 => return Ok(None),
        status @ (401 | 403) => {
            let help = "name a token with the scope read: --token-file FILE";
            let message = format!("{url}: answers with status {status}");
            return Err(Failure::new(Exit::Refused, "source_closed", message, help));
        }
        status => return Err(failed(format!("answers with status {status}"))),
    }
    let body = answer.body_mut().with_config().limit(bytes_max).read_to_vec();
    body.map(Some).map_err(|e| failed(on_one_line(&e)))
}
