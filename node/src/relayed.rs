//! Events that peers passed on, until they are checked.
//!
//! To check a signature is work that a peer causes. So each has a share of what may wait, and all of it is done on
//! threads of its own: blocks and callers have theirs. A node passes on only what it checked itself. Whoever passes
//! on signatures that do not hold is hung up on, and not listened to for a while.
//!
//! To drop such an event is harmless: it is in its sender's pool, and is fetched when a block names it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use consign_types::event::{NotVerified, SignedEvent};
use consign_types::key::PublicKey;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tracing::warn;

use crate::metrics::Metrics;
use crate::p2p::NetHandle;
use crate::pool::{Admission, Pool, Refused};

/// Threads that check; half of the machine at most.
const THREADS_MAX: usize = 2;
/// Bytes of events that wait, of all peers.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Of these, of one peer: eight batches.
const WAITING_OF_ONE_BYTES_MAX: usize = WAITING_BYTES_MAX / 8;
/// What an event takes besides its bytes.
const EVENT_BYTES: usize = size_of::<Vec<u8>>();
/// Forged events of one peer that end its connection. An honest one passes on none: what makes another key of a
/// signer out of a key id of 64 bits must be sought for, and then it is a few events.
const FORGED_MAX: usize = 16;
/// How long forged events are counted together, and how long whoever sent so many is not listened to.
const FORGED_FOR: Duration = Duration::from_secs(60);

/// Where events of peers go.
pub struct Relayed {
    pool: Arc<Pool>,
    net: NetHandle,
    metrics: Arc<Metrics>,
    threads: ThreadPool,
    shares: Mutex<Shares>,
}

impl Relayed {
    /// What is checked goes into `pool`; whoever forges is hung up on at `net`.
    ///
    /// # Panics
    /// When the system can start no thread.
    pub fn new(pool: Arc<Pool>, net: NetHandle, metrics: Arc<Metrics>) -> Self {
        let half = available_parallelism().map_or(1, |cores| cores.get() / 2);
        let threads = ThreadPoolBuilder::new()
            .num_threads(half.clamp(1, THREADS_MAX))
            .thread_name(|n| format!("relayed-{n}"))
            .build()
            .expect("the system can start a thread when the node starts");
        Self { pool, net, metrics, threads, shares: Mutex::default() }
    }

    /// Offers what `from` passed on to the pool, off the caller's path and in order of arrival. What there is no
    /// room for is dropped and counted.
    pub fn offer(self: &Arc<Self>, from: PublicKey, events: Vec<Vec<u8>>) {
        let bytes = events.iter().map(|event| event.len() + EVENT_BYTES).sum();
        if events.is_empty() || !self.shares().take(from, bytes, Instant::now()) {
            return self.count_dropped(&events);
        }
        let own = Arc::clone(self);
        self.threads.spawn_fifo(move || own.check(from, bytes, &events));
    }

    fn check(&self, from: PublicKey, bytes: usize, events: &[Vec<u8>]) {
        if self.shares().is_passed_over(&from, Instant::now()) {
            self.count_dropped(events);
            self.shares().checked(&from, bytes, 0, Instant::now());
            return;
        }
        let decoded = events.iter().filter_map(|bytes| SignedEvent::decode(bytes).ok());
        let answers = self.pool.offer(decoded.collect());
        let forged = answers.iter().filter(|answer| is_forged(answer)).count();
        if self.shares().checked(&from, bytes, forged, Instant::now()) {
            warn!(code = "net.peer.forged", peer = %from,
                help = "it passed on events whose signatures do not hold and is hung up on; ask its operator what it runs");
            self.net.hang_up(&from);
        }
    }

