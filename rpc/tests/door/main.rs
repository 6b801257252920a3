//! The doors as a stranger meets them: real connections on a free port, with a node made of memory
//! behind them. No test waits for time to pass: each waits for what must happen, with a deadline.

mod access;
mod calls;
mod document;
mod fake;
mod feeds;
mod files;
mod limits;
mod memory;
mod own_socket;
mod raw;
mod room;
mod samples;
mod socket;
mod tls;
