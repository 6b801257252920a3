//! What a node must not lose: RocksDB, with one synced write for each block.
//!
//! The block log (`leaves`, `blocks`) is the truth; everything else can be rebuilt from it. A block's
//! certificate, leaves, tile hashes, unit-map nodes, entries and cosigned checkpoint go in together or
//! not at all. The write-ahead log is always on. An error on the write path is a [`Fault`]: the
//! process ends and recovers on restart; nothing retries after a failed fsync.

mod batch;
mod cache;
mod evidence;
mod governance;
mod history;
mod keys;
mod past;
mod read;
mod signers;
mod tip;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub use batch::{BlockBatch, decode_body};
pub use evidence::{By, Keeping};
pub use governance::{REQUESTS_MAX, SetInForce};
pub use history::InHistory;
pub use read::MapReader;
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, Options, WriteBatch, WriteOptions};
pub use tip::{CosignedState, StoredBlock, Tip};

/// Column families, each with what its keys and values are.
mod cf {
    /// `tip`, `network`, `cosigned` -> their canonical encodings; `signers` where [`SIGNERS`] is complete.
    pub const META: &str = "meta";
    /// Height -> [`super::StoredBlock`].
    pub const BLOCKS: &str = "blocks";
    /// Leaf index -> exact leaf data.
    pub const LEAVES: &str = "leaves";
    /// Tile level, index -> hash of the complete subtree of `256^level` leaves.
    pub const HASHES: &str = "hashes";
    /// Event id -> leaf index.
    pub const EVENTS: &str = "events";
    /// Hash of a unit's number, position in its history -> leaf index, and what stood around the unit.
    pub const HISTORY: &str = "history";
    /// Map key -> entry: the unit map's present content.
    pub const ENTRIES: &str = "entries";
    /// Encoded node key of the unit map -> node.
    pub const MAP_NODES: &str = "map_nodes";
    /// Version since which it is stale, encoded node key -> nothing.
    pub const MAP_STALE: &str = "map_stale";
    /// Height, block id -> body of a block that is not decided yet, with its events.
    pub const BODIES: &str = "bodies";
    /// Size of the log -> checkpoint with a quorum of cosignatures.
    pub const NOTES: &str = "notes";

    /// Files that name who misbehaved; see [`super::evidence`].
    pub const EVIDENCE: &str = "evidence";

    /// Validator sets and proposals; see [`super::governance`].
    pub const GOVERNANCE: &str = "governance";

    /// Devices and the events of signers; see [`super::signers`].
    pub const SIGNERS: &str = "signers";

    pub const ALL: [&str; 14] = [
        META, BLOCKS, LEAVES, HASHES, EVENTS, HISTORY, ENTRIES, MAP_NODES, MAP_STALE, BODIES,
        NOTES, EVIDENCE, GOVERNANCE, SIGNERS,
    ];
}

/// Why this node cannot go on. Ours, not a sender's: the node stops, restarts and recovers.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database refused an operation.
    #[error("the store at {path} failed to {what}")]
    Store {
        /// Where it lies.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why.
        source: rocksdb::Error,
    },
    /// Stored bytes that do not decode, or are missing where they must be.
    #[error("the store at {path} holds a damaged {what}: {why}; restore this node from its peers")]
    Damaged {
        /// Where it lies.
        path: PathBuf,
        /// What is damaged.
        what: &'static str,
        /// How.
        why: String,
    },
    /// The store of another network.
    #[error("the store at {path} belongs to network {found}, not to {expected}")]
    OtherNetwork {
        /// Where it lies.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// A file beside the database.
    #[error("cannot {what} {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// The database of one node.
pub struct Store {
    db: DB,
    path: PathBuf,
    caches: cache::Caches,
    past: past::Past,
    evidence: Mutex<evidence::Kept>,
}

impl Store {
    /// Opens the database in `path`, or makes it.
    ///
    /// # Errors
    /// When it cannot be opened: locked by another process, damaged, or no space.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_max_total_wal_size(256 << 20);
        // All column families together; each alone could take twice its own buffer.
        options.set_db_write_buffer_size(128 << 20);
        options.set_keep_log_file_num(4);
        options.set_max_background_jobs(2);
        options.set_max_open_files(512);
        options.set_bytes_per_sync(1 << 20);
        options.set_wal_bytes_per_sync(1 << 20);

        let cache = rocksdb::Cache::new_lru_cache(96 << 20);
        let families = cf::ALL.map(|name| {
            let mut table = rocksdb::BlockBasedOptions::default();
            table.set_block_cache(&cache);
            table.set_cache_index_and_filter_blocks(true);
            table.set_pin_l0_filter_and_index_blocks_in_cache(true);
            table.set_format_version(5);
            if matches!(name, cf::ENTRIES | cf::MAP_NODES | cf::EVENTS) {
                table.set_bloom_filter(10.0, false);
            }
            let mut family = Options::default();
            if name == cf::EVENTS {
                // Mostly asked for ids that are new.
                family.set_memtable_whole_key_filtering(true);
                family.set_memtable_prefix_bloom_ratio(0.05);
            }
            family.set_block_based_table_factory(&table);
            family.set_compression_type(rocksdb::DBCompressionType::Lz4);
            family.set_write_buffer_size(32 << 20);
            ColumnFamilyDescriptor::new(name, family)
        });
        let db = DB::open_cf_descriptors(&options, path, families)
            .map_err(|source| Fault::Store { path: path.to_owned(), what: "open", source })?;
        let (path, caches, past) = (path.to_owned(), Default::default(), Default::default());
        let mut store = Self { db, path, caches, past, evidence: Mutex::default() };
        let newest = store.tip()?.map_or(0, |tip| tip.record.height.0);
        store.past = past::Past::from(newest);
        store.evidence = Mutex::new(store.count_evidence()?);
        store.list_signers()?;
        Ok(store)
    }

    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads one value.
    ///
    /// # Errors
    /// When the database cannot be read or a checksum does not hold.
    fn get(&self, name: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.db.get_cf(self.family(name), key).map_err(|source| self.failed("read", source))
    }

    /// Writes `batch`, synced to disk before it returns.
    ///
    /// # Errors
    /// When it cannot be written or synced; the process must end then.
    fn write_synced(&self, batch: WriteBatch) -> Result<(), Fault> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(|source| self.failed("write", source))
    }

    fn family(&self, name: &'static str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("every column family in `cf::ALL` was opened")
    }

    fn failed(&self, what: &'static str, source: rocksdb::Error) -> Fault {
        Fault::Store { path: self.path.clone(), what, source }
    }

    /// What is stored does not hold together.
    pub(crate) fn damaged(&self, what: &'static str, why: impl ToString) -> Fault {
        Fault::Damaged { path: self.path.clone(), what, why: why.to_string() }
    }
}
