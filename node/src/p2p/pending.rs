//! How many handshakes may be under way: of one source, and of all that nobody expects.
//!
//! Before its handshake is over nobody knows whether a connection is a member's. So each source has a share of
//! its own, with room for a whole set of validators behind one address, and whoever holds connections open and
//! says nothing uses up its own share. Strangers at many addresses share a bound; the addresses at which
//! members are dialled do not come under it, so that members that come from there always find room.
//!
//! A source is an IPv4 address or an IPv6 network of 64 bits, over TCP or over QUIC: who sends datagrams can
//! forge where they come from, and takes nothing from those that come over TCP.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{ConnectionEstablished, ListenFailure};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// Handshakes of one source under way at once. Loopback networks have all nodes at one.
const PER_SOURCE_MAX: usize = 32;
/// Handshakes under way at once of all sources at which no member is dialled.
const UNLISTED_MAX: usize = 512;

/// Counts the handshakes under way.
#[derive(Default)]
pub struct Pending {
    /// Where members are dialled.
    listed: HashSet<IpAddr>,
    by_connection: HashMap<ConnectionId, Source>,
    by_source: HashMap<Source, usize>,
    unlisted: usize,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Source {
    /// Of an IPv6 address the first half.
    network: Option<IpAddr>,
    datagrams: bool,
    listed: bool,
}

/// Why a connection gets no handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TooMany {
    /// Its source has its share.
    #[error("{PER_SOURCE_MAX} handshakes of its address are under way")]
    OfSource,
    /// Nobody expects it, and others have the room.
    #[error("{UNLISTED_MAX} handshakes of addresses that no member has are under way")]
    OfStrangers,
}

impl Pending {
    /// Members are dialled at these addresses now.
    pub fn list<'a>(&mut self, addresses: impl Iterator<Item = &'a Multiaddr>) {
        self.listed = addresses.filter_map(address_of).map(network_of).collect();
    }

    fn begin(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), TooMany> {
        let network = address_of(from).map(network_of);
        let datagrams = from.iter().any(|part| matches!(part, Protocol::Udp(_)));
        let listed = network.is_some_and(|network| self.listed.contains(&network));
        let source = Source { network, datagrams, listed };
        if self.by_source.get(&source).copied().unwrap_or_default() >= PER_SOURCE_MAX {
            return Err(TooMany::OfSource);
        }
        if !listed && self.unlisted >= UNLISTED_MAX {
            return Err(TooMany::OfStrangers);
        }
        self.by_connection.insert(connection, source);
        *self.by_source.entry(source).or_default() += 1;
        self.unlisted += usize::from(!listed);
        Ok(())
    }

    /// The handshake is over, well or not.
    fn end(&mut self, connection: ConnectionId) {
        let Some(source) = self.by_connection.remove(&connection) else { return };
        self.unlisted -= usize::from(!source.listed);
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

fn address_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_canonical()),
        _ => None,
    })
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

impl NetworkBehaviour for Pending {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.begin(connection, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.end(connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who knocks, and how often it is let in.
    struct Door {
        pending: Pending,
        next: usize,
    }

    impl Door {
        fn new(listed: &[&str]) -> Self {
            let mut pending = Pending::default();
            let listed: Vec<Multiaddr> = listed.iter().map(|a| a.parse().expect("one")).collect();
            pending.list(listed.iter());
            Self { pending, next: 0 }
        }

        fn knock(&mut self, from: &str) -> Result<ConnectionId, TooMany> {
            self.next += 1;
            let connection = ConnectionId::new_unchecked(self.next);
            let from = from.parse().expect("an address");
            self.pending.begin(connection, &from).map(|()| connection)
        }

        fn fill(&mut self, from: &str) {
            for _ in 0..PER_SOURCE_MAX {
                self.knock(from).expect("there is room");
            }
            assert_eq!(self.knock(from), Err(TooMany::OfSource), "{from}");
        }
    }

    #[test]
    fn each_source_has_a_share_of_its_own() {
        let mut door = Door::new(&[]);
        door.fill("/ip4/203.0.113.1/tcp/1000");
        assert_eq!(door.knock("/ip4/203.0.113.1/tcp/2000"), Err(TooMany::OfSource));
        door.fill("/ip4/203.0.113.2/tcp/1000");
        door.fill("/ip4/203.0.113.1/udp/1000/quic-v1");
        door.fill("/ip6/2001:db8::1/tcp/1000");
        assert_eq!(door.knock("/ip6/2001:db8::2:1/tcp/1000"), Err(TooMany::OfSource));
        assert!(door.knock("/ip6/2001:db8:0:1::1/tcp/1000").is_ok());
    }

    #[test]
    fn a_handshake_that_is_over_makes_room() {
        let mut door = Door::new(&[]);
        let first = door.knock("/ip4/203.0.113.1/tcp/1000").expect("there is room");
        for _ in 1..PER_SOURCE_MAX {
            door.knock("/ip4/203.0.113.1/tcp/1000").expect("there is room");
        }
        assert_eq!(door.knock("/ip4/203.0.113.1/tcp/1000"), Err(TooMany::OfSource));
        door.pending.end(first);
        door.pending.end(first);
        assert!(door.knock("/ip4/203.0.113.1/tcp/1000").is_ok());
        assert_eq!(door.knock("/ip4/203.0.113.1/tcp/1000"), Err(TooMany::OfSource));
    }

    #[test]
    fn members_where_they_are_dialled_find_room_whoever_else_knocks() {
        let mut door = Door::new(&["/ip4/198.51.100.7/tcp/9301", "/dns4/node.example/tcp/9301"]);
        for n in 0..UNLISTED_MAX / PER_SOURCE_MAX {
            door.fill(&format!("/ip4/203.0.113.{n}/tcp/1000"));
        }
        assert_eq!(door.knock("/ip4/203.0.113.200/tcp/1000"), Err(TooMany::OfStrangers));
        assert!(door.knock("/ip4/198.51.100.7/tcp/40000").is_ok());
    }
}
