//! `cargo fuzz run request`.

#![no_main]

use consign_fuzz::{target, trust_of_page};

libfuzzer_sys::fuzz_target!(|data: &[u8]| (target("request").feed)(data, trust_of_page()));
