//! What one party proposes and another agrees to, on a running network.

use consign_ledger::passport::{self, Custodian};
use consign_tests::drill::Drill;
use consign_tests::drill::command::consign;
use consign_types::digest::Digest;
use consign_types::event::{Action, Condition, Kind, Reason};
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
