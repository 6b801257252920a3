//! Which ports a node takes, and whether two of its listeners want the same one.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// One port on one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// UDP, for QUIC; TCP otherwise.
    pub udp: bool,
}

impl Listener {
    /// TCP on this address.
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { address, udp: false }
    }

    /// Where a multiaddress listens; none where it is neither TCP nor QUIC on an IP address.
    pub fn of(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let ip: IpAddr = match parts.next()? {
            Protocol::Ip4(ip) => ip.into(),
            Protocol::Ip6(ip) => ip.into(),
            _ => return None,
        };
        match (parts.next()?, parts.next()) {
            (Protocol::Tcp(port), None) => Some(Self::tcp(SocketAddr::new(ip, port))),
            (Protocol::Udp(port), Some(Protocol::QuicV1)) => {
                Some(Self { address: SocketAddr::new(ip, port), udp: true })
            }
            _ => None,
        }
    }

    /// Whether the system refuses to have both. Port 0 is a fresh port each time.
    pub fn clashes(self, other: Self) -> bool {
        let (a, b) = (self.address, other.address);
        let any = a.ip().is_unspecified() || b.ip().is_unspecified();
        self.udp == other.udp && a.port() != 0 && a.port() == b.port() && (any || a.ip() == b.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Listener {
        Listener::of(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn two_listeners_clash_on_one_port_of_one_address_or_of_all_addresses() {
        let one = at("/ip4/127.0.0.1/tcp/9201");
        let rows = [
            ("/ip4/127.0.0.1/tcp/9201", true),
            ("/ip4/0.0.0.0/tcp/9201", true),
            ("/ip6/::/tcp/9201", true),
            ("/ip4/127.0.0.2/tcp/9201", false),
            ("/ip4/127.0.0.1/tcp/9202", false),
            ("/ip4/127.0.0.1/udp/9201/quic-v1", false),
        ];
        for (other, clash) in rows {
            assert_eq!((one.clashes(at(other)), at(other).clashes(one)), (clash, clash), "{other}");
        }
        let fresh = at("/ip4/127.0.0.1/tcp/0");
        assert!(!fresh.clashes(fresh));
    }

    #[test]
    fn only_tcp_and_quic_on_an_address_are_listened_on() {
        for address in
            ["/ip4/127.0.0.1", "/dns4/a.example/tcp/1", "/ip4/127.0.0.1/udp/1", "/memory/7"]
        {
            assert_eq!(Listener::of(&address.parse().unwrap()), None, "{address}");
        }
    }
}
