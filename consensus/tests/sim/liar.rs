//! What a Byzantine validator says: contradictions, and messages that no honest node sends.

use consign_consensus::Message;
use consign_consensus::message::{Proposal, RoundCertificate, RoundReason, Vote};
use consign_types::block::Height;
use consign_types::certificate::Round;
use consign_types::digest::{BlockId, Digest};
use consign_types::validator::ValidatorIndex;

use super::rng::Rng;
use super::world::{NodeId, World};

/// Another message of `node` for the same place, well signed. A block that it proposes is added to
/// the world, and to no disk.
pub fn contradict(
    world: &mut World,
    rng: &mut Rng,
    node: NodeId,
    message: &Message,
) -> Option<Message> {
    let mut other = match message {
        Message::Vote(vote) => {
            let block = vote.block.is_none().then_some(BlockId(Digest::of(&[b"another"])));
            Message::Vote(Vote { block, ..vote.clone() })
        }
        Message::Proposal(proposal) => {
            let mut body = world.bodies[&proposal.block].clone();
            body.events.push(rng.next());
            body.invalid = rng.chance(300);
            let block = world.add(body);
            Message::Proposal(Proposal { block, ..proposal.clone() })
        }
        Message::Polka(_) | Message::Round(_) => return None,
    };
    let (_, statement, _) = other.statements()[0];
    let bytes = world.domain.sign_bytes(other.height(), other.round(), &statement);
    let signature = world.keys[node].sign(&bytes);
    match &mut other {
        Message::Vote(vote) => vote.signature = signature,
        Message::Proposal(proposal) => proposal.signature = signature,
        Message::Polka(_) | Message::Round(_) => {}
    }
    Some(other)
}

/// A message of another height, round or validator, or with a broken signature, made of a vote.
pub fn garble(world: &World, rng: &mut Rng, node: NodeId, message: &Message) -> Message {
    let Message::Vote(vote) = message else { return message.clone() };
    let mut vote = vote.clone();
    match rng.range(0, 5) {
        0 => vote.signature.0[5] ^= 1,
        1 => vote.validator = ValidatorIndex(rng.range(0, 70_000) as u16),
        2 => vote.height = Height(rng.next()),
        3 => vote.round = Round(u32::MAX - rng.range(0, 3) as u32),
        _ => {
            let votes = vec![(vote.kind, vote.block, vote.validator, vote.signature); 3];
            let (height, round, reason) = (vote.height, vote.round, RoundReason::Precommits);
            return Message::Round(RoundCertificate { height, round, reason, votes });
        }
    }
    if rng.chance(500) {
        // Well signed nonsense.
        let bytes = world.domain.sign_bytes(vote.height, vote.round, &vote.statement());
        vote.signature = world.keys[node].sign(&bytes);
    }
    Message::Vote(vote)
}
