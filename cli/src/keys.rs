//! Key files: one private key each, mode 0600, never overwritten, never printed.
//!
//! A key file is one line, `consign-key-v1 <purpose> <seed as 64 hexadecimal digits>`, the form that
//! `consignd` reads. The purpose stands in it so that a key cannot be used for what it was not made for.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use consign_types::digest::{decode_hex, encode_hex};
use consign_types::es256::Es256SecretKey;
use consign_types::key::SecretKey;

use serde::Serialize;

use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};

const FORMAT: &str = "consign-key-v1";
const FILE_BYTES_MAX: u64 = 256;

/// `consign key`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key; prints the public half, the private half stays in the file
    New {
        /// What it is for
        #[arg(long, value_enum)]
        purpose: Purpose,
        /// New file to write, of mode 0600
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What a key is for. Distinct, because each speaks for something else.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Purpose {
    /// Enrols the devices of a member.
    Member,
    /// Signs events.
    Device,
    /// Signs proposals and votes of a validator.
    Consensus,
    /// Cosigns checkpoints.
    Cosigner,
    /// Signs checkpoints as the serving log.
    Log,
    /// Identity on the peer-to-peer network.
    Network,
    /// Makes COSE receipts on P-256 (ES256), for tools that know no Ed25519.
    Receipt,
}

impl Purpose {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Device => "device",
            Self::Consensus => "consensus",
            Self::Cosigner => "cosigner",
            Self::Log => "log",
            Self::Network => "network",
            Self::Receipt => "receipt",
        }
    }
}

#[derive(Serialize)]
struct Made {
    purpose: &'static str,
    public: String,
}

impl Report for Made {
    fn text(&self) -> String {
        self.public.clone()
    }
}

/// Carries out `consign key`.
///
/// # Errors
/// When the key cannot be made or written.
pub fn run(console: &Console, command: Command) -> Result<(), Failure> {
    let Command::New { purpose, out } = command;
    let public = match purpose {
        Purpose::Receipt => create_receipt_key(&out)?.public().to_string(),
        _ => create(&out, purpose)?.public().to_string(),
    };
    console.result(&Made { purpose: purpose.as_str(), public })
}

/// A fresh key from the operating system's randomness.
///
/// # Errors
/// When the system has none to give.
pub fn generate() -> Result<SecretKey, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|e| Failure::operational("randomness", e, "no key is made without randomness"))?;
    Ok(SecretKey::from_seed(seed))
}

/// Writes `key` to a new file at `path`, for this user alone.
///
/// # Errors
/// When the file exists already or cannot be written.
pub fn write(path: &Path, purpose: Purpose, key: &SecretKey) -> Result<(), Failure> {
    write_seed(path, purpose, &key.to_seed())
}

fn write_seed(path: &Path, purpose: Purpose, seed: &[u8; 32]) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    // `create_new`: a key that is overwritten is a key that is lost.
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            let message = format!("{} exists already and is not overwritten", path.display());
            Failure::new(Exit::Refused, "key_exists", message, "choose another --out")
        } else {
            Failure::file("create", path, e)
        }
    })?;
    let line = format!("{FORMAT} {} {}\n", purpose.as_str(), encode_hex(seed));
    file.write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|e| Failure::file("write", path, e))
}

/// A fresh key on P-256 in a new file at `path`.
///
/// # Errors
/// When the file exists already or cannot be written.
pub fn create_receipt_key(path: &Path) -> Result<Es256SecretKey, Failure> {
    // One number in four thousand million is no scalar of the curve.
    let key = loop {
        if let Ok(key) = Es256SecretKey::from_scalar(*generate()?.to_seed()) {
            break key;
        }
    };
    write_seed(path, Purpose::Receipt, &key.to_scalar())?;
    Ok(key)
}

/// A fresh key in a new file at `path`.
///
/// # Errors
/// When the file exists already or cannot be written.
pub fn create(path: &Path, purpose: Purpose) -> Result<SecretKey, Failure> {
    let key = generate()?;
    write(path, purpose, &key)?;
    Ok(key)
}

/// Reads the key file at `path`.
///
/// # Errors
/// When it cannot be read, others may read it, or it was made for something else.
pub fn read(path: &Path, purpose: Purpose) -> Result<SecretKey, Failure> {
    let failed = |e| Failure::file("read", path, e);
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let message = format!("key file {} has mode {mode:04o}", path.display());
        let help = format!("nobody else may read it: chmod 600 {}", path.display());
        return Err(Failure::new(Exit::Refused, "key_mode", message, help));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let seed = text
        .strip_suffix('\n')
        .and_then(|line| line.strip_prefix(&format!("{FORMAT} {} ", purpose.as_str())))
        .and_then(decode_hex)
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    seed.map(SecretKey::from_seed).ok_or_else(|| {
        let message = format!("{} is not a {} key", path.display(), purpose.as_str());
        let help = format!("expected one line `{FORMAT} {} <64 hex digits>`", purpose.as_str());
        Failure::usage("key_format", message, help)
    })
}

/// Creates `path`, and what is missing above it, for this user alone.
///
/// # Errors
/// When it cannot be made.
pub fn private_dir(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Failure::file("create", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_private_comes_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("member.key");
        let key = create(&path, Purpose::Member).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read(&path, Purpose::Member).unwrap().public(), key.public());

        assert_eq!(create(&path, Purpose::Member).unwrap_err().code, "key_exists");
        assert_eq!(read(&path, Purpose::Member).unwrap().public(), key.public());
    }

    #[test]
    fn a_key_is_used_for_nothing_else_and_read_by_nobody_else() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.key");
        create(&path, Purpose::Device).unwrap();
        assert_eq!(read(&path, Purpose::Member).unwrap_err().code, "key_format");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path, Purpose::Device).unwrap_err().code, "key_mode");
    }
}
