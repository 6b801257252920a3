//! Devices on P-256 on a running network.

use consign_rpc::client::Client;
use consign_rpc::params::GetDevice;
use consign_tests::drill::Drill;
use consign_tests::drill::device::Device;
use consign_types::digest::Digest;
use consign_types::es256::is_high;
use consign_types::event::{Action, Condition, Event, Kind, SignedEvent};
use consign_types::key::Signature;
use consign_types::signer_key::Algorithm;
use consign_types::time::Millis;

const UNIT: &str = "trk/forwarder/P256-1";

/// The event with `n - s` for `s`: as valid, and what every other signing library would have made.
fn raised(event: &SignedEvent) -> Vec<u8> {
    const ORDER: [u64; 4] = [
        0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_ffff,
        0xbce6_faad_a717_9e84,
        0xf3b9_cac2_fc63_2551,
    ];
    let mut bytes = event.bytes().to_vec();
    let s = bytes.len() - 32;
    let mut borrow = false;
    for (at, order) in ORDER.iter().enumerate().rev() {
        let word = &mut bytes[s + 8 * at..s + 8 * at + 8];
        let value = u64::from_be_bytes(word.try_into().expect("eight bytes"));
        let (less, first) = order.overflowing_sub(value);
        let (less, second) = less.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        word.copy_from_slice(&less.to_be_bytes());
    }
    let signature: [u8; 64] = bytes[s - 32..].try_into().expect("a signature");
    assert!(is_high(&Signature(signature)));
    bytes
}

fn offer(of: &Device, sequence: u64, registered: &SignedEvent) -> SignedEvent {
    let (to, until) = ("airline".parse().expect("a party"), Millis(4_000_000_000_000));
    let action = Action::Offer { to, until, terms: Digest::of(&[b"salted terms"]) };
    let event = of.says(sequence, UNIT, action);
    of.sign(Event { basis: Some(registered.id()), ..event })
}

async fn algorithms(client: &Client, device: &str) -> (Algorithm, usize) {
    let device_id = device.parse().expect("a name");
    let view = client.call(&GetDevice { device_id }).await.expect("it is enrolled");
    (view.algorithm.0, view.past_keys.len())
}

/// A device whose library does not choose between the two forms of a signature is served, and makes no second variant:
/// neither in its own event nor by what it signed inside of another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_on_p256_hands_over_whatever_form_its_signatures_have() {
    let mut drill = Drill::start().await;
    let [forwarder, airline] = ["forwarder", "airline"].map(|name| name.parse().expect("a party"));
    let kinds = [Kind::Register, Kind::Offer];
    let probe = drill.enrol_on(Algorithm::P256, &forwarder, "probe", &kinds).await;
    let ramp = drill.enrol(&airline, "ramp", &[Kind::Accept, Kind::Handover]).await;
    let client = drill.client(&forwarder);
    assert_eq!(algorithms(&client, "forwarder.probe").await, (Algorithm::P256, 0));

    let registered = probe.signs(1, UNIT, Action::Register);
    let high = raised(&registered);
    let wait = consign_rpc::params::Wait::Proven;
    let sent = client.submit_event(&high, wait, Some(60_000)).await.expect("it is taken");
    assert_eq!(sent.event_id.0, registered.id());
    let kept = client.event(registered.id(), false).await.expect("it is on the ledger");
    assert_eq!(kept.envelope.0, registered.bytes(), "in its lower form");
    let again = client.submit_event(&high, wait, Some(60_000)).await.expect("it is known");
    assert!(again.duplicate);
    drill.prove(&forwarder, &registered).await;

    // Offline: the airline's gateway wraps what the probe signed.
    let offer = offer(&probe, 2, &registered);
    let accept = Action::Accept {
        offer: offer.id(),
        count: 1,
        seals: Vec::new(),
        condition: Condition::Sound,
        exceptions: Vec::new(),
    };
    let acceptance = Box::new(ramp.signs(1, UNIT, accept));
    let action = Action::Handover { offer: Box::new(offer.clone()), acceptance };
    let handover = ramp.signs(2, UNIT, action);
    let inner = offer.bytes();
    let at = handover.bytes().windows(inner.len()).position(|bytes| bytes == inner);
    let mut inside = handover.bytes().to_vec();
    let at = at.expect("the offer stands inside");
    inside[at..at + inner.len()].copy_from_slice(&raised(&offer));
    let refused = client.submit_event(&inside, wait, None).await.expect_err("it is refused");
    assert!(refused.to_string().contains("higher s"), "{refused}");
    drill.prove(&airline, &handover).await;
    let unit = client.unit(UNIT.parse().expect("a unit"), None).await.expect("it is known");
    assert_eq!(unit.events, 2);
    drill.finish().await;
}
