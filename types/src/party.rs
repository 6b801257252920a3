//! Names of members and of their devices.
//!
//! A party's name is 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter. A device is named by
//! its member and a label of the same alphabet: `handler.dock7`. One text form, so text is identity.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

const NAME_BYTES_MAX: usize = 32;

/// A member of the network.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PartyId(String);

/// A device, or a member's own key where there is no label.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SignerId {
    party: PartyId,
    device: Option<String>,
}

/// A name outside the grammar of this module.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a name: 1 to 32 of a-z, 0-9 and '-', beginning with a letter")]
pub struct BadName(pub String);

fn check(text: &str) -> Result<(), BadName> {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    if (1..=NAME_BYTES_MAX).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(plain)
    {
        return Ok(());
    }
    // What came in may be long; what goes out is bounded.
    Err(BadName(text.chars().take(NAME_BYTES_MAX * 2 + 2).collect()))
}

impl PartyId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PartyId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        check(text)?;
        Ok(Self(text.to_string()))
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SignerId {
    /// The member's own key.
    pub const fn member(party: PartyId) -> Self {
        Self { party, device: None }
    }

    /// A device of `party`.
    ///
    /// # Errors
    /// When `label` is not a name.
    pub fn device(party: PartyId, label: &str) -> Result<Self, BadName> {
        check(label)?;
        Ok(Self { party, device: Some(label.to_string()) })
    }

    /// The member that answers for this signer.
    pub const fn party(&self) -> &PartyId {
        &self.party
    }

    /// What its member calls this device; none where it is a member's own key.
    pub fn label(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// Whether this is a member's own key rather than a device.
    pub const fn is_member(&self) -> bool {
        self.device.is_none()
    }
}

impl FromStr for SignerId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text.split_once('.') {
            None => Ok(Self::member(text.parse()?)),
            Some((party, label)) => Self::device(party.parse()?, label),
        }
    }
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            None => f.write_str(self.party.as_str()),
            Some(label) => write!(f, "{}.{label}", self.party),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_text_form() {
        for text in ["handler", "handler.dock7", "a", "a-1.b-2"] {
            assert_eq!(text.parse::<SignerId>().unwrap().to_string(), text);
        }
        assert!("handler".parse::<SignerId>().unwrap().is_member());
        assert!(!"handler.dock7".parse::<SignerId>().unwrap().is_member());
    }

    #[test]
    fn everything_else_is_no_name() {
        let long = "a".repeat(33);
        for text in ["", "Handler", "1a", "-a", "a b", "a.", ".a", "a.b.c", "ä", "a\n", &long] {
            assert!(text.parse::<SignerId>().is_err(), "{text:?}");
        }
    }
}
