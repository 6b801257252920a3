//! Who calls, as far as limits care: an address, and how much it has open and asks.
//!
//! Behind a proxy all callers are one address: the proxy must limit them then.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// An IPv4 address, or the /64 of an IPv6 address: what one caller is given.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Address(IpAddr);

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
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

    #[test]
    fn a_64_of_ipv6_is_one_caller_and_mapped_ipv4_is_ipv4() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
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
