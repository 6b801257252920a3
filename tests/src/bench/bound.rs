//! The bound: how fast four nodes could be if checking signatures were all their work.
//!
//! Every node checks every signature, and all of them share the cores: strict verifications per second
//! on one core, times the cores, divided by the nodes. Measured while the nodes are idle, on messages
//! as long as the workload's events, each under a key of its own.

use std::hint::black_box;
use std::time::{Duration, Instant};

use consign_types::digest::Digest;
use consign_types::key::{PublicKey, SecretKey, Signature};

const SAMPLES: usize = 500;

/// Signatures to check, over and over.
#[derive(Debug)]
pub struct Bound {
    samples: Vec<(PublicKey, Vec<u8>, Signature)>,
    /// Shares of the whole machine that one core makes up for one node.
    cores_per_node: f64,
}

impl Bound {
    /// The bound of a machine with so many cores and nodes, for events of `bytes` bytes.
    pub fn new(cores: usize, nodes: usize, bytes: usize) -> Self {
        let sample = |index: usize| {
            let seed = Digest::of(&[b"consign-bench/bound", &index.to_be_bytes()]);
            let key = SecretKey::from_seed(seed.0);
            let message: Vec<u8> = seed.0.iter().copied().cycle().take(bytes).collect();
            let signature = key.sign(&message);
            (key.public(), message, signature)
        };
        Self {
            samples: (0..SAMPLES).map(sample).collect(),
            cores_per_node: cores as f64 / nodes as f64,
        }
    }

    /// Events a second, measured for as long as `time`. Blocks its thread.
    pub fn measure(&self, time: Duration) -> f64 {
        let since = Instant::now();
        let mut checked = 0_u64;
        while since.elapsed() < time {
            for (key, message, signature) in &self.samples {
                let holds = black_box(key).verify(black_box(message), signature).is_ok();
                assert!(holds, "a signature made here holds");
                checked += 1;
            }
        }
        checked as f64 / since.elapsed().as_secs_f64() * self.cores_per_node
    }
}
