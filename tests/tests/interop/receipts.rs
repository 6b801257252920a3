//! Events and their COSE receipts.

use consign_rpc::client::Client;
use consign_tests::drill::Drill;
use consign_tests::drill::command::consign;
use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::{Algorithm, CoseReceipt};
use consign_types::digest::decode_hex;
use consign_types::event::{Action, Kind, SignedEvent};
use consign_types::party::PartyId;
use consign_types::signer_key::Algorithm::P256;
use serde_json::json;

use crate::cases::{Case, base64, flipped, place_of};
use crate::proofs::log_key;
use crate::tools::Tool;

/// Gives the node of `party` a key for receipts with ES256, as its operator would; answers the public half.
pub async fn give_receipt_key(drill: &Drill, party: &PartyId) -> String {
    let config = drill.home(party).config.clone();
    let file = config.with_file_name("receipt.key");
    let file = file.to_str().expect("a plain path");
    let made = consign(["key", "new", "--purpose", "receipt", "--out", file]).await;
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{}", made.stdout);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let keys = "keys_dir = \"keys\"\n";
    assert!(text.contains(keys), "{text}");
    let named = text.replace(keys, &format!("{keys}receipt_key = \"receipt.key\"\n"));
    std::fs::write(&config, named).expect("it can be written");
    drill.stop(party);
    drill.restart(party);
    drill.until("the node is back", || drill.is_ready(party)).await;
    made.stdout.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn cose_tools_of_others_accept_events_and_receipts_and_refuse_them_with_a_bit_flipped() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let desk = drill.enrol(&parties[0], "desk", &[Kind::Register]).await;
    let events: Vec<SignedEvent> = (1..=5)
        .map(|at| desk.signs(at, &format!("trk/forwarder/COSE-{at}"), Action::Register))
        .collect();
    let probe = drill.enrol_on(P256, &parties[0], "probe", &[Kind::Register]).await;
    let on_p256 = probe.signs(1, "trk/forwarder/COSE-P256", Action::Register);
    for event in events.iter().chain([&on_p256]) {
        drill.prove(&parties[0], event).await;
    }
    let es256_key = give_receipt_key(&drill, &parties[2]).await;
    let es256_key = decode_hex(&es256_key).expect("a key in hexadecimal digits");
    let log_key = *log_key(&drill, &parties[2]).key();
    let client = drill.client(&parties[2]);

    let mut cases = event_cases(&on_p256, probe.keyed.key.public().as_bytes());
    for event in &events {
        cases.extend(event_cases(event, desk.keyed.key.public().as_bytes()));
        let covered =
            || async { client.event_receipt(event.id(), Algorithm::Ed25519).await.is_ok() };
        drill.until("the node can prove it", covered).await;
        cases.extend(receipt_cases(&client, event, Algorithm::Ed25519, log_key.as_bytes()).await);
        cases.extend(receipt_cases(&client, event, Algorithm::Es256, &es256_key).await);
    }
    for tool in [Tool::Cwt, Tool::Pycose, Tool::Transmute] {
        tool.judges(&cases).await;
    }
    drill.finish().await;
}

fn event_cases(event: &SignedEvent, key: &[u8]) -> Vec<Case> {
    let bytes = event.bytes();
    let subject = event.event().subject.to_string();
    let input = json!({
        "event": base64(bytes), "key": base64(key), "kid": base64(&event.key_id()),
        "alg": event.algorithm().as_str(),
    });
    let genuine = Case::genuine("event", format!("event of {subject}"), input);
    let header = place_of(event.event().signer.to_string().as_bytes(), bytes);
    // The subject stands in the header and again in the payload, which the signature follows.
    let payload = bytes.len() - 66 - 10;
    vec![
        genuine.forged("header", "event", base64(&flipped(bytes, header))),
        genuine.forged("payload", "event", base64(&flipped(bytes, payload))),
        genuine.forged("signature", "event", base64(&flipped(bytes, bytes.len() - 1))),
        genuine.forged("key", "key", base64(&flipped(key, key.len() - 1))),
        genuine,
    ]
}

async fn receipt_cases(
    client: &Client,
    event: &SignedEvent,
    alg: Algorithm,
    key: &[u8],
) -> Vec<Case> {
    let view = client.event_receipt(event.id(), alg).await.expect("a receipt");
    let (bytes, whole) = (view.receipt.0, view.event_with_receipt.0);
    let receipt = CoseReceipt::from_bytes(&bytes).expect("a receipt");
    let subject = event.event().subject.to_string();
    let input = json!({
        "alg": alg.to_string(), "key": base64(key), "receipt": base64(&bytes),
        "kid": base64(&receipt.key_id), "event": base64(event.bytes()), "transparent": base64(&whole),
    });
    let genuine = Case::genuine("receipt", format!("{alg} receipt of {subject}"), input);

    let in_whole = place_of(&bytes, &whole);
    let in_receipt = |what: &str, at: usize| {
        let forged = genuine.forged(what, "receipt", base64(&flipped(&bytes, at)));
        let mut forged =
            forged.forged("in the event", "transparent", base64(&flipped(&whole, in_whole + at)));
        forged.name = format!("{}; forged: {what}", genuine.name);
        forged
    };
    let in_event = |what: &str, from_end: usize| {
        let own = event.bytes();
        let forged = genuine.forged(what, "event", base64(&flipped(own, own.len() - from_end)));
        let at = whole.len() - from_end;
        forged.forged("in the event", "transparent", base64(&flipped(&whole, at)))
    };
    let mut cases = vec![
        in_receipt("key id", place_of(&receipt.key_id, &bytes)),
        in_receipt("origin", place_of(receipt.origin.as_bytes(), &bytes)),
        in_receipt("subject", place_of(receipt.subject.as_bytes(), &bytes)),
        in_receipt("signature", bytes.len() - 1),
        in_event("payload", 66 + 10),
        in_event("signature of the event", 1),
    ];
    for (at, hash) in receipt.proof.path.iter().enumerate() {
        cases.push(in_receipt(&format!("hash {at}"), place_of(&hash.0, &bytes)));
    }
    cases.push(genuine);
    cases
}
