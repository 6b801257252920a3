//! Who decides at present, as far as this machine knows: the node that runs, else its store, else the genesis.

use std::path::Path;

use consign_rpc::views::StatusView;
use consign_types::genesis::Genesis;
use consign_types::validator::ValidatorSet;

use super::judge::Finding;
use crate::store::Store;

/// The validators that decide now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Who said so.
    pub source: &'static str,
    /// How many there are.
    pub validators: usize,
    /// How many may fail.
    pub faults: usize,
    /// How many must agree.
    pub quorum: usize,
    /// Whether this node is one of them.
    pub voting: bool,
    /// The others, by their names.
    pub others: Vec<String>,
}

impl Standing {
    /// By the node that runs.
    pub fn told(status: &StatusView) -> Self {
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let view = &status.validators;
        Self {
            source: "by the node that runs",
            validators: size(view.count),
            faults: size(view.faults),
            quorum: size(view.quorum),
            // Whether it signs just now is another matter: the status lists the others of the set.
            voting: status.peers.len() < size(view.count),
            others: status.peers.iter().map(|peer| peer.party.to_string()).collect(),
        }
    }

    /// By what lies on this machine: the store, where there is one whose set has changed, else the genesis.
    pub fn stored(genesis: &Genesis, db: &Path, party: &str, findings: &mut Vec<Finding>) -> Self {
        let stored = if db.is_dir() { Store::newest_set(db) } else { Ok(None) };
        match stored {
            Ok(Some(set)) => Self::of(&set, party, "by the store"),
            Ok(None) => Self::of(genesis.validators(), party, "by the genesis"),
            Err(fault) => {
                let mend = "run `consignd check`, which says what is wrong with it";
                findings.push(Finding::warn(
                    "quorum",
                    consign_types::causes::on_one_line(&fault),
                    mend,
                ));
                Self::of(genesis.validators(), party, "by the genesis")
            }
        }
    }

    fn of(set: &ValidatorSet, party: &str, source: &'static str) -> Self {
        let names = set.validators().iter().map(|validator| validator.party.to_string());
        let (own, others): (Vec<_>, Vec<_>) = names.partition(|name| name == party);
        Self {
            source,
            validators: set.count(),
            faults: set.faults(),
            quorum: set.quorum(),
            voting: !own.is_empty(),
            others,
        }
    }
}
