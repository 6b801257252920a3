//! Key files: one private key each, mode 0600, never overwritten, never printed.
//!
//! What a file holds is the business of [`consign_types::key_file`], which `consignd` reads with too: one
//! key and its purpose, in the clear or under a passphrase. A passphrase comes from a file of mode 0600
//! (`--passphrase-file`, or `CONSIGN_PASSPHRASE_FILE`), or from the terminal.

use std::fs;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use consign_types::digest::encode_hex;
use consign_types::es256::Es256SecretKey;
use consign_types::key::SecretKey;
use consign_types::key_file::{
    BadKeyFile, DEVICE, DEVICE_P256, Fresh, KEY_FILE_BYTES_MAX, KeyFile, PASSPHRASE_BYTES_MAX,
    RECEIPT, algorithm, clear, seal,
};
use consign_types::party::SignerId;
use consign_types::signer_key::{Algorithm, SignerKey, SignerSecret};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::durable::{Mode, create as create_new, replace};
use crate::failure::{Exit, Failure};
use crate::key_rotation::{self, RotateArgs};
use crate::signatures;

/// Names the file of the passphrase for every command that reads a key.
const PASSPHRASE_FILE: &str = "CONSIGN_PASSPHRASE_FILE";

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
    /// Take a member to another key, by an event that both sign; says what to run for any other key
    Rotate(RotateArgs),
    /// Put a key file under a passphrase, in place, as PKCS#8 that `openssl pkey` reads
    Encrypt(OneFile),
    /// Take the passphrase from a key file, in place
    Decrypt(OneFile),
    /// Check signatures as a node checks those of events: does the network take what this device signs?
    Verify {
        /// Lines `ed25519|p256 KEY MESSAGE SIGNATURE` in hexadecimal, an empty message as `-`; `-` reads standard input
        file: PathBuf,
    },
    /// Print what a key file is for, its public key and its id; needs no passphrase
    Show {
        /// The key file
        file: PathBuf,
    },
}

/// A key file and its passphrase.
#[derive(Args, Debug)]
pub struct OneFile {
    /// The key file
    file: PathBuf,
    /// A file of mode 0600 with the passphrase in one line; asked for on a terminal where absent
    #[arg(long, value_name = "FILE", env = PASSPHRASE_FILE)]
    passphrase_file: Option<PathBuf>,
}

/// What a key is for. Distinct, because each speaks for something else.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Purpose {
    /// Enrols the devices of a member.
    Member,
    /// Signs events.
    Device,
    /// Signs events on P-256 (ESP256), for devices that have no Ed25519.
    #[value(name = "device-p256")]
    DeviceP256,
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
            Self::Device => DEVICE,
            Self::DeviceP256 => DEVICE_P256,
            Self::Consensus => "consensus",
            Self::Cosigner => "cosigner",
            Self::Log => "log",
            Self::Network => "network",
            Self::Receipt => RECEIPT,
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
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::New { purpose, out } => {
            let public = match purpose {
                Purpose::Receipt | Purpose::DeviceP256 => {
                    create_on_p256(&out, purpose)?.public().to_string()
                }
                _ => create(&out, purpose)?.public().to_string(),
            };
            console.result(&Made { purpose: purpose.as_str(), public })
        }
        Command::Rotate(args) => key_rotation::run(console, global, args).await,
        Command::Encrypt(OneFile { file, passphrase_file }) => {
            encrypt(&file, passphrase_file.as_deref())?;
            console.result(&show(&file)?)
        }
        Command::Decrypt(OneFile { file, passphrase_file }) => {
            decrypt(&file, passphrase_file.as_deref())?;
            console.result(&show(&file)?)
        }
        Command::Show { file } => console.result(&show(&file)?),
        Command::Verify { file } => signatures::verify(console, &file),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    purpose: String,
    public: String,
    key_id: String,
    encrypted: bool,
}

impl Report for Shown {
    fn text(&self) -> String {
        let how = if self.encrypted { "under a passphrase" } else { "in the clear" };
        format!(
            "purpose    {}\npublic     {}\nkey id     {}\nprivate    {how}",
            self.purpose, self.public, self.key_id
        )
    }
}

