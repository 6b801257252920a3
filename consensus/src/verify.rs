//! Checks of what others claim to have signed, as the core asks for them.
//!
//! One signature at a time and strictly, through [`PublicKey::verify`]: what is accepted here, every
//! auditor accepts. A certificate holds only if each signature in it holds.
//!
//! [`PublicKey::verify`]: consign_types::key::PublicKey::verify

use std::collections::BTreeSet;

use arc_malachitebft_core_consensus::ConsensusMsg;
use arc_malachitebft_core_types::{
    CertificateError, PolkaCertificate, RoundCertificate, RoundCertificateType, SignedMessage,
    VoteType,
};
use consign_types::certificate::Domain;
use consign_types::key::PublicKey;
use consign_types::validator::{ValidatorIndex, ValidatorSet};

use crate::context::Ctx;
use crate::convert;
use crate::message::Message;

/// Whether one vote or proposal was signed by `key`.
pub fn signed(
    domain: &Domain,
    message: &SignedMessage<Ctx, ConsensusMsg<Ctx>>,
    key: &PublicKey,
) -> bool {
    let (height, round, statement) = match &message.message {
        ConsensusMsg::Vote(vote) => convert::vote_statement(vote),
        ConsensusMsg::Proposal(proposal) => convert::proposal_statement(proposal),
    };
    let bytes = domain.sign_bytes(height, round, &statement);
    key.verify(&bytes, &message.signature).is_ok()
}

/// A quorum of distinct validators prevoted one block.
pub fn polka(
    domain: &Domain,
    set: &ValidatorSet,
    certificate: &PolkaCertificate<Ctx>,
) -> Result<(), CertificateError<Ctx>> {
    let signers = certificate.polka_signatures.iter().map(|s| s.address.0);
    distinct(signers, set.quorum(), set)?;
    let message = Message::Polka(convert::from_polka(certificate));
    all_signed(domain, set, &message)
}

/// Enough distinct validators voted to enter or to leave a round.
pub fn round(
    domain: &Domain,
    set: &ValidatorSet,
    certificate: &RoundCertificate<Ctx>,
) -> Result<(), CertificateError<Ctx>> {
    let votes = &certificate.round_signatures;
    let least = match certificate.cert_type {
        RoundCertificateType::Precommit => {
            if let Some(vote) = votes.iter().find(|vote| vote.vote_type != VoteType::Precommit) {
                return Err(CertificateError::InvalidVoteType(vote.address));
            }
            set.quorum()
        }
        RoundCertificateType::Skip => more_than_a_third(set),
    };
    distinct(votes.iter().map(|vote| vote.address.0), least, set)?;
    let message = Message::Round(convert::from_round_certificate(certificate));
    all_signed(domain, set, &message)
}

/// The least number of validators of which one is honest.
pub const fn more_than_a_third(set: &ValidatorSet) -> usize {
    set.count() / 3 + 1
}

fn distinct(
    signers: impl Iterator<Item = ValidatorIndex>,
    least: usize,
    set: &ValidatorSet,
) -> Result<(), CertificateError<Ctx>> {
    let mut seen = BTreeSet::new();
    for signer in signers {
        let address = crate::context::Address(signer);
        if set.get(signer).is_none() {
            return Err(CertificateError::UnknownValidator(address));
        }
        if !seen.insert(signer) {
            return Err(CertificateError::DuplicateVote(address));
        }
    }
    let (signed, expected) = (seen.len() as u64, least as u64);
    if signed < expected {
        let total = set.count() as u64;
        return Err(CertificateError::NotEnoughVotingPower { signed, total, expected });
    }
    Ok(())
}

fn all_signed(
    domain: &Domain,
    set: &ValidatorSet,
    message: &Message,
) -> Result<(), CertificateError<Ctx>> {
    match message.is_signed(domain, set) {
        true => Ok(()),
        false => Err(CertificateError::VerificationError(None)),
    }
}
