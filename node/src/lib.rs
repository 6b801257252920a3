//! `consignd`: the only room with clock, disk and network; it drives the others.

pub mod answer;
pub mod causes;
pub mod check;
pub mod clock;
pub mod config;
pub mod cosign;
pub mod doctor;
pub mod driver;
pub mod evidence;
pub mod executor;
pub mod gather;
pub mod health;
pub mod join;
pub mod keys;
pub mod metrics;
pub mod node;
pub mod p2p;
pub mod pool;
pub mod roster;
pub mod serve;
pub mod start;
pub mod state;
pub mod store;
pub mod sync;
pub mod wire;
pub mod witness;
