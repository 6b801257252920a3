//! The node's private keys: files of mode 0600, one key each, never printed.
//!
//! A key file is one line: `consign-key-v1 <purpose> <seed as 64 hexadecimal digits>`. The purpose
//! stands in it so that a key cannot be used for what it was not made for.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use consign_types::digest::decode_hex;
use consign_types::es256::Es256SecretKey;
use consign_types::key::SecretKey;
use zeroize::Zeroizing;

const FORMAT: &str = "consign-key-v1";
const FILE_BYTES_MAX: u64 = 256;

/// The private keys of a node; distinct, because each speaks for something else.
#[derive(Debug)]
pub struct Keys {
    /// Signs proposals and votes.
    pub consensus: SecretKey,
    /// Cosigns checkpoints.
    pub cosigner: SecretKey,
    /// Signs checkpoints as the serving log.
    pub log: SecretKey,
    /// Identity on the peer-to-peer network.
    pub network: SecretKey,
    /// Makes COSE receipts for tools that know no Ed25519; few nodes have one.
    pub receipt: Option<Es256SecretKey>,
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read key file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("key file {path} has mode {mode:04o}; nobody else may read it")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a key file of this purpose.
    #[error(
        "{path} is not a {purpose} key: expected one line `{FORMAT} {purpose} <64 hex digits>`"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be for.
        purpose: &'static str,
    },
}

impl KeyError {
    /// What to change.
    pub fn mend(&self) -> String {
        match self {
            Self::Read { .. } => "name the directory or file of this node's keys".to_owned(),
            Self::Mode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Format { .. } => "put this node's own key there".to_owned(),
        }
    }
}

impl Keys {
    /// Reads `consensus.key`, `cosigner.key`, `log.key` and `network.key` in `dir`; no receipt key.
    ///
    /// # Errors
    /// When one is missing, readable by others, or made for something else.
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        Ok(Self {
            consensus: read_key(dir, "consensus")?,
            cosigner: read_key(dir, "cosigner")?,
            log: read_key(dir, "log")?,
            network: read_key(dir, "network")?,
            receipt: None,
        })
    }
}

fn read_key(dir: &Path, purpose: &'static str) -> Result<SecretKey, KeyError> {
    let seed = read_seed(dir.join(format!("{purpose}.key")), purpose)?;
    Ok(SecretKey::from_seed(*seed))
}

/// Reads the key for COSE receipts in the file at `path`.
///
/// # Errors
/// When it is missing, readable by others, or made for something else.
pub fn read_receipt_key(path: &Path) -> Result<Es256SecretKey, KeyError> {
    let purpose = "receipt";
    let scalar = read_seed(path.to_owned(), purpose)?;
    let bad = |_| KeyError::Format { path: path.to_owned(), purpose };
    Es256SecretKey::from_scalar(*scalar).map_err(bad)
}

fn read_seed(path: PathBuf, purpose: &'static str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let failed = |source| KeyError::Read { path: path.clone(), source };
    let file = fs::File::open(&path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode { path, mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let seed = text
        .strip_suffix('\n')
        .and_then(|line| line.strip_prefix(FORMAT))
        .and_then(|rest| rest.strip_prefix(' '))
        .and_then(|rest| rest.strip_prefix(purpose))
        .and_then(|rest| rest.strip_prefix(' '))
        .and_then(|digits| decode_hex(digits).map(Zeroizing::new))
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    seed.map(Zeroizing::new).ok_or(KeyError::Format { path, purpose })
}

/// Creates `dir` for this user alone, where it does not exist yet.
///
/// # Errors
/// When the directory cannot be made.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
