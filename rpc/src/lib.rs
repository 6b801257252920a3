//! The doors of a node: JSON-RPC and plain HTTP on one port, and the client that calls them.
//!
//! One table ([`methods`]) says which methods there are; server, client and the OpenRPC document
//! are made from it, so that they cannot drift apart. One table ([`errors`]) says how a call fails.
//! The views hold what a node answers; a node fills them behind the [`backend`] trait.
//!
//! This crate knows the values of `consign-types` and nothing of ledger, consensus or storage.

pub mod errors;
pub mod join;
pub mod methods;
pub mod openrpc;
pub mod page;
pub mod params;
pub mod scope;
pub mod token;
pub mod views;

#[cfg(feature = "server")]
pub mod backend;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod rates;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod subscription;
#[cfg(any(feature = "server", feature = "client"))]
pub mod tls;
