//! Bearer tokens: a secret that its holder shows, and the digest by which a node knows it.
//!
//! A secret is 256 random bits, so SHA-256 alone hides it: there is nothing to guess. It is printed once,
//! when it is made, and stands in no file of a node.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use consign_types::digest::Digest;
use consign_types::time::Millis;
use zeroize::Zeroizing;

use crate::scope::Scope;

/// How every secret begins, so that whoever searches for leaked secrets finds it.
const PREFIX: &str = "consign_";

/// Characters of a secret: the prefix, and 32 bytes in base64url.
const SECRET_CHARS: usize = PREFIX.len() + 43;

/// Tokens that one node knows.
pub const TOKENS_MAX: usize = 1_000;

/// Characters of the name of a token.
pub const TOKEN_NAME_CHARS_MAX: usize = 64;

/// What the holder of a token shows. Never printed but by [`Secret::reveal`].
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret of these random bytes.
    pub fn of(random: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(SECRET_CHARS));
        text.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(random, &mut text);
        Self(text)
    }

    /// The secret of this text; none where it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX).filter(|_| text.len() == SECRET_CHARS)?;
        let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(random).ok()?);
        (bytes.len() == 32).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text, for who must show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// By which a node knows it: SHA-256 of the text.
    pub fn digest(&self) -> Digest {
        Digest::of(&[self.0.as_bytes()])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A token as a node knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Whose it is, for the operator and for logs.
    pub name: String,
    /// SHA-256 of its secret.
    pub sha256: Digest,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The first instant at which it allows nothing any more; none where it has no end.
    pub until: Option<Millis>,
}

/// Whether `name` names a token: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-`, `_` and `.`.
pub fn is_token_name(name: &str) -> bool {
    (1..=TOKEN_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl Token {
    /// Its table in the file of tokens.
    pub fn to_toml(&self) -> String {
        let scopes: Vec<String> = self.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
        let until = self.until.map(|until| format!("until = {until}\n")).unwrap_or_default();
        format!(
            "[[token]]\nname = \"{}\"\nsha256 = \"{}\"\nscopes = [{}]\n{until}",
            self.name,
            self.sha256,
            scopes.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_printed_and_shown_nowhere_else() {
        let secret = Secret::of(&[7; 32]);
        assert_eq!(secret.reveal(), "consign_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        assert_eq!(Secret::parse(secret.reveal()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        for other in ["", "consign_", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"] {
            assert_eq!(Secret::parse(other), None, "{other:?}");
        }
        assert_eq!(Secret::parse(&format!("{} ", secret.reveal())), None);
    }

    #[test]
    fn the_table_of_a_token_has_no_secret() {
        let secret = Secret::of(&[7; 32]);
        let token = Token {
            name: "portal".to_owned(),
            sha256: secret.digest(),
            scopes: vec![Scope::Read, Scope::Metrics],
            until: Some(Millis(1_798_675_200_000)),
        };
        assert_eq!(
            token.to_toml(),
            format!(
                "[[token]]\nname = \"portal\"\nsha256 = \"{}\"\nscopes = [\"read\", \"metrics\"]\n\
                 until = 2026-12-31T00:00:00.000Z\n",
                secret.digest()
            )
        );
        assert!(!token.to_toml().contains(secret.reveal()));
    }
}
