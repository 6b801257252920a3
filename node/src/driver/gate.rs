//! Whether this validator may sign now: promised to its place by enough others, and nothing is known of its
//! key that its sign-state does not know.

use std::collections::BTreeMap;

use consign_consensus::sign_state::Signed;
use consign_consensus::{Message, Signing};
use consign_types::certificate::Domain;
use consign_types::key::PublicKey;
use consign_types::validator::ValidatorSet;

use crate::lease::LASTS_MS;
use crate::wire::Leased;

/// What a validator says whose key others have promised to another process.
const HELD_ELSEWHERE: &str = "another process has this validator's key, or had it until just now; \
    this node votes once that one has been stopped for 12 s, and it should be stopped if it is not yours";

/// Why a validator does not sign, and what ends it; nothing where it does, or only follows.
pub fn doubt(signing: &Signing) -> Option<String> {
    match signing {
        Signing::Quarantined { through, reason } => Some(match through {
            Some(height) => format!("{reason}; this node votes again after height {height}"),
            None => format!("{reason}; this node votes again once the network is past it"),
        }),
        Signing::Unleased { held_elsewhere: true } => Some(HELD_ELSEWHERE.to_owned()),
        Signing::Halted(reason) => {
            Some(format!("signing ended for good: {reason}; see docs/operating"))
        }
        // For want of peers nothing is decided either, and that is said elsewhere.
        Signing::Unleased { held_elsewhere: false } | Signing::Allowed | Signing::Follower => None,
    }
}

/// What a peer said of the lease that it was asked for (see [`crate::lease`]).
#[derive(Clone, Debug)]
pub struct Promise {
    /// Who said it, by its network key.
    pub from: PublicKey,
    /// What it said.
    pub leased: Leased,
    /// Until when it is counted on, in milliseconds since the machine was started.
    pub until_ms: u64,
    /// The latest that it knows this node's key to have signed; not yet verified.
    pub latest: Option<Message>,
}

/// The promises that are counted on.
pub struct Gate {
    domain: Domain,
    key: Option<PublicKey>,
    granted: BTreeMap<PublicKey, u64>,
    /// Who said that another place has the key, and until when that is believed.
    refused: BTreeMap<PublicKey, u64>,
    heard: Option<Signed>,
}

