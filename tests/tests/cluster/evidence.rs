//! Evidence on a running network: kept by one node, reported by a device, known to all.

use std::path::Path;

use consign_cli::devnet::devices::DeviceBook;
use consign_cli::keys::{self, Purpose};
use consign_ledger::evidence::Evidence;
use consign_ledger::passport::Passport;
use consign_rpc::client::Client;
use consign_rpc::params::{GetEvidence, Wait};
use consign_rpc::views::{EvidenceView, ReportedView};
use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, consign};
use consign_types::block::TreeSize;
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, TreeRoot};
use consign_types::event::{Action, Condition, Event, Kind, SignedEvent};
use consign_types::party::PartyId;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

const PARCEL: &str = "trk/forwarder/PARCEL-1";
const OTHER: &str = "trk/forwarder/PARCEL-2";

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What a node has, newest first.
async fn kept(client: &Client) -> Vec<EvidenceView> {
    client.call(&GetEvidence::default()).await.expect("a page").data
}

/// What `consign evidence make` makes of these files, and what it says.
async fn made(trust: &Path, dir: &Path, files: &[(&str, Vec<u8>)]) -> (Ran, Option<Evidence>) {
    let out = dir.join("made.evidence");
    let _ = std::fs::remove_file(&out);
    let mut arguments = vec!["--trust", path(trust), "evidence", "make", "--out", path(&out)];
    let files: Vec<_> = files.iter().map(|(name, bytes)| (dir.join(name), bytes)).collect();
    for (file, bytes) in &files {
        std::fs::write(file, bytes).expect("it can be written");
        arguments.push(path(file));
    }
    let ran = consign(arguments).await;
    let evidence = std::fs::read(&out).ok();
    (ran, evidence.map(|bytes| Evidence::from_bytes(&bytes).expect("evidence")))
}

/// A device gives one number to two events. Whoever has both and a passport has the evidence.
async fn two_events_under_one_number(drill: &mut Drill, trust: &Path, dir: &Path) -> Evidence {
    let forwarder = drill.parties()[0].clone();
    let desk = drill.enrol(&forwarder, "desk", &[Kind::Register]).await;
    let [one, other] = [PARCEL, OTHER].map(|unit| desk.signs(1, unit, Action::Register));
    drill.prove(&forwarder, &one).await;
    let unit = PARCEL.parse().expect("a unit");
    let file = drill.client(&forwarder).passport(unit, None).await.expect("a passport").passport.0;
    // The passport has the one; nothing follows from the other alone, or from one event twice.
    let other = other.bytes().to_vec();
    let (ran, none) = made(trust, dir, &[("other.event", other.clone())]).await;
    assert_eq!((ran.code, none), (5, None), "{}", ran.stderr);
    let known = [("parcel.passport", file.clone()), ("one.event", one.bytes().to_vec())];
    let (ran, none) = made(trust, dir, &known).await;
    assert_eq!((ran.code, none), (5, None), "{}", ran.stderr);
    let (ran, evidence) =
        made(trust, dir, &[("parcel.passport", file), ("other.event", other)]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let did = "same-number\n  forwarder.desk signed two events under its number 1\n";
    assert!(ran.stdout.contains(did), "{}", ran.stdout);
    evidence.expect("evidence")
}

/// Nobody has to look for it: the node that refuses the second event has the first, and keeps the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_handed_a_used_number_keeps_the_evidence() {
    let mut drill = Drill::start().await;
    let forwarder = drill.parties()[0].clone();
    let desk = drill.enrol(&forwarder, "desk", &[Kind::Register]).await;
    let [one, other] = [PARCEL, OTHER].map(|unit| desk.signs(1, unit, Action::Register));
    drill.prove(&forwarder, &one).await;
    let client = drill.client(&forwarder);
    let refused = client.submit_event(other.bytes(), Wait::Accepted, None).await;
    assert!(refused.unwrap_err().to_string().contains("sequence number 1 of forwarder.desk"));
    drill.until("the evidence is kept", || async { !kept(&client).await.is_empty() }).await;
    let found: Vec<_> =
        kept(&client).await.iter().map(|file| file.accused[0].did.clone()).collect();
    assert_eq!(found, ["signed two events under its number 1"]);
    drill.finish().await;
}

