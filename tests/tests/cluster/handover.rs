//! Handovers on a running network, with and without it, by the page of the manual: its commands are what runs here.

use consign_cli::durable;
use consign_cli::keys::Purpose;
use consign_rpc::params::{GetDeviceHistory, GetHistory};
use consign_tests::drill::Drill;
use consign_tests::drill::command::shell;
use consign_tests::page::blocks;
use consign_types::event::{Kind, SignedEvent};

const PAGE: &str = include_str!("../../../docs/operating/handovers.md");

/// What each block says, in their order.
const SAID: [&[&str]; 7] = [
    &["handler.truck7 has a key in truck7/device.key", "airline.gate3 has a key", "proven: block"],
    &["keep terms.txt and terms.txt.salt; whoever is to check gets both"],
    &["terms.txt is what "],
    &["proven: block"],
    &["proven: block", "held by airline"],
    &["wrote taken.event"],
    &["proven: block", "held by handler", "VERIFIED"],
];

#[tokio::test(flavor = "multi_thread")]
async fn units_are_handed_over_as_the_manual_says() {
    let mut drill = Drill::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let layout = drill.devnet().layout();
    durable::copy(&layout.trust(), &dir.path().join("network.trust.json")).expect("a copy");
    let parties = drill.parties();
    let of = |name: &str| parties.iter().find(|party| party.as_str() == name).expect("a party");
    for name in ["handler", "airline"] {
        let key = dir.path().join(format!("{name}.key"));
        durable::copy(&layout.key(of(name), Purpose::Member), &key).expect("a copy");
    }
    let url = drill.home(of("handler")).url.clone();
    let client = drill.client(of("handler"));

    let mut blocks = blocks(PAGE);
    let (again, exit) = blocks.pop().expect("the page ends with one that is refused");
    assert_eq!(blocks.len(), SAID.len(), "every block of the page is run");
    for ((script, exit), contains) in blocks.iter().zip(SAID) {
        let ran = shell(dir.path(), &url, script).await;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, *exit, "{script}\n{said}");
        for text in contains {
            assert!(said.contains(text), "{script}\n{said}\nlacks {text:?}");
        }
    }
    let ran = shell(dir.path(), &url, &again).await;
    assert_eq!(ran.code, exit, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("error[sequence_used]"), "{}", ran.stderr);

    let unit_id: consign_types::unit::UnitId = "trk/handler/BOX-1".parse().expect("a unit");
    let history = GetHistory { unit_id: unit_id.into(), cursor: None, limit: Default::default() };
    let history = client.call(&history).await.expect("it is known").data;
    let kinds: Vec<Kind> = history.iter().map(|view| view.content.kind.0).collect();
    assert_eq!(kinds, [Kind::Register, Kind::Offer, Kind::Accept, Kind::Handover]);
    for name in ["handler", "airline", "handler.truck7", "airline.gate3"] {
        let device_id = name.parse().expect("a name");
        let call = GetDeviceHistory { device_id, cursor: None, limit: Default::default() };
        for view in client.call(&call).await.expect("it is enrolled").data {
            drill.note_proven(&SignedEvent::decode(&view.envelope.0).expect("an event"));
        }
    }
    drill.finish().await;
}
