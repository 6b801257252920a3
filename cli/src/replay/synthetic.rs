//! A made-up day of traffic in the shape of the Cargo 2000 data, from a seed.
//!
//! The mix of inbound legs and hops follows the published file, durations are spread around its
//! medians, and about one shipment in two hundred breaks in place once, so that a detector has
//! something to find. Whatever shows this traffic says that it is synthetic.

use super::shipment::{Hop, Leg, PlaceCode, Shipment, Traffic};

/// Shipments of a day unless told otherwise.
pub const SHIPMENTS: u32 = 400;
const AIRPORTS: u64 = 40;
const BREAKS_ONE_IN: u64 = 200;

/// The traffic of `seed`: the same on every machine.
pub fn generate(seed: u64, shipments: u32) -> Traffic {
    let mut random = SplitMix(seed);
    let mut next_leg = 0;
    let shipments = (0..shipments).map(|number| shipment(&mut random, number, &mut next_leg));
    let shipments: Vec<Shipment> = shipments.collect();
    let name = format!("synthetic day of traffic, seed {seed}, {} shipments", shipments.len());
    Traffic { name, synthetic: true, shipments }
}

fn shipment(random: &mut SplitMix, number: u32, next_leg: &mut u32) -> Shipment {
    let hub = airport(random);
    let inbound = 1 + random.below(3);
    let mut legs: Vec<Leg> = Vec::new();
    for _ in 0..inbound {
        let from = other(random, hub);
        legs.push(leg(random, from, hub, next_leg));
    }
    let to = other(random, hub);
    let outbound = leg(random, hub, to, next_leg);
    // The first shipment always has a break, so that even a short replay shows what one looks like.
    if number == 0 || random.below(BREAKS_ONE_IN) == 0 {
        break_in_place(random, &mut legs[0]);
    }
    Shipment { number, inbound: legs, outbound }
}

fn leg(random: &mut SplitMix, from: PlaceCode, to: PlaceCode, next_leg: &mut u32) -> Leg {
    *next_leg += 1;
    let hops = match random.below(100) {
        0..68 => 1,
        68..99 => 2,
        _ => 3,
    };
    let mut at = from;
    let mut flights = Vec::new();
    for k in 1..=hops {
        let next = if k == hops { to } else { other(random, at) };
        let (departed_after, received_after) = (minutes(random, 620), minutes(random, 650));
        flights.push(Hop { departed_after, from: at, received_after, to: next });
        at = next;
    }
    Leg {
        id: *next_leg,
        checked_in_after: minutes(random, 480),
        hops: flights,
        delivered_after: minutes(random, 980),
    }
}

/// The leg goes on from an airport at which it never arrived.
fn break_in_place(random: &mut SplitMix, leg: &mut Leg) {
    let (from, to) = (leg.origin(), leg.destination());
    let arrived = other(random, from);
    let gone_on = other(random, arrived);
    let hop = |from, to| Hop { departed_after: 300, from, received_after: 400, to };
    leg.hops = vec![hop(from, arrived), hop(gone_on, to)];
}

/// Between a quarter and four times the median, short ones more often.
fn minutes(random: &mut SplitMix, median: u64) -> u64 {
    let quarter = median / 4;
    quarter + random.below(median * 3 / 2) * random.below(100) / 40
}

fn airport(random: &mut SplitMix) -> PlaceCode {
    PlaceCode(100 + random.below(AIRPORTS) as u16)
}

fn other(random: &mut SplitMix, than: PlaceCode) -> PlaceCode {
    let step = 1 + random.below(AIRPORTS - 1);
    PlaceCode(100 + ((u64::from(than.0) - 100 + step) % AIRPORTS) as u16)
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; the bias of the remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_day() {
        let day = generate(7, 300);
        assert_eq!(day.digest(), generate(7, 300).digest());
        assert_ne!(day.digest(), generate(8, 300).digest());
    }

    #[test]
    fn every_leg_joins_the_hub_and_some_break_in_place() {
        let day = generate(1, 2_000);
        for shipment in &day.shipments {
            assert!((1..=3).contains(&shipment.inbound.len()));
            for inbound in &shipment.inbound {
                assert_eq!(inbound.destination(), shipment.outbound.origin());
            }
        }
        let broken = day.legs().filter(|leg| leg.breaks() > 0).count();
        assert!((2..40).contains(&broken), "{broken} of seed 1");
    }
}