/// A custodian's device offers one unit to two parties; one takes it on the log, the other on the ramp. The log has
/// both, and its passport is the evidence.
#[tokio::test(flavor = "multi_thread")]
async fn a_custodian_that_gives_a_unit_to_two_is_shown_by_its_passport() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let [forwarder, airline, handler] = [0, 1, 2].map(|at| parties[at].clone());
    let desk = drill.enrol(&forwarder, "desk", &[Kind::Register, Kind::Offer]).await;
    let ramp = drill.enrol(&airline, "ramp", &[Kind::Accept, Kind::Handover]).await;
    let dock = drill.enrol(&handler, "dock", &[Kind::Accept]).await;
    let registered = desk.signs(1, PARCEL, Action::Register);
    let offer = |sequence: u64, to: &PartyId| {
        let (to, until) = (to.clone(), Millis(4_000_000_000_000));
        let action = Action::Offer { to, until, terms: Digest::of(&[b"salted terms"]) };
        desk.sign(Event { basis: Some(registered.id()), ..desk.says(sequence, PARCEL, action) })
    };
    let accept = |offer: &SignedEvent| Action::Accept {
        offer: offer.id(),
        count: 1,
        seals: Vec::new(),
        condition: Condition::Sound,
        exceptions: Vec::new(),
    };
    let (first, second) = (offer(2, &airline), offer(3, &handler));
    let online = dock.signs(1, PARCEL, accept(&second));
    let acceptance = Box::new(ramp.signs(1, PARCEL, accept(&first)));
    let late = Action::Handover { offer: Box::new(first.clone()), acceptance: acceptance.clone() };
    let late = ramp.signs(2, PARCEL, late);
    drill.prove(&forwarder, &registered).await;
    drill.prove(&forwarder, &second).await;
    drill.prove(&handler, &online).await;

    let dir = tempfile::tempdir().expect("a directory");
    let trust = drill.devnet().layout().trust();
    let unit: UnitId = PARCEL.parse().expect("a unit");
    let client = drill.client(&forwarder);
    let passport = || async { client.passport(unit.clone(), None).await.expect("one").passport.0 };
    // Before the other party comes with its paper, nobody knows of it.
    let (ran, none) = made(&trust, dir.path(), &[("before.passport", passport().await)]).await;
    assert_eq!((ran.code, none), (5, None), "{}", ran.stderr);
    drill.prove(&airline, &late).await;
    let both =
        || async { client.unit(unit.clone(), None).await.is_ok_and(|unit| unit.events == 4) };
    drill.until("the node has committed it", both).await;
    let covered = || async {
        let file = Passport::from_bytes(&passport().await).expect("a passport");
        file.entered.len() == 4
    };
    drill.until("a passport covers it", covered).await;
    let (ran, evidence) = made(&trust, dir.path(), &[("after.passport", passport().await)]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("double-offer\n  forwarder"), "{}", ran.stdout);
    let file = dir.path().join("made.evidence");
    let verified = consign(["verify", path(&file), "--trust", path(&trust)]).await;
    assert_eq!(verified.code, 6, "{}", verified.stderr);
    assert_eq!(evidence.expect("evidence").case.kind().as_str(), "double-offer");
    drill.finish().await;
}

/// A node's log key under two roots of one size.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_key_that_signs_two_roots_is_named() {
    let drill = Drill::start().await;
    let (dir, layout) = (tempfile::tempdir().expect("a directory"), drill.devnet().layout());
    let origin = drill.devnet().genesis().origin().to_owned();
    let key = |party: &PartyId| keys::read(&layout.key(party, Purpose::Log), Purpose::Log);
    let note = |party: &PartyId, root: u8| {
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size: TreeSize(7),
            root: TreeRoot(Digest([root; 32])),
        };
        let signed = checkpoint.signed(&key(party).expect("its key")).expect("a note");
        signed.to_string().into_bytes()
    };
    let [airline, handler] = [1, 2].map(|at| drill.parties()[at].clone());
    let trust = layout.trust();
    let two = [("one.checkpoint", note(&airline, 1)), ("other.checkpoint", note(&airline, 2))];
    let (ran, evidence) = made(&trust, dir.path(), &two).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let did = format!("{airline} signed two roots of {origin} at size 7 with a log key");
    assert!(ran.stdout.contains(&did), "{}", ran.stdout);
    assert_eq!(evidence.expect("evidence").case.kind().as_str(), "log-signature");
    // Two nodes that each signed one: each may be the honest one.
    let of_two = [("one.checkpoint", note(&airline, 1)), ("other.checkpoint", note(&handler, 2))];
    let (ran, none) = made(&trust, dir.path(), &of_two).await;
    assert_eq!((ran.code, none), (5, None), "{}", ran.stderr);
    drill.finish().await;
}

