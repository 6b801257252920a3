//! Shipments as the Cargo 2000 data tell them: legs, hops, minutes, places.
//!
//! Durations are real; there is no absolute clock and no party name in the data. A leg departs from
//! where it arrived, or that is a *break* in place, which is kept: it is what a gap detector must find.

use consign_types::digest::Digest;

/// Where traffic comes from, and what it is.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// What is replayed, in words.
    pub name: String,
    /// Whether it was made up; whatever shows the traffic says so.
    pub synthetic: bool,
    /// The shipments, in the order of their start.
    pub shipments: Vec<Shipment>,
}

/// Up to three inbound legs that are merged into one outbound leg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shipment {
    /// Its number in the data (`nr`).
    pub number: u32,
    /// One to three.
    pub inbound: Vec<Leg>,
    /// Carries what came in.
    pub outbound: Leg,
}

/// One freight unit on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leg {
    /// Used once in the whole data.
    pub id: u32,
    /// Minutes from the start to the check-in (RCS).
    pub checked_in_after: u64,
    /// One to three flights; never empty.
    pub hops: Vec<Hop>,
    /// Minutes from the last arrival to the delivery (DLV).
    pub delivered_after: u64,
}

/// One flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hop {
    /// Minutes from the milestone before to the departure (DEP).
    pub departed_after: u64,
    /// Where it departed.
    pub from: PlaceCode,
    /// Minutes from the departure to the reception at the airport (RCF).
    pub received_after: u64,
    /// Where it was received.
    pub to: PlaceCode,
}

/// An anonymised airport.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PlaceCode(pub u16);

impl Traffic {
    /// What names this traffic: two replays of one traffic are one replay.
    pub fn digest(&self) -> Digest {
        let mut words = vec![u64::from(self.synthetic)];
        for shipment in &self.shipments {
            words.extend([u64::from(shipment.number), shipment.inbound.len() as u64]);
            for leg in shipment.legs() {
                words.extend([u64::from(leg.id), leg.hops.len() as u64]);
                words.extend([leg.checked_in_after, leg.delivered_after]);
                for hop in &leg.hops {
                    words.extend([hop.departed_after, u64::from(hop.from.0)]);
                    words.extend([hop.received_after, u64::from(hop.to.0)]);
                }
            }
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        Digest::of(&[b"consign/replay-traffic/v1\0", &bytes])
    }

    /// Milestones in the data: RCS, DEP, RCF and DLV of every leg.
    pub fn milestones(&self) -> u64 {
        self.legs().map(|leg| 2 + 2 * leg.hops.len() as u64).sum()
    }

    /// All legs.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.shipments.iter().flat_map(Shipment::legs)
    }
}

impl Shipment {
    /// Inbound legs, then the outbound one.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.inbound.iter().chain([&self.outbound])
    }
}

impl Leg {
    /// Where it starts.
    ///
    /// # Panics
    /// When the leg has no hop, which neither source makes.
    pub fn origin(&self) -> PlaceCode {
        self.hops.first().expect("a leg has a hop").from
    }

    /// Where it ends.
    ///
    /// # Panics
    /// When the leg has no hop, which neither source makes.
    pub fn destination(&self) -> PlaceCode {
        self.hops.last().expect("a leg has a hop").to
    }

    /// How often it departs from another place than where it arrived.
    pub fn breaks(&self) -> usize {
        self.hops.windows(2).filter(|pair| pair[0].to != pair[1].from).count()
    }
}