    fn count_dropped(&self, events: &[Vec<u8>]) {
        self.metrics.relayed_dropped.inc_by(events.len() as u64);
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it was the duty of whoever passed it on to refuse it. A key that is not known here may be known there.
const fn is_forged(answer: &Admission) -> bool {
    matches!(answer, Admission::Refused(Refused::NotVerified(NotVerified::Signature(_))))
}

/// What waits, of whom, and who forged.
#[derive(Default)]
struct Shares {
    bytes: usize,
    /// Those of whom something waits, and those who forged lately.
    by_peer: HashMap<PublicKey, Share>,
}

#[derive(Default)]
struct Share {
    bytes: usize,
    forged: Option<Forged>,
}

#[derive(Clone, Copy)]
struct Forged {
    count: usize,
    /// When they are forgotten.
    until: Instant,
}

impl Shares {
    /// Lets so many bytes of `from` wait, if there is room for them and it is listened to.
    fn take(&mut self, from: PublicKey, bytes: usize, now: Instant) -> bool {
        if self.is_passed_over(&from, now) || self.bytes + bytes > WAITING_BYTES_MAX {
            return false;
        }
        let waiting = self.by_peer.get(&from).map_or(0, |share| share.bytes);
        if waiting + bytes > WAITING_OF_ONE_BYTES_MAX {
            return false;
        }
        self.bytes += bytes;
        self.by_peer.entry(from).or_default().bytes += bytes;
        true
    }

    fn is_passed_over(&self, from: &PublicKey, now: Instant) -> bool {
        let forged = self.by_peer.get(from).and_then(|share| share.forged);
        forged.is_some_and(|forged| forged.count >= FORGED_MAX && now < forged.until)
    }

    /// So many bytes of `from` wait no more, among them so many forged events. True where that ends its
    /// connection.
    fn checked(&mut self, from: &PublicKey, bytes: usize, forged: usize, now: Instant) -> bool {
        self.bytes -= bytes;
        let mut is_too_much = false;
        if let Some(share) = self.by_peer.get_mut(from) {
            share.bytes -= bytes;
            is_too_much = forged > 0 && share.forge(forged, now);
        }
        self.by_peer
            .retain(|_, share| share.bytes > 0 || share.forged.is_some_and(|f| now < f.until));
        is_too_much
    }
}

impl Share {
    /// Counts forged events, with those before that are not forgotten. True where there are too many now.
    fn forge(&mut self, count: usize, now: Instant) -> bool {
        let fresh = Forged { count: 0, until: now + FORGED_FOR };
        let before = self.forged.filter(|forged| now < forged.until).unwrap_or(fresh);
        let count = before.count + count;
        let is_too_much = before.count < FORGED_MAX && count >= FORGED_MAX;
        let until = if is_too_much { fresh.until } else { before.until };
        self.forged = Some(Forged { count, until });
        is_too_much
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::key::SecretKey;

    fn peer(n: u8) -> PublicKey {
        SecretKey::from_seed([n; 32]).public()
    }

    #[test]
    fn each_peer_has_a_share_of_what_may_wait() {
        const ALL: usize = WAITING_OF_ONE_BYTES_MAX;
        let (mut shares, now) = (Shares::default(), Instant::now());
        assert!(shares.take(peer(0), ALL, now));
        assert!(!shares.take(peer(0), 1, now), "its share is used up");
        assert!((1..8).all(|n| shares.take(peer(n), ALL, now)), "that of others is their own");
        assert!(!shares.take(peer(8), 1, now), "all of it waits");

        assert!(!shares.checked(&peer(0), ALL, 0, now));
        assert!(shares.take(peer(8), ALL - 1, now));
        assert!(shares.take(peer(0), 1, now));
        for (n, bytes) in (1..8).map(|n| (n, ALL)).chain([(8, ALL - 1), (0, 1)]) {
            assert!(!shares.checked(&peer(n), bytes, 0, now));
        }
        assert_eq!((shares.bytes, shares.by_peer.len()), (0, 0), "nothing is kept of who is quiet");
    }

    #[test]
    fn who_forges_too_often_is_hung_up_on_once_and_passed_over_for_a_while() {
        let (mut shares, begun) = (Shares::default(), Instant::now());
        let mut check = |forged, now| {
            assert!(shares.take(peer(1), 10, now));
            (shares.checked(&peer(1), 10, forged, now), shares.is_passed_over(&peer(1), now))
        };
        assert_eq!(check(FORGED_MAX - 1, begun), (false, false));
        // Forgotten: counted anew.
        let later = begun + FORGED_FOR;
        assert_eq!(check(1, later), (false, false));
        assert_eq!(check(0, later), (false, false));
        let end = later + FORGED_FOR - Duration::from_secs(1);
        assert_eq!(check(FORGED_MAX - 1, end), (true, true));

        // What waited already is not counted again.
        assert!(!shares.take(peer(1), 1, end));
        assert!(shares.take(peer(2), 1, end), "another is listened to");
        let heard_again = end + FORGED_FOR;
        assert!(shares.is_passed_over(&peer(1), heard_again - Duration::from_millis(1)));
        assert!(shares.take(peer(1), 1, heard_again));
    }
}