/// Handed to one node, evidence is kept there alone and stops nobody. Reported, every node has it and the
/// device is stopped; a second report says nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_kept_by_one_node_until_a_report_brings_it_to_all() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let [forwarder, airline, handler, customs] = [0, 1, 2, 3].map(|at| parties[at].clone());
    let dir = tempfile::tempdir().expect("a directory");
    let trust_path = drill.devnet().layout().trust();
    let trust = std::fs::read_to_string(&trust_path).expect("the trust file");
    let trust = Trust::from_json(&trust).expect("a trust file");
    let reporter = drill.enrol(&handler, "office", &[Kind::Report]).await;
    let evidence = two_events_under_one_number(&mut drill, &trust_path, dir.path()).await;
    let (id, file) = (evidence.id().to_string(), dir.path().join("file.evidence"));
    std::fs::write(&file, evidence.to_bytes()).expect("it can be written");
    let urls =
        [&forwarder, &airline, &handler, &customs].map(|party| drill.home(party).url.clone());
    let did = "forwarder.desk signed two events under its number 1";

    let handed = consign(["--node", &urls[3], "evidence", "submit", path(&file)]).await;
    assert_eq!(handed.code, 0, "{}", handed.stderr);
    assert!(handed.stdout.contains(&format!("{did}; not reported\n")), "{}", handed.stdout);
    assert!(handed.stdout.contains("it is not reported, and nobody is stopped"), "{handed:?}");
    let at_customs = kept(&drill.client(&customs)).await;
    assert_eq!(at_customs.len(), 1);
    assert_eq!((at_customs[0].evidence_id.to_string(), at_customs[0].reported), (id.clone(), None));
    let elsewhere = consign(["--node", &urls[1], "evidence", "list"]).await;
    assert_eq!(elsewhere.stdout, "the node has no evidence against anybody\n");

    let key = drill.devnet().layout().party(&handler).join("devices/office.key");
    let report = async |sequence: &str| -> Ran {
        let device = reporter.keyed.id.to_string();
        let signer = ["--device", &device, "--key", path(&key), "--sequence", sequence];
        let submit = ["--node", &urls[2], "evidence", "submit", path(&file), "--wait", "proven"];
        consign(submit.into_iter().chain(signer)).await
    };
    let sent = report("1").await;
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    assert!(sent.stderr.contains(&format!("handler.office reports that {did}")), "{}", sent.stderr);
    let event_id = sent.stdout.lines().next().expect("an id").parse().expect("an event id");
    let view = drill.client(&handler).event(event_id, false).await.expect("the report");
    drill.note_proven(&SignedEvent::decode(&view.envelope.0).expect("an event"));
    for party in &parties {
        let client = drill.client(party);
        let has_report =
            || async { kept(&client).await.iter().any(|view| view.reported.is_some()) };
        drill.until("the report is everywhere", has_report).await;
        let mut views = kept(&client).await;
        let ReportedView { event_id: by, .. } = views[0].reported.expect("reported");
        assert_eq!((by.0, views.len()), (event_id, 1), "{party}");
        assert_eq!(views.remove(0).accused[0].reported.map(|report| report.event_id), Some(by));
    }

    let fetched = dir.path().join("fetched.evidence");
    let got = ["--node", &urls[1], "evidence", "get", &id, "--out", path(&fetched)];
    let got = consign(got).await;
    assert_eq!(got.code, 0, "{}", got.stderr);
    assert_eq!(std::fs::read(&fetched).expect("the file"), evidence.to_bytes());
    let verified = consign(["verify", path(&fetched), "--trust", path(&trust_path)]).await;
    assert_eq!(verified.code, 6, "{}", verified.stderr);

    let again = report("2").await;
    assert_eq!(again.code, 7, "{}", again.stdout);
    assert!(again.stderr.contains("evidence_known"), "{}", again.stderr);
    let keyed = DeviceBook::open(drill.devnet().layout(), &forwarder).expect("a book");
    let keyed = keyed.device("desk").expect("the device");
    let desk = consign_tests::drill::device::Device { keyed, network: trust.network };
    let next = desk.signs(2, OTHER, Action::Register);
    let refused = drill.client(&forwarder).submit_event(next.bytes(), Wait::Committed, None).await;
    let refused = refused.expect_err("the device is stopped");
    assert_eq!(refused.rule(), Some("suspended_key"));
    drill.finish().await;
}
