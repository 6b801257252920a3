//! Whether callers should be sent to this node.
//!
//! What peers say of themselves is believed as far as one of them must be honest: of validators alone, and never
//! of fewer than one more than may be faulty. A follower's word counts for nothing here.

use std::collections::HashMap;
use std::time::Duration;

use consign_consensus::Signing;
use consign_types::block::Height;
use consign_types::key::PublicKey;
use consign_types::validator::ValidatorSet;

use super::Serving;

/// A node that does not advance with work in its pool for this long is not ready.
const STALLED: Duration = Duration::from_secs(10);
/// A node may be so many heights below the others and not be behind: they are on their way.
const BEHIND: u64 = 2;

impl Serving {
    /// Why callers should not be sent here; `None` where they should.
    pub(super) fn not_ready(&self) -> Option<String> {
        let committed = &self.parts.committed;
        let (behind, target) = self.behind();
        if behind {
            return Some(format!(
                "catching up: at height {}, the network is at {}",
                committed.tip().height(),
                target.0
            ));
        }
        let set = committed.validators();
        let voting = usize::from(matches!(
            self.signing(),
            // For want of the others only: they are what is counted here.
            Some(Signing::Allowed | Signing::Unleased { held_elsewhere: false })
        ));
        let reachable = self.validators_connected() + voting;
        if reachable < set.quorum() {
            let why = format!(
                "{reachable} of the {} validators that must agree can be reached",
                set.quorum()
            );
            return Some(self.identity.explain(committed, why));
        }
        let (events, _) = self.parts.pool.load();
        let stalled = self.parts.pool.stalled_for(committed.tip().height());
        (events > 0 && stalled > STALLED)
            .then(|| format!("{events} events wait and no block came for {} s", stalled.as_secs()))
    }

    /// Whether this node is behind, and the height that the network has reached as far as is known.
    pub(super) fn behind(&self) -> (bool, Height) {
        let (tip, set) = (self.parts.committed.tip(), self.parts.committed.validators());
        let here = tip.height();
        let network = network_height(&set, &self.parts.peers_at()).unwrap_or(here).max(here);
        (network.0 > here.0 + BEHIND, network)
    }

    /// Validators connected, this node not counted.
    pub(super) fn validators_connected(&self) -> usize {
        validators_among(&self.parts.committed.validators(), &self.parts.net.connected())
    }
}

/// The highest height that an honest validator has committed, by what each peer says of itself; nothing where
/// too few have said anything.
fn network_height(set: &ValidatorSet, told: &HashMap<PublicKey, Height>) -> Option<Height> {
    let by_validators = set.validators().iter().map(|validator| &validator.network_key);
    let mut heights: Vec<_> = by_validators.filter_map(|key| told.get(key)).copied().collect();
    heights.sort_unstable_by(|a, b| b.cmp(a));
    // Of one more than may be faulty, one is honest, and none of these said less.
    heights.get(set.faults()).copied()
}

fn validators_among(set: &ValidatorSet, connected: &[PublicKey]) -> usize {
    set.validators().iter().filter(|v| connected.contains(&v.network_key)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::key::SecretKey;
    use consign_types::validator::Validator;

    fn key(n: u8, role: u8) -> PublicKey {
        let mut seed = [n + 1; 32];
        seed[0] = role;
        SecretKey::from_seed(seed).public()
    }

    /// The network key of validator `n`, or of a node that is none.
    fn network(n: u8) -> PublicKey {
        key(n, 3)
    }

    fn set(count: u8) -> ValidatorSet {
        let validator = |n: u8| Validator {
            party: format!("party-{n}").parse().expect("a party id"),
            consensus_key: key(n, 1),
            cosigner_key: key(n, 2),
            network_key: network(n),
        };
        ValidatorSet::new((0..count).map(validator).collect()).expect("distinct keys")
    }

    /// How many validators there are, what each peer told, and where the network is by that.
    type Row<'a> = (u8, &'a [(u8, u64)], Option<u64>);

    #[test]
    fn the_network_is_where_one_more_than_may_be_faulty_say_at_least() {
        const LIE: u64 = u64::MAX;
        let table: [Row<'_>; 9] = [
            (4, &[], None),
            // Nobody is believed alone, however far it says that it is.
            (4, &[(1, LIE)], None),
            (4, &[(1, LIE), (2, 7)], Some(7)),
            (4, &[(1, LIE), (2, 7), (3, 9)], Some(9)),
            (4, &[(1, 7), (2, 7), (3, 3)], Some(7)),
            // Who follows says what it likes.
            (4, &[(8, LIE), (9, LIE), (1, 5), (2, 6)], Some(5)),
            (7, &[(1, LIE), (2, LIE), (3, 4), (4, 5)], Some(5)),
            // Where none may be faulty, one is enough: a follower of a single validator.
            (1, &[(0, 12), (9, LIE)], Some(12)),
            (1, &[(9, LIE)], None),
        ];
        for (count, told, expected) in table {
            let told_by_key = told.iter().map(|(n, height)| (network(*n), Height(*height)));
            let found = network_height(&set(count), &told_by_key.collect());
            assert_eq!(found, expected.map(Height), "{count} validators, told {told:?}");
        }
    }

    #[test]
    fn only_validators_count_as_validators_that_can_be_reached() {
        let connected = [1, 2, 8, 9].map(network);
        let counted = [&connected[..2], &connected[1..], &connected[2..], &[]]
            .map(|connected| validators_among(&set(4), connected));
        assert_eq!(counted, [2, 1, 0, 0]);
    }
}
