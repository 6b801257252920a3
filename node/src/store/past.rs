//! What entries were before the newest blocks, for proofs at a checkpoint that is a few blocks old.
//!
//! In memory and bounded: after a start it is empty, and proofs begin with the next block. What a block
//! replaces is noted before the block is written, so that no reader finds a new value under an old
//! version.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use consign_types::limits::MAP_VERSIONS_KEPT;

/// Bytes of replaced values that are kept.
const BYTES_MAX: usize = 64 << 20;
/// About what a kept value takes beside its bytes.
const ITEM_BYTES: usize = 96;

type Value = Option<Arc<[u8]>>;
/// What a block replaces, by map key; `None` where there was nothing.
pub type Replaced = HashMap<[u8; 32], Value>;

/// The replaced values of the newest versions.
#[derive(Default)]
pub struct Past(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    newest: u64,
    /// Ascending versions up to the newest, without a hole, each with what its block replaced.
    versions: VecDeque<Noted>,
    bytes: usize,
}

struct Noted {
    version: u64,
    values: Replaced,
    bytes: usize,
}

impl Past {
    /// Nothing is known of the time before `newest`.
    pub fn from(newest: u64) -> Self {
        Self(Mutex::new(Inner { newest, ..Inner::default() }))
    }

    /// Notes what the block of `version` is about to replace.
    pub fn note(&self, version: u64, values: Replaced) {
        let mut inner = self.lock();
        if version != inner.newest + 1 {
            (inner.versions, inner.bytes) = (VecDeque::new(), 0);
        }
        let size = |value: &Value| ITEM_BYTES + value.as_ref().map_or(0, |bytes| bytes.len());
        let bytes = values.values().map(size).sum();
        inner.newest = version;
        inner.bytes += bytes;
        inner.versions.push_back(Noted { version, values, bytes });
        while inner.bytes > BYTES_MAX || inner.versions.len() as u64 > MAP_VERSIONS_KEPT {
            let Some(oldest) = inner.versions.pop_front() else { break };
            inner.bytes -= oldest.bytes;
        }
    }

    /// What `key` was at `version`; `None` where that is too long ago. `now` reads what it is now, and is
    /// called while no block can be noted.
    pub fn at<E>(
        &self,
        version: u64,
        key: &[u8; 32],
        now: impl FnOnce() -> Result<Value, E>,
    ) -> Result<Option<Value>, E> {
        let inner = self.lock();
        let before = |first: &Noted| first.version.saturating_sub(1);
        let known_from = inner.versions.front().map_or(inner.newest, before);
        if version < known_from {
            return Ok(None);
        }
        let later = inner.versions.iter().filter(|replaced| replaced.version > version);
        let replaced = later.filter_map(|replaced| replaced.values.get(key)).next();
        replaced.map_or_else(now, |value| Ok(value.clone())).map(Some)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(byte: u8) -> Value {
        Some(Arc::from([byte]))
    }

    fn at(past: &Past, version: u64, key: u8) -> Option<Value> {
        past.at::<()>(version, &[key; 32], || Ok(value(99))).unwrap()
    }

    #[test]
    fn a_value_is_what_the_next_block_that_wrote_it_replaced() {
        let past = Past::from(7);
        assert_eq!(at(&past, 7, 1), Some(value(99)), "nothing was written since");
        assert_eq!(at(&past, 6, 1), None, "nothing is known of the time before");
        past.note(8, HashMap::from([([1; 32], value(7)), ([2; 32], None)]));
        past.note(9, HashMap::from([([1; 32], value(8))]));
        let seen = [7, 8, 9].map(|version| at(&past, version, 1).unwrap());
        assert_eq!(seen, [value(7), value(8), value(99)]);
        let seen = [7, 8, 9].map(|version| at(&past, version, 2).unwrap());
        assert_eq!(seen, [None, value(99), value(99)], "it came with block 8");
    }

    #[test]
    fn the_genesis_block_replaces_nothing() {
        let past = Past::from(0);
        past.note(0, HashMap::from([([1; 32], None)]));
        assert_eq!(at(&past, 0, 1), Some(value(99)));
        past.note(1, HashMap::from([([1; 32], value(7))]));
        assert_eq!(at(&past, 0, 1), Some(value(7)));
    }

    #[test]
    fn no_more_versions_are_kept_than_the_map_keeps() {
        let past = Past::from(0);
        for version in 1..=MAP_VERSIONS_KEPT + 5 {
            past.note(version, HashMap::from([([1; 32], value(version as u8))]));
        }
        assert_eq!(at(&past, 4, 1), None);
        assert_eq!(at(&past, 5, 1), Some(value(6)));
    }
}
