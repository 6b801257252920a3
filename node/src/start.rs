//! Opening what a node has: a fresh store gets the genesis block, another one is checked.

use std::sync::Arc;

use consign_ledger::entry::genesis_writes;
use consign_ledger::log::Frontier;
use consign_ledger::map::{self, MemoryMap};
use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::codec::Canonical as _;
use consign_types::merkle;
use tracing::info;

use crate::config::Config;
use crate::keys::private_dir;
use crate::state::Committed;
use crate::store::{Fault, Store, StoredBlock, Tip};

/// Opens the node's store, making it where there is none.
///
/// # Errors
/// When it cannot be opened, belongs to another network, or does not hold together.
pub fn open(config: &Config) -> Result<Committed, Fault> {
    let dir = &config.data_dir;
    private_dir(dir).map_err(|source| Fault::File { path: dir.clone(), what: "create", source })?;
    let store = Arc::new(Store::open(&dir.join("db"))?);
    let expected = config.genesis.network();
    match store.network()? {
        None => write_genesis(&store, config)?,
        Some(found) if found == expected => {}
        Some(found) => {
            let path = store.path().to_owned();
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(Fault::OtherNetwork { path, found, expected });
        }
    }
    let tip = store.tip()?.ok_or_else(|| store.damaged("tip", "it is missing"))?;
    let proven = store.newest_note()?.map_or(TreeSize(0), |(size, _)| size);
    Committed::new(store, config.genesis.clone(), tip, proven)
}

fn write_genesis(store: &Store, config: &Config) -> Result<(), Fault> {
    let genesis = &config.genesis;
    let writes = genesis_writes(genesis);
    let (map_root, map) =
        map::update(&MemoryMap::default(), 0, &writes).map_err(|e| store.damaged_map(e))?;
    let block = genesis.block(map_root);

    let (document, record) = (genesis.to_bytes(), block.record.to_bytes());
    let mut batch = store.block_batch();
    let mut frontier = Frontier::default();
    for (index, leaf) in [&document, &record].into_iter().enumerate() {
        batch.leaf(LeafIndex(index as u64), leaf);
        let mut hashes = Vec::new();
        frontier.append(merkle::leaf_hash(leaf), |hash| hashes.push(hash));
        hashes.iter().for_each(|hash| batch.tile_hash(hash));
    }
    assert_eq!((frontier.size(), frontier.root()), (block.size, block.root));
    batch.map(0, &writes, &map)?;
    let stored = StoredBlock {
        block: block.id,
        first: LeafIndex(0),
        size: block.size,
        root: block.root,
        certificate: None,
    };
    batch.block(Height(0), &stored);
    batch.tip(&Tip { record: block.record, block: block.id, size: block.size, root: block.root });
    batch.network(genesis.network());
    batch.write()?;
    info!(code = "ledger.genesis.written", network = %genesis.network());
    Ok(())
}
