//! Values that only stand inside of events.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use crate::codec::{DecodeError, Infallible as _, Reader, Writer};
use crate::limits::LABEL_BYTES_MAX;
use crate::time::Millis;

/// Free but bounded identifying text: a seal id, a conveyance. Printable ASCII without spaces.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label(String);

/// Text that is not 1 to 35 printable ASCII characters without spaces.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a label: 1 to {LABEL_BYTES_MAX} printable ASCII characters without spaces")]
pub struct BadLabel(pub String);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = BadLabel;

    fn from_str(text: &str) -> Result<Self, BadLabel> {
        if (1..=LABEL_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        {
            Ok(Self(text.to_string()))
        } else {
            Err(BadLabel(text.chars().take(LABEL_BYTES_MAX + 5).collect()))
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! coded {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)* }

        impl $name {
            /// All values, by ascending code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number that stands for this on the wire.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value with this code.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.code() == code)
            }

            /// The name in text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Writes the code.
            pub(crate) fn write(self, to: &mut Writer<'_>) {
                to.u8(self.code()).sure();
            }

            /// Reads a code.
            pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let code = from.u8()?;
                Self::from_code(code)
                    .ok_or_else(|| from.error(alloc::format!(concat!("no ", stringify!($name), " has code {}"), code)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
                    .ok_or_else(|| alloc::format!(concat!("{:?} is not a ", stringify!($name)), text.chars().take(40).collect::<String>()))
            }
        }
    )*};
}

coded! {
    /// How a unit looks to the one who takes it over.
    Condition {
        /// As it should be.
        Sound = 0 "sound",
        /// Damaged.
        Damaged = 1 "damaged",
    }

    /// What was wrong.
    ExceptionCode {
        /// Fewer pieces than the offer says.
        Shortage = 1 "shortage",
        /// More pieces than the offer says.
        Overage = 2 "overage",
        /// Damaged.
        Damage = 3 "damage",
        /// Seals differ from those on record.
        SealMismatch = 4 "seal-mismatch",
        /// Wet.
        Wet = 5 "wet",
        /// Documents missing.
        Documents = 6 "documents",
        /// Held up by customs.
        Customs = 7 "customs",
        /// Misrouted.
        Misrouted = 8 "misrouted",
        /// Anything else; the evidence tells.
        Other = 15 "other",
    }

    /// Why something was refused, held or did not succeed.
    Reason {
        /// The unit is damaged.
        Damaged = 1 "damaged",
        /// The documents do not match.
        Documents = 2 "documents",
        /// It was not expected here.
        NotExpected = 3 "not-expected",
        /// Nobody was there.
        NobodyThere = 4 "nobody-there",
        /// No access.
        NoAccess = 5 "no-access",
        /// Customs.
        Customs = 6 "customs",
        /// Quality.
        Quality = 7 "quality",
        /// Security.
        Security = 8 "security",
        /// The receiver would not take it.
        Declined = 9 "declined",
        /// Anything else.
        Other = 15 "other",
    }

    /// How an excursion ended, by authority.
    Verdict {
        /// No harm done.
        Sound = 0 "sound",
        /// The goods are damaged.
        Damaged = 1 "damaged",
    }

    /// What was wrong with an event.
    Fix {
        /// It did not happen.
        DidNotOccur = 1 "did-not-occur",
        /// It happened at another time.
        Time = 2 "time",
        /// It happened at another place.
        Place = 3 "place",
        /// Another number of pieces.
        Count = 4 "count",
        /// Other seals.
        Seals = 5 "seals",
        /// The unit was in another condition.
        Condition = 6 "condition",
        /// Anything else that it says.
        Other = 15 "other",
    }

    /// What proves a delivery to somebody who has no key.
    DeliveryFactor {
        /// A signature on glass.
        Signature = 0 "signature",
        /// A photograph.
        Photo = 1 "photo",
        /// A one-time code.
        Code = 2 "code",
        /// An identity document was shown.
        Identity = 3 "identity",
        /// Left in a locker.
        Locker = 4 "locker",
    }
}

/// A set of delivery factors; one bit for each code.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FactorSet(u8);

impl FactorSet {
    /// Every factor there is.
    const KNOWN: u8 = 0b1_1111;

    /// The set of these.
    pub fn of(factors: &[DeliveryFactor]) -> Self {
        Self(factors.iter().fold(0, |bits, factor| bits | 1 << factor.code()))
    }

    /// A set from its bits; `None` where a bit stands for nothing.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::KNOWN == 0 { Some(Self(bits)) } else { None }
    }

    /// One bit for each code.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every factor of `other` is in this set.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Its members, by ascending code.
    pub fn iter(self) -> impl Iterator<Item = DeliveryFactor> {
        DeliveryFactor::ALL.iter().copied().filter(move |f| self.0 >> f.code() & 1 == 1)
    }
}

/// A span of time, both ends included; device time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// Begin.
    pub from: Millis,
    /// End; not before `from`.
    pub to: Millis,
}

impl Window {
    pub(crate) fn write(&self, to: &mut Writer<'_>) {
        to.array(2).sure().u64(self.from.0).sure().u64(self.to.0).sure();
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(2)?;
        let window = Self { from: Millis(from.u64()?), to: Millis(from.u64()?) };
        if window.to < window.from {
            return Err(from.error("a window that ends before it begins"));
        }
        Ok(window)
    }
}
