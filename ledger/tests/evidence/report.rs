//! Evidence on the ledger: each kind is judged by the map alone, and counts once however it is shown.

use std::collections::BTreeMap;

use consign_ledger::entry::{EntryKey, MemberState, read as entry};
use consign_ledger::errors::Rejection;
use consign_ledger::evidence::{Case, Evidence, Who, verify};
use consign_ledger::signer::Status;
use consign_types::codec::Canonical as _;
use consign_types::event::{Action, Event, Subject};

use super::device::made as twice;
use super::notes::{ALL, growth_example, log_example, made, note, rollback_example};
use super::support::faults::report;
use super::support::scene::{EXCEPTION, OBSERVE, RETURN};
use super::support::{DEVICES, Desk, PARTIES, key, party, sign};
use super::{Believed, SIGNER, custodian, desk, device, trust, votes};

const REPORTER: &str = "customs.dock2";

/// Who is stopped, and how much is counted against each member that has any.
fn standing(desk: &Desk) -> (Vec<String>, BTreeMap<&'static str, u32>) {
    let devices = PARTIES.iter().flat_map(|name| DEVICES.map(|at| format!("{name}.{at}")));
    let stopped =
        |name: &String| desk.signer(&name.parse().unwrap()).unwrap().status != Status::Active;
    let faults = |name| {
        let member: MemberState = entry(&desk.entries, &EntryKey::Member(party(name))).unwrap();
        member.faults
    };
    let counted = PARTIES.iter().map(|name| (*name, faults(name))).filter(|(_, n)| *n > 0);
    (devices.filter(stopped).collect(), counted.collect())
}

fn brought(desk: &mut Desk, evidence: &Evidence) -> Result<(), Rejection> {
    let accused = verify(evidence, Believed::from(&trust())).unwrap();
    let first = match &accused[0].who {
        Who::Party(party) => party.to_string(),
        Who::Device(device) => device.to_string(),
        Who::Witness(name) => panic!("an outsider: {name}"),
    };
    let event = report(desk, REPORTER, &first, evidence);
    desk.submit_verified(&event).map(drop)
}

fn known(evidence: &Evidence) -> Result<(), Rejection> {
    Err(Rejection::EvidenceKnown { evidence: evidence.id().0 })
}

fn two_roots(with: &[(&str, u64)]) -> Evidence {
    made(&note(12, 1, with), &note(12, 2, with)).unwrap()
}

