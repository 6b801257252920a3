//! What validators send each other to agree: the wire format of consensus.
//!
//! One deterministic CBOR array a message, opened by the version of the format; bounded, and decoded
//! without a look at any signature. [`crate::Engine`] verifies what it is given. Block bodies travel
//! elsewhere: the value agreed on is the block id.

use consign_types::block::Height;
use consign_types::certificate::{Certificate, Domain, Round, Statement};
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::BlockId;
use consign_types::key::{PublicKey, Signature};
use consign_types::limits::VALIDATORS_MAX;
use consign_types::validator::{ValidatorIndex, ValidatorSet};

use crate::seam::Step;
use crate::sign_state::Signed;

/// The version of this format, first in each message.
const VERSION: u64 = 1;

/// A consensus message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// A block is proposed.
    Proposal(Proposal),
    /// A prevote or a precommit.
    Vote(Vote),
    /// A quorum of prevotes for one block, for who did not see them.
    Polka(PolkaCertificate),
    /// Votes that justify a round, for who is behind.
    Round(RoundCertificate),
}

/// A signed proposal of a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block.
    pub block: BlockId,
    /// The round in which the block last had a quorum of prevotes.
    pub valid_round: Option<Round>,
    /// Who proposes.
    pub validator: ValidatorIndex,
    /// Over the statement, in its domain.
    pub signature: Signature,
}

/// The two votes of a round.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum VoteKind {
    /// The first.
    Prevote,
    /// The second.
    Precommit,
}

/// A signed vote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vote {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// Which vote.
    pub kind: VoteKind,
    /// The block; `None` is nil.
    pub block: Option<BlockId>,
    /// Who votes.
    pub validator: ValidatorIndex,
    /// Over the statement, in its domain.
    pub signature: Signature,
}

/// A quorum of prevotes for one block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolkaCertificate {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block.
    pub block: BlockId,
    /// The prevotes.
    pub prevotes: Vec<(ValidatorIndex, Signature)>,
}

/// What a [`RoundCertificate`] justifies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RoundReason {
    /// More than a third voted in this round: it can be entered.
    Skip,
    /// A quorum precommitted in this round, not all the same: it can be left.
    Precommits,
}

/// Votes that justify entering or leaving a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundCertificate {
    /// The height.
    pub height: Height,
    /// The round of the votes.
    pub round: Round,
    /// What they justify.
    pub reason: RoundReason,
    /// The votes, each with who cast it.
    pub votes: Vec<(VoteKind, Option<BlockId>, ValidatorIndex, Signature)>,
}

impl Message {
    /// The height that it is about.
    pub const fn height(&self) -> Height {
        match self {
            Self::Proposal(m) => m.height,
            Self::Vote(m) => m.height,
            Self::Polka(m) => m.height,
            Self::Round(m) => m.height,
        }
    }

    /// The round that it is about.
    pub const fn round(&self) -> Round {
        match self {
            Self::Proposal(m) => m.round,
            Self::Vote(m) => m.round,
            Self::Polka(m) => m.round,
            Self::Round(m) => m.round,
        }
    }

    /// Where a proposal or a vote stands in the order in which an honest validator signs. Certificates
    /// are put together by others and stand nowhere.
    pub const fn place(&self) -> Option<(Height, Round, Step)> {
        let step = match self {
            Self::Proposal(_) => Step::Propose,
            Self::Vote(Vote { kind: VoteKind::Prevote, .. }) => Step::Prevote,
            Self::Vote(Vote { kind: VoteKind::Precommit, .. }) => Step::Precommit,
            Self::Polka(_) | Self::Round(_) => return None,
        };
        Some((self.height(), self.round(), step))
    }

    /// Who signed a proposal or a vote, as it says itself.
    pub const fn author(&self) -> Option<ValidatorIndex> {
        match self {
            Self::Proposal(proposal) => Some(proposal.validator),
            Self::Vote(vote) => Some(vote.validator),
            Self::Polka(_) | Self::Round(_) => None,
        }
    }

