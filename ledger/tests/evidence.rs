//! Evidence: what each kind shows, that every part counts, and that nobody honest is named.

#[path = "evidence/custodian.rs"]
mod custodian;
#[path = "evidence/device.rs"]
mod device;
#[path = "evidence/notes.rs"]
mod notes;
#[path = "evidence/page.rs"]
mod page;
#[path = "evidence/parts.rs"]
mod parts;
#[path = "evidence/report.rs"]
mod report;
mod support;
#[path = "evidence/votes.rs"]
mod votes;

use consign_ledger::evidence::{BadEvidence, Believed, Evidence, Who, read, verify};
use consign_types::codec::Canonical as _;
use consign_types::genesis::Genesis;
use consign_types::note::{KeyType, VerifierKey};
use consign_types::trust::Trust;

use support::{Desk, PARTIES, genesis, key, party};

const SIGNER: &str = "forwarder.dock1";

/// A desk whose blocks are a minute apart.
fn desk() -> Desk {
    let mut desk = Desk::new();
    (desk.tick_ms, desk.time) = (60_000, desk.time.plus(60_000));
    desk
}

/// Trust in the genesis and in the log key of each party's node.
fn trust() -> Trust {
    let logs = PARTIES.map(|name| (party(name), key(&format!("{name} log")).public()));
    Trust::of_genesis(&genesis(), logs.to_vec())
}

/// An outsider that cosigns.
fn witness() -> VerifierKey {
    VerifierKey::new("insurer.example", KeyType::Cosignature, key("insurer").public()).unwrap()
}

/// Whom the evidence names, and what it says. Written, read, and checked both ways.
#[track_caller]
fn named(evidence: &Evidence) -> Vec<String> {
    let (trust, witnesses) = (trust(), [witness()]);
    let believed = Believed { trust: &trust, witnesses: &witnesses };
    let bytes = evidence.to_bytes();
    assert_eq!(Evidence::from_bytes(&bytes).as_ref(), Ok(evidence));
    let accused = read(&bytes, believed).unwrap_or_else(|bad| panic!("{bad}: {:?}", bad.why));
    assert_eq!(verify(evidence, believed), Ok(accused.clone()));
    assert!(!accused.is_empty());
    accused.iter().map(ToString::to_string).collect()
}

/// Why the evidence proves nothing.
#[track_caller]
fn refused(evidence: &Evidence) -> BadEvidence {
    verify(evidence, Believed::from(&trust())).expect_err("evidence that should prove nothing")
}

#[test]
fn who_answers_for_whom() {
    let device: Who = Who::Device(SIGNER.parse().unwrap());
    assert_eq!(device.party(), Some(&party("forwarder")));
    assert_eq!(Who::Party(party("airline")).party(), Some(&party("airline")));
    assert_eq!(Who::Witness("insurer.example".into()).party(), None);
}

/// Evidence of another network, or under a trust file of one.
#[test]
fn evidence_is_of_one_network() {
    let evidence = votes::example();
    let elsewhere = Genesis::new(
        "other.example/ledger",
        genesis().time(),
        genesis().members().to_vec(),
        genesis().validators().clone(),
        *genesis().params(),
    );
    let other = Trust::of_genesis(&elsewhere.unwrap(), Vec::new());
    let bad = verify(&evidence, Believed::from(&other)).unwrap_err();
    assert_eq!(bad.to_string(), "the network of the evidence does not hold");
    // A pair of votes is bound to the network by its signatures too.
    let moved = Evidence { network: other.network, ..evidence };
    let bad = verify(&moved, Believed::from(&other)).unwrap_err();
    assert_eq!(bad.to_string(), "the pair of votes of the evidence does not hold");
}
