//! Running the rules again over a log whose hashes hold.

use std::collections::HashMap;
use std::sync::RwLock;

use consign_ledger::replay::{Block, Broken, KeyOf, Replay, Wrong, is_record};
use consign_types::block::TreeSize;
use consign_types::causes::on_one_line;
use consign_types::digest::NetworkId;
use consign_types::event::{NotVerified, SignedEvent, Verified};
use consign_types::limits::BLOCK_EVENTS_MAX;
use consign_types::signer_key::{PreparedKey, SignerKey};
use rayon::prelude::*;

use super::entries::{self, WIDTH};
use super::finding::{Code, Finding};
use super::source::Source;
use crate::failure::Failure;

/// How far the rules were run, and what stopped them.
#[derive(Debug)]
pub struct Rerun {
    /// The state after the last block that holds; none where not even genesis does.
    pub replay: Option<Replay>,
    /// Events whose signatures and rules hold, in this run.
    pub events: u64,
    /// Blocks that hold, in this run.
    pub blocks: u64,
    /// The first leaf that is wrong.
    pub finding: Option<Finding>,
}

/// Keys with what is computed of them once; a device signs often.
#[derive(Default)]
struct Keyring(RwLock<HashMap<SignerKey, PreparedKey>>);

/// Keys kept prepared: each takes a few hundred bytes.
const KEYS_MAX: usize = 100_000;

impl Keyring {
    fn prepared(&self, key: SignerKey) -> Option<PreparedKey> {
        let known = self.0.read().ok()?.get(&key).cloned();
        if known.is_some() {
            return known;
        }
        let prepared = PreparedKey::new(&key).ok()?;
        let mut kept = self.0.write().ok()?;
        if kept.len() < KEYS_MAX {
            kept.insert(key, prepared.clone());
        }
        Some(prepared)
    }

    /// Checks signatures on all cores.
    fn verify(
        &self,
        events: Vec<SignedEvent>,
        key_of: &KeyOf<'_>,
    ) -> Vec<Result<Verified, NotVerified>> {
        let check = |event: SignedEvent| {
            event.verify(&mut |signer, id| key_of(signer, id).and_then(|key| self.prepared(key)))
        };
        events.into_par_iter().map(check).collect()
    }
}

/// Runs the leaves of `source` up to `size`, from where `from` stands or from leaf 0. `seen` is told of each
/// block.
///
/// # Errors
/// When the source cannot be read.
pub fn rerun(
    source: &Source,
    network: NetworkId,
    size: TreeSize,
    from: Option<Replay>,
    mut seen: impl FnMut(&Replay, &Block),
) -> Result<Rerun, Failure> {
    let keys = Keyring::default();
    let mut run = Rerun { replay: from, events: 0, blocks: 0, finding: None };
    let begin = run.replay.as_ref().map_or(0, |replay| replay.frontier().size().0);
    let mut open: Vec<Vec<u8>> = Vec::new();
    for index in begin / WIDTH..size.0.div_ceil(WIDTH) {
        let leaves = match entries::bundle(source, index, size)? {
            Ok(leaves) => leaves,
            Err(finding) => {
                run.finding = Some(finding);
                return Ok(run);
            }
        };
        let skip = begin.saturating_sub(index * WIDTH) as usize;
        for leaf in leaves.into_iter().skip(skip) {
            let closes = is_record(&leaf);
            open.push(leaf);
            let Some(replay) = &mut run.replay else {
                if open.len() == 2 {
                    let begun = Replay::begin(network, [&open[0], &open[1]], |_| ());
                    match begun {
                        Ok(replay) => run.replay = Some(replay),
                        Err(broken) => {
                            run.finding = Some(of(&source.name(), &broken));
                            return Ok(run);
                        }
                    }
                    open.clear();
                }
                continue;
            };
            // Nothing honest is longer: the replay says so, and memory stays bounded.
            if !closes && open.len() <= BLOCK_EVENTS_MAX {
                continue;
            }
            match replay.block(&open, |events, key_of| keys.verify(events, key_of), |_| ()) {
                Ok(block) => {
                    run.events += block.events.len() as u64;
                    run.blocks += 1;
                    seen(replay, &block);
                    open.clear();
                }
                Err(broken) => {
                    run.finding = Some(of(&source.name(), &broken));
                    return Ok(run);
                }
            }
        }
    }
    if !open.is_empty() {
        let detail =
            format!("the log ends within a block: its last {} leaves have no record", open.len());
        let at = size.0 - open.len() as u64;
        run.finding = Some(Finding::new(Code::WrongLeaf, &source.name(), detail).at(at));
    }
    Ok(run)
}

fn of(source: &str, broken: &Broken) -> Finding {
    let code = match broken.why {
        Wrong::Rule { .. } => Code::RuleBroken,
        // The replay's own map, and nothing in the log.
        Wrong::Map(_) => Code::Damaged,
        _ => Code::WrongLeaf,
    };
    Finding::new(code, source, on_one_line(broken)).at(broken.leaf.0)
}
