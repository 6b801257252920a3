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
        self.take_many(whose, 1, now)
    }

    /// Takes so many at once. What no bucket holds is taken from a full one, which then owes the rest.
    ///
    /// # Errors
    /// When there are fewer in the bucket, and it is not full.
    pub fn take_many(&self, whose: &K, count: u32, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.of(whose, now);
        let cost = self.cost.saturating_mul(count);
        let next = (*full_at).max(now) + cost;
        let above = next.saturating_duration_since(now).saturating_sub(self.burst.max(cost));
        if above.is_zero() {
            *full_at = next;
            return Ok(());
        }
        Err(u64::try_from(above.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
    }

    /// Takes so many although they may not be there: the bucket owes them, and gives nothing until it is even.
    /// For what turns out to have cost more than was taken for it.
    pub fn charge(&self, whose: &K, count: u32, now: Instant) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.of(whose, now);
        *full_at = (*full_at).max(now) + self.cost.saturating_mul(count);
    }
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    /// When the bucket of `whose` is full again.
    fn of(&mut self, whose: &K, now: Instant) -> &mut Instant {
        let whose = self.admit(whose, now);
        self.full_at.entry(whose).or_insert(now)
    }

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
    fn many_are_taken_together_or_not_at_all() {
        let rates = Rates::new(10, 3);
        let start = Instant::now();
        assert_eq!(rates.take_many(&1, 2, start), Ok(()));
        assert_eq!(rates.take_many(&1, 2, start), Err(101));
        assert_eq!(rates.take(&1, start), Ok(()));
        // More than a bucket holds, of a full one and of one that is not.
        assert_eq!(rates.take_many(&1, 5, start), Err(301));
        assert_eq!(rates.take_many(&2, 5, start), Ok(()));
        assert_eq!(rates.take(&2, start), Err(301));
    }

    #[test]
    fn what_is_owed_is_paid_before_anything_is_given() {
        let rates = Rates::new(10, 3);
        let start = Instant::now();
        rates.charge(&1, 23, start);
        assert_eq!(rates.take(&1, start), Err(2_101));
        let later = start + Duration::from_millis(2_100);
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
