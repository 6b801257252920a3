//! Flags: what people ask of a unit's history, each provably so or provably not.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// What is true of a unit's history; what is not in the set is proven not to be.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Flag { $($(#[$doc])* $name,)* }

        impl Flag {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

flags! {
    /// There was an excursion, of the unit or around it.
    Excursion "excursion",
    /// One is open.
    ExcursionOpen "excursion-open",
    /// An authority held it, or what it was in.
    Hold "hold",
    /// A hold stands.
    HoldStanding "hold-standing",
    /// A seal was broken.
    SealBroken "seal-broken",
    /// Something was wrong.
    Exception "exception",
    /// It departed from another place than the one of its arrival.
    Discontinuity "discontinuity",
    /// Readings of a sensor are missing.
    ReadingGap "reading-gap",
    /// It is damaged, or what it is in.
    Damaged "damaged",
    /// Two parties claim it.
    Contested "contested",
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Flag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|flag| flag.as_str() == text);
        found.ok_or_else(|| {
            let names: alloc::vec::Vec<_> = Self::ALL.iter().map(|flag| flag.as_str()).collect();
            format!("no such flag; there are {}", names.join(", "))
        })
    }
}
