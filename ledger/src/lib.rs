//! The ledger: custody rules, Merkle log, unit map; pure.
//!
//! No clock, no disk, no network, no thread and no randomness: the same events on the same state give
//! the same roots on every node, in an auditor's hands and in a browser. Everything that a rule reads
//! is an entry under the unit map's root.
//!
//! `apply` executes blocks, `rules` holds the table of custody rules, `door` checks events before they
//! are in a block, `map` is the authenticated map, `log` the append-only tree, `passport`
//! the history of one unit as a file that proves itself, `evidence` a file that names who misbehaved,
//! `answers` says what any proof file proves, `replay` runs a whole log again.

#![no_std]

#[cfg_attr(test, macro_use)]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod answers;
#[cfg(feature = "tree")]
pub mod apply;
pub mod correction;
#[cfg(feature = "tree")]
pub mod door;
pub mod entry;
#[cfg(feature = "tree")]
pub mod errors;
pub mod evidence;
pub mod governance;
pub mod log;
#[cfg(feature = "tree")]
pub mod map;
pub mod passport;
#[cfg(feature = "tree")]
pub mod replay;
#[cfg(feature = "tree")]
mod rules;
pub mod signer;
pub mod unit;

/// Proofs of entries of the unit map.
#[cfg(not(feature = "tree"))]
pub mod map {
    #[allow(dead_code, reason = "only the tree lays out nodes")]
    mod proof;

    pub use proof::{BadMapProof, MapProof};
}
