//! Numbers of units: whatever has a number and can be held.
//!
//! GS1 keys in Digital Link path form, UPU S10 items, ISO 6346 containers, and a carrier's own numbers.
//! Check digits are verified when text becomes a [`UnitId`], so a mistyped number never reaches the
//! ledger. One canonical text form; two texts that differ are two units.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use crate::party::PartyId;

/// Longest canonical form: `trk/<32>/<30>`, with room to spare.
pub const UNIT_ID_BYTES_MAX: usize = 72;

/// The number of a unit, in canonical text form.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnitId(String);

/// What a number numbers; an enrolment may be limited to classes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum UnitClass {
    /// `00/<SSCC>`: a logistic unit (GS1).
    Sscc,
    /// `01/<GTIN>/21/<serial>`: a serialised trade item (GS1).
    Sgtin,
    /// `s10/<13 characters>`: a postal item (UPU S10).
    S10,
    /// `bic/<11 characters>`: a freight container (ISO 6346).
    Bic,
    /// `trk/<member>/<number>`: a number of a member's own.
    Own,
}

impl UnitClass {
    /// All classes, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Sscc, Self::Sgtin, Self::S10, Self::Bic, Self::Own];

    /// The prefix of the text form, and the name of the class.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Sscc => "00",
            Self::Sgtin => "01",
            Self::S10 => "s10",
            Self::Bic => "bic",
            Self::Own => "trk",
        }
    }

    /// The class with this prefix.
    pub fn from_prefix(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.prefix() == prefix)
    }
}

/// Text that is not the canonical form of a unit's number.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadUnit {
    /// None of the known forms.
    #[error(
        "{0:?} is not a unit number: expected 00/<SSCC>, 01/<GTIN>/21/<serial>, s10/<13 characters>, \
         bic/<11 characters> or trk/<member>/<number>"
    )]
    Form(String),
    /// A form that is known, whose check digit is wrong.
    #[error("{number:?} ends in check digit {found}, it should be {expected}")]
    CheckDigit {
        /// The number.
        number: String,
        /// The digit that stands there.
        found: char,
        /// The digit that belongs there.
        expected: char,
    },
}

impl UnitId {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The class that the prefix tells.
    pub fn class(&self) -> UnitClass {
        let prefix = self.0.split('/').next().unwrap_or_default();
        UnitClass::from_prefix(prefix).unwrap_or(UnitClass::Own)
    }

    /// Whose own number it is; `None` for a number that an organisation above the members assigned.
    pub fn member(&self) -> Option<PartyId> {
        let (member, _) = self.0.strip_prefix("trk/")?.split_once('/')?;
        member.parse().ok()
    }

    /// The logistic unit with this SSCC but for its check digit, which is computed.
    ///
    /// # Errors
    /// When `body` is not 17 digits.
    pub fn sscc(body: &str) -> Result<Self, BadUnit> {
        if body.len() != 17 || !all(body, u8::is_ascii_digit) {
            return Err(BadUnit::Form(bounded(body)));
        }
        Ok(Self(alloc::format!("00/{body}{}", gs1_check_digit(body))))
    }
}