fn show(path: &Path) -> Result<Shown, Failure> {
    let text = read_private(path, "key", KEY_FILE_BYTES_MAX)?;
    let file = KeyFile::parse(&text).map_err(|e| unusable(path, "consign", e))?;
    let public = file.public().map_err(|e| unusable(path, file.purpose(), e))?;
    let key: Option<SignerKey> = public.parse().ok();
    let of_purpose = |key: &SignerKey| key.algorithm() == algorithm(file.purpose());
    let key = key.filter(of_purpose);
    let id = key.ok_or_else(|| unusable(path, file.purpose(), BadKeyFile::Form))?.key_id();
    let purpose = file.purpose().to_owned();
    Ok(Shown { purpose, public, key_id: encode_hex(&id), encrypted: file.is_sealed() })
}

/// What the key in a file is for.
///
/// # Errors
/// When the file is none of a key, or others may read it.
pub fn purpose_of(path: &Path) -> Result<String, Failure> {
    let text = read_private(path, "key", KEY_FILE_BYTES_MAX)?;
    let file = KeyFile::parse(&text).map_err(|e| unusable(path, "consign", e))?;
    Ok(file.purpose().to_owned())
}

/// Reads the key file at `path`, and the passphrase that it is under.
///
/// # Errors
/// As [`read`].
pub fn read_opened(
    path: &Path,
    purpose: Purpose,
) -> Result<(SecretKey, Option<Zeroizing<String>>), Failure> {
    let text = read_private(path, "key", KEY_FILE_BYTES_MAX)?;
    let file = KeyFile::parse(&text).map_err(|e| unusable(path, purpose.as_str(), e))?;
    let passphrase_file = std::env::var_os(PASSPHRASE_FILE).map(PathBuf::from);
    let asks = file.is_sealed() && file.purpose() == purpose.as_str();
    let given =
        if asks { Some(passphrase(path, passphrase_file.as_deref(), false)?) } else { None };
    let bytes = given.as_ref().map(|text| text.as_bytes());
    let seed = file.open(purpose.as_str(), bytes);
    let seed = seed.map_err(|e| unusable(path, purpose.as_str(), e))?;
    Ok((SecretKey::from_seed(*seed), given))
}

/// A fresh key in a new file at `path`, under this passphrase where there is one: never in the clear then.
///
/// # Errors
/// When the file exists already or cannot be written.
pub fn create_under(
    path: &Path,
    purpose: Purpose,
    passphrase: Option<&[u8]>,
) -> Result<SecretKey, Failure> {
    let Some(passphrase) = passphrase else { return create(path, purpose) };
    let key = generate()?;
    let text = seal(purpose.as_str(), &key.to_seed(), passphrase, fresh()?);
    write_new(path, &text.map_err(|e| unusable(path, purpose.as_str(), e))?)?;
    Ok(key)
}

fn fresh() -> Result<Fresh, Failure> {
    let mut fresh = Fresh { salt: [0; 16], iv: [0; 16] };
    getrandom::fill(&mut fresh.salt)
        .and_then(|()| getrandom::fill(&mut fresh.iv))
        .map_err(|e| Failure::operational("randomness", e, "nothing is encrypted without it"))?;
    Ok(fresh)
}

fn encrypt(path: &Path, passphrase_file: Option<&Path>) -> Result<(), Failure> {
    let text = read_private(path, "key", KEY_FILE_BYTES_MAX)?;
    let file = KeyFile::parse(&text).map_err(|e| unusable(path, "consign", e))?;
    if file.is_sealed() {
        let message = format!("{} is encrypted already", path.display());
        let help = "for another passphrase, `consign key decrypt` it first";
        return Err(Failure::new(Exit::Refused, "key_encrypted", message, help));
    }
    let purpose = file.purpose();
    let seed = file.open(purpose, None).map_err(|e| unusable(path, purpose, e))?;
    let passphrase = passphrase(path, passphrase_file, true)?;
    let sealed = seal(purpose, &seed, passphrase.as_bytes(), fresh()?);
    let sealed = sealed.map_err(|e| unusable(path, purpose, e))?;
    // The key in the clear goes only when what takes its place was opened.
    let again = KeyFile::parse(&sealed).and_then(|f| f.open(purpose, Some(passphrase.as_bytes())));
    assert!(again.is_ok_and(|again| *again == *seed), "what was sealed opens");
    replace(path, sealed.as_bytes(), Mode::Private)
}

fn decrypt(path: &Path, passphrase_file: Option<&Path>) -> Result<(), Failure> {
    let text = read_private(path, "key", KEY_FILE_BYTES_MAX)?;
    let file = KeyFile::parse(&text).map_err(|e| unusable(path, "consign", e))?;
    if !file.is_sealed() {
        let message = format!("{} is not encrypted", path.display());
        return Err(Failure::new(Exit::Refused, "key_clear", message, "there is nothing to do"));
    }
    let seed = opened(path, &file, file.purpose(), passphrase_file)?;
    replace(path, clear(file.purpose(), &seed).as_bytes(), Mode::Private)
}

