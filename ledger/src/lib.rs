//! The ledger: custody rules, Merkle log, unit map; pure.
//!
//! No clock, no disk, no network, no thread and no randomness: the same events on the same state give
//! the same roots on every node, in an auditor's hands and in a browser. Everything that a rule reads
//! is an entry under the unit map's root.
//!
//! `apply` executes blocks, `rules` holds the table of custody rules, `door` checks events before they
//! are in a block, `map` is the authenticated map, `log` the append-only tree, `passport`
//! the history of one unit as a file that proves itself, `evidence` a file that names who misbehaved,
//! `replay` runs a whole log again.

extern crate alloc;

pub mod apply;
pub mod door;
pub mod entry;
pub mod errors;
pub mod evidence;
pub mod log;
pub mod map;
pub mod passport;
pub mod replay;
mod rules;
pub mod signer;
pub mod unit;