    /// Each signed statement in it, with who made it.
    pub fn statements(&self) -> Vec<(ValidatorIndex, Statement, Signature)> {
        match self {
            Self::Proposal(m) => vec![(m.validator, m.statement(), m.signature)],
            Self::Vote(m) => vec![(m.validator, m.statement(), m.signature)],
            Self::Polka(m) => {
                let statement = Statement::Prevote(Some(m.block));
                m.prevotes.iter().map(|(v, s)| (*v, statement, *s)).collect()
            }
            Self::Round(m) => {
                let votes = m.votes.iter();
                votes.map(|(kind, block, v, s)| (*v, kind.statement(*block), *s)).collect()
            }
        }
    }

    /// What the state of whoever signs with `key` must know of it: a proposal or a vote, where the
    /// signature is by that key and holds. Nothing of a certificate, which others put together.
    pub fn signed_by(&self, domain: &Domain, key: &PublicKey) -> Option<Signed> {
        let (statement, signature) = match self {
            Self::Proposal(proposal) => (proposal.statement(), proposal.signature),
            Self::Vote(vote) => (vote.statement(), vote.signature),
            Self::Polka(_) | Self::Round(_) => return None,
        };
        let bytes = domain.sign_bytes(self.height(), self.round(), &statement);
        key.verify(&bytes, &signature).ok()?;
        Some(Signed::new(self.height(), self.round(), &statement, &bytes))
    }

    /// Whether it holds a signature, all are by members of `set`, and all hold. Says nothing of
    /// quorums or of whose turn it was.
    pub fn is_signed(&self, domain: &Domain, set: &ValidatorSet) -> bool {
        let statements = self.statements();
        let holds = |(validator, statement, signature): &(_, Statement, _)| {
            let bytes = domain.sign_bytes(self.height(), self.round(), statement);
            set.get(*validator).is_some_and(|v| v.consensus_key.verify(&bytes, signature).is_ok())
        };
        !statements.is_empty() && statements.iter().all(holds)
    }
}

impl Proposal {
    /// What is signed.
    pub const fn statement(&self) -> Statement {
        Statement::Proposal(self.block, self.valid_round)
    }
}

impl Vote {
    /// What is signed.
    pub const fn statement(&self) -> Statement {
        self.kind.statement(self.block)
    }
}

impl RoundCertificate {
    /// The certificate of a decision, in the form in which it is sent to who is still at that height.
    pub fn of_decision(certificate: &Certificate) -> Self {
        let vote = |(validator, signature): &(ValidatorIndex, Signature)| {
            (VoteKind::Precommit, Some(certificate.block), *validator, *signature)
        };
        Self {
            height: certificate.height,
            round: certificate.round,
            reason: RoundReason::Precommits,
            votes: certificate.precommits.iter().map(vote).collect(),
        }
    }

    /// The decision that it proves if its signatures hold: a quorum of precommits for one block.
    pub fn decision(&self, set: &ValidatorSet) -> Option<Certificate> {
        let block = self.votes.first()?.1?;
        let same = |(kind, of, validator, signature): &(VoteKind, _, ValidatorIndex, Signature)| {
            let counts = *kind == VoteKind::Precommit && *of == Some(block);
            counts.then_some((*validator, *signature))
        };
        let mut precommits = self.votes.iter().map(same).collect::<Option<Vec<_>>>()?;
        precommits.sort_unstable();
        let (height, round) = (self.height, self.round);
        let enough = precommits.len() >= set.quorum();
        enough.then_some(Certificate { height, round, block, precommits })
    }
}

impl VoteKind {
    /// The statement that a vote of this kind makes.
    pub const fn statement(self, block: Option<BlockId>) -> Statement {
        match self {
            Self::Prevote => Statement::Prevote(block),
            Self::Precommit => Statement::Precommit(block),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Prevote => 1,
            Self::Precommit => 2,
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.u8()? {
            1 => Ok(Self::Prevote),
            2 => Ok(Self::Precommit),
            other => Err(from.error(format!("vote kind {other}"))),
        }
    }
}

/// Second item of each message; votes use the code of their kind.
mod code {
    pub const PROPOSAL: u8 = 0;
    pub const PREVOTE: u8 = 1;
    pub const PRECOMMIT: u8 = 2;
    pub const POLKA: u8 = 3;
    pub const ROUND: u8 = 4;
}

impl Canonical for Message {
    const WHAT: &'static str = "consensus message";
    // Each vote in a certificate: kind, block id, index, signature, and their heads.
    const BYTES_MAX: usize = 128 + VALIDATORS_MAX * 112;

