//! The door: events checked against committed state plus what is in the pool.
//!
//! So an offer and its acceptance can be in one block. The door is advice, not law: a proposer executes
//! what it takes, and what the door admitted wrongly is refused then.

use alloc::sync::Arc;

use consign_types::block::LeafIndex;
use consign_types::event::Verified;
use consign_types::party::SignerId;
use consign_types::signer_key::SignerKey;
use consign_types::unit::UnitId;

use crate::apply::{BlockContext, Layer, signer_key};
use crate::entry::{EntryKey, StateView};
use crate::errors::Rejection;
use crate::rules;

/// Pooled events on top of a committed state.
pub struct Door {
    context: BlockContext,
    layer: Layer,
    age: u32,
    /// The governance entry of the state beneath.
    governance: Option<Arc<[u8]>>,
}

/// Why an event stays outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// What it refers to is not known here; it may be on its way.
    UnknownReference(Rejection),
    /// A rule forbids it.
    Rule {
        /// The rule.
        rejection: Rejection,
        /// Whether that would be otherwise without what is pooled.
        rests_on_pooled: bool,
    },
}

impl Door {
    /// A door with nothing pooled, over the state that `view` reads, for a block as `context` tells. Leaf index
    /// and height do not matter.
    pub fn new(view: &impl StateView, context: BlockContext) -> Self {
        let governance = view.get(&EntryKey::Governance);
        Self { context, layer: Layer::default(), age: 0, governance }
    }

    /// Admits an event: later ones are checked as if it were committed.
    ///
    /// # Errors
    /// Why it stays outside.
    pub fn admit(&mut self, view: &impl StateView, event: &Verified) -> Result<(), Refusal> {
        match rules::apply(view, &self.layer, &self.context, LeafIndex(0), event) {
            Ok(change) => {
                self.layer.merge(change.layer);
                Ok(())
            }
            Err(rejection) if rejection.waits() => Err(Refusal::UnknownReference(rejection)),
            Err(rejection) => {
                let empty = Layer::default();
                let bare = rules::apply(view, &empty, &self.context, LeafIndex(0), event);
                let rests_on_pooled = bare.err().as_ref() != Some(&rejection);
                Err(Refusal::Rule { rejection, rests_on_pooled })
            }
        }
    }

    /// The key of a signer, as committed or as a pooled enrolment has it.
    pub fn key_of(
        &self,
        view: &impl StateView,
        signer: &SignerId,
        key_id: &[u8; 8],
    ) -> Option<SignerKey> {
        match self.layer.signers.get(signer) {
            Some(state) => state.key_with(key_id),
            None => signer_key(view, signer, key_id),
        }
    }

    /// Whether a pooled event enrols this signer, or changes what is known of it.
    pub fn names(&self, signer: &SignerId) -> bool {
        self.layer.signers.contains_key(signer)
    }

    /// Whether a pooled event changes this unit.
    pub fn touches(&self, unit: &UnitId) -> bool {
        self.layer.units.contains_key(unit)
    }

    /// A block of pooled events was committed since, and `view` reads the state after it. True where what is
    /// known of them still holds. Not where members decided something or a decision took force: members, keys
    /// and proposals are then other ones than when the events were pooled, and the door is to be made anew.
    pub fn committed(&mut self, view: &impl StateView, context: BlockContext) -> bool {
        self.context = context;
        self.age += 1;
        view.get(&EntryKey::Governance) == self.governance
    }

    /// How many blocks were committed since this door was made.
    pub const fn age(&self) -> u32 {
        self.age
    }
}
