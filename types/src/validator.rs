//! Validator sets and quorum arithmetic.
//!
//! One vote for each validator; a quorum is `floor(2n/3) + 1` of `n`, which any
//! `f = floor((n-1)/3)` faulty ones can neither reach nor block alone.

use alloc::vec::Vec;

use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{Digest, SetHash};
use crate::key::PublicKey;
use crate::limits::VALIDATORS_MAX;
use crate::party::PartyId;

/// Position of a validator in its set.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ValidatorIndex(pub u16);

/// One validator: everything that speaks for it, bound together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validator {
    /// The member whose node this is.
    pub party: PartyId,
    /// Signs proposals and votes.
    pub consensus_key: PublicKey,
    /// Cosigns checkpoints.
    pub cosigner_key: PublicKey,
    /// Ed25519 key of the node's libp2p identity; the peer id is derived from it.
    pub network_key: PublicKey,
}

/// The validators in force at a height, in the order of their indices.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValidatorSet(Vec<Validator>);

/// How many of `n` may be faulty without harm: `floor((n-1)/3)`.
pub const fn faults(n: usize) -> usize {
    n.saturating_sub(1) / 3
}

/// How many of `n` must agree: `floor(2n/3) + 1`.
pub const fn quorum(n: usize) -> usize {
    2 * n / 3 + 1
}

/// Whether `n` validators survive no faulty one: they are fewer than four.
pub const fn is_few(n: usize) -> bool {
    faults(n) == 0
}

/// Entries that do not make a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSet {
    /// No validator, or more than [`VALIDATORS_MAX`].
    #[error("a validator set has 1 to {VALIDATORS_MAX} entries")]
    Size,
    /// A key or party that stands in two places.
    #[error("a party or key appears twice in the validator set")]
    Repeated,
}

impl ValidatorSet {
    /// A set of these validators.
    ///
    /// # Errors
    /// When there are none or too many, or when a party or a key stands in it twice.
    pub fn new(validators: Vec<Validator>) -> Result<Self, BadSet> {
        if validators.is_empty() || validators.len() > VALIDATORS_MAX {
            return Err(BadSet::Size);
        }
        let mut parties: Vec<_> = validators.iter().map(|v| &v.party).collect();
        let mut keys: Vec<_> = validators
            .iter()
            .flat_map(|v| [v.consensus_key, v.cosigner_key, v.network_key])
            .collect();
        parties.sort_unstable();
        keys.sort_unstable();
        let twice =
            parties.windows(2).any(|w| w[0] == w[1]) || keys.windows(2).any(|w| w[0] == w[1]);
        if twice { Err(BadSet::Repeated) } else { Ok(Self(validators)) }
    }

    /// The entries in order of their indices.
    pub fn validators(&self) -> &[Validator] {
        &self.0
    }

    /// Number of validators; never zero.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The validator at `index`.
    pub fn get(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.0.get(usize::from(index.0))
    }

    /// The position of the validator with this consensus key.
    pub fn index_of(&self, consensus_key: &PublicKey) -> Option<ValidatorIndex> {
        let at = self.0.iter().position(|v| v.consensus_key == *consensus_key)?;
        Some(ValidatorIndex(at as u16))
    }

    /// How many may be faulty without harm: `floor((n-1)/3)`.
    pub const fn faults(&self) -> usize {
        faults(self.0.len())
    }

    /// How many must agree: `floor(2n/3) + 1`.
    pub const fn quorum(&self) -> usize {
        quorum(self.0.len())
    }

    /// What names this set in a block record.
    pub fn hash(&self) -> SetHash {
        SetHash(Digest::of(&[b"consign/validator-set/v1\0", &self.to_bytes()]))
    }
}

impl Canonical for ValidatorSet {
    const WHAT: &'static str = "validator set";
    const BYTES_MAX: usize = VALIDATORS_MAX * 160;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(self.0.len() as u64).sure();
        for validator in &self.0 {
            to.array(4).sure().str(validator.party.as_str()).sure();
            to.bytes(validator.consensus_key.as_bytes()).sure();
            to.bytes(validator.cosigner_key.as_bytes()).sure();
            to.bytes(validator.network_key.as_bytes()).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let validators = from.list(VALIDATORS_MAX, |from| {
            from.array_of(4)?;
            Ok(Validator {
                party: from.parse()?,
                consensus_key: PublicKey::read(from)?,
                cosigner_key: PublicKey::read(from)?,
                network_key: PublicKey::read(from)?,
            })
        })?;
        Self::new(validators).map_err(|e| from.error(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn set(n: u8) -> ValidatorSet {
        let key = |seed: u8, role: u8| {
            let mut bytes = [seed; 32];
            bytes[0] = role;
            SecretKey::from_seed(bytes).public()
        };
        let validator = |i: u8| Validator {
            party: alloc::format!("party-{i}").parse().unwrap(),
            consensus_key: key(i, 1),
            cosigner_key: key(i, 2),
            network_key: key(i, 3),
        };
        ValidatorSet::new((0..n).map(validator).collect()).unwrap()
    }

    /// `(n, f, quorum)`; two quorums always share an honest validator.
    #[test]
    fn quorums_follow_the_table() {
        let table = [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 3), (5, 1, 4), (6, 1, 5), (7, 2, 5)];
        for (n, faults, quorum) in table {
            assert_eq!((set(n).faults(), set(n).quorum()), (faults, quorum), "n = {n}");
            assert_eq!(is_few(usize::from(n)), n < 4, "n = {n}");
        }
        for n in 1..=VALIDATORS_MAX as u8 {
            let set = set(n);
            let shared = 2 * set.quorum() - set.count();
            assert!(shared > set.faults(), "n = {n}: quorums share an honest validator");
            assert!(set.count() - set.faults() >= set.quorum(), "n = {n}: f cannot block");
        }
    }

    #[test]
    fn a_set_has_one_encoding_and_no_repeated_key() {
        let four = set(4);
        assert_eq!(ValidatorSet::from_bytes(&four.to_bytes()), Ok(four.clone()));
        let mut validators = four.validators().to_vec();
        validators[1].cosigner_key = validators[0].network_key;
        assert_eq!(ValidatorSet::new(validators), Err(BadSet::Repeated));
        assert_eq!(ValidatorSet::new(Vec::new()), Err(BadSet::Size));
    }
}
