//! Four real nodes, as their users and their attackers meet them.
//!
//! Each test has a network of its own and ends with [`Drill::finish`]: every node's stored data verify
//! from bytes alone, all hold the same, and in it is what was proven, each once, and nothing else. What
//! happens when nodes are killed stands in `recovery.rs`.
//!
//! [`Drill::finish`]: consign_tests::drill::Drill::finish

/// The ledger's own rig: the same scenes, played on nodes.
#[path = "../../../ledger/tests/support/mod.rs"]
mod desk;

mod attack;
mod audit;
mod authority;
mod bad_input;
mod council;
mod device;
mod doors;
mod evidence;
mod founding;
mod handover;
mod idle;
mod membership;
mod newcomer;
mod p256;
mod params;
mod passport;
mod quarrel;
mod quota;
mod replay;
mod roles;
mod stranger;
mod tiles;
mod witness;
