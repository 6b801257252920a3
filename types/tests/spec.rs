//! The worked examples of `docs/spec` are vectors: what the page shows is what the code makes.
//!
//! A page holds blocks fenced as `hex NAME`. Each is compared with the bytes computed here. Run with
//! `UPDATE=1` to print what the pages should hold.

use std::collections::BTreeMap;
use std::path::Path;

use consign_types::block::{BlockRecord, Epoch, Height, TreeSize};
use consign_types::certificate::{Certificate, Round, Statement};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest, MapRoot, TreeRoot, encode_hex};
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::key::SecretKey;
use consign_types::time::Millis;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};

fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(Digest::of(&[b"consign spec example ", name.as_bytes()]).0)
}

fn genesis() -> Genesis {
    let parties = ["airline", "consignee", "forwarder", "handler"];
    let members = parties.map(|party| Member {
        party: party.parse().unwrap(),
        key: key(&format!("{party} member")).public(),
        authority: false,
    });
    let validators = parties.map(|party| Validator {
        party: party.parse().unwrap(),
        consensus_key: key(&format!("{party} consensus")).public(),
        cosigner_key: key(&format!("{party} cosigner")).public(),
        network_key: key(&format!("{party} network")).public(),
    });
    Genesis::new(
        "devnet.example/consign",
        Millis(1_700_000_000_000),
        members.to_vec(),
        ValidatorSet::new(validators.to_vec()).unwrap(),
        Params::default(),
    )
    .unwrap()
}

fn offer() -> SignedEvent {
    let event = Event {
        network: genesis().network(),
        signer: "forwarder.dock1".parse().unwrap(),
        subject: Subject::Unit("00/106141412345678908".parse().unwrap()),
        sequence: 3,
        floor: 1,
        time: Millis(1_700_000_123_456),
        place: Some("414/9521321000018".parse().unwrap()),
        basis: Some(consign_types::digest::EventId(Digest::of(&[
            b"the event that made the basis",
        ]))),
        action: Action::Offer {
            to: "airline".parse().unwrap(),
            until: Millis(1_700_003_600_000),
            terms: Digest::of(&[b"salt and terms"]),
        },
    };
    SignedEvent::sign(event, &key("forwarder.dock1"))
}

fn record() -> BlockRecord {
    BlockRecord {
        height: Height(7),
        epoch: Epoch(0),
        time: Millis(1_700_000_200_000),
        parent: BlockId(Digest::of(&[b"parent"])),
        map_root: MapRoot(Digest::of(&[b"map root"])),
        set: genesis().validators().hash(),
        next_set: genesis().validators().hash(),
        events: 1,
    }
}

fn certificate() -> Certificate {
    let root = TreeRoot(Digest::of(&[b"tree root"]));
    let block = record().block_id(TreeSize(16), root);
    let domain = genesis().domain();
    let message = domain.sign_bytes(Height(7), Round(0), &Statement::Precommit(Some(block)));
    let precommits = ["airline", "consignee", "handler"].into_iter().zip([0u16, 1, 3]);
    Certificate {
        height: Height(7),
        round: Round(0),
        block,
        precommits: precommits
            .map(|(party, at)| {
                (ValidatorIndex(at), key(&format!("{party} consensus")).sign(&message))
            })
            .collect(),
    }
}

/// Page and name of each example, and its bytes.
fn examples() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let root = TreeRoot(Digest::of(&[b"tree root"]));
    let block = record().block_id(TreeSize(16), root);
    let statement = Statement::Precommit(Some(block));
    vec![
        ("event.md", "event", offer().bytes().to_vec()),
        ("event.md", "event-id", offer().id().as_bytes().to_vec()),
        ("event.md", "leaf-hash", offer().leaf_hash().as_bytes().to_vec()),
        ("genesis.md", "genesis", genesis().to_bytes()),
        ("genesis.md", "network-id", genesis().network().as_bytes().to_vec()),
        ("block.md", "record", record().to_bytes()),
        ("block.md", "block-id", block.as_bytes().to_vec()),
        (
            "certificate.md",
            "sign-bytes",
            genesis().domain().sign_bytes(Height(7), Round(0), &statement),
        ),
        ("certificate.md", "certificate", certificate().to_bytes()),
    ]
}

fn blocks_of(page: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                if let Some(name) = info.strip_prefix("hex ") {
                    open = Some((name.to_owned(), String::new()));
                }
            }
            (Some((_, text)), None) => text.push_str(line.trim()),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn the_worked_examples_are_what_the_code_makes() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec");
    let update = std::env::var_os("UPDATE").is_some();
    for (page, name, bytes) in examples() {
        let hex = encode_hex(&bytes);
        if update {
            let lines: Vec<_> =
                hex.as_bytes().chunks(96).map(|l| str::from_utf8(l).unwrap()).collect();
            println!("{page}\n```hex {name}\n{}\n```", lines.join("\n"));
            continue;
        }
        let text =
            std::fs::read_to_string(pages.join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        assert_eq!(blocks_of(&text).get(name), Some(&hex), "{page}, block `{name}`");
    }
}

#[test]
fn the_examples_hold_together() {
    let domain = genesis().domain();
    assert_eq!(certificate().verify(&domain, genesis().validators()), Ok(()));
    assert_eq!(Genesis::from_bytes(&genesis().to_bytes()), Ok(genesis()));
    assert_eq!(SignedEvent::decode(offer().bytes()), Ok(offer()));
    assert!(offer().check_with(&key("forwarder.dock1").public()).is_ok());
}

/// A certificate with a signer twice, out of order, outside of the set, or too few, proves nothing.
#[test]
fn a_certificate_needs_a_quorum_of_distinct_validators() {
    use consign_types::certificate::BadCertificate;
    let (domain, genesis) = (genesis().domain(), genesis());
    let set = genesis.validators();
    let good = certificate();
    let with = |precommits: &[(ValidatorIndex, _)]| Certificate {
        precommits: precommits.to_vec(),
        ..good.clone()
    };
    let p = &good.precommits;
    assert_eq!(
        with(&p[..2]).verify(&domain, set),
        Err(BadCertificate::NoQuorum { found: 2, quorum: 3 })
    );
    assert_eq!(with(&[p[0], p[0], p[1]]).verify(&domain, set), Err(BadCertificate::Signers));
    assert_eq!(with(&[p[1], p[0], p[2]]).verify(&domain, set), Err(BadCertificate::Signers));
    let outside = (ValidatorIndex(4), p[2].1);
    assert_eq!(with(&[p[0], p[1], outside]).verify(&domain, set), Err(BadCertificate::Signers));
    let swapped = (ValidatorIndex(2), p[2].1);
    assert_eq!(
        with(&[p[0], p[1], swapped]).verify(&domain, set),
        Err(BadCertificate::Signature(ValidatorIndex(2)))
    );
    let other = Certificate { round: Round(1), ..good.clone() };
    assert_eq!(other.verify(&domain, set), Err(BadCertificate::Signature(ValidatorIndex(0))));
}
