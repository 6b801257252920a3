//! Evidence on a running network: kept by one node, reported by a device, known to all.

use std::path::Path;

use consign_cli::devnet::devices::DeviceBook;
use consign_ledger::evidence::{Anchor, Believed, Evidence, same_number};
use consign_ledger::passport::Passport;
use consign_rpc::client::Client;
use consign_rpc::params::{GetEvidence, Wait};
use consign_rpc::views::{EvidenceView, ReportedView};
use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, consign};
use consign_types::codec::Canonical as _;
use consign_types::event::{Action, Kind, SignedEvent, Subject};
use consign_types::trust::Trust;

const PARCEL: &str = "trk/forwarder/PARCEL-1";
const OTHER: &str = "trk/forwarder/PARCEL-2";

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What a node has, newest first.
async fn kept(client: &Client) -> Vec<EvidenceView> {
    client.call(&GetEvidence::default()).await.expect("a page").data
}

/// A device gives one number to two events. Whoever has both and a passport has the evidence.
async fn two_events_under_one_number(drill: &mut Drill, trust: &Trust) -> Evidence {
    let forwarder = drill.parties()[0].clone();
    let desk = drill.enrol(&forwarder, "desk", &[Kind::Register]).await;
    let [one, other] = [PARCEL, OTHER].map(|unit| desk.signs(1, unit, Action::Register));
    drill.prove(&forwarder, &one).await;
    let unit = PARCEL.parse().expect("a unit");
    let file = drill.client(&forwarder).passport(unit, None).await.expect("a passport").passport.0;
    let passport = Passport::from_bytes(&file).expect("a passport");
    let signer = Subject::Signer(desk.keyed.id.clone());
    let entry = passport.entries.into_iter().find(|entry| entry.key == signer);
    let anchor = Anchor {
        checkpoint: passport.checkpoint,
        record: passport.record,
        path: passport.path,
        entry: entry.expect("the device's entry"),
    };
    same_number(Believed::from(trust), &[], &anchor, &one, &other).expect("evidence")
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
    let evidence = two_events_under_one_number(&mut drill, &trust).await;
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
