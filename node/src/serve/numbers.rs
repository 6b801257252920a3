//! A device that signed two events under one number: what this node has of both becomes a file.

use std::num::NonZeroUsize;
use std::time::Duration;

use consign_ledger::evidence::Anchor;
use consign_types::block::LeafIndex;
use consign_types::event::SignedEvent;
use consign_types::party::SignerId;
use lru::LruCache;
use tokio::sync::mpsc::Receiver;

use super::Serving;
use super::passport::Snapshot;
use crate::evidence;
use crate::pool::Doubled;
use crate::state::sure;

/// Devices of which a file was kept since the start: one of each is enough.
const SHOWN_MAX: usize = 4_096;
/// At most one case in this time is looked into; what comes meanwhile and finds no room to wait is left.
const EVERY: Duration = Duration::from_secs(10);
/// How far a number may lie from where it should be in the history of its device, in events.
const STRAY: u64 = 64;
const LOOKED_AT_MAX: usize = 2_048;

impl Serving {
    /// Makes evidence of what the pool refused because its number was used.
    pub async fn watch_numbers(self, mut doubled: Receiver<Doubled>) {
        let mut shown = LruCache::new(NonZeroUsize::new(SHOWN_MAX).unwrap_or(NonZeroUsize::MIN));
        while let Some(case) = doubled.recv().await {
            if shown.contains(&case.signer) {
                continue;
            }
            let (own, signer) = (self.clone(), case.signer.clone());
            let found = tokio::task::spawn_blocking(move || own.show_same_number(&case)).await;
            if found.unwrap_or(false) {
                shown.put(signer, ());
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Whether a file was kept. A number that was closed and never used shows nothing.
    pub fn show_same_number(&self, case: &Doubled) -> bool {
        let Doubled { event, signer, sequence } = case;
        let Some(first) = self.first_under(signer, *sequence) else { return false };
        let Ok(source) = Snapshot::of_newest_note(self) else { return false };
        let Ok(Some(anchor)) = Anchor::of(&source, signer) else { return false };
        let size = source.size();
        let committed = &self.parts.committed;
        let found = evidence::found_same_number(committed, size, &anchor, &first, event.signed());
        sure(found).is_some()
    }

    /// The event of the log that used this number of a device. Its events lie nearly in the order of their
    /// numbers: the search begins a little before the place, and is given up a good way behind it.
    fn first_under(&self, signer: &SignerId, sequence: u64) -> Option<SignedEvent> {
        let store = self.parts.committed.store();
        let read = |leaf| SignedEvent::decode(&sure(store.leaf(leaf))?).ok();
        let (mut low, mut high) = (0, self.parts.committed.tip().size.0);
        while low < high {
            let middle = low + (high - low) / 2;
            // Others sign events about it, its enrolment and its revocation.
            let next = sure(store.signer_events(signer, LeafIndex(middle), 4));
            let there = next.iter().find_map(|leaf| numbers(&read(*leaf)?, signer).next());
            if there.is_none_or(|there| there.saturating_add(STRAY) >= sequence) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let near = sure(store.signer_events(signer, LeafIndex(low), LOOKED_AT_MAX));
        let mut near = near.into_iter().filter_map(read);
        near.find(|event| numbers(event, signer).any(|number| number == sequence))
    }
}

/// Numbers of a signer that an event uses, itself or by what is inside of it.
fn numbers<'e>(event: &'e SignedEvent, signer: &'e SignerId) -> impl Iterator<Item = u64> + 'e {
    let inner = event.event().action.inner().map(SignedEvent::event);
    let all = [event.event()].into_iter().chain(inner);
    all.filter(move |said| said.signer == *signer).map(|said| said.sequence)
}
