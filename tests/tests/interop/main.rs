//! Tools that others wrote, on what a real network serves: they accept it, and refuse it with a bit flipped.
//!
//! The tools are in languages of their own, behind the small scripts of `tests/interop`, and are installed
//! by `scripts/setup test`. A tool is handed genuine and forged cases alike and is not told which is which.
//! Where one is missing, the test says NOT RUN for it.

mod cases;
mod command;
mod examples;
mod proofs;
mod receipts;
mod rpc;
mod tools;
mod vectors;
mod witness;
