//! Who calls, as far as limits care: an address, and how much it has open and asks.
//!
//! Behind a proxy all callers are one address: the proxy must limit them then.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are remembered; beyond them newcomers share one allowance.
const ADDRESSES_MAX: usize = 16_384;

/// An IPv4 address, or the /64 of an IPv6 address: what one caller is given.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Address(IpAddr);

impl Address {
    /// Whoever calls when too many others do.
    const OTHERS: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// How often each address may ask.
///
/// A bucket is kept as the instant at which it is full again (GCRA): no timer refills anything.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Time that one request costs.
    cost: Duration,
    /// Time that a full bucket is worth.
    burst: Duration,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    full_at: HashMap<Address, Instant>,
    /// Full buckets are not forgotten more often than once a second.
    swept_at: Option<Instant>,
}

impl Rates {
    /// `per_second` requests on average and `burst` at once; at least one of each.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let cost = Duration::from_secs(1) / per_second.max(1);
        let buckets = Buckets { full_at: HashMap::new(), swept_at: None };
        Self { cost, burst: cost * burst.max(1), buckets: Mutex::new(buckets) }
    }

    /// Takes one request's worth from the bucket of `address`; else tells the milliseconds to wait.
    pub(crate) fn take(&self, address: Address, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let address = buckets.admit(address, now);
        let full_at = buckets.full_at.entry(address).or_insert(now);
        let next = (*full_at).max(now) + self.cost;
        let above = next.saturating_duration_since(now).saturating_sub(self.burst);
        if above.is_zero() {
            *full_at = next;
            return Ok(());
        }
        Err(u64::try_from(above.as_millis()).unwrap_or(u64::MAX) + 1)
    }
}

impl Buckets {
    fn admit(&mut self, address: Address, now: Instant) -> Address {
        if self.full_at.len() < ADDRESSES_MAX || self.full_at.contains_key(&address) {
            return address;
        }
        if self.swept_at.is_none_or(|swept| now.duration_since(swept) >= Duration::from_secs(1)) {
            self.swept_at = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() < ADDRESSES_MAX { address } else { Address::OTHERS }
    }
}

/// How many connections each address has open.
#[derive(Debug)]
pub(crate) struct Sockets {
    per_address_max: usize,
    open: Mutex<HashMap<Address, usize>>,
}

/// One open connection of an address; dropping it closes the account.
#[derive(Debug)]
pub(crate) struct Held {
    sockets: Arc<Sockets>,
    address: Address,
}

impl Sockets {
    /// At most so many for each address.
    pub(crate) fn new(per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { per_address_max, open: Mutex::default() })
    }

    /// Counts one more, unless that is one too many.
    pub(crate) fn hold(self: &Arc<Self>, address: Address) -> Option<Held> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.per_address_max {
            return None;
        }
        *count += 1;
        Some(Held { sockets: self.clone(), address })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = self.sockets.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().expect("an address").into()
    }

    /// The clock is a value here: no test waits.
    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rates = Rates::new(10, 3);
        let (caller, start) = (address("192.0.2.1"), Instant::now());
        for _ in 0..3 {
            assert_eq!(rates.take(caller, start), Ok(()));
        }
        assert_eq!(rates.take(caller, start), Err(101));
        assert_eq!(rates.take(address("192.0.2.2"), start), Ok(()));
        let later = start + Duration::from_millis(100);
        assert_eq!(rates.take(caller, later), Ok(()));
        assert_eq!(rates.take(caller, later), Err(101));
    }

    #[test]
    fn a_64_of_ipv6_is_one_caller_and_mapped_ipv4_is_ipv4() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded_and_strangers_share_what_is_left() {
        let rates = Rates::new(1, 1);
        let now = Instant::now();
        for n in 0..ADDRESSES_MAX as u32 {
            let caller = Address(IpAddr::from(n.to_be_bytes()));
            assert_eq!(rates.take(caller, now), Ok(()));
        }
        assert_eq!(rates.take(address("203.0.113.1"), now), Ok(()));
        assert!(rates.take(address("203.0.113.2"), now).is_err());
        // A second later every bucket is full, and so forgotten.
        let later = now + Duration::from_secs(2);
        assert_eq!(rates.take(address("203.0.113.2"), later), Ok(()));
        assert_eq!(rates.buckets.lock().expect("no panic").full_at.len(), 1);
    }

    #[test]
    fn connections_are_counted_for_each_address_until_they_close() {
        let sockets = Sockets::new(1);
        let first = sockets.hold(address("192.0.2.1"));
        assert!(first.is_some());
        assert!(sockets.hold(address("192.0.2.1")).is_none());
        assert!(sockets.hold(address("192.0.2.2")).is_some());
        drop(first);
        assert!(sockets.hold(address("192.0.2.1")).is_some());
    }
}
