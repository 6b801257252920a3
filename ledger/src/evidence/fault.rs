//! What was done, apart from the file that shows it.
//!
//! Many files can show one fault: with other lines, at another leaf, with another of three votes. A fault
//! has one name however it is shown, so that nobody is counted twice for it.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use consign_types::certificate::Statement;
use consign_types::checkpoint::Checkpoint;
use consign_types::digest::Digest;
use consign_types::event::SignedEvent;
use consign_types::note::Note;

use super::{Case, Evidence, Notes, Who};

/// What a fault is known by: who did what, and where.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FaultId(pub Digest);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Evidence {
    /// The name of the fault of `who`, whom verified evidence accuses.
    pub fn fault(&self, who: &Who) -> FaultId {
        let (tag, name) = match who {
            Who::Party(party) => (1, party.to_string()),
            Who::Device(device) => (2, device.to_string()),
            Who::Witness(name) => (3, name.clone()),
        };
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes();
        FaultId(Digest::of(&[
            b"consign/fault/v1\0",
            self.network.as_bytes(),
            &[self.case.kind() as u8, tag],
            &length,
            name.as_bytes(),
            &self.place(),
        ]))
    }

    /// Where it was done: all that tells one fault of one party from another of the same kind.
    fn place(&self) -> Vec<u8> {
        match &self.case {
            Case::DoubleVote(votes) => {
                let what = match votes.first.0 {
                    Statement::Prevote(_) => 1,
                    Statement::Precommit(_) => 2,
                    Statement::Proposal(..) => 3,
                };
                numbers([votes.height.0, u64::from(votes.round.0), what])
            }
            Case::TwoRoots(notes)
            | Case::Growth { notes, .. }
            | Case::Rollback(notes)
            | Case::LogSignature(notes) => sizes(notes),
            Case::SameNumber { first, .. } => {
                numbers(SignedEvent::decode(first).map(|event| event.event().sequence))
            }
            Case::DoubleOffer(double) => {
                let [offer, _] = &double.offers;
                let Ok(offer) = SignedEvent::decode(offer) else { return Vec::new() };
                let basis = offer.event().basis.unwrap_or_default();
                let mut place = Vec::from(*basis.as_bytes());
                place.extend_from_slice(offer.event().signer.to_string().as_bytes());
                place
            }
        }
    }
}

/// The sizes of both checkpoints.
fn sizes(notes: &Notes) -> Vec<u8> {
    let size = |text: &String| {
        let note: Note = text.parse().ok()?;
        Some(Checkpoint::from_text(note.text()).ok()?.size.0)
    };
    numbers([&notes.first, &notes.second].into_iter().filter_map(size))
}

fn numbers(all: impl IntoIterator<Item = u64>) -> Vec<u8> {
    all.into_iter().flat_map(u64::to_be_bytes).collect()
}
