//! What an entry of the write-ahead log means: an input of the core, in its one encoding.
//!
//! Logged is what the core decides by: votes and proposals (own and received), prevote quorums,
//! verdicts on blocks, and timeouts. Replaying them in order leads to the same messages again.

use arc_malachitebft_core_consensus::{Input, ProposedValue};
use arc_malachitebft_core_types::{Round as CoreRound, Validity, ValueOrigin};
use consign_types::block::Height;
use consign_types::certificate::Round;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::BlockId;
use consign_types::validator::ValidatorIndex;

use crate::context::{Address, At, Ctx, Value};
use crate::convert;
use crate::message::Message;
use crate::seam::{Timer, TimerKind};

/// One entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// A message, sent or received.
    Message(Message),
    /// A timer of the core rang.
    Timeout(Timer),
    /// A block was judged; where it was valid, its body was durable before this was written.
    Judged {
        /// The height.
        height: Height,
        /// The round it was judged for.
        round: Round,
        /// The proposer of that round.
        proposer: ValidatorIndex,
        /// The block.
        block: BlockId,
        /// The verdict.
        valid: bool,
    },
}

impl Entry {
    /// The entry that keeps `input`; `None` for an input that the core never asks to keep.
    pub fn of(height: Height, input: &Input<Ctx>) -> Option<Self> {
        Some(match input {
            Input::Vote(vote) => Self::Message(Message::Vote(convert::from_vote(vote))),
            Input::Proposal(proposal) => {
                Self::Message(Message::Proposal(convert::from_proposal(proposal)))
            }
            Input::PolkaCertificate(polka) => {
                Self::Message(Message::Polka(convert::from_polka(polka)))
            }
            Input::TimeoutElapsed(timeout) => Self::Timeout(convert::to_timer(height, *timeout)?),
            Input::ProposedValue(value, _) => Self::Judged {
                height,
                round: convert::from_round(value.round)?,
                proposer: value.proposer.0,
                block: value.value.0,
                valid: value.validity.is_valid(),
            },
            Input::StartHeight(..)
            | Input::Propose(..)
            | Input::RoundCertificate(..)
            | Input::SyncValueResponse(..) => return None,
        })
    }

    /// The input that was kept.
    pub fn input(&self) -> Option<Input<Ctx>> {
        Some(match self {
            Self::Message(message) => convert::input(message),
            Self::Timeout(timer) => Input::TimeoutElapsed(convert::to_timeout(*timer)?),
            Self::Judged { height, round, proposer, block, valid } => Input::ProposedValue(
                ProposedValue {
                    height: At(*height),
                    round: convert::to_round(*round),
                    valid_round: CoreRound::Nil,
                    proposer: Address(*proposer),
                    value: Value(*block),
                    validity: Validity::from_bool(*valid),
                },
                ValueOrigin::Consensus,
            ),
        })
    }

    /// Who signed it, where it is one signed message.
    pub const fn signed_by(&self) -> Option<ValidatorIndex> {
        match self {
            Self::Message(Message::Vote(vote)) => Some(vote.validator),
            Self::Message(Message::Proposal(proposal)) => Some(proposal.validator),
            _ => None,
        }
    }

    /// The height that it is about.
    pub const fn height(&self) -> Height {
        match self {
            Self::Message(message) => message.height(),
            Self::Timeout(timer) => timer.height,
            Self::Judged { height, .. } => *height,
        }
    }
}

impl Canonical for Entry {
    const WHAT: &'static str = "log entry";
    const BYTES_MAX: usize = Message::BYTES_MAX + 64;

    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Message(message) => {
                to.array(2).sure().u8(0).sure().bytes(&message.to_bytes()).sure();
            }
            Self::Timeout(timer) => {
                let kind = match timer.kind {
                    TimerKind::Propose => 0,
                    TimerKind::Prevote => 1,
                    TimerKind::Precommit => 2,
                    TimerKind::Rebroadcast | TimerKind::Close | TimerKind::Pace => 3,
                };
                to.array(4).sure().u8(1).sure().u64(timer.height.0).sure();
                to.u32(timer.round.0).sure().u8(kind).sure();
            }
            Self::Judged { height, round, proposer, block, valid } => {
                to.array(6).sure().u8(2).sure().u64(height.0).sure().u32(round.0).sure();
                to.u16(proposer.0).sure().bytes(block.as_bytes()).sure().bool(*valid).sure();
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = from.array()?;
        match (from.u8()?, items) {
            (0, 2) => Ok(Self::Message(Message::from_bytes(from.bytes()?)?)),
            (1, 4) => Ok(Self::Timeout(Timer {
                height: Height(from.u64()?),
                round: Round(from.u32()?),
                kind: match from.u8()? {
                    0 => TimerKind::Propose,
                    1 => TimerKind::Prevote,
                    2 => TimerKind::Precommit,
                    other => return Err(from.error(format!("timeout {other}"))),
                },
            })),
            (2, 6) => Ok(Self::Judged {
                height: Height(from.u64()?),
                round: Round(from.u32()?),
                proposer: ValidatorIndex(from.u16()?),
                block: BlockId(from.digest()?),
                valid: from.bool()?,
            }),
            (kind, items) => Err(from.error(format!("kind {kind} with {items} items"))),
        }
    }
}

const _: () = assert!(Entry::BYTES_MAX <= crate::wal::ENTRY_BYTES_MAX);
