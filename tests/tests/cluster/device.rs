//! Devices on a running network, by the page of the manual: its commands are what runs here.

use consign_cli::durable;
use consign_cli::keys::Purpose;
use consign_rpc::client::Client;
use consign_rpc::params::{GetDevice, GetDeviceHistory};
use consign_rpc::views::{DeviceState, DeviceStatus, DeviceView, EventView};
use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, shell};
use consign_tests::page::blocks;
use consign_types::event::{Kind, SignedEvent};

const PAGE: &str = include_str!("../../../docs/operating/devices.md");

/// A directory at the handler's, and the node that it asks.
struct Desk {
    dir: tempfile::TempDir,
    url: String,
}

impl Desk {
    async fn run(&self, script: &str, exit: i32) -> Ran {
        let ran = shell(self.dir.path(), &self.url, script).await;
        assert_eq!(ran.code, exit, "{script}\n{}{}", ran.stdout, ran.stderr);
        ran
    }

    /// Signs that the device registers a unit, and sends it.
    async fn register(&self, number: usize) {
        let unit = format!("trk/handler/ON-{number}");
        let script = format!(
            "consign event build --type register --unit {unit} --place 414/9521321000018 > {number}.json
             consign event sign {number}.json --dir dock7 --out {number}.event
             consign event submit {number}.event --wait committed"
        );
        self.run(&script, 0).await;
    }
}

async fn device(client: &Client, name: &str) -> DeviceView {
    let device_id = name.parse().expect("a name");
    client.call(&GetDevice { device_id }).await.expect("it is enrolled")
}

async fn history(client: &Client, name: &str) -> Vec<EventView> {
    let device_id = name.parse().expect("a name");
    let call = GetDeviceHistory { device_id, cursor: None, limit: Default::default() };
    client.call(&call).await.expect("it is enrolled").data
}

/// The page from its first block to its last; between them a rotation while the device signs on.
#[tokio::test(flavor = "multi_thread")]
async fn devices_live_as_the_manual_says() {
    let mut drill = Drill::start().await;
    let handler = drill.parties()[2].clone();
    let desk = Desk {
        dir: tempfile::tempdir().expect("a directory"),
        url: drill.home(&handler).url.clone(),
    };
    let layout = drill.devnet().layout();
    durable::copy(&layout.key(&handler, Purpose::Member), &desk.dir.path().join("member.key"))
        .expect("a copy");
    durable::copy(&layout.trust(), &desk.dir.path().join("network.trust.json")).expect("a copy");
    let client = drill.client(&handler);

    let mut blocks = blocks(PAGE).into_iter();
    let mut next = async |contains: &[&str]| {
        let (script, exit) = blocks.next().expect("the page has one more block");
        let ran = desk.run(&script, exit).await;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        for text in contains {
            assert!(said.contains(text), "{script}\n{said}\nlacks {text:?}");
        }
    };

    next(&["handler.dock7 has a key in dock7/device.key (0600)", "consign1dev-"]).await;
    next(&["proven: block", "revoke it: consign device revoke handler.dock7", "state     active"])
        .await;
    next(&["proven: block"]).await;
    next(&["probe1 has a key", "proven: block", "key       p256 04"]).await;
    next(&["what the key of handler.probe2 signs", "1 enrolled and proven", "key       p256 04"])
        .await;
    next(&["wrote to-sign.bin; next: have the key sign its", "proven: block"]).await;
    let tried = "holds\nrefused: s is above half the order; n - s belongs there";
    next(&[tried, "1 of 2 signatures are refused"]).await;
    next(&["2 to enrol, 0 enrolled before", "2 enrolled and proven, 0 enrolled before"]).await;
    next(&["0 enrolled and proven, 2 enrolled before the same way, 0 refused", "handler.dock9"])
        .await;
    next(&["handler.dock7 signs under key", "from number 19 on"]).await;

    // Another rotation, which nobody hears of at first: the device signs on under the key before.
    let unheard = "consign --node http://127.0.0.1:9 device rotate dock7";
    let unheard = desk.run(unheard, 1).await;
    assert!(unheard.stderr.contains("error[node_unreachable]"), "{}", unheard.stderr);
    for number in 0..3 {
        desk.register(number).await;
    }
    assert_eq!(device(&client, "handler.dock7").await.past_keys.len(), 1);
    // Then it is sent, while the device signs one event after the other.
    let on = async {
        for number in 3..12 {
            desk.register(number).await;
        }
    };
    let (_, rotated) = tokio::join!(on, desk.run("consign device rotate dock7", 0));
    assert!(rotated.stdout.contains("handler.dock7 signs under key"), "{}", rotated.stdout);
    let dock7 = device(&client, "handler.dock7").await;
    assert_eq!((dock7.past_keys.len(), dock7.status.state()), (2, DeviceState::Active));
    assert!(dock7.missing.len() <= 32, "{:?}", dock7.missing);

    next(&[]).await;
    next(&["handler.dock7 is revoked for ever", "proven: block"]).await;
    next(&["error[revoked_key]"]).await;
    next(&["is on record", "testimony trk/handler/PARCEL-7", "revoke handler.dock7"]).await;
    next(&["enrol handler.dock7  proven"]).await;
    next(&["is next", "proven: block"]).await;
    assert_eq!(blocks.next(), None, "every block of the page was run");

    let dock7 = device(&client, "handler.dock7").await;
    let DeviceStatus::Revoked { suspected_since: Some(since), .. } = &dock7.status else {
        panic!("it is revoked: {:?}", dock7.status);
    };
    for view in history(&client, "handler.dock7").await {
        let own = view.content.signer == dock7.device;
        let testified = view.content.kind.0 == Kind::Testimony;
        let doubtful = (own || testified) && view.content.device_time.ms >= since.ms;
        assert_eq!(view.disputed.contains(&dock7.device), doubtful, "{:?}", view.content);
    }
    assert_eq!(device(&client, "handler.dock8").await.status.state(), DeviceState::Revoked);
    let dock9 = device(&client, "handler.dock9").await;
    assert_eq!(dock9.classes, ["00", "trk"]);
    assert_eq!(dock9.until.map(|until| until.rfc3339), Some("2100-01-01T00:00:00.000Z".to_owned()));
    for name in [
        "handler",
        "handler.probe1",
        "handler.probe2",
        "handler.dock7",
        "handler.dock8",
        "handler.dock9",
    ] {
        for view in history(&client, name).await {
            drill.note_proven(&SignedEvent::decode(&view.envelope.0).expect("an event"));
        }
    }
    drill.finish().await;
}