impl FromStr for UnitId {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        if text.len() <= UNIT_ID_BYTES_MAX && check(text)? {
            return Ok(Self(text.to_string()));
        }
        Err(BadUnit::Form(bounded(text)))
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` has one of the forms; an error where only the check digit is wrong.
fn check(text: &str) -> Result<bool, BadUnit> {
    let Some((prefix, rest)) = text.split_once('/') else { return Ok(false) };
    Ok(match prefix {
        "00" if rest.len() == 18 && all(rest, u8::is_ascii_digit) => {
            expect_last(rest, gs1_check_digit(&rest[..17]))?
        }
        "01" => match rest.split_once("/21/") {
            Some((gtin, serial))
                if gtin.len() == 14
                    && all(gtin, u8::is_ascii_digit)
                    && (1..=20).contains(&serial.len())
                    && all(serial, is_serial) =>
            {
                expect_last(gtin, gs1_check_digit(&gtin[..13]))?
            }
            _ => false,
        },
        "s10" if is_s10(rest) => {
            let expected = s10_check_digit(&rest[2..10]);
            expect_at(rest, 10, expected)?
        }
        "bic" if is_bic(rest) => expect_last(rest, bic_check_digit(&rest[..10]))?,
        "trk" => rest.split_once('/').is_some_and(|(member, number)| {
            member.parse::<PartyId>().is_ok()
                && (1..=30).contains(&number.len())
                && all(number, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'-')
        }),
        _ => false,
    })
}

fn expect_last(number: &str, expected: char) -> Result<bool, BadUnit> {
    expect_at(number, number.len() - 1, expected)
}

fn expect_at(number: &str, at: usize, expected: char) -> Result<bool, BadUnit> {
    match number.as_bytes().get(at).map(|b| char::from(*b)) {
        Some(found) if found == expected => Ok(true),
        Some(found) => Err(BadUnit::CheckDigit { number: number.to_string(), found, expected }),
        None => Ok(false),
    }
}

fn all(text: &str, test: impl Fn(&u8) -> bool) -> bool {
    text.as_bytes().iter().all(test)
}

/// What came in may be long; what goes out is bounded.
fn bounded(text: &str) -> String {
    text.chars().take(UNIT_ID_BYTES_MAX).collect()
}

/// GS1 serials are of character set 82; those that need no escaping in a path are taken.
fn is_serial(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')
}

/// Modulo 10, weights 3 and 1 from the right (GS1 General Specifications, 7.9.1).
pub(crate) fn gs1_check_digit(body: &str) -> char {
    let weighted =
        |(i, b): (usize, u8)| u32::from(b - b'0') * if i.is_multiple_of(2) { 3 } else { 1 };
    let sum: u32 = body.bytes().rev().enumerate().map(weighted).sum();
    digit((10 - sum % 10) % 10)
}

/// Two letters, nine digits, two letters of the country.
fn is_s10(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 13
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..11].iter().all(u8::is_ascii_digit)
        && bytes[11..].iter().all(u8::is_ascii_uppercase)
}

/// Modulo 11 over eight digits (UPU S10, 6.2.4): 10 becomes 0 and 11 becomes 5.
fn s10_check_digit(serial: &str) -> char {
    const WEIGHTS: [u32; 8] = [8, 6, 4, 2, 3, 5, 9, 7];
    let sum: u32 = serial.bytes().zip(WEIGHTS).map(|(b, w)| u32::from(b - b'0') * w).sum();
    match 11 - sum % 11 {
        10 => '0',
        11 => '5',
        d => digit(d),
    }
}

/// Owner code of three letters, category U, J or Z, six digits and a check digit.
fn is_bic(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 11
        && bytes[..3].iter().all(u8::is_ascii_uppercase)
        && matches!(bytes[3], b'U' | b'J' | b'Z')
        && bytes[4..].iter().all(u8::is_ascii_digit)
}

/// Weights 2^i, letters 10..38 without multiples of 11, modulo 11, 10 becomes 0 (ISO 6346, annex A).
fn bic_check_digit(body: &str) -> char {
    let value = |b: u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        // 10 for A, skipping 11, 22 and 33.
        _ => {
            let n = u32::from(b - b'A');
            10 + n + n.div_ceil(10)
        }
    };
    let sum: u32 = body.bytes().enumerate().map(|(i, b)| value(b) << i).sum();
    digit(sum % 11 % 10)
}

fn digit(d: u32) -> char {
    char::from_digit(d, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_numbers_are_accepted() {
        for text in [
            "00/106141412345678908",    // GS1 General Specifications
            "01/09521234543213/21/A-1", // GS1 demonstration prefix
            "s10/RB123456785GB",
            "bic/CSQU3054383", // ISO 6346, annex A
            "bic/TOLU4734787",
            "trk/handler/AWB-020-12345675",
        ] {
            let unit: UnitId = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(unit.to_string(), text);
            assert!(text.starts_with(unit.class().prefix()));
        }
        assert_eq!(UnitId::sscc("10614141234567890").unwrap().as_str(), "00/106141412345678908");
    }

    #[test]
    fn a_members_own_number_names_the_member() {
        let member = |text: &str| text.parse::<UnitId>().unwrap().member();
        assert_eq!(member("trk/handler/AWB-020-12345675"), Some("handler".parse().unwrap()));
        for text in ["00/106141412345678908", "01/09521234543213/21/A-1", "bic/CSQU3054383"] {
            assert_eq!(member(text), None, "{text}");
        }
    }

    /// GS1's modulo 10 catches every single altered digit. (Modulo 11 with 10 folded to 0, as S10 and
    /// ISO 6346 have it, does not catch all.)
    #[test]
    fn one_altered_digit_of_an_sscc_is_a_wrong_check_digit() {
        for text in ["00/106141412345678908"] {
            let start = text.find('/').unwrap() + 1;
            for at in (start..text.len()).filter(|at| text.as_bytes()[*at].is_ascii_digit()) {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = if bytes[at] == b'9' { b'0' } else { bytes[at] + 1 };
                let altered = core::str::from_utf8(&bytes).unwrap();
                assert!(
                    matches!(altered.parse::<UnitId>(), Err(BadUnit::CheckDigit { .. })),
                    "{altered}"
                );
            }
        }
    }

    #[test]
    fn everything_else_has_no_form() {
        let long = alloc::format!("trk/handler/{}", "A".repeat(31));
        for text in [
            "",
            "00",
            "00/",
            "00/10614141234567890",
            "00/10614141234567890a",
            "s10/rb123456785gb",
            "bic/CSQA3054383",
            "trk/Handler/A",
            "trk/handler/",
            "trk/handler/a",
            &long,
            "02/1",
            "01/09521234543213",
            "01/09521234543213/21/",
            "01/09521234543213/21/a b",
            "ß/1",
        ] {
            assert!(matches!(text.parse::<UnitId>(), Err(BadUnit::Form(_))), "{text:?}");
        }
    }
}
