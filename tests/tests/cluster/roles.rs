//! Who may say what, asked of a running node: every kind of event by every role.
//!
//! Table and scenes are those of the ledger's tests (`ledger/tests/support/rights.rs`), here on four real nodes: what
//! sets a scene is committed by them, and what is said in it is answered over JSON-RPC. What stops a device whatever
//! it says stands in `authority.rs`.

use std::collections::BTreeMap;

use consign_cli::devnet::home::Founders;
use consign_cli::keys::{self, Purpose};
use consign_ledger::evidence::{Anchor, Believed, same_number};
use consign_ledger::passport::Passport;
use consign_rpc::params::Wait;
use consign_tests::drill::Drill;
use consign_types::codec::Canonical as _;
use consign_types::event::{Action, Event, Kind, SignedEvent, Subject, Verified};
use consign_types::party::{PartyId, SignerId};
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

use crate::desk::rights::{RIGHTS, SIGNERS, stage_name, walk};
use crate::desk::scene::OBSERVE;
use crate::desk::{Desk, PARTIES, members_sign_with, party, sign};

/// Events in one batch.
const BATCH: usize = 100;

/// Has the node commit and prove all of them, whatever the order among them.
async fn prove(drill: &mut Drill, node: &PartyId, events: &[Verified]) {
    for chunk in events.chunks(BATCH) {
        let bytes: Vec<&[u8]> = chunk.iter().map(|event| event.signed().bytes()).collect();
        let answers = drill.client(node).submit_batch(&bytes, Wait::Proven, Some(60_000)).await;
        for (event, answer) in chunk.iter().zip(answers.expect("an answer")) {
            let said = event.event();
            let sent = answer.into_result();
            let sent =
                sent.unwrap_or_else(|e| panic!("{} by {}: {e}", said.action.kind(), said.signer));
            assert!(sent.status.is_proven(), "{} by {}", said.action.kind(), said.signer);
            drill.note_proven(event.signed());
        }
    }
}

/// What the node answers to each: `+` where it takes it, or the code that it refuses it with.
async fn answers(drill: &Drill, node: &PartyId, events: &[&SignedEvent]) -> Vec<String> {
    let bytes: Vec<&[u8]> = events.iter().map(|event| event.bytes()).collect();
    let answers = drill.client(node).submit_batch(&bytes, Wait::Accepted, None).await;
    let answers =
        answers.expect("an answer").into_iter().map(|answer| match answer.into_result() {
            Ok(_) => "+".to_owned(),
            Err(error) => error.code.map_or_else(|| error.kind.to_string(), String::from),
        });
    answers.collect()
}

/// What was committed at the desk since `from`.
fn since(desk: &Desk, from: usize) -> Vec<Verified> {
    desk.journal[from..].iter().flat_map(|(_, events, _)| events.clone()).collect()
}

/// For each scene of a report, a device that gave one number to two events, and the evidence of that: made of
/// what the nodes proved, since nothing else is believed.
async fn twins(drill: &mut Drill, node: &PartyId, desk: &mut Desk) -> BTreeMap<SignerId, Vec<u8>> {
    let row = RIGHTS.iter().position(|(kind, _)| *kind == Kind::Report).expect("a row");
    let names = (0..SIGNERS.len()).map(|column| stage_name(row, column));
    let names: Vec<_> = names.map(|name| (format!("forwarder.twin{name}"), name)).collect();
    let from = desk.journal.len();
    for (device, _) in &names {
        desk.enrol(device);
    }
    prove(drill, node, &since(desk, from)).await;

    let trust = Trust::of_genesis(drill.devnet().genesis(), Vec::new());
    let mut evidence = BTreeMap::new();
    for (device, name) in names {
        let signer: SignerId = device.parse().expect("a device");
        let unit: UnitId = format!("trk/forwarder/TWIN{name}").parse().expect("a unit");
        let one = desk.say(&device, &unit, Action::Register);
        let other = Event { sequence: one.event().sequence, ..desk.draft(&device, &unit, OBSERVE) };
        desk.submit_verified(&one).expect("it is registered");
        prove(drill, node, std::slice::from_ref(&one)).await;
        let file = drill.client(node).passport(unit, None).await.expect("a passport").passport.0;
        let passport = Passport::from_bytes(&file).expect("a passport");
        let about = |key: &Subject| *key == Subject::Signer(signer.clone());
        let entry = passport.entries.iter().find(|entry| about(&entry.key)).expect("its entry");
        let anchor = Anchor::of_passport(&passport, entry).expect("a checkpoint");
        let (one, other) = (one.into_signed(), sign(other).into_signed());
        let twice = same_number(Believed::from(&trust), &passport.sets, &anchor, &one, &other);
        evidence.insert(signer, twice.expect("evidence").to_bytes());
    }
    evidence
}

/// The table is asked row by row: the scenes of a row step by step, then all six events of it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_lets_each_role_say_what_the_table_says() {
    let (parties, authorities) = (PARTIES.map(party).to_vec(), vec![party("customs")]);
    let mut drill = Drill::found(Founders { parties, authorities, witnesses: Vec::new() }).await;
    let key = |name: &str| {
        let path = drill.devnet().layout().key(&party(name), Purpose::Member);
        (name.to_owned(), keys::read(&path, Purpose::Member).expect("the member's key"))
    };
    members_sign_with(PARTIES.map(key).into());

    let node = drill.parties()[0].clone();
    let mut desk = Desk::over(drill.devnet().genesis());
    for by in &SIGNERS[..4] {
        desk.enrol(by);
    }
    prove(&mut drill, &node, &since(&desk, 0)).await;
    let evidence = twins(&mut drill, &node, &mut desk).await;
    let rows = walk(&mut desk, &|_, accused| evidence[accused].clone());

    let mut asked = 0;
    for (kind, cells) in rows {
        for step in 0..cells.iter().map(|cell| cell.setup.len()).max().unwrap_or(0) {
            let step: Vec<_> = cells.iter().filter_map(|cell| cell.setup.get(step)).collect();
            prove(&mut drill, &node, &step.into_iter().cloned().collect::<Vec<_>>()).await;
        }
        let events: Vec<&SignedEvent> = cells.iter().map(|cell| cell.event.signed()).collect();
        let found = answers(&drill, &node, &events).await;
        for (cell, found) in cells.iter().zip(&found) {
            assert_eq!(found, cell.right, "{kind:?} by {}", cell.by);
        }
        let taken = cells.iter().filter(|cell| cell.right == "+").map(|cell| cell.event.clone());
        prove(&mut drill, &node, &taken.collect::<Vec<_>>()).await;
        asked += found.len();
    }
    assert_eq!(asked, Kind::ALL.len() * SIGNERS.len());
    // What was refused is in no log.
    drill.finish().await;
}
