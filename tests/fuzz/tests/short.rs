//! A short run of every target: changed copies of a worked example, from a seed.

use std::alloc::System;

use consign_fuzz::{TARGETS, Target, example, trust_of_page};
use consign_types::trust::Trust;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATIONS: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SEED: u64 = 20_261_123;
const ROUNDS: u32 = 20_000;
/// All that a decoder may ask for while it reads, for each byte that it was given. Lists of parsed values are
/// larger than their bytes, and what is read is written again to compare.
const PER_BYTE_MAX: usize = 64;
/// And for none.
const FIXED_MAX: usize = 64 * 1024;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }
}

/// A few changes, of the kinds that decoders get wrong.
fn changed(rng: &mut Rng, example: &[u8]) -> Vec<u8> {
    let mut bytes = example.to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(7) {
            _ if bytes.is_empty() => bytes.push(rng.next() as u8),
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, rng.next() as u8),
            // A head of CBOR that promises more than there is.
            5 => {
                let major = rng.below(8) as u8;
                let lie = [major << 5 | 0x1b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
                bytes.splice(at..at, lie);
            }
            _ => {
                let end = at + rng.below(bytes.len() - at);
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

fn feed(target: &Target, bytes: &[u8], trust: &Trust) {
    let region = Region::new(ALLOCATIONS);
    (target.feed)(bytes, trust);
    let asked = region.change().bytes_allocated;
    let allowed = FIXED_MAX + bytes.len() * PER_BYTE_MAX;
    assert!(asked <= allowed, "{}: {asked} bytes for {} given", target.name, bytes.len());
}

#[test]
fn no_bytes_make_a_decoder_panic_or_take_more_than_a_multiple_of_their_number() {
    println!("seed {SEED}, {ROUNDS} rounds");
    let trust = trust_of_page();
    for target in TARGETS {
        let example = example(target.example.0, target.example.1);
        let mut rng = Rng(SEED);
        feed(target, &example, trust);
        feed(target, &[], trust);
        for _ in 0..ROUNDS {
            let bytes = changed(&mut rng, &example);
            feed(target, &bytes, trust);
        }
    }
}

#[test]
fn every_target_has_a_file_for_cargo_fuzz() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let files = std::fs::read_dir(folder).expect("the targets");
    let stem = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("a file").path();
        path.file_stem().expect("a name").to_string_lossy().into_owned()
    };
    let mut files: Vec<String> = files.map(stem).collect();
    files.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(files, names);
}
