//! `cargo fuzz run signature_line`.

#![no_main]

use consign_fuzz::{target, trust_of_page};

libfuzzer_sys::fuzz_target!(|data: &[u8]| (target("signature_line").feed)(data, trust_of_page()));
