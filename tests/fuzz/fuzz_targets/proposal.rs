//! `cargo fuzz run proposal`.

#![no_main]

use consign_fuzz::{target, trust_of_page};

libfuzzer_sys::fuzz_target!(|data: &[u8]| (target("proposal").feed)(data, trust_of_page()));
