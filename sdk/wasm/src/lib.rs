//! The verifier of the command line, for JavaScript: a passport, a receipt or evidence, a trust file and the time
//! go in, four answers come out as JSON.
//!
//! It is the code of `consign-types` and `consign-ledger`; here is only the door. No clock,
//! no network, no randomness: the module imports nothing, so that there is nothing that it could call.
//!
//! `ask` makes a question of texts, `json` writes what `consign_ledger::answers` says to it; `door` is what
//! JavaScript calls, in `verifier.js`.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod ask;
#[cfg(target_arch = "wasm32")]
mod door;
mod json;

pub use ask::{Question, verify};
pub use json::json;
