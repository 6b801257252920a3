//! `cargo fuzz run event_p256`.

#![no_main]

use consign_fuzz::{target, trust_of_page};

libfuzzer_sys::fuzz_target!(|data: &[u8]| (target("event_p256").feed)(data, trust_of_page()));
