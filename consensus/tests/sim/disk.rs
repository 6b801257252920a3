//! A disk that forgets what was not synced.

use consign_consensus::sign_state::{self, SLOT_BYTES, Slot};
use consign_consensus::wal;
use consign_types::block::Height;
use consign_types::certificate::Certificate;
use consign_types::digest::BlockId;

use super::rng::Rng;

/// Which promises of the disk are broken, to show that the checks would notice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lies {
    /// A sync of the log is acknowledged and not done.
    pub log: bool,
    /// A save of the sign-state is acknowledged and not done.
    pub slots: bool,
}

/// What one node has on disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    lies: Lies,
    log: Vec<u8>,
    log_synced: Vec<u8>,
    slots: [Vec<u8>; 2],
    slots_synced: [Vec<u8>; 2],
    /// Committed blocks with their certificates; height 1 is the first. One synced write each.
    pub chain: Vec<(BlockId, Certificate)>,
}

impl Disk {
    pub fn new(lies: Lies, first: Slot) -> Self {
        let mut disk = Self { lies, ..Self::default() };
        disk.slots[usize::from(first.index)] = first.bytes.to_vec();
        disk.slots_synced = disk.slots.clone();
        disk
    }

    pub fn truncate(&mut self, height: Height) {
        self.log = wal::header(height);
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.log.extend_from_slice(bytes);
    }

    pub fn sync(&mut self) {
        if !self.lies.log {
            self.log_synced = self.log.clone();
        }
    }

    pub fn save(&mut self, slot: &Slot) {
        self.slots[usize::from(slot.index)] = slot.bytes.to_vec();
        if !self.lies.slots {
            self.slots_synced = self.slots.clone();
        }
    }

    /// Whether everything appended is synced (as far as the disk says).
    pub fn is_synced(&self) -> bool {
        self.lies.log || self.log == self.log_synced
    }

    /// The write of `slot` stops at byte `at`.
    pub fn tear(&mut self, slot: &Slot, at: usize) {
        let torn = &mut self.slots[usize::from(slot.index)];
        torn.resize(SLOT_BYTES, 0);
        torn[..at].copy_from_slice(&slot.bytes[..at]);
        self.slots_synced = self.slots.clone();
    }

    /// The machine loses power: of what was not synced, any prefix is left, or none.
    pub fn lose_power(&mut self, rng: &mut Rng) {
        if self.log.starts_with(&self.log_synced) {
            let tail = self.log.len() - self.log_synced.len();
            self.log.truncate(self.log_synced.len() + rng.range(0, tail as u64 + 1) as usize);
            if self.lies.log {
                self.log.truncate(self.log_synced.len());
            }
        } else if self.lies.log || rng.chance(500) {
            self.log = self.log_synced.clone();
        } else {
            let left = rng.range(0, self.log.len() as u64 + 1) as usize;
            self.log.truncate(left);
        }
        self.log_synced = self.log.clone();
        self.slots = self.slots_synced.clone();
    }

    /// What a starting node reads; cuts the log where it is torn.
    pub fn recover(&mut self) -> (Height, wal::Recovered, sign_state::Recovered) {
        let log = wal::recover(&self.log);
        self.log.truncate(log.valid_bytes as usize);
        let slots = sign_state::recover([&self.slots[0], &self.slots[1]]);
        (Height(self.chain.len() as u64), log, slots)
    }

    /// The sign-state is gone.
    pub fn forget_slots(&mut self) {
        self.slots = Default::default();
        self.slots_synced = Default::default();
    }
}
