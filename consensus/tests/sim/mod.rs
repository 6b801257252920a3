//! A seeded simulation of a cluster of engines in virtual time.
//!
//! One queue of things to come, one random number generator, no clock: a seed is a history. Every
//! signature is real, every message goes through its bytes. What the machine may lose is lost:
//! messages, the unsynced tail of a log at any byte, a slot in the middle of its write, everything
//! between two effects of one step. What must hold is checked as it happens, by [`judge`].

pub mod cluster;
pub mod disk;
pub mod host;
pub mod judge;
pub mod liar;
pub mod rng;
pub mod world;
