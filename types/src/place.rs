//! Places, as GS1 Global Location Numbers in Digital Link form: `414/<13 digits>`.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::unit::gs1_check_digit;

/// A place with a Global Location Number.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place(String);

/// Text that is not `414/` and 13 digits with the right check digit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a place: expected 414/<13 digits> with a GS1 check digit")]
pub struct BadPlace(pub String);

impl Place {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The place with this number but for its check digit, which is computed.
    ///
    /// # Errors
    /// When `body` is not 12 digits.
    pub fn gln(body: &str) -> Result<Self, BadPlace> {
        if body.len() != 12 || !body.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadPlace(body.chars().take(20).collect()));
        }
        Ok(Self(alloc::format!("414/{body}{}", gs1_check_digit(body))))
    }
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let number = text.strip_prefix("414/").filter(|n| n.len() == 13);
        match number.map(|n| (n, n.get(..12).map(Self::gln))) {
            Some((_, Some(Ok(place)))) if place.0 == text => Ok(place),
            _ => Err(BadPlace(text.chars().take(20).collect())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_gln_with_its_check_digit() {
        let place: Place = "414/9521321000018".parse().unwrap();
        assert_eq!(Place::gln("952132100001"), Ok(place));
        for text in
            ["414/9521321000019", "414/952132100001", "9521321000018", "414/952132100001ä", ""]
        {
            assert!(text.parse::<Place>().is_err(), "{text:?}");
        }
    }
}