/// The passphrase of the key at `path`; a new one is asked for twice.
fn passphrase(path: &Path, file: Option<&Path>, new: bool) -> Result<Zeroizing<String>, Failure> {
    let passphrase = match file {
        Some(file) => {
            let text = read_private(file, "passphrase", PASSPHRASE_BYTES_MAX)?;
            Zeroizing::new(text.strip_suffix('\n').unwrap_or(&text).to_owned())
        }
        None if !std::io::stdin().is_terminal() => {
            let message =
                format!("{} needs a passphrase, and there is no terminal", path.display());
            let help = format!("name its file with --passphrase-file, or in {PASSPHRASE_FILE}");
            return Err(Failure::usage("no_passphrase", message, help));
        }
        None => {
            let asked = ask(&format!("Passphrase of {}: ", path.display()))?;
            if new && *ask("Once more: ")? != *asked {
                let message = "the two passphrases differ";
                return Err(Failure::usage("bad_passphrase", message, "nothing was changed"));
            }
            asked
        }
    };
    if passphrase.is_empty() || passphrase.contains('\n') {
        let message = "a passphrase is one line that is not empty";
        return Err(Failure::usage("bad_passphrase", message, "nothing was changed"));
    }
    Ok(passphrase)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let asked = rpassword::prompt_password(prompt).map(Zeroizing::new);
    asked.map_err(|e| Failure::operational("terminal", e, "name a file with --passphrase-file"))
}

fn opened(
    path: &Path,
    file: &KeyFile<'_>,
    purpose: &str,
    passphrase_file: Option<&Path>,
) -> Result<Zeroizing<[u8; 32]>, Failure> {
    // Of a key for something else no passphrase is asked.
    let asks = file.is_sealed() && file.purpose() == purpose;
    let given = if asks { Some(passphrase(path, passphrase_file, false)?) } else { None };
    let bytes = given.as_ref().map(|text| text.as_bytes());
    file.open(purpose, bytes).map_err(|e| unusable(path, purpose, e))
}

fn unusable(path: &Path, purpose: &str, error: BadKeyFile) -> Failure {
    match error {
        BadKeyFile::Form => {
            let message = format!("{} is not a {purpose} key", path.display());
            let help = "expected one line `consign-key-v1 PURPOSE <64 hex digits>`, or what `consign key \
                        encrypt` made of it";
            Failure::usage("key_format", message, help)
        }
        BadKeyFile::Passphrase => {
            let message = format!("the passphrase does not open {}", path.display());
            Failure::new(
                Exit::Refused,
                "bad_passphrase",
                message,
                "try another; nothing was changed",
            )
        }
        other => {
            let message = format!("{} cannot be opened: {other}", path.display());
            Failure::new(Exit::Refused, "key_closed", message, "restore the file from its backup")
        }
    }
}

/// The text of a file that nobody else may read; none of one that is longer.
///
/// # Errors
/// When it cannot be read, or others may.
pub fn read_private(
    path: &Path,
    what: &str,
    bytes_max: usize,
) -> Result<Zeroizing<String>, Failure> {
    let failed = |e| Failure::file("read", path, e);
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let message = format!("{what} file {} has mode {mode:04o}", path.display());
        let help = format!("nobody else may read it: chmod 600 {}", path.display());
        return Err(Failure::new(Exit::Refused, "key_mode", message, help));
    }
    // As large as the file may be from the start: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes_max + 1));
    file.take(bytes_max as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > bytes_max {
        text.clear();
    }
    Ok(text)
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
    write_new(path, &clear(purpose.as_str(), seed))
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    create_new(path, text.as_bytes()).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            let message = format!("{} exists already and is not overwritten", path.display());
            Failure::new(Exit::Refused, "key_exists", message, "choose another --out")
        } else {
            Failure::file("create", path, e)
        }
    })
}