    fn write(&self, to: &mut Writer<'_>) {
        let mut head = |items: u64, code: u8| {
            to.array(items).sure().u64(VERSION).sure().u8(code).sure();
            to.u64(self.height().0).sure().u32(self.round().0).sure();
        };
        match self {
            Self::Proposal(m) => {
                head(8, code::PROPOSAL);
                to.bytes(m.block.as_bytes()).sure();
                match m.valid_round {
                    None => to.null().sure(),
                    Some(round) => to.u32(round.0).sure(),
                };
                to.u16(m.validator.0).sure().bytes(&m.signature.0).sure();
            }
            Self::Vote(m) => {
                head(7, m.kind.code());
                write_block(to, m.block);
                to.u16(m.validator.0).sure().bytes(&m.signature.0).sure();
            }
            Self::Polka(m) => {
                head(6, code::POLKA);
                to.bytes(m.block.as_bytes()).sure().array(m.prevotes.len() as u64).sure();
                for (validator, signature) in &m.prevotes {
                    to.array(2).sure().u16(validator.0).sure().bytes(&signature.0).sure();
                }
            }
            Self::Round(m) => {
                head(6, code::ROUND);
                to.u8(u8::from(m.reason == RoundReason::Precommits)).sure();
                to.array(m.votes.len() as u64).sure();
                for (kind, block, validator, signature) in &m.votes {
                    to.array(4).sure().u8(kind.code()).sure();
                    write_block(to, *block);
                    to.u16(validator.0).sure().bytes(&signature.0).sure();
                }
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = from.array()?;
        match from.u64()? {
            VERSION => {}
            other => return Err(from.error(format!("version {other}"))),
        }
        let code = from.u8()?;
        let (height, round) = (Height(from.u64()?), Round(from.u32()?));
        match (code, items) {
            (code::PROPOSAL, 8) => Ok(Self::Proposal(Proposal {
                height,
                round,
                block: BlockId(from.digest()?),
                valid_round: if from.null()? { None } else { Some(Round(from.u32()?)) },
                validator: ValidatorIndex(from.u16()?),
                signature: Signature(from.bytes_of()?),
            })),
            (code::PREVOTE | code::PRECOMMIT, 7) => Ok(Self::Vote(Vote {
                height,
                round,
                kind: if code == code::PREVOTE { VoteKind::Prevote } else { VoteKind::Precommit },
                block: read_block(from)?,
                validator: ValidatorIndex(from.u16()?),
                signature: Signature(from.bytes_of()?),
            })),
            (code::POLKA, 6) => Ok(Self::Polka(PolkaCertificate {
                height,
                round,
                block: BlockId(from.digest()?),
                prevotes: from.list(VALIDATORS_MAX, |from| {
                    from.array_of(2)?;
                    Ok((ValidatorIndex(from.u16()?), Signature(from.bytes_of()?)))
                })?,
            })),
            (code::ROUND, 6) => Ok(Self::Round(RoundCertificate {
                height,
                round,
                reason: match from.u8()? {
                    0 => RoundReason::Skip,
                    1 => RoundReason::Precommits,
                    other => return Err(from.error(format!("reason {other}"))),
                },
                votes: from.list(VALIDATORS_MAX, |from| {
                    from.array_of(4)?;
                    let (kind, block) = (VoteKind::read(from)?, read_block(from)?);
                    let validator = ValidatorIndex(from.u16()?);
                    Ok((kind, block, validator, Signature(from.bytes_of()?)))
                })?,
            })),
            (code, items) => Err(from.error(format!("kind {code} with {items} items"))),
        }
    }
}

fn write_block(to: &mut Writer<'_>, block: Option<BlockId>) {
    match block {
        None => to.null().sure(),
        Some(block) => to.bytes(block.as_bytes()).sure(),
    };
}

fn read_block(from: &mut Reader<'_>) -> Result<Option<BlockId>, DecodeError> {
    if from.null()? { Ok(None) } else { Ok(Some(BlockId(from.digest()?))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::block::Epoch;
    use consign_types::digest::{Digest, NetworkId, decode_hex, encode_hex};
    use consign_types::key::SecretKey;
    use proptest::prelude::*;

    const BLOCK: BlockId = BlockId(Digest([0xb1; 32]));
    const KEY: [u8; 32] = [9; 32];

    fn domain() -> Domain {
        Domain { network: NetworkId(Digest([0xaa; 32])), epoch: Epoch(0) }
    }

    /// One message of each kind at height 7, round 2, by one validator, each signature real.
    fn samples() -> Vec<(&'static str, Message)> {
        let (height, round, validator) = (Height(7), Round(2), ValidatorIndex(3));
        let sign = |statement: Statement| {
            let bytes = domain().sign_bytes(height, round, &statement);
            SecretKey::from_seed(KEY).sign(&bytes)
        };
        let proposal = |valid_round| {
            let (block, signature) = (BLOCK, sign(Statement::Proposal(BLOCK, valid_round)));
            Message::Proposal(Proposal { height, round, block, valid_round, validator, signature })
        };
        let vote = |kind: VoteKind, block| {
            let signature = sign(kind.statement(block));
            Message::Vote(Vote { height, round, kind, block, validator, signature })
        };
        let prevotes = vec![(validator, sign(Statement::Prevote(Some(BLOCK))))];
        let votes = vec![(VoteKind::Precommit, None, validator, sign(Statement::Precommit(None)))];
        let reason = RoundReason::Precommits;
        vec![
            ("proposal", proposal(None)),
            ("proposal-again", proposal(Some(Round(1)))),
            ("prevote", vote(VoteKind::Prevote, Some(BLOCK))),
            ("prevote-nil", vote(VoteKind::Prevote, None)),
            ("precommit", vote(VoteKind::Precommit, Some(BLOCK))),
            ("precommit-nil", vote(VoteKind::Precommit, None)),
            ("polka", Message::Polka(PolkaCertificate { height, round, block: BLOCK, prevotes })),
            ("round", Message::Round(RoundCertificate { height, round, reason, votes })),
        ]
    }

    /// The bytes on the wire do not change unless the version does.
    #[test]
    fn messages_have_the_bytes_of_the_vectors() {
        let vectors = include_str!("../tests/vectors/messages.txt");
        let written: Vec<String> = samples()
            .iter()
            .map(|(name, message)| format!("{name} {}", encode_hex(&message.to_bytes())))
            .collect();
        let expected: Vec<&str> = vectors.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(written, expected);
        for (line, (_, message)) in expected.iter().zip(samples()) {
            let (_, hex) = line.split_once(' ').unwrap();
            assert_eq!(Message::from_bytes(&decode_hex(hex).unwrap()), Ok(message));
        }
    }

    #[test]
    fn the_longest_message_is_within_its_bound() {
        let vote = (
            VoteKind::Precommit,
            Some(BLOCK),
            ValidatorIndex(u16::MAX),
            SecretKey::from_seed(KEY).sign(b"any"),
        );
        let longest = Message::Round(RoundCertificate {
            height: Height(u64::MAX),
            round: Round(u32::MAX),
            reason: RoundReason::Precommits,
            votes: vec![vote; VALIDATORS_MAX],
        });
        assert_eq!(Message::from_bytes(&longest.to_bytes()), Ok(longest));
    }

    #[test]
    fn a_certificate_with_one_validator_too_many_is_refused() {
        let (_, Message::Round(mut certificate)) = samples().remove(7) else { unreachable!() };
        let vote = certificate.votes[0];
        certificate.votes = vec![vote; VALIDATORS_MAX + 1];
        assert!(Message::from_bytes(&Message::Round(certificate).to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::from_bytes(&bytes);
        }

        #[test]
        fn damaged_messages_are_refused_or_are_other_messages(
            which in 0..8usize, at in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let (_, message) = samples().remove(which);
            let mut bytes = message.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_ne!(Message::from_bytes(&bytes), Ok(message.clone()));
            bytes.truncate(at);
            prop_assert!(Message::from_bytes(&bytes).is_err());
        }
    }
}
