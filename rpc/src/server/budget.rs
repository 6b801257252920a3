//! Memory for what callers send: so much for all of them, and a part of it for each address.
//!
//! Where all of it is used up, whoever holds much and only waits gives it up, longest first: a body that is still
//! on its way, and a submission that waits for an event to become final.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::Address;
use super::waiting::{Turn, Waiting};

/// From so many bytes on, whoever waits gives them up where memory is needed. No less than what is read from a
/// connection at once: then one that goes is enough for one that comes.
pub(crate) const WORTH_BYTES: usize = 32 * 1024;

/// How long whoever needs memory waits for it to become free.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// Memory for what callers send. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    free: Semaphore,
    per_address_max: usize,
    held: Mutex<HashMap<Address, usize>>,
    waiting: Arc<Waiting>,
}

/// Memory that one address has taken; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Budget,
    address: Address,
    bytes: usize,
}

impl Budget {
    /// So many bytes, and of them so many for each address.
    pub(crate) fn new(bytes_max: usize, per_address_max: usize) -> Self {
        let free = Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS));
        let (held, waiting) = (Mutex::default(), Arc::default());
        Self(Arc::new(Account { free, per_address_max, held, waiting }))
    }

    /// None yet, for `address`.
    pub(crate) fn open(&self, address: Address) -> Memory {
        Memory { budget: self.clone(), address, bytes: 0 }
    }

    /// Somebody who holds some, and waits: can be sent away.
    pub(crate) fn join(&self) -> Turn {
        self.0.waiting.join()
    }
}

impl Memory {
    /// How much it is.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more, unless there is no more; then whoever comes next may find some.
    pub(crate) fn try_grow(&mut self, more: usize) -> bool {
        if more == 0 {
            return true;
        }
        let budget = self.budget.clone();
        let (Some(count), true) = (u32::try_from(more).ok(), self.is_in_share(more)) else {
            return false;
        };
        match budget.0.free.try_acquire_many(count) {
            Ok(permit) => self.keep(permit, more),
            Err(_) => {
                budget.0.waiting.send_away_one();
                false
            }
        }
    }

    /// The same, and waits a moment for whoever makes room.
    pub(crate) async fn grow(&mut self, more: usize) -> bool {
        if self.try_grow(more) {
            return true;
        }
        let budget = self.budget.clone();
        let (Some(count), true) = (u32::try_from(more).ok(), self.is_in_share(more)) else {
            return false;
        };
        match tokio::time::timeout(ROOM_WAIT, budget.0.free.acquire_many(count)).await {
            Ok(Ok(permit)) => self.keep(permit, more),
            _ => false,
        }
    }

    fn is_in_share(&self, more: usize) -> bool {
        let held = self.budget.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.get(&self.address).copied().unwrap_or_default();
        own.saturating_add(more) <= self.budget.0.per_address_max
    }

    /// Counts what was taken, unless the address has taken its share meanwhile.
    fn keep(&mut self, permit: SemaphorePermit<'_>, more: usize) -> bool {
        let mut held = self.budget.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.get(&self.address).copied().unwrap_or_default().saturating_add(more);
        if own > self.budget.0.per_address_max {
            return false;
        }
        held.insert(self.address, own);
        self.bytes += more;
        // Given back when this is dropped.
        permit.forget();
        true
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.budget.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.address) {
            *own -= self.bytes;
            if *own == 0 {
                held.remove(&self.address);
            }
        }
        drop(held);
        self.budget.0.free.add_permits(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn address(last: u8) -> Address {
        IpAddr::from([192, 0, 2, last]).into()
    }

    #[tokio::test]
    async fn an_address_takes_its_share_and_leaves_the_rest_to_others() {
        let budget = Budget::new(10, 6);
        let mut first = budget.open(address(1));
        assert!(first.try_grow(6));
        assert!(!budget.open(address(1)).grow(1).await, "its share is used up");
        let mut other = budget.open(address(2));
        assert!(other.grow(4).await);
        assert!(!other.grow(1).await, "all is used up");
        drop(first);
        assert!(budget.open(address(1)).grow(6).await);
        assert_eq!(other.bytes(), 4);
    }

    #[tokio::test]
    async fn who_waits_makes_room_for_who_comes() {
        let budget = Budget::new(10, 10);
        let mut held = budget.open(address(1));
        assert!(held.try_grow(10));
        let turn = budget.join();
        let leaves = async {
            turn.sent_away().await;
            drop(held);
        };
        let mut comes = budget.open(address(2));
        let (has_grown, ()) = tokio::join!(comes.grow(8), leaves);
        assert_eq!((has_grown, comes.bytes()), (true, 8));
    }
}
