//! The node's private keys: files of mode 0600, one key each, never printed.
//!
//! What a key file holds is the business of [`consign_types::key_file`]: one key and its purpose, in the
//! clear or under a passphrase, which comes from a file of mode 0600 or from systemd.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consign_types::es256::Es256SecretKey;
use consign_types::key::{SecretKey, Signer};
use consign_types::key_file::{
    BadKeyFile, KEY_FILE_BYTES_MAX, KeyFile, PASSPHRASE_BYTES_MAX, RECEIPT,
};
use zeroize::Zeroizing;

/// The file of the passphrase below `$CREDENTIALS_DIRECTORY` (`LoadCredential=` of systemd).
pub const CREDENTIAL: &str = "consign-passphrase";

/// The private keys of a node; distinct, because each speaks for something else.
#[derive(Debug)]
pub struct Keys {
    /// Signs proposals and votes. This one and the next two may be kept by something else than a file.
    pub consensus: Arc<dyn Signer>,
    /// Cosigns checkpoints.
    pub cosigner: Arc<dyn Signer>,
    /// Signs checkpoints as the serving log.
    pub log: Arc<dyn Signer>,
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
        "{path} is not a {purpose} key: expected one line `consign-key-v1 {purpose} <64 hex digits>`, \
         or one that `consign key encrypt` made of it"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be for.
        purpose: &'static str,
    },
    /// It is encrypted, and the passphrase does not open it, or there is none.
    #[error("key file {path} cannot be opened")]
    Closed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadKeyFile,
    },
    /// The file of the passphrase holds none.
    #[error("{path} holds no passphrase: one line of text, at most {PASSPHRASE_BYTES_MAX} bytes")]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
}

/// What opens encrypted keys. Gone from memory when it is dropped, and never printed.
pub struct Passphrase(Zeroizing<String>);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl Passphrase {
    /// Reads the one line of the file at `path`, which nobody else may read.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it holds no passphrase.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = read_private(path, PASSPHRASE_BYTES_MAX)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.is_empty() || line.contains('\n') {
            return Err(KeyError::Passphrase { path: path.to_owned() });
        }
        Ok(Self(Zeroizing::new(line.to_owned())))
    }

    /// Where systemd put it, if it did.
    pub fn credential() -> Option<PathBuf> {
        let path = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
        path.exists().then_some(path)
    }
}

impl KeyError {
    /// What to change.
    pub fn mend(&self) -> String {
        match self {
            Self::Read { .. } => "name the directory or file of this node's keys".to_owned(),
            Self::Mode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Format { .. } => "put this node's own key there".to_owned(),
            Self::Closed { source: BadKeyFile::Sealed, .. } => {
                "name the file of the passphrase in node.passphrase_file".to_owned()
            }
            Self::Closed { source: BadKeyFile::Passphrase, .. } => {
                "name the file of the right passphrase in node.passphrase_file".to_owned()
            }
            Self::Closed { .. } => "encrypt the key again with `consign key encrypt`".to_owned(),
            Self::Passphrase { .. } => "write the passphrase there, in one line".to_owned(),
        }
    }
}

impl Keys {
    /// Reads `consensus.key`, `cosigner.key`, `log.key` and `network.key` in `dir`; no receipt key. Those that
    /// are encrypted are opened with the passphrase.
    ///
    /// # Errors
    /// When one is missing, readable by others, or made for something else.
    pub fn load(dir: &Path, passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        let key = |purpose: &'static str| {
            let seed = read_seed(dir.join(format!("{purpose}.key")), purpose, passphrase)?;
            Ok(SecretKey::from_seed(*seed))
        };
        Ok(Self {
            consensus: Arc::new(key("consensus")?),
            cosigner: Arc::new(key("cosigner")?),
            log: Arc::new(key("log")?),
            network: key("network")?,
            receipt: None,
        })
    }
}

/// Reads the key for COSE receipts in the file at `path`.
///
/// # Errors
/// When it is missing, readable by others, or made for something else.
pub fn read_receipt_key(
    path: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<Es256SecretKey, KeyError> {
    let scalar = read_seed(path.to_owned(), RECEIPT, passphrase)?;
    let bad = |_| KeyError::Format { path: path.to_owned(), purpose: RECEIPT };
    Es256SecretKey::from_scalar(*scalar).map_err(bad)
}

fn read_seed(
    path: PathBuf,
    purpose: &'static str,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let text = read_private(&path, KEY_FILE_BYTES_MAX)?;
    let passphrase = passphrase.map(|passphrase| passphrase.0.as_bytes());
    let opened = KeyFile::parse(&text).and_then(|file| file.open(purpose, passphrase));
    opened.map_err(|source| match source {
        BadKeyFile::Form => KeyError::Format { path, purpose },
        source => KeyError::Closed { path, source },
    })
}

/// The text of a file that nobody else may read; one that is larger has none of our forms.
fn read_private(path: &Path, bytes_max: usize) -> Result<Zeroizing<String>, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: path.to_owned(), mode });
    }
    // As large as the file may be from the start: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes_max + 1));
    file.take(bytes_max as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > bytes_max {
        text.clear();
    }
    Ok(text)
}

/// Creates `dir` for this user alone, where it does not exist yet.
///
/// # Errors
/// When the directory cannot be made.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
