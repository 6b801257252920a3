//! What one party proposes and another agrees to, on a running network.

use consign_ledger::passport::{self, Custodian};
use consign_rpc::views::Base64;
use consign_tests::drill::Drill;
use consign_tests::drill::command::consign;
use consign_types::digest::Digest;
use consign_types::event::{Action, Condition, Fix, Kind, Reason, SignedEvent};
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

const PARCEL: &str = "trk/forwarder/PARCEL-1";

/// The airline lost a parcel of the forwarder's: nothing is lost before the owner agrees, and everybody sees
/// whose word is awaited.
#[tokio::test(flavor = "multi_thread")]
async fn a_custodian_gives_a_unit_up_when_its_owner_consents() {
    let mut drill = Drill::start().await;
    let [forwarder, airline] = [0, 1].map(|at| drill.parties()[at].clone());
    let unit: UnitId = PARCEL.parse().expect("a unit");
    let desk = [Kind::Register, Kind::Offer, Kind::Consent];
    let desk = drill.enrol(&forwarder, "desk", &desk).await;
    let ramp = drill.enrol(&airline, "ramp", &[Kind::Accept, Kind::Lost]).await;

    let registered = desk.signs(1, PARCEL, Action::Register);
    let (to, until) = (airline.clone(), Millis(4_000_000_000_000));
    let terms = Digest::of(&[b"salted terms"]);
    let mut offer = desk.says(2, PARCEL, Action::Offer { to, until, terms });
    offer.basis = Some(registered.id());
    let offer = desk.sign(offer);
    let accept = Action::Accept {
        offer: offer.id(),
        count: 1,
        seals: Vec::new(),
        condition: Condition::Sound,
        exceptions: Vec::new(),
    };
    let lost = Action::Lost { holder: airline.clone(), reason: Reason::Other };
    let lost = ramp.signs(2, PARCEL, lost);
    let events = [
        (&forwarder, registered),
        (&forwarder, offer),
        (&airline, ramp.signs(1, PARCEL, accept)),
        (&airline, lost.clone()),
    ];
    for (party, event) in &events {
        drill.prove(party, event).await;
    }
    let url = drill.home(&airline).url.clone();
    let shown = consign(["--node", &url, "unit", "get", PARCEL]).await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("custody     held by airline\n"), "{}", shown.stdout);
    let waits = "proposed    lost by airline, awaits the consent of forwarder until ";
    assert!(shown.stdout.contains(waits), "{}", shown.stdout);
    assert!(shown.stdout.contains(&format!("(event {})\n", lost.id())), "{}", shown.stdout);

    let consent = desk.signs(3, PARCEL, Action::Consent { proposal: lost.id() });
    drill.prove(&forwarder, &consent).await;
    let client = drill.client(&forwarder);
    let view = client.unit(unit.clone(), None).await.expect("the unit");
    assert_eq!(view.pending, []);
    let file = client.passport(unit, None).await.expect("a passport").passport.0;
    let trust = std::fs::read_to_string(drill.devnet().layout().trust()).expect("the trust file");
    let trust = Trust::from_json(&trust).expect("a trust file");
    let verified = passport::read(&file, &trust).expect("it holds");
    let custody: Vec<_> = verified.custody.iter().map(|held| held.custodian.clone()).collect();
    let expected =
        [Custodian::Held(forwarder), Custodian::Held(airline.clone()), Custodian::Closed(airline)];
    assert_eq!(custody, expected);
    assert_eq!(verified.custody[2].from, verified.steps[4].time, "with the consent");
    drill.finish().await;
}

/// A count was wrong at the dock: the carrier says so with the command for it, and the history shows the
/// correction once the giver agrees. Custody does not move.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_wrongly_is_corrected_beside_what_stays() {
    let mut drill = Drill::start().await;
    let [forwarder, airline] = [0, 1].map(|at| drill.parties()[at].clone());
    let unit: UnitId = PARCEL.parse().expect("a unit");
    let desk = [Kind::Register, Kind::Offer, Kind::Consent];
    let desk = drill.enrol(&forwarder, "desk", &desk).await;
    let ramp = drill.enrol(&airline, "ramp", &[Kind::Accept, Kind::Correct]).await;
    let registered = desk.signs(1, PARCEL, Action::Register);
    let (to, until) = (airline.clone(), Millis(4_000_000_000_000));
    let terms = Digest::of(&[b"salted terms"]);
    let mut offer = desk.says(2, PARCEL, Action::Offer { to, until, terms });
    offer.basis = Some(registered.id());
    let offer = desk.sign(offer);
    let accept = Action::Accept {
        offer: offer.id(),
        count: 1,
        seals: Vec::new(),
        condition: Condition::Sound,
        exceptions: Vec::new(),
    };
    let accepted = ramp.signs(1, PARCEL, accept);
    for (party, event) in [(&forwarder, &registered), (&forwarder, &offer), (&airline, &accepted)] {
        drill.prove(party, event).await;
    }

    let url = drill.home(&airline).url.clone();
    let id = accepted.id().to_string();
    let built = consign(["--node", &url, "event", "correct", &id, "--fix", "count"]).await;
    assert_eq!(built.code, 0, "{}", built.stderr);
    let form: serde_json::Value = serde_json::from_str(&built.stdout).expect("a form");
    let carried = |field: &str| form[field].as_str().map(str::to_owned);
    let base64 = |event: &SignedEvent| Some(Base64(event.bytes().to_vec()).to_string());
    assert_eq!(carried("original"), base64(&accepted));
    assert_eq!(carried("originalOffer"), base64(&offer));
    let (original, offer) = (Box::new(accepted), Some(Box::new(offer)));
    let correct = Action::Correct { original, offer, fix: Fix::Count, right: None };
    let correct = ramp.signs(2, PARCEL, correct);
    drill.prove(&airline, &correct).await;
    let shown = consign(["--node", &url, "unit", "get", PARCEL]).await;
    let waits =
        format!("proposed    correct {id} by airline, awaits the consent of forwarder until ");
    assert!(shown.stdout.contains(&waits), "{}", shown.stdout);

    let consent = desk.signs(3, PARCEL, Action::Consent { proposal: correct.id() });
    drill.prove(&forwarder, &consent).await;
    let file = drill.client(&forwarder).passport(unit, None).await.expect("a passport").passport.0;
    let trust = std::fs::read_to_string(drill.devnet().layout().trust()).expect("the trust file");
    let trust = Trust::from_json(&trust).expect("a trust file");
    let verified = passport::read(&file, &trust).expect("it holds");
    let told: Vec<String> = passport::story(&verified).into_iter().map(|line| line.text).collect();
    let (corrected, at) = (verified.steps[3].time, "414/9521321000018");
    assert_eq!(
        told[2],
        format!("airline.ramp took over {PARCEL} at {at} [corrected {corrected}: count was wrong]")
    );
    assert_eq!(
        told[3],
        format!("airline.ramp corrected accept {id} of {PARCEL}: count was wrong at {at}")
    );
    let custody: Vec<_> = verified.custody.iter().map(|held| held.custodian.clone()).collect();
    assert_eq!(custody, [Custodian::Held(forwarder), Custodian::Held(airline)]);
    drill.finish().await;
}
