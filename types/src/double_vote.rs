//! Proof that one validator signed two conflicting consensus messages.
//!
//! It stands alone: with the network's [`Domain`] and the key, anyone checks it offline. An honest
//! validator signs one statement of a kind at a height and round, so nothing names one.

use crate::block::Height;
use crate::certificate::{Domain, Round, Statement};
use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::BlockId;
use crate::key::{PublicKey, Signature};
use crate::validator::ValidatorIndex;

/// Two conflicting statements by one key. The two are ordered, so that one pair has one encoding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DoubleVote {
    /// The height of both.
    pub height: Height,
    /// The round of both.
    pub round: Round,
    /// Who signed, in the set in force at that height.
    pub validator: ValidatorIndex,
    /// The key that signed.
    pub key: PublicKey,
    /// The smaller statement.
    pub first: (Statement, Signature),
    /// The greater one.
    pub second: (Statement, Signature),
}

/// Why such a pair proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadDoubleVote {
    /// The same statement twice, two of different kinds, or in the wrong order.
    #[error("the two statements do not conflict, or are not in order")]
    NoConflict,
    /// A signature that does not hold.
    #[error("a signature of the two does not hold")]
    Signature,
}

impl DoubleVote {
    /// The two statements, put in order.
    pub fn new(
        (height, round): (Height, Round),
        (validator, key): (ValidatorIndex, PublicKey),
        one: (Statement, Signature),
        other: (Statement, Signature),
    ) -> Self {
        let (first, second) = if one.0 <= other.0 { (one, other) } else { (other, one) };
        Self { height, round, validator, key, first, second }
    }

    /// Checks that the key signed both statements and that they conflict.
    ///
    /// # Errors
    /// When they do not conflict or a signature does not hold.
    pub fn verify(&self, domain: &Domain) -> Result<(), BadDoubleVote> {
        let same_kind = matches!(
            (self.first.0, self.second.0),
            (Statement::Prevote(_), Statement::Prevote(_))
                | (Statement::Precommit(_), Statement::Precommit(_))
                | (Statement::Proposal(..), Statement::Proposal(..))
        );
        if !same_kind || self.first.0 >= self.second.0 {
            return Err(BadDoubleVote::NoConflict);
        }
        for (statement, signature) in [&self.first, &self.second] {
            let bytes = domain.sign_bytes(self.height, self.round, statement);
            self.key.verify(&bytes, signature).map_err(|_| BadDoubleVote::Signature)?;
        }
        Ok(())
    }
}

impl Canonical for DoubleVote {
    const WHAT: &'static str = "double vote";
    const BYTES_MAX: usize = 384;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(7).sure().u64(1).sure().u64(self.height.0).sure().u32(self.round.0).sure();
        to.u16(self.validator.0).sure().bytes(self.key.as_bytes()).sure();
        for (statement, signature) in [&self.first, &self.second] {
            to.array(4).sure();
            let (kind, block, valid_round) = match statement {
                Statement::Prevote(block) => (1, *block, None),
                Statement::Precommit(block) => (2, *block, None),
                Statement::Proposal(block, valid_round) => (3, Some(*block), *valid_round),
            };
            to.u8(kind).sure();
            match block {
                None => to.null().sure(),
                Some(block) => to.bytes(block.as_bytes()).sure(),
            };
            match valid_round {
                None => to.null().sure(),
                Some(round) => to.u32(round.0).sure(),
            };
            to.bytes(&signature.0).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(7)?;
        if from.u64()? != 1 {
            return Err(from.error("another version"));
        }
        Ok(Self {
            height: Height(from.u64()?),
            round: Round(from.u32()?),
            validator: ValidatorIndex(from.u16()?),
            key: PublicKey::read(from)?,
            first: read_signed(from)?,
            second: read_signed(from)?,
        })
    }
}

fn read_signed(from: &mut Reader<'_>) -> Result<(Statement, Signature), DecodeError> {
    from.array_of(4)?;
    let kind = from.u8()?;
    let block = if from.null()? { None } else { Some(BlockId(from.digest()?)) };
    let valid_round = if from.null()? { None } else { Some(Round(from.u32()?)) };
    let statement = match (kind, block, valid_round) {
        (1, block, None) => Statement::Prevote(block),
        (2, block, None) => Statement::Precommit(block),
        (3, Some(block), valid_round) => Statement::Proposal(block, valid_round),
        _ => return Err(from.error("no such statement")),
    };
    Ok((statement, Signature(from.bytes_of()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Epoch;
    use crate::digest::{Digest, NetworkId};
    use crate::key::SecretKey;

    const DOMAIN: Domain = Domain { network: NetworkId(Digest([1; 32])), epoch: Epoch(0) };
    const ONE: BlockId = BlockId(Digest([1; 32]));
    const OTHER: BlockId = BlockId(Digest([2; 32]));

    fn evidence(one: Statement, other: Statement) -> DoubleVote {
        let key = SecretKey::from_seed([3; 32]);
        let (height, round) = (Height(4), Round(0));
        let sign = |s: Statement| (s, key.sign(&DOMAIN.sign_bytes(height, round, &s)));
        let who = (ValidatorIndex(2), key.public());
        DoubleVote::new((height, round), who, sign(one), sign(other))
    }

    #[test]
    fn only_two_statements_of_one_kind_conflict() {
        let proposal = Statement::Proposal;
        let (prevote, precommit) = (Statement::Prevote, Statement::Precommit);
        let table = [
            (prevote(Some(ONE)), prevote(None), Ok(())),
            (precommit(Some(ONE)), precommit(Some(OTHER)), Ok(())),
            (proposal(ONE, None), proposal(OTHER, None), Ok(())),
            (proposal(ONE, None), proposal(ONE, Some(Round(0))), Ok(())),
            (prevote(Some(ONE)), prevote(Some(ONE)), Err(BadDoubleVote::NoConflict)),
            (prevote(Some(ONE)), precommit(None), Err(BadDoubleVote::NoConflict)),
        ];
        for (one, other, expected) in table {
            let found = evidence(one, other);
            assert_eq!(found, evidence(other, one), "one pair, one value");
            assert_eq!(found.verify(&DOMAIN), expected, "{one:?} {other:?}");
            assert_eq!(DoubleVote::from_bytes(&found.to_bytes()), Ok(found));
        }
    }

    #[test]
    fn evidence_of_another_network_or_with_a_broken_signature_proves_nothing() {
        let mut found = evidence(Statement::Prevote(Some(ONE)), Statement::Prevote(None));
        let elsewhere = Domain { epoch: Epoch(1), ..DOMAIN };
        assert_eq!(found.verify(&elsewhere), Err(BadDoubleVote::Signature));
        found.second.1.0[0] ^= 1;
        assert_eq!(found.verify(&DOMAIN), Err(BadDoubleVote::Signature));
    }
}
