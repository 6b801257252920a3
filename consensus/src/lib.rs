//! Consensus: the engine seam, and the Byzantine fault tolerant engine behind it.
//!
//! [`Engine`] is told the time and what happened, and answers with effects to be carried out in
//! order. It holds no clock, disk, network, thread or random number, so one seed replays a whole
//! cluster. Agreement itself is Tendermint, by Malachite's core crates; none of their types leaves
//! this crate. What the crate adds is what an engine owes around that core: one sync before own
//! messages, the sign-state, a log that survives a torn tail, no empty blocks, pace, evidence.
//!
//! One thing the core does not keep to: it reads `Instant::now` at each height and, as no target time
//! is ever set, never looks at it. So nothing depends on it, but where there is no clock at all
//! (`wasm32-unknown-unknown`) the crate builds and its formats work, and [`Engine`] does not run.
//!
//! It knows blocks as ids. It knows nothing of custody, of bodies, or of how bytes move.

#![forbid(unsafe_code)]

mod bodies;
mod buffer;
mod context;
mod convert;
mod desk;
mod engine;
mod entry;
mod guard;
mod instance;
pub mod message;
mod outbox;
mod seam;
pub mod sign_state;
mod tally;
mod turn;
mod verify;
pub mod wal;

pub use consign_types::double_vote::DoubleVote;
pub use engine::Engine;
pub use message::Message;
pub use seam::{
    Config, Effect, Input, Reason, Signing, Status, Step, Timeouts, Timer, TimerKind, Verdict,
};
