//! The file of tokens: TOML, mode 0600, each token by its SHA-256. The secrets are not in it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use consign_rpc::scope::Scope;
use consign_rpc::token::{TOKEN_NAME_CHARS_MAX, TOKENS_MAX, Token, is_token_name};
use consign_types::digest::Digest;
use consign_types::time::Millis;
use serde::Deserialize;
use toml::value::{Datetime, Offset};

/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read tokens file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it, or write it, which is worse.
    #[error("tokens file {path} has mode {mode:04o}; nobody else may read or write it")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It has another form.
    #[error("tokens file {path}: {why}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong; never a line of the file.
        why: String,
    },
}

impl TokensError {
    /// What to change.
    pub fn mend(&self) -> String {
        match self {
            Self::Read { .. } => "name the file that `consign token new --into` wrote".to_owned(),
            Self::Mode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Form { .. } => {
                "mend it, or make it anew with `consign token new --into`".to_owned()
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
    scopes: Vec<String>,
    until: Option<Datetime>,
}

/// The tokens in the file at `path`.
///
/// # Errors
/// When it cannot be read, others may read or write it, or it has another form.
pub fn read_tokens(path: &Path) -> Result<Vec<Token>, TokensError> {
    let failed = |source| TokensError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokensError::Mode { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    tokens(&text).map_err(|why| TokensError::Form { path: path.to_owned(), why })
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err("it is above 1 MiB".to_owned());
    }
    let document: Document = toml::from_str(text).map_err(|e| e.message().replace('\n', ", "))?;
    if document.token.len() > TOKENS_MAX {
        return Err(format!("it has more than {TOKENS_MAX} tokens"));
    }
    let (mut names, mut digests) = (BTreeSet::new(), BTreeSet::new());
    let mut tokens = Vec::new();
    for (entry, place) in document.token.into_iter().zip(1..) {
        let token = token(entry).map_err(|why| format!("token {place}: {why}"))?;
        if !names.insert(token.name.clone()) {
            return Err(format!("token {place}: the name {:?} stands twice", token.name));
        }
        if !digests.insert(token.sha256) {
            return Err(format!("token {place}: its sha256 stands twice"));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

fn token(entry: Entry) -> Result<Token, String> {
    if !is_token_name(&entry.name) {
        let most = TOKEN_NAME_CHARS_MAX;
        return Err(format!("a name has 1 to {most} of a-z, A-Z, 0-9, '-', '_' and '.'"));
    }
    let sha256: Digest = entry.sha256.parse().map_err(|e| format!("sha256: {e}"))?;
    let scopes: Result<BTreeSet<Scope>, _> = entry.scopes.iter().map(|text| text.parse()).collect();
    let scopes: Vec<Scope> = scopes.map_err(|e| e.to_string())?.into_iter().collect();
    if scopes.is_empty() {
        return Err("it has no scope".to_owned());
    }
    let until = entry
        .until
        .map(|until| instant(&until).ok_or("until is no time in UTC: write 2027-01-01T00:00:00Z"));
    Ok(Token { name: entry.name, sha256, scopes, until: until.transpose()? })
}

/// Milliseconds since 1970 of a date with a time in UTC.
fn instant(at: &Datetime) -> Option<Millis> {
    let (date, time) = (at.date?, at.time?);
    if at.offset != Some(Offset::Z) || date.year < 1970 {
        return None;
    }
    // Days from civil (Hinnant), for years from 1970 on: March is the first month.
    let (year, month) = (u64::from(date.year), u64::from(date.month));
    let year = if month <= 2 { year - 1 } else { year };
    let day = (153 * ((month + 9) % 12) + 2) / 5 + u64::from(date.day) - 1;
    let (era, of_era) = (year / 400, year % 400);
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719_468;
    let clock = u64::from(time.hour) * 3_600
        + u64::from(time.minute) * 60
        + u64::from(time.second.unwrap_or(0));
    let ms = u64::from(time.nanosecond.unwrap_or(0)) / 1_000_000;
    Some(Millis((days * 86_400 + clock) * 1_000 + ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "23f32d6e6c2d4f8e8b3e4c9b1f0a5d7c6b8a90123456789abcdef0123456789a";

    fn file(scopes: &str, more: &str) -> String {
        format!("[[token]]\nname = \"portal\"\nsha256 = \"{SHA}\"\nscopes = {scopes}\n{more}")
    }

    #[test]
    fn a_file_is_read_as_tokens_are_written() {
        assert_eq!(tokens(""), Ok(vec![]));
        for ms in [0, 951_782_400_000, 1_798_675_200_123, 4_102_444_800_000] {
            let token = Token {
                name: "portal".to_owned(),
                sha256: SHA.parse().unwrap(),
                scopes: vec![Scope::Read, Scope::Submit, Scope::Metrics],
                until: Some(Millis(ms)),
            };
            assert_eq!(tokens(&token.to_toml()), Ok(vec![token]));
        }
    }

    #[test]
    fn a_file_of_another_form_is_refused_with_its_reason_and_without_its_text() {
        let rows = [
            (file("[]", ""), "token 1: it has no scope"),
            (
                file("[\"admin\"]", ""),
                "token 1: \"admin\" is no scope of a token; the scopes are read, submit, metrics",
            ),
            (
                file("[\"public\"]", ""),
                "token 1: \"public\" is no scope of a token; the scopes are read, submit, metrics",
            ),
            (
                file("[\"read\"]", "until = 2027-01-01"),
                "token 1: until is no time in UTC: write 2027-01-01T00:00:00Z",
            ),
            (
                file("[\"read\"]", "until = 2027-01-01T00:00:00+01:00"),
                "token 1: until is no time in UTC: write 2027-01-01T00:00:00Z",
            ),
            (
                file("[\"read\"]", &file("[\"read\"]", "")),
                "token 2: the name \"portal\" stands twice",
            ),
            (
                file("[\"read\"]", &file("[\"read\"]", "").replace("portal", "other")),
                "token 2: its sha256 stands twice",
            ),
            (
                file("[\"read\"]", "").replace("portal", "a b"),
                "token 1: a name has 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'",
            ),
            (
                file("[\"read\"]", "").replace(SHA, "canary"),
                "token 1: sha256: expected 64 lower-case hexadecimal digits",
            ),
        ];
        for (text, why) in rows {
            assert_eq!(tokens(&text), Err(why.to_owned()), "{text}");
        }
        for text in ["secret = \"canary\"", "[[token]]\ncanary = canary", "canary"] {
            assert!(tokens(text).is_err(), "{text}");
        }
        let many: String =
            (0..=TOKENS_MAX).map(|_| "[[token]]\nname=\"a\"\nsha256=\"\"\nscopes=[]\n").collect();
        assert_eq!(tokens(&many), Err("it has more than 1000 tokens".to_owned()));
    }
}
