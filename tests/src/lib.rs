//! Consign as a whole, checked from outside: this crate ships nothing.
//!
//! `src` is the rig that tests share. Tests that start nodes as processes lie in `tests`, and the
//! rules of the repository itself in `tests/tidy`.

pub mod bench;
pub mod drill;
pub mod page;
pub mod wait;
