//! `cargo fuzz run cose_receipt`.

#![no_main]

use consign_fuzz::{target, trust_of_page};

libfuzzer_sys::fuzz_target!(|data: &[u8]| (target("cose_receipt").feed)(data, trust_of_page()));