/// Kind by kind, on a ledger of its own: who is stopped and who is counted.
#[test]
fn each_kind_of_evidence_counts_against_whom_it_names() {
    let counted = |names: &[&'static str]| names.iter().map(|name| (*name, 1)).collect();
    let table: [(Evidence, &[&str], BTreeMap<_, _>); 6] = [
        (votes::example(), &[], counted(&["airline"])),
        (two_roots(&ALL[..3]), &[], counted(&["airline", "customs", "forwarder"])),
        (growth_example(), &[], counted(&["customs", "forwarder"])),
        (rollback_example(), &[], counted(&["airline", "customs", "forwarder"])),
        (device::example(SIGNER), &[SIGNER], counted(&["forwarder"])),
        (custodian::example(1), &[], counted(&["forwarder"])),
    ];
    for (evidence, stopped, counts) in table {
        let kind = evidence.case.kind();
        let mut desk = desk();
        assert_eq!(standing(&desk), (Vec::new(), BTreeMap::new()), "{kind}");
        assert_eq!(brought(&mut desk, &evidence), Ok(()), "{kind}");
        let stopped: Vec<_> = stopped.iter().map(ToString::to_string).collect();
        assert_eq!(standing(&desk), (stopped, counts), "{kind}");
        let before = desk.entries.clone();
        assert_eq!(brought(&mut desk, &evidence), known(&evidence), "{kind}");
        assert_eq!(desk.entries, before, "{kind}");
    }
}

#[test]
fn log_signatures_are_not_judged() {
    let why = "log keys are no entries of the unit map".to_owned();
    let refused = Err(Rejection::EvidenceNotJudged { why });
    assert_eq!(brought(&mut desk(), &log_example()), refused);
}

/// Files that differ and show nothing new.
#[test]
fn a_fault_counts_once_however_it_is_shown() {
    // Fewer lines, later lines, a third root.
    let mut desk = desk();
    assert_eq!(brought(&mut desk, &two_roots(&ALL[..2])), Ok(()));
    let again = two_roots(&ALL[..1]);
    assert_eq!(brought(&mut desk, &again), known(&again));
    let third = made(&note(12, 2, &[("airline", 9_999_999_999)]), &note(12, 3, &ALL[..1])).unwrap();
    assert_eq!(brought(&mut desk, &third), known(&third));
    // Who is new in it is counted, and nobody else again.
    assert_eq!(brought(&mut desk, &two_roots(&ALL)), Ok(()));
    let counts = PARTIES.map(|name| (name, 1)).into_iter().collect();
    assert_eq!(standing(&desk), (Vec::new(), counts));

    // A third event under the same number.
    let unit = desk.held("A");
    let anchor = device::anchor(&desk, SIGNER);
    let said = [OBSERVE, EXCEPTION, RETURN].map(|action| {
        let draft = desk.draft(SIGNER, &unit, action);
        sign(Event { sequence: 20, ..draft }).into_signed()
    });
    let first = twice(&anchor, &said[0], &said[1]).unwrap();
    assert_eq!(brought(&mut desk, &first), Ok(()));
    for pair in [[0, 2], [1, 2]] {
        let other = twice(&anchor, &said[pair[0]], &said[pair[1]]).unwrap();
        assert_ne!(other, first);
        assert_eq!(brought(&mut desk, &other), known(&other));
    }
    // The same pair under an entry that was proven later.
    let later = twice(&device::anchor(&desk, SIGNER), &said[0], &said[1]).unwrap();
    assert_ne!(later, first);
    assert_eq!(brought(&mut desk, &later), known(&later));
    let counts = PARTIES.map(|name| (name, 1 + u32::from(name == "forwarder")));
    assert_eq!(standing(&desk), (vec![SIGNER.to_owned()], counts.into_iter().collect()));
}

/// Whoever has the name now did not use the key of then.
#[test]
fn a_device_under_another_key_is_not_suspended_for_the_earlier_one() {
    let mut desk = desk();
    let signer = SIGNER.parse().unwrap();
    let mut state = desk.signer(&signer).unwrap();
    state.key = key("the key after a change").public().into();
    desk.set_signer(&signer, &state);
    let refused = Err(Rejection::WrongKey { signer });
    assert_eq!(brought(&mut desk, &device::example(SIGNER)), refused);
    assert_eq!(standing(&desk), (Vec::new(), BTreeMap::new()));
}

/// Validators of a set that is not in force, and outsiders: the map has no key of theirs.
#[test]
fn whose_key_the_map_does_not_hold_is_not_judged() {
    let strangers = |root| {
        let at = super::notes::checkpoint(12, root);
        super::support::node::cosigned(&at, " 2", &ALL[..1])
    };
    let mut evidence = two_roots(&ALL[..1]);
    let Case::TwoRoots(notes) = &mut evidence.case else { panic!("two roots") };
    (notes.first, notes.second) = (strangers(1).to_string(), strangers(2).to_string());
    let mut desk = desk();
    let event = report(&desk, REPORTER, "airline", &evidence);
    let refusal = desk.submit_verified(&event).unwrap_err();
    assert_eq!(refusal.code(), "bad_evidence");
    assert_eq!(standing(&desk), (Vec::new(), BTreeMap::new()));
}

/// One bit anywhere: nobody is named by it. Each kind, at positions all over the file.
#[test]
fn a_changed_file_names_nobody() {
    let examples = [
        votes::example(),
        two_roots(&ALL[..3]),
        growth_example(),
        rollback_example(),
        device::example(SIGNER),
        custodian::example(1),
    ];
    let mut desk = desk();
    for evidence in examples {
        let bytes = evidence.to_bytes();
        let kind = evidence.case.kind();
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 61) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            for subject in ["airline", "customs", "forwarder", SIGNER] {
                let subject = Subject::Signer(subject.parse().unwrap());
                let action = Action::Report { evidence: changed.clone() };
                let event = desk.event(REPORTER, subject, action);
                let refusal = desk.submit(event).unwrap_err();
                assert_eq!(refusal.code(), "bad_evidence", "{kind}, byte {at}");
            }
        }
        assert_eq!(standing(&desk), (Vec::new(), BTreeMap::new()), "{kind}");
    }
}
