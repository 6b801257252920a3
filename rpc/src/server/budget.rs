//! Memory for what callers send: so much for all of them, and a part of it for each address.
//!
//! Where all of it is used up, or all of an address's part, whoever holds much of that and only waits gives it up, longest
//! first: a body that is still on its way, and a submission that waits for an event to become final.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
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
pub(crate) struct Budget(Arc<All>);

#[derive(Debug)]
struct All {
    room: Room,
    per_address_max: usize,
    shares: Mutex<HashMap<Address, Weak<Share>>>,
}

/// What is free of something, and who would give up some of the rest.
#[derive(Debug)]
struct Room {
    free: Semaphore,
    waiting: Arc<Waiting>,
}

impl Room {
    fn new(bytes_max: usize) -> Self {
        let free = Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS));
        Self { free, waiting: Arc::default() }
    }

    /// Some of what is free. Where that is not enough, whoever comes next may find more.
    fn try_take(&self, bytes: u32) -> Option<SemaphorePermit<'_>> {
        let taken = self.free.try_acquire_many(bytes).ok();
        if taken.is_none() {
            self.waiting.send_away_one();
        }
        taken
    }

    /// The same, and waits a moment where somebody makes room.
    async fn take(&self, bytes: u32) -> Option<SemaphorePermit<'_>> {
        if let Ok(taken) = self.free.try_acquire_many(bytes) {
            return Some(taken);
        }
        if !self.waiting.send_away_one() {
            return None;
        }
        tokio::time::timeout(ROOM_WAIT, self.free.acquire_many(bytes)).await.ok()?.ok()
    }
}

/// The part of one address, for as long as it has anything of it.
#[derive(Debug)]
struct Share {
    room: Room,
    address: Address,
    of: Budget,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.of.0.shares.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have come from the same address just now.
        if shares.get(&self.address).is_some_and(|share| share.strong_count() == 0) {
            shares.remove(&self.address);
        }
    }
}

impl Budget {
    /// So many bytes, and of them so many for each address.
    pub(crate) fn new(bytes_max: usize, per_address_max: usize) -> Self {
        let shares = Mutex::default();
        Self(Arc::new(All { room: Room::new(bytes_max), per_address_max, shares }))
    }

    /// None yet, for `address`.
    pub(crate) fn open(&self, address: Address) -> Memory {
        let mut shares = self.0.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shares.get(&address).and_then(Weak::upgrade);
        let share = known.unwrap_or_else(|| {
            let room = Room::new(self.0.per_address_max);
            let share = Arc::new(Share { room, address, of: self.clone() });
            shares.insert(address, Arc::downgrade(&share));
            share
        });
        Memory { share, bytes: 0 }
    }
}

/// Memory that one address has taken; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Memory {
    share: Arc<Share>,
    bytes: usize,
}

impl Memory {
    /// How much it is.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more, unless there is no more.
    pub(crate) fn try_grow(&mut self, more: usize) -> bool {
        let Ok(bytes) = u32::try_from(more) else { return false };
        let Some(own) = self.share.room.try_take(bytes) else { return false };
        let Some(all) = self.share.of.0.room.try_take(bytes) else { return false };
        // Given back when this is dropped.
        own.forget();
        all.forget();
        self.bytes += more;
        true
    }

    /// The same, and waits a moment for whoever makes room.
    pub(crate) async fn grow(&mut self, more: usize) -> bool {
        let Ok(bytes) = u32::try_from(more) else { return false };
        let Some(own) = self.share.room.take(bytes).await else { return false };
        let Some(all) = self.share.of.0.room.take(bytes).await else { return false };
        own.forget();
        all.forget();
        self.bytes += more;
        true
    }

    /// The right to wait with it, where it is so much that somebody else may need it meanwhile.
    pub(crate) fn seat(&self) -> Option<Seat> {
        (self.bytes >= WORTH_BYTES).then(|| Seat(Arc::clone(&self.share)))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.share.room.free.add_permits(self.bytes);
        self.share.of.0.room.free.add_permits(self.bytes);
    }
}

/// Where somebody may wait who holds much. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Seat(Arc<Share>);

impl Seat {
    /// From now on they wait.
    pub(crate) fn join(&self) -> Seated {
        let all = self.0.of.0.room.waiting.join();
        Seated { own: self.0.room.waiting.join(), all }
    }
}

/// Somebody who waits and holds much.
#[derive(Debug)]
pub(crate) struct Seated {
    own: Turn,
    all: Turn,
}

impl Seated {
    /// Done when the memory is needed; never where nobody waits with much.
    pub(crate) async fn sent_away(seated: Option<&Self>) {
        let Some(Self { own, all }) = seated else { return std::future::pending().await };
        tokio::select! {
            () = own.sent_away() => {}
            () = all.sent_away() => {}
        }
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
        drop(other);
        assert!(budget.0.shares.lock().expect("no panic").is_empty(), "who is gone is forgotten");
    }

    /// One holds all there is for everybody, or all there is for its address.
    #[tokio::test]
    async fn who_waits_makes_room_for_who_comes() {
        for (all, share, comes_from) in
            [(WORTH_BYTES, WORTH_BYTES, 2), (2 * WORTH_BYTES, WORTH_BYTES, 1)]
        {
            let budget = Budget::new(all, share);
            let mut held = budget.open(address(1));
            assert!(held.try_grow(WORTH_BYTES));
            let seated = held.seat().as_ref().map(Seat::join);
            let leaves = async {
                Seated::sent_away(seated.as_ref()).await;
                drop(held);
            };
            let mut comes = budget.open(address(comes_from));
            let (has_grown, ()) = tokio::join!(comes.grow(8), leaves);
            assert_eq!((has_grown, comes.bytes()), (true, 8));
        }
    }
}
