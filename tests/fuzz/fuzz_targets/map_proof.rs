//! `cargo fuzz run map_proof`.

#![no_main]

use consign_fuzz::{target, trust_of_page};

libfuzzer_sys::fuzz_target!(|data: &[u8]| (target("map_proof").feed)(data, trust_of_page()));