/// A fresh key on P-256 in a new file at `path`.
///
/// # Errors
/// When the file exists already or cannot be written.
fn create_on_p256(path: &Path, purpose: Purpose) -> Result<Es256SecretKey, Failure> {
    // One number in four thousand million is no scalar of the curve.
    let key = loop {
        if let Ok(key) = Es256SecretKey::from_scalar(*generate()?.to_seed()) {
            break key;
        }
    };
    write_seed(path, purpose, &key.to_scalar())?;
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
    let text = read_private(path, "key", KEY_FILE_BYTES_MAX)?;
    let file = KeyFile::parse(&text).map_err(|e| unusable(path, purpose.as_str(), e))?;
    let passphrase_file = std::env::var_os(PASSPHRASE_FILE).map(PathBuf::from);
    let seed = opened(path, &file, purpose.as_str(), passphrase_file.as_deref())?;
    Ok(SecretKey::from_seed(*seed))
}

/// A fresh device key in a new file at `path`.
///
/// # Errors
/// When the file exists already or cannot be written.
pub fn create_device_key(path: &Path, algorithm: Algorithm) -> Result<SignerSecret, Failure> {
    match algorithm {
        Algorithm::Ed25519 => create(path, Purpose::Device).map(SignerSecret::Ed25519),
        Algorithm::P256 => create_on_p256(path, Purpose::DeviceP256).map(SignerSecret::P256),
    }
}

/// Reads the key under which `signer` signs: a member's own, or a device's of either algorithm.
///
/// # Errors
/// As [`read`].
pub fn read_signer(path: &Path, signer: &SignerId) -> Result<SignerSecret, Failure> {
    if signer.is_member() {
        return read(path, Purpose::Member).map(SignerSecret::Ed25519);
    }
    let text = read_private(path, "key", KEY_FILE_BYTES_MAX)?;
    let file = KeyFile::parse(&text).map_err(|e| unusable(path, DEVICE, e))?;
    let purpose = if file.purpose() == DEVICE_P256 { DEVICE_P256 } else { DEVICE };
    let passphrase_file = std::env::var_os(PASSPHRASE_FILE).map(PathBuf::from);
    let seed = opened(path, &file, purpose, passphrase_file.as_deref())?;
    SignerSecret::from_seed(algorithm(purpose), *seed)
        .ok_or_else(|| unusable(path, purpose, BadKeyFile::Form))
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
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

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

    /// In place, whole, private; the right passphrase alone brings it back.
    #[test]
    fn a_key_is_put_under_a_passphrase_and_taken_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let [path, right, wrong] = ["log.key", "right", "wrong"].map(|name| dir.path().join(name));
        for (file, text) in [(&right, "correct horse\n"), (&wrong, "battery\n")] {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(file).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        for purpose in [Purpose::Log, Purpose::Receipt] {
            let _ = fs::remove_file(&path);
            match purpose {
                Purpose::Receipt => create_on_p256(&path, purpose).map(|_| ()).unwrap(),
                _ => create(&path, purpose).map(|_| ()).unwrap(),
            }
            let (before, shown) = (fs::read(&path).unwrap(), show(&path).unwrap());
            assert_eq!(decrypt(&path, Some(&right)).unwrap_err().code, "key_clear");
            encrypt(&path, Some(&right)).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            let sealed = show(&path).unwrap();
            assert_eq!((&sealed.public, &sealed.key_id), (&shown.public, &shown.key_id));
            assert!(sealed.encrypted && !shown.encrypted);
            assert_eq!(encrypt(&path, Some(&right)).unwrap_err().code, "key_encrypted");
            assert_eq!(decrypt(&path, Some(&wrong)).unwrap_err().code, "bad_passphrase");
            decrypt(&path, Some(&right)).unwrap();
            assert_eq!(fs::read(&path).unwrap(), before);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left behind");
        }
    }

    /// OpenSSL opens what we seal, and finds the public key that we name.
    #[test]
    fn openssl_reads_an_encrypted_key() {
        let dir = tempfile::tempdir().unwrap();
        let [path, pass] = ["member.key", "pass"].map(|name| dir.path().join(name));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&pass).unwrap();
        file.write_all(b"correct horse\n").unwrap();
        let key = create(&path, Purpose::Member).unwrap();
        encrypt(&path, Some(&pass)).unwrap();
        let openssl = std::process::Command::new("openssl")
            .args(["pkey", "-pubout", "-outform", "DER", "-passin"])
            .arg(format!("file:{}", pass.display()))
            .arg("-in")
            .arg(&path)
            .output()
            .expect("openssl is installed");
        assert!(openssl.status.success(), "{}", String::from_utf8_lossy(&openssl.stderr));
        assert!(openssl.stdout.ends_with(key.public().as_bytes()));
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
