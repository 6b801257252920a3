//! Commitments: what an event says about a text without showing it (docs/spec/event.md, "Commitments").

use crate::digest::Digest;

/// Bytes of a salt. It is random, and nobody without it can try texts.
pub const SALT_BYTES: usize = 32;

/// What separates a commitment from every other hash of the same bytes.
const DOMAIN: &[u8] = b"consign/commitment/v1\0";

/// The digest that stands in an event for `content`. Whoever is shown content and salt compares it.
pub fn commitment(salt: &[u8; SALT_BYTES], content: &[u8]) -> Digest {
    Digest::of(&[DOMAIN, salt, content])
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    /// The example of the page: `printf 'consign/commitment/v1\0' | cat - salt content | sha256sum`.
    #[test]
    fn the_example_of_the_page_is_what_the_code_makes() {
        let salt = core::array::from_fn(|at| at as u8);
        let made = commitment(&salt, b"freight 1200 EUR, prepaid\n");
        assert_eq!(
            made.to_string(),
            "3be3c8cb3e350f9f860e0baadc2e83c271a984d8b235be4a9580abce6fa36ddd"
        );
        assert_ne!(commitment(&[0; SALT_BYTES], b"freight 1200 EUR, prepaid\n"), made);
    }
}
