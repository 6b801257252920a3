//! What a caller may do: five scopes, one of which each method and each plain route belongs to.

use std::fmt;
use std::str::FromStr;

/// What a method is for, and what a token allows.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// Health, checkpoints, proofs of growth: for everybody, always. Evidence that cannot be fetched is none.
    Public,
    /// What the record holds: units, events, passports, devices, evidence, subscriptions.
    Read,
    /// Handing events and evidence in.
    Submit,
    /// The node's figures.
    Metrics,
    /// The operator's own methods: on the Unix socket alone, which no token replaces.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Public, Self::Read, Self::Submit, Self::Metrics, Self::Admin];

    /// Those that a token can carry: `public` needs none, and `admin` is not for sale.
    pub const OF_TOKENS: [Self; 3] = [Self::Read, Self::Submit, Self::Metrics];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no scope of a token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no scope of a token; the scopes are read, submit, metrics")]
pub struct BadScope(String);

/// Reads a scope that a token can carry.
impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        let named = Self::OF_TOKENS.into_iter().find(|scope| scope.as_str() == text);
        named.ok_or_else(|| BadScope(text.chars().take(64).collect()))
    }
}
