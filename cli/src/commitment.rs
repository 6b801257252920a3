//! `consign commitment`: what stands in an event for a text that travels outside of it, made and checked.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use consign_types::commitment::{SALT_BYTES, commitment};
use consign_types::digest::{Digest, decode_hex, encode_hex};
use serde::Serialize;

use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};

/// Content that one commitment is made over, bytes.
const CONTENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// `consign commitment`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the salted digest of a file, for --terms, --evidence, --right or a factor of an event
    Make(MakeArgs),
    /// Check that a file is what an event was about
    Check(CheckArgs),
}

/// `consign commitment make`.
#[derive(Args, Debug)]
pub struct MakeArgs {
    /// What the event is about and does not show
    file: PathBuf,
    /// File to write the salt to, which must not be there; FILE.salt where absent. Who is to check needs it
    #[arg(long, value_name = "FILE")]
    salt: Option<PathBuf>,
}

/// `consign commitment check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// What is said to be what the event is about
    file: PathBuf,
    /// The salt that it was made with; FILE.salt where absent
    #[arg(long, value_name = "FILE")]
    salt: Option<PathBuf>,
    /// The digest in the event
    #[arg(long, value_name = "HEX")]
    is: Digest,
}

/// Carries out `consign commitment`.
///
/// # Errors
/// When a file cannot be read or written, or it is not what the digest was made of.
pub fn run(console: &Console, command: Command) -> Result<(), Failure> {
    match command {
        Command::Make(args) => make(console, args),
        Command::Check(args) => check(console, args),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    commitment: String,
    salt: PathBuf,
}

impl Report for Made {
    /// The digest alone: it goes into another command.
    fn text(&self) -> String {
        self.commitment.clone()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Matches {
    file: PathBuf,
    commitment: String,
}

impl Report for Matches {
    fn text(&self) -> String {
        format!("{} is what {} was made of", self.file.display(), self.commitment)
    }
}

fn make(console: &Console, MakeArgs { file, salt: path }: MakeArgs) -> Result<(), Failure> {
    let content = content_of(&file)?;
    let path = path.unwrap_or_else(|| salt_beside(&file));
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|e| {
        Failure::operational("no_randomness", format!("no random salt: {e}"), "try again")
    })?;
    let mut out =
        OpenOptions::new().write(true).create_new(true).open(&path).map_err(|e| {
            match e.kind() {
                ErrorKind::AlreadyExists => salt_exists(&path),
                _ => Failure::file("create", &path, e),
            }
        })?;
    writeln!(out, "{}", encode_hex(&salt))
        .and_then(|()| out.sync_all())
        .map_err(|e| Failure::file("write", &path, e))?;
    let made = Made { commitment: commitment(&salt, &content).to_string(), salt: path };
    let (file, salt) = (file.display(), made.salt.display());
    console.note(format!("keep {file} and {salt}; whoever is to check gets both"));
    console.result(&made)
}

/// Without it nobody can check what it was made for.
fn salt_exists(path: &Path) -> Failure {
    let message =
        format!("{} is there already, the salt of a commitment made before", path.display());
    Failure::usage("salt_exists", message, "keep it, and name another file with --salt")
}

fn check(console: &Console, CheckArgs { file, salt, is }: CheckArgs) -> Result<(), Failure> {
    let content = content_of(&file)?;
    let path = salt.unwrap_or_else(|| salt_beside(&file));
    let salt = salt_in(&path)?;
    let made = commitment(&salt, &content);
    if made != is {
        let message = format!(
            "{} with the salt in {} makes {made}, not {is}",
            file.display(),
            path.display()
        );
        let help = "ask whoever signed the event for the file, byte by byte, and for its salt";
        return Err(Failure::new(Exit::Integrity, "other_content", message, help));
    }
    console.result(&Matches { file, commitment: is.to_string() })
}

fn content_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let mut file =
        File::open(path).map_err(|e| Failure::file("read", path, e))?.take(CONTENT_BYTES_MAX + 1);
    file.read_to_end(&mut content).map_err(|e| Failure::file("read", path, e))?;
    if content.len() as u64 > CONTENT_BYTES_MAX {
        let message = format!("{} has more than {CONTENT_BYTES_MAX} bytes", path.display());
        let help = "commit to a file that lists the SHA-256 of each part";
        return Err(Failure::usage("too_large", message, help));
    }
    Ok(content)
}

fn salt_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".salt");
    PathBuf::from(name)
}

fn salt_in(path: &Path) -> Result<[u8; SALT_BYTES], Failure> {
    let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?;
    let salt = decode_hex(text.trim()).and_then(|bytes| bytes.try_into().ok());
    salt.ok_or_else(|| {
        let message = format!("{} is no salt of {SALT_BYTES} bytes in hexadecimal", path.display());
        Failure::usage("bad_salt", message, "name the file that `consign commitment make` wrote")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Format;

    #[test]
    fn what_was_made_is_checked_and_anything_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("terms.txt");
        fs::write(&file, "freight 1200 EUR, prepaid\n").unwrap();
        let console = Console::new(Format::Text, true);
        make(&console, MakeArgs { file: file.clone(), salt: None }).unwrap();
        let salt = salt_in(&dir.path().join("terms.txt.salt")).unwrap();
        let is = commitment(&salt, b"freight 1200 EUR, prepaid\n");
        let args = || CheckArgs { file: file.clone(), salt: None, is };
        assert_eq!(check(&console, args()), Ok(()));

        // A salt that is there belongs to a commitment that somebody counts on.
        let again = make(&console, MakeArgs { file: file.clone(), salt: None });
        assert_eq!(again.map_err(|failure| failure.code), Err("salt_exists".to_owned()));
        assert_eq!(salt_in(&dir.path().join("terms.txt.salt")).unwrap(), salt);

        fs::write(&file, "freight 1300 EUR, prepaid\n").unwrap();
        let failure = check(&console, args()).unwrap_err();
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Integrity, "other_content"));
        fs::write(dir.path().join("terms.txt.salt"), "00").unwrap();
        assert_eq!(check(&console, args()).unwrap_err().code, "bad_salt");
    }
}