impl Gate {
    /// A gate that is closed. `key` is the consensus key, where there is one.
    pub fn new(domain: Domain, key: Option<PublicKey>) -> Self {
        let (granted, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { domain, key, granted, refused, heard: None }
    }

    /// Takes what a peer said.
    pub fn take(&mut self, promise: &Promise) {
        let signed = promise.latest.as_ref().zip(self.key);
        // Whoever echoes what the key never signed says nothing.
        let signed = signed.and_then(|(latest, key)| latest.signed_by(&self.domain, &key));
        if signed.map(|s| s.place()) > self.heard.map(|s| s.place()) {
            self.heard = signed;
        }
        match promise.leased {
            Leased::Granted => {
                self.refused.remove(&promise.from);
                let until_ms = self.granted.entry(promise.from).or_default();
                *until_ms = promise.until_ms.max(*until_ms);
            }
            // A promise that was given lasts as long as it was given for: who gave it keeps it.
            Leased::Held => {
                // It is asked again only after a while: who refuses is hung up on.
                let until_ms = promise.until_ms.saturating_add(LASTS_MS);
                self.refused.insert(promise.from, until_ms);
            }
            Leased::NotValidator => {}
        }
    }

    /// Whether enough of the others in `set` promise the key to this place.
    pub fn is_open(&self, set: &ValidatorSet, now_ms: u64) -> bool {
        let Some(key) = self.key else { return false };
        let others = set.validators().iter().filter(|v| v.consensus_key != key);
        let promised = |network: &PublicKey| self.granted.get(network).is_some_and(|t| *t > now_ms);
        1 + others.filter(|v| promised(&v.network_key)).count() >= set.quorum()
    }

    /// Whether somebody says that another place has the key.
    pub fn is_held_elsewhere(&self, now_ms: u64) -> bool {
        self.refused.values().any(|until_ms| *until_ms > now_ms)
    }

    /// The latest that this node's key signed, as others hold it.
    pub const fn heard(&self) -> Option<Signed> {
        self.heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_consensus::message::{Vote, VoteKind};
    use consign_types::block::{Epoch, Height};
    use consign_types::certificate::Round;
    use consign_types::digest::{Digest, NetworkId};
    use consign_types::key::{SecretKey, Signature};
    use consign_types::validator::{Validator, ValidatorIndex};

    const DOMAIN: Domain = Domain { network: NetworkId(Digest([5; 32])), epoch: Epoch(0) };

    fn key(n: u8, role: u8) -> SecretKey {
        let mut seed = [n + 1; 32];
        seed[0] = role;
        SecretKey::from_seed(seed)
    }

    fn set(count: u8) -> ValidatorSet {
        let validator = |n: u8| Validator {
            party: format!("party-{n}").parse().expect("a party id"),
            consensus_key: key(n, 1).public(),
            cosigner_key: key(n, 2).public(),
            network_key: key(n, 3).public(),
        };
        ValidatorSet::new((0..count).map(validator).collect()).expect("distinct keys")
    }

    fn gate() -> Gate {
        Gate::new(DOMAIN, Some(key(0, 1).public()))
    }

    fn promise(from: u8, leased: Leased, until_ms: u64) -> Promise {
        Promise { from: key(from, 3).public(), leased, until_ms, latest: None }
    }

    #[test]
    fn it_is_open_while_a_quorum_with_itself_promises() {
        let (mut gate, four) = (gate(), set(4));
        let mut open_at = |promises: &[Promise], now_ms| {
            promises.iter().for_each(|promise| gate.take(promise));
            gate.is_open(&four, now_ms)
        };
        assert!(!open_at(&[], 0));
        assert!(!open_at(&[promise(1, Leased::Granted, 100)], 0));
        // Its own word counts once, and a stranger's never.
        assert!(!open_at(&[promise(0, Leased::Granted, 100), promise(9, Leased::Granted, 100)], 0));
        assert!(!open_at(&[promise(3, Leased::Held, 100)], 0));
        assert!(open_at(&[promise(2, Leased::Granted, 50)], 0));
        assert!(open_at(&[], 49));
        assert!(!open_at(&[], 50));
        assert!(open_at(&[promise(2, Leased::Granted, 90)], 50));
        // An answer that came late takes nothing back.
        assert!(open_at(&[promise(2, Leased::Granted, 70)], 89));
        assert!(!open_at(&[], 90));
    }

    #[test]
    fn a_single_validator_needs_nobody_and_a_follower_has_no_gate() {
        assert!(gate().is_open(&set(1), 0));
        assert!(!Gate::new(DOMAIN, None).is_open(&set(1), 0));
    }

    #[test]
    fn it_says_that_another_has_the_key_for_as_long_as_somebody_says_so() {
        let mut gate = gate();
        gate.take(&promise(1, Leased::Held, 100));
        gate.take(&promise(2, Leased::NotValidator, 100));
        let end_ms = 100 + LASTS_MS;
        let at = [end_ms - 1, end_ms].map(|now_ms| gate.is_held_elsewhere(now_ms));
        assert_eq!(at, [true, false]);
        gate.take(&promise(1, Leased::Granted, 100));
        assert!(!gate.is_held_elsewhere(0));
    }

    #[test]
    fn it_believes_what_its_own_key_signed_and_keeps_the_latest() {
        let vote = |height, signer: &SecretKey| {
            let signature = Signature([0; 64]);
            let (kind, block, validator) = (VoteKind::Prevote, None, ValidatorIndex(0));
            let mut vote =
                Vote { height: Height(height), round: Round(0), kind, block, validator, signature };
            let bytes = DOMAIN.sign_bytes(vote.height, vote.round, &vote.statement());
            vote.signature = signer.sign(&bytes);
            Message::Vote(vote)
        };
        let mut gate = gate();
        let mut heard = |latest| {
            gate.take(&Promise { latest: Some(latest), ..promise(1, Leased::Granted, 1) });
            gate.heard().map(|signed| signed.height)
        };
        assert_eq!(heard(vote(9, &key(1, 1))), None, "another's");
        assert_eq!(heard(vote(5, &key(0, 1))), Some(Height(5)));
        assert_eq!(heard(vote(4, &key(0, 1))), Some(Height(5)));
        assert_eq!(heard(vote(6, &key(0, 1))), Some(Height(6)));
    }

    #[test]
    fn a_doubt_says_why_and_what_ends_it() {
        let reason = "the sign-state is missing";
        let table = [
            (Signing::Allowed, None),
            (Signing::Follower, None),
            (Signing::Unleased { held_elsewhere: false }, None),
            (
                Signing::Quarantined { through: Some(Height(7)), reason },
                Some("the sign-state is missing; this node votes again after height 7"),
            ),
            (
                Signing::Quarantined { through: None, reason },
                Some(
                    "the sign-state is missing; this node votes again once the network is past it",
                ),
            ),
            (Signing::Unleased { held_elsewhere: true }, Some(HELD_ELSEWHERE)),
        ];
        for (signing, sentence) in table {
            assert_eq!(doubt(&signing).as_deref(), sentence, "{signing:?}");
        }
    }
}
