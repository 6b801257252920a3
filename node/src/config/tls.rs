//! The node's certificate, its key, and the authority by which callers are known: read at the start, and again
//! whenever the operator asks for it.

use std::fs;
use std::path::{Path, PathBuf};

use consign_rpc::tls::{self, Chain, Key, TlsError};

use crate::keys::read_private;
use consign_types::causes::on_one_line;

/// Bytes of a file of certificates.
const PEM_BYTES_MAX: usize = 1 << 20;

/// Both sides of the node's own certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Shows it.
    pub server: tls::Server,
    /// Believes it alone: how the node's own tools ask the node.
    pub own: tls::Client,
    /// Where both were read.
    pub files: TlsFiles,
}

/// Where certificates lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// `rpc.tls_cert`.
    pub cert: PathBuf,
    /// `rpc.tls_key`.
    pub key: PathBuf,
    /// `rpc.client_ca`, where callers are known by certificates.
    pub callers: Option<PathBuf>,
}

/// What is wrong with one of the files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsProblem {
    /// The setting that names it.
    pub setting: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to change.
    pub mend: String,
}

impl TlsFiles {
    /// Reads all of them.
    ///
    /// # Errors
    /// When one cannot be read or used, or the key is not that of the certificate: each with its setting.
    pub fn read(&self) -> Result<Tls, Vec<TlsProblem>> {
        let chain = read_chain("rpc.tls_cert", &self.cert);
        let callers = self.callers.as_deref().map(|path| read_chain("rpc.client_ca", path));
        let key = match read_private(&self.key, PEM_BYTES_MAX) {
            Ok(pem) => {
                Key::from_pem(pem.as_bytes()).map_err(|e| unusable("rpc.tls_key", &self.key, &e))
            }
            Err(error) => {
                let (what, mend) = (on_one_line(&error), error.mend().to_owned());
                Err(TlsProblem { setting: "rpc.tls_key", what, mend })
            }
        };
        let (chain, callers, key) = match (chain, callers.transpose(), key) {
            (Ok(chain), Ok(callers), Ok(key)) => (chain, callers, key),
            (chain, callers, key) => {
                let wrong = [chain.err(), callers.err(), key.err()];
                return Err(wrong.into_iter().flatten().collect());
            }
        };
        let own = tls::Client::pinned(&chain);
        let server = tls::Server::new(chain, key, callers.as_ref());
        match (server, own) {
            (Ok(server), Ok(own)) => Ok(Tls { server, own, files: self.clone() }),
            (Err(error), _) | (_, Err(error)) => {
                Err(vec![unusable("rpc.tls_cert", &self.cert, &error)])
            }
        }
    }
}

fn read_chain(setting: &'static str, path: &Path) -> Result<Chain, TlsProblem> {
    match fs::read(path) {
        Ok(pem) if pem.len() <= PEM_BYTES_MAX => {
            Chain::from_pem(&pem).map_err(|e| unusable(setting, path, &e))
        }
        Ok(_) => Err(unusable(setting, path, &TlsError::NoCertificate)),
        Err(error) => Err(TlsProblem {
            setting,
            what: format!("cannot read {}: {error}", path.display()),
            mend: "name a file of certificates in PEM".to_owned(),
        }),
    }
}

fn unusable(setting: &'static str, path: &Path, error: &TlsError) -> TlsProblem {
    TlsProblem {
        setting,
        what: format!("{setting}: {}: {}", path.display(), on_one_line(error)),
        mend: "name a certificate in PEM, with those that lead to its authority, and its key"
            .to_owned(),
    }
}
