//! What nodes do while nobody asks anything of them.

use std::time::{Duration, Instant};

use consign_cli::devnet::process;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Drill;
use crate::bench::machine::usage;

/// What one node did while nobody asked anything of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Idle {
    /// Blocks that it committed.
    pub blocks: u64,
    /// What it took of one core; 1 is all of it.
    pub cpu_share: f64,
}

impl Drill {
    /// Leaves the nodes alone for `window`, or until one tells of a block. Nothing else is asked of them
    /// meanwhile.
    ///
    /// # Panics
    /// When a node does not run, or stops telling.
    pub async fn leave_alone(&self, window: Duration) -> Vec<Idle> {
        let mut told = JoinSet::new();
        for party in self.parties() {
            let mut blocks = self.client(&party).follow_blocks(None);
            blocks.open().await.expect("the node tells blocks");
            told.spawn(async move { blocks.next().await.expect("the node goes on telling") });
        }
        let (before, since) = (self.look().await, Instant::now());
        // That nothing is told for so long is what is looked for.
        let _ = timeout(window, told.join_next()).await;
        let (after, took) = (self.look().await, since.elapsed());
        let each = before.into_iter().zip(after);
        each.map(|((height, cpu_ms), (later_height, later_cpu_ms))| Idle {
            blocks: later_height - height,
            cpu_share: (later_cpu_ms - cpu_ms) / (took.as_secs_f64() * 1000.0),
        })
        .collect()
    }

    /// Height and processor time of each node.
    async fn look(&self) -> Vec<(u64, f64)> {
        let mut seen = Vec::new();
        for party in self.parties() {
            let height = self.height(&party).await.expect("the node answers");
            let pid = process::running(self.home(&party)).expect("the node runs");
            seen.push((height, usage(pid.as_raw_nonzero().get().unsigned_abs()).cpu_ms));
        }
        seen
    }
}
