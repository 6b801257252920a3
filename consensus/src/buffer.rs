//! Messages for heights that have not begun here, until they do.
//!
//! Bounded by height and by peer: what one peer sends never pushes out what another sent. What does
//! not fit is dropped; repetition and catch-up bring it back.

use std::collections::BTreeMap;

use consign_types::block::Height;
use consign_types::validator::ValidatorIndex;

use crate::message::Message;

/// Heights above the tip that messages are kept for.
const HEIGHTS_MAX: u64 = 4;

/// Messages of one peer for one height: a proposal, two votes and two certificates for some rounds.
const MESSAGES_PER_PEER_MAX: usize = 32;

#[derive(Debug, Default)]
pub struct Buffer(BTreeMap<Height, BTreeMap<ValidatorIndex, Vec<Message>>>);

impl Buffer {
    /// Keeps `message` unless it is too far above `tip`, a repetition, or one too many of its peer.
    pub fn push(&mut self, tip: Height, from: ValidatorIndex, message: Message) {
        let height = message.height();
        if height <= tip || height.0 - tip.0 > HEIGHTS_MAX {
            return;
        }
        let kept = self.0.entry(height).or_default().entry(from).or_default();
        if kept.len() < MESSAGES_PER_PEER_MAX && !kept.contains(&message) {
            kept.push(message);
        }
    }

    /// Keeps only what `holds` of what is there for `height`.
    pub fn retain(&mut self, height: Height, holds: impl Fn(&Message) -> bool) {
        let Some(peers) = self.0.get_mut(&height) else { return };
        peers.values_mut().for_each(|messages| messages.retain(&holds));
        if peers.values().all(Vec::is_empty) {
            self.0.remove(&height);
        }
    }

    /// Whether there is anything for `height`.
    pub fn holds(&self, height: Height) -> bool {
        self.0.contains_key(&height)
    }

    /// Takes what is there for `height`, peer by peer, and forgets what is below.
    pub fn take(&mut self, height: Height) -> Vec<(ValidatorIndex, Message)> {
        let above = self.0.split_off(&height.next());
        let mut taken = std::mem::replace(&mut self.0, above);
        let peers = taken.remove(&height).unwrap_or_default().into_iter();
        peers.flat_map(|(from, messages)| messages.into_iter().map(move |m| (from, m))).collect()
    }
}
