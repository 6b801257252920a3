//! What every block reads again: entries of the unit map and the nodes above them, as they are now.
//!
//! Entries are written through, after the block is on disk and never before. A reader that misses holds
//! the place of what it reads: where a block replaces it meanwhile, the reader's older value is not
//! kept. Nodes never change under their key.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Fault;

const ENTRY_BYTES_MAX: u64 = 64 << 20;
const NODE_BYTES_MAX: u64 = 64 << 20;
/// About what a cached item takes beside key and value.
const ITEM_BYTES: u64 = 96;

type Value = Option<Arc<[u8]>>;

/// The caches of one store, each bounded in bytes.
pub struct Caches {
    entries: Cache<[u8; 32], Value, Bytes>,
    nodes: Cache<Vec<u8>, Value, Bytes>,
}

#[derive(Clone)]
struct Bytes;

impl<K: AsRef<[u8]>> Weighter<K, Value> for Bytes {
    fn weight(&self, key: &K, value: &Value) -> u64 {
        let value = value.as_ref().map_or(0, |bytes| bytes.len());
        ITEM_BYTES + (key.as_ref().len() + value) as u64
    }
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            entries: Cache::with_weighter(100_000, ENTRY_BYTES_MAX, Bytes),
            nodes: Cache::with_weighter(100_000, NODE_BYTES_MAX, Bytes),
        }
    }
}

impl Caches {
    /// An entry as it is now, or that there is none.
    pub fn entry(
        &self,
        key: &[u8; 32],
        read: impl FnOnce() -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        self.entries.get_or_insert_with(key, read)
    }

    /// A node of the unit map.
    pub fn node(
        &self,
        key: &[u8],
        read: impl FnOnce() -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        match self.nodes.get(key) {
            Some(node) => Ok(node),
            None => {
                let node = read()?;
                if node.is_some() {
                    self.nodes.insert(key.to_vec(), node.clone());
                }
                Ok(node)
            }
        }
    }

    /// Takes up what a block changed, once it is on disk.
    pub fn absorb(&self, fresh: Fresh) {
        for (key, value) in fresh.entries {
            self.entries.insert(key, Some(value));
        }
        for (key, node) in fresh.nodes {
            self.nodes.insert(key, Some(node));
        }
        for key in &fresh.stale {
            self.nodes.remove(key.as_slice());
        }
    }
}

/// What a block changes in the caches.
#[derive(Default)]
pub struct Fresh {
    /// Entries by map key.
    pub entries: Vec<([u8; 32], Arc<[u8]>)>,
    /// Nodes by encoded key.
    pub nodes: Vec<(Vec<u8>, Arc<[u8]>)>,
    /// Nodes that only older versions need.
    pub stale: Vec<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(byte: u8) -> Value {
        Some(Arc::from([byte]))
    }

    /// The one danger of such a cache: a slow reader that puts an old value over a new one.
    #[test]
    fn a_block_committed_during_a_read_wins() {
        let caches = Caches::default();
        let read = caches.entry(&[1; 32], || {
            let fresh = vec![([1; 32], Arc::from([2]))];
            caches.absorb(Fresh { entries: fresh, ..Fresh::default() });
            Ok(value(1))
        });
        assert_eq!(read.unwrap(), value(1), "the reader has what was there when it read");
        let again = caches.entry(&[1; 32], || panic!("it is cached"));
        assert_eq!(again.unwrap(), value(2));
    }

    #[test]
    fn an_absent_entry_is_remembered_until_a_block_writes_it() {
        let caches = Caches::default();
        assert_eq!(caches.entry(&[1; 32], || Ok(None)).unwrap(), None);
        assert_eq!(caches.entry(&[1; 32], || panic!("it is cached")).unwrap(), None);
        let fresh = vec![([1; 32], Arc::from([2]))];
        caches.absorb(Fresh { entries: fresh, ..Fresh::default() });
        assert_eq!(caches.entry(&[1; 32], || panic!("it is cached")).unwrap(), value(2));
    }
}
