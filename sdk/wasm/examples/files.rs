//! Writes what the browser test drops on the page: proofs, trust files, forged copies, and what the same
//! verifier says of each outside of a browser. The same bytes in every run.
//!
//! `cargo run --release --example files -- DIR`

#[path = "../../../ledger/tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use consign_ledger::passport::{Passport, read};
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::checkpoint::{Checkpoint, cosigner_key};
use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::{CoseReceipt, ReceiptSecret, TransparentEvent};
use consign_types::digest::{Digest, TreeRoot};
use consign_types::merkle::node_hash;
use consign_types::receipt::Receipt;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_wasm::{Question, json, verify};

use support::faults::number;
use support::node::{Node, trust, validators};
use support::scene::{EXCURSION, OBSERVE, into};
use support::{Desk, PARTIES, genesis, key, party};

const SIGNER: &str = "forwarder.dock1";
/// Signs by ECDSA on P-256.
const ON_P256: &str = "forwarder.dock-p256";
/// How many places of the passport are forged, one at a time.
const REGIONS: usize = 64;
/// A day after the first checkpoint.
const NOW: Millis = Millis(1_700_086_400_000);

fn main() {
    let folder = std::env::args().nth(1).expect("the folder to write to");
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let logs = vec![(party("airline"), key("airline log").public())];
    let trust = Trust { logs, ..trust() };
    let other = Trust { validators: validators(" other"), logs: Vec::new(), ..trust.clone() };
    let (ten, trailer, receipt) = (ten_events(), trailer(), receipt(&trust));
    let (evidence, cose) = (number(&desk(), SIGNER, 9).to_bytes(), cose());
    assert!(read(&ten, &trust).is_ok() && read(&trailer, &trust).is_ok());
    write("ten.passport", &ten);
    write("trailer.passport", &trailer);
    write("receipt.tlog-proof", receipt.as_bytes());
    write("number.evidence", &evidence);
    write("event.cose", &cose);
    write("trust.json", trust.to_json().as_bytes());
    write("other-trust.json", other.to_json().as_bytes());
    write("bad-trust.json", trust.to_json().replace("\"epoch\": 0", "\"epoch\": -1").as_bytes());

    let mut cases = Vec::new();
    let mut case = |file: &str, bytes: &[u8], trust: &str, text: Option<&str>| {
        let question = Question { trust: text.unwrap_or_default(), ..Question::default() };
        let said = json(&verify(bytes, &question, NOW));
        cases.push(format!("{{\"file\":\"{file}\",\"trust\":\"{trust}\",\"said\":{said}}}"));
    };
    let (trust, other) = (trust.to_json(), other.to_json());
    for (file, bytes) in [
        ("ten.passport", ten.as_slice()),
        ("trailer.passport", &trailer),
        ("receipt.tlog-proof", receipt.as_bytes()),
        ("number.evidence", &evidence),
        ("event.cose", &cose),
    ] {
        case(file, bytes, "trust.json", Some(&trust));
        case(file, bytes, "other-trust.json", Some(&other));
        case(file, bytes, "", None);
    }
    for region in 0..REGIONS {
        let mut forged = ten.clone();
        forged[ten.len() * region / REGIONS] ^= 1;
        let name = format!("forged-{region}.passport");
        write(&name, &forged);
        case(&name, &forged, "trust.json", Some(&trust));
    }
    for (file, bytes) in [("number.evidence", &evidence), ("event.cose", &cose)] {
        for region in 0..8 {
            let mut forged = bytes.clone();
            forged[bytes.len() * region / 8 + 1] ^= 1;
            let name = format!("forged-{region}-{file}");
            write(&name, &forged);
            case(&name, &forged, "trust.json", Some(&trust));
        }
    }
    write("cases.json", format!("[{}]\n", cases.join(",\n")).as_bytes());
}

/// A unit with ten events of its own: registered, and handed over nine times.
fn ten_events() -> Vec<u8> {
    let mut desk = desk();
    let unit = desk.held("A");
    let devices = [SIGNER, "airline.dock1", "handler.dock1"];
    for n in 0..9 {
        let basis = desk.unit(&unit).basis;
        let handover = desk.offline(devices[n % 3], devices[(n + 1) % 3], &unit, basis);
        desk.submit_verified(&handover).unwrap();
    }
    passport(&desk, &unit)
}

/// A unit in a trailer that had an excursion, by devices of both algorithms.
fn trailer() -> Vec<u8> {
    let mut desk = desk();
    desk.enrol(ON_P256);
    let (unit, trailer) = (desk.held_by(ON_P256, "A"), desk.held_by(ON_P256, "T"));
    desk.put(ON_P256, &trailer, into(&[&unit]));
    desk.put(SIGNER, &trailer, EXCURSION);
    passport(&desk, &unit)
}

fn desk() -> Desk {
    let mut desk = Desk::new();
    (desk.tick_ms, desk.time) = (60_000, desk.time.plus(60_000));
    desk
}

fn passport(desk: &Desk, unit: &consign_types::unit::UnitId) -> Vec<u8> {
    let passport = Node::of(desk).passport(unit);
    let bytes = passport.to_bytes();
    assert_eq!(Passport::from_bytes(&bytes), Ok(passport));
    bytes
}

/// An event with a COSE receipt by one log key.
fn cose() -> Vec<u8> {
    let desk = desk();
    let event = desk.say(ON_P256, &support::unit("A"), OBSERVE).into_signed();
    let other = Digest::of(&[b"the other leaf"]);
    let root = TreeRoot(node_hash(&event.leaf_hash().0, &other));
    let origin = genesis().origin().to_owned();
    let checkpoint = Checkpoint { origin, size: TreeSize(2), root };
    let key = key("airline log");
    let secret = ReceiptSecret::Ed25519(&key);
    let receipt =
        CoseReceipt::issue(&event, LeafIndex(0), vec![other], &checkpoint, secret).unwrap();
    TransparentEvent { event, receipt }.to_bytes()
}

/// A receipt of leaf 0 in a log of two leaves, cosigned by three of four.
fn receipt(trust: &Trust) -> String {
    let desk = desk();
    let event = desk.say(SIGNER, &support::unit("A"), OBSERVE).into_signed();
    let other = Digest::of(&[b"the other leaf"]);
    let root = TreeRoot(node_hash(&event.leaf_hash().0, &other));
    let origin = genesis().origin().to_owned();
    let checkpoint = Checkpoint { origin, size: TreeSize(2), root };
    let mut note = checkpoint.signed(&key("airline log")).unwrap();
    for name in &PARTIES[..3] {
        let secret = key(&format!("{name} cosigner"));
        let line = cosigner_key(&trust.origin, &party(name), secret.public()).unwrap();
        note.add(checkpoint.cosign(&secret, 1_700_000_100).line(&line));
    }
    let extra = Some(event.bytes().to_vec());
    Receipt { extra, index: LeafIndex(0), path: vec![other], checkpoint: note }.text()
}
