//! What validators sign to agree on a block, and the certificate that their precommits make.
//!
//! The bytes under a vote bind network, epoch, kind, height, round and block, under a domain of
//! their own: a vote means nothing anywhere else. Certificates differ between honest nodes (each keeps
//! the first quorum that it saw), so a certificate lies beside a block and is never hashed into one.

use alloc::vec::Vec;

use crate::block::{Epoch, Height};
use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{BlockId, NetworkId};
use crate::key::Signature;
use crate::limits::VALIDATORS_MAX;
use crate::validator::{ValidatorIndex, ValidatorSet};

/// Attempt to decide a height; the first is 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Round(pub u32);

/// Where signatures of consensus are valid: one incarnation of one network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Domain {
    /// The network.
    pub network: NetworkId,
    /// Its incarnation.
    pub epoch: Epoch,
}

/// What a signed consensus message says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Statement {
    /// First vote on a block; `None` is nil.
    Prevote(Option<BlockId>),
    /// Second vote on a block; `None` is nil.
    Precommit(Option<BlockId>),
    /// A proposal of a block, with the round in which it last had a quorum of prevotes.
    Proposal(BlockId, Option<Round>),
}

impl Domain {
    /// The bytes that a validator signs to make `statement` at `height` and `round`.
    pub fn sign_bytes(&self, height: Height, round: Round, statement: &Statement) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(b"consign/consensus/v1\0");
        bytes.extend_from_slice(self.network.as_bytes());
        bytes.extend_from_slice(&self.epoch.0.to_be_bytes());
        let (kind, block) = match statement {
            Statement::Prevote(block) => (1, block.as_ref()),
            Statement::Precommit(block) => (2, block.as_ref()),
            Statement::Proposal(block, _) => (3, Some(block)),
        };
        bytes.push(kind);
        bytes.extend_from_slice(&height.0.to_be_bytes());
        bytes.extend_from_slice(&round.0.to_be_bytes());
        match block {
            None => bytes.push(0),
            Some(block) => {
                bytes.push(1);
                bytes.extend_from_slice(block.as_bytes());
            }
        }
        if let Statement::Proposal(_, valid_round) = statement {
            // Round + 1, so that 0 is "none".
            let plus_one = valid_round.map_or(0, |round| u64::from(round.0) + 1);
            bytes.extend_from_slice(&plus_one.to_be_bytes());
        }
        bytes
    }
}

/// Proof that a quorum precommitted one block at one height and round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// The height decided.
    pub height: Height,
    /// The round in which it was decided.
    pub round: Round,
    /// The block decided.
    pub block: BlockId,
    /// Precommits, by ascending validator index, each index at most once.
    pub precommits: Vec<(ValidatorIndex, Signature)>,
}

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCertificate {
    /// Indices out of order, repeated or outside the set.
    #[error("the certificate's signers are not distinct members of the validator set, in order")]
    Signers,
    /// Fewer signatures than a quorum.
    #[error("the certificate has {found} precommits, a quorum is {quorum}")]
    NoQuorum {
        /// Signatures present.
        found: usize,
        /// Signatures needed.
        quorum: usize,
    },
    /// A signature that does not hold.
    #[error("precommit of validator {} does not verify", .0.0)]
    Signature(ValidatorIndex),
}

impl Certificate {
    /// Checks that a quorum of `set` precommitted this block.
    ///
    /// # Errors
    /// When a signer is unknown or repeated, too few signed, or a signature does not hold.
    pub fn verify(&self, domain: &Domain, set: &ValidatorSet) -> Result<(), BadCertificate> {
        let ascending = self.precommits.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascending || self.precommits.iter().any(|(index, _)| set.get(*index).is_none()) {
            return Err(BadCertificate::Signers);
        }
        let (found, quorum) = (self.precommits.len(), set.quorum());
        if found < quorum {
            return Err(BadCertificate::NoQuorum { found, quorum });
        }
        let statement = Statement::Precommit(Some(self.block));
        let message = domain.sign_bytes(self.height, self.round, &statement);
        for (index, signature) in &self.precommits {
            let validator = set.get(*index).ok_or(BadCertificate::Signers)?;
            validator
                .consensus_key
                .verify(&message, signature)
                .map_err(|_| BadCertificate::Signature(*index))?;
        }
        Ok(())
    }
}

impl Canonical for Certificate {
    const WHAT: &'static str = "certificate";
    const BYTES_MAX: usize = 64 + VALIDATORS_MAX * 72;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure().u64(self.height.0).sure().u32(self.round.0).sure();
        to.bytes(self.block.as_bytes()).sure().array(self.precommits.len() as u64).sure();
        for (index, signature) in &self.precommits {
            to.array(2).sure().u16(index.0).sure().bytes(&signature.0).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        Ok(Self {
            height: Height(from.u64()?),
            round: Round(from.u32()?),
            block: BlockId(from.digest()?),
            precommits: from.list(VALIDATORS_MAX, |from| {
                from.array_of(2)?;
                Ok((ValidatorIndex(from.u16()?), Signature(from.bytes_of()?)))
            })?,
        })
    }
}
