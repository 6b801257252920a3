//! How often somebody may do something: a bucket for each, and for all together no more memory than is bounded.
//!
//! A bucket is kept as the instant at which it is full again (GCRA): no timer refills anything.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets that are remembered; beyond them newcomers share one.
const BUCKETS_MAX: usize = 16_384;

/// How often each of many may do something.
#[derive(Debug)]
pub struct Rates<K> {
    /// Time that one costs.
    cost: Duration,
    /// Time that a full bucket is worth.
    burst: Duration,
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    /// `None` is whoever comes when there are too many others.
    full_at: HashMap<Option<K>, Instant>,
    /// Full buckets are not forgotten more often than once a second.
    swept_at: Option<Instant>,
}

impl<K: Clone + Eq + Hash> Rates<K> {
    /// `per_second` on average and `burst` at once; at least one of each.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let cost = Duration::from_secs(1) / per_second.max(1);
        let buckets = Buckets { full_at: HashMap::new(), swept_at: None };
        Self { cost, burst: cost.saturating_mul(burst.max(1)), buckets: Mutex::new(buckets) }
    }

    /// Takes one from the bucket of `whose`; else tells the milliseconds to wait.
    ///
    /// # Errors
    /// When the bucket is empty.
    pub fn take(&self, whose: &K, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let whose = buckets.admit(whose, now);
        let full_at = buckets.full_at.entry(whose).or_insert(now);
        let next = (*full_at).max(now) + self.cost;
        let above = next.saturating_duration_since(now).saturating_sub(self.burst);
        if above.is_zero() {
            *full_at = next;
            return Ok(());
        }
        Err(u64::try_from(above.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
    }
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn admit(&mut self, whose: &K, now: Instant) -> Option<K> {
        let whose = Some(whose.clone());
        if self.full_at.len() < BUCKETS_MAX || self.full_at.contains_key(&whose) {
            return whose;
        }
        if self.swept_at.is_none_or(|swept| now.duration_since(swept) >= Duration::from_secs(1)) {
            self.swept_at = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() < BUCKETS_MAX { whose } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock is a value here: no test waits.
    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rates = Rates::new(10, 3);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(rates.take(&1, start), Ok(()));
        }
        assert_eq!(rates.take(&1, start), Err(101));
        assert_eq!(rates.take(&2, start), Ok(()));
        let later = start + Duration::from_millis(100);
        assert_eq!(rates.take(&1, later), Ok(()));
        assert_eq!(rates.take(&1, later), Err(101));
    }

    #[test]
    fn memory_is_bounded_and_newcomers_share_what_is_left() {
        let rates = Rates::new(1, 1);
        let now = Instant::now();
        for n in 0..BUCKETS_MAX {
            assert_eq!(rates.take(&n, now), Ok(()));
        }
        assert_eq!(rates.take(&BUCKETS_MAX, now), Ok(()));
        assert!(rates.take(&(BUCKETS_MAX + 1), now).is_err());
        // A second later every bucket is full, and so forgotten.
        let later = now + Duration::from_secs(2);
        assert_eq!(rates.take(&(BUCKETS_MAX + 1), later), Ok(()));
        assert_eq!(rates.buckets.lock().expect("no panic").full_at.len(), 1);
    }
}
