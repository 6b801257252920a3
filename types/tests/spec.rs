//! The worked examples of `docs/spec` are vectors: what the page shows is what the code makes.
//!
//! A page holds blocks fenced as `hex NAME` or `text NAME`. Each is compared with what is computed here.
//! Run with `UPDATE=1` to print what the pages should hold.

use std::collections::BTreeMap;
use std::path::Path;

use consign_types::block::{BlockRecord, Epoch, Height, LeafIndex, TreeSize};
use consign_types::certificate::{Certificate, Round, Statement};
use consign_types::checkpoint::{self, Checkpoint, cosigner_key};
use consign_types::claim::{Claim, DeviceClass};
use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::{CoseReceipt, ReceiptKey, ReceiptSecret, TransparentEvent};
use consign_types::digest::{BlockId, Digest, MapRoot, TreeRoot, encode_hex};
use consign_types::es256::Es256SecretKey;
use consign_types::event::{Action, Event, SignedEvent, Subject, possession_message};
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::governance::{Change, Fingerprint, Motion, Node};
use consign_types::invite::{Invite, Offered};
use consign_types::key::{SecretKey, Signature};
use consign_types::merkle::{leaf_hash, node_hash};
use consign_types::note::Note;
use consign_types::policy::policy;
use consign_types::receipt::Receipt;
use consign_types::signer_key::{Algorithm, SignerKey, SignerSecret};
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};
use consign_types::witness::{AddCheckpoint, Witness, decide, witness_key};

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
    SignedEvent::sign(offered(), &key("forwarder.dock1"))
}

/// The scalar is what would be the seed.
fn p256_key() -> SignerSecret {
    let seed = key("forwarder.dock1 p256").to_seed();
    SignerSecret::from_seed(Algorithm::P256, *seed).unwrap()
}

/// The same offer by a device that has P-256 alone.
fn p256_offer() -> SignedEvent {
    SignedEvent::sign(offered(), &p256_key())
}

fn offered() -> Event {
    Event {
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
    }
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

/// The four leaves of the example log: the genesis document, its record, the offer, its record.
fn leaves() -> [Digest; 4] {
    let genesis_record = genesis().block(MapRoot(Digest::of(&[b"map root"]))).record.to_bytes();
    let document = genesis().to_bytes();
    [&document[..], &genesis_record, offer().bytes(), &record().to_bytes()].map(|l| leaf_hash(l).0)
}

fn checkpoint() -> Checkpoint {
    let [document, genesis_record, event, record] = leaves();
    let root = node_hash(&node_hash(&document, &genesis_record), &node_hash(&event, &record));
    Checkpoint { origin: genesis().origin().to_owned(), size: TreeSize(4), root: TreeRoot(root) }
}

/// The checkpoint as the airline's node serves it, with the cosignatures of three of the four.
fn note() -> Note {
    let mut note = checkpoint().signed(&key("airline log")).unwrap();
    for (party, time_s) in
        [("airline", 1_700_000_201), ("consignee", 1_700_000_202), ("handler", 1_700_000_203)]
    {
        let secret = key(&format!("{party} cosigner"));
        let name =
            cosigner_key(genesis().origin(), &party.parse().unwrap(), secret.public()).unwrap();
        note.add(checkpoint().cosign(&secret, time_s).line(&name));
    }
    note
}

/// What a cosigner signs (tlog-cosignature, "Format").
fn cosigner_message(time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{}", checkpoint().text())
}

fn receipt() -> Receipt {
    let [document, genesis_record, _, record] = leaves();
    Receipt {
        extra: Some(offer().bytes().to_vec()),
        index: LeafIndex(2),
        path: vec![record, node_hash(&document, &genesis_record)],
        checkpoint: note(),
    }
}

/// What a new scanner of the handler's says of itself.
fn claim() -> Claim {
    let device = "handler.dock7".parse().unwrap();
    Claim::new(genesis().network(), device, DeviceClass::Scanner, &key("handler.dock7")).unwrap()
}

fn shown(party: &str, secret: &SecretKey) -> Signature {
    let subject = Subject::Signer(party.parse().unwrap());
    secret.sign(&possession_message(genesis().network(), &subject, &secret.public().into()))
}

/// The port becomes a member, with a node that follows.
fn admission() -> Change {
    let member = key("port member");
    Change::Admit {
        party: "port".parse().unwrap(),
        key: member.public(),
        possession: shown("port", &member),
        authority: false,
        node: Some(Box::new(Node {
            network_key: key("port network").public(),
            addresses: vec!["/dns4/node.port.example/tcp/9201".to_owned()],
        })),
    }
}

fn said_by_member(party: &str, action: Action) -> SignedEvent {
    let event = Event {
        network: genesis().network(),
        signer: party.parse().unwrap(),
        subject: Subject::Signer(party.parse().unwrap()),
        sequence: 1,
        floor: 0,
        time: Millis(1_700_000_200_000),
        place: None,
        basis: None,
        action,
    };
    SignedEvent::sign(event, &key(&format!("{party} member")))
}

fn proposal() -> SignedEvent {
    let motion = Box::new(Motion { change: admission(), from: Height(0), few: false });
    said_by_member("airline", Action::Propose { motion, until: Millis(1_701_209_800_000) })
}

fn ballot() -> SignedEvent {
    let proposal = proposal().id();
    said_by_member("handler", Action::Ballot { proposal, approve: true })
}

fn invite() -> Invite {
    let address = "/dns4/node.airline.example/tcp/9201".to_owned();
    let offered = Offered {
        network: genesis().network(),
        party: "port".parse().unwrap(),
        by: "airline".parse().unwrap(),
        url: "https://node.airline.example".to_owned(),
        until: Millis(1_700_604_800_000),
        nonce: [7; 16],
        peers: vec![("airline".parse().unwrap(), vec![address])],
    };
    offered.sign(&key("airline member"))
}

/// The key with which the airline makes receipts for tools that know no Ed25519.
fn es256() -> Es256SecretKey {
    Es256SecretKey::from_scalar(*key("airline receipt").to_seed()).unwrap()
}

fn cose_receipt(key: ReceiptSecret<'_>) -> CoseReceipt {
    let Receipt { index, path, .. } = receipt();
    CoseReceipt::issue(&offer(), index, path, &checkpoint(), key).unwrap()
}

fn transparent() -> TransparentEvent {
    let receipt = cose_receipt(ReceiptSecret::Ed25519(&key("airline log")));
    TransparentEvent { event: offer(), receipt }
}

fn trust() -> Trust {
    let logs = ["airline", "consignee", "forwarder", "handler"]
        .map(|party| (party.parse().unwrap(), key(&format!("{party} log")).public()));
    Trust::of_genesis(&genesis(), logs.to_vec())
}

fn witness() -> Witness {
    let key = witness_key("witness.example/w1", key("witness").public()).unwrap();
    Witness::new(&key, "https://witness.example").unwrap()
}

/// What a node that knows nothing of the witness sends it.
fn witness_request() -> AddCheckpoint {
    AddCheckpoint { old: TreeSize(0), path: Vec::new(), checkpoint: note() }
}

/// What the witness answers.
fn witness_line() -> String {
    checkpoint().cosign(&key("witness"), 1_700_000_204).line(witness().key()).to_string()
}

/// The trust file of a network with that witness, demanding it.
fn witnessed_trust() -> Trust {
    let genesis = genesis().with_witnesses(vec![witness()]).unwrap();
    let mut trust = Trust::of_genesis(&genesis, trust().logs);
    (trust.witnesses.needed, trust.witnesses.age_max_s) = (1, Some(3_600));
    trust
}

/// What a block on a page holds.
enum Example {
    Hex(Vec<u8>),
    Text(String),
}

impl Example {
    /// What follows the fence, and the lines behind it.
    fn block(&self, name: &str) -> (String, String) {
        match self {
            Self::Hex(bytes) => (format!("hex {name}"), encode_hex(bytes)),
            Self::Text(text) => (format!("text {name}"), text.clone()),
        }
    }

    /// The block as it stands on the page.
    fn fenced(&self, name: &str) -> String {
        let (fence, text) = self.block(name);
        let lines = match self {
            Self::Hex(_) => {
                text.as_bytes().chunks(96).map(|l| str::from_utf8(l).unwrap()).collect()
            }
            Self::Text(_) => text.lines().collect::<Vec<_>>(),
        };
        format!("```{fence}\n{}\n```", lines.join("\n"))
    }
}

/// Page and name of each example, and what it holds.
fn examples() -> Vec<(&'static str, &'static str, Example)> {
    let root = TreeRoot(Digest::of(&[b"tree root"]));
    let block = record().block_id(TreeSize(16), root);
    let statement = Statement::Precommit(Some(block));
    let sign_bytes = genesis().domain().sign_bytes(Height(7), Round(0), &statement);
    let hex = |bytes: &[u8]| Example::Hex(bytes.to_vec());
    let print = admission().fingerprint(genesis().network()).unwrap();
    let inviter =
        Fingerprint::of_inviter(genesis().network(), &key("airline member").public().into());
    vec![
        ("event.md", "event", hex(offer().bytes())),
        ("event.md", "p256-key", hex(p256_key().public().as_bytes())),
        ("event.md", "p256-event", hex(p256_offer().bytes())),
        ("event.md", "event-id", hex(offer().id().as_bytes())),
        ("event.md", "leaf-hash", hex(offer().leaf_hash().as_bytes())),
        ("genesis.md", "genesis", Example::Hex(genesis().to_bytes())),
        ("genesis.md", "network-id", hex(genesis().network().as_bytes())),
        ("block.md", "record", Example::Hex(record().to_bytes())),
        ("block.md", "block-id", hex(block.as_bytes())),
        ("certificate.md", "sign-bytes", Example::Hex(sign_bytes)),
        ("certificate.md", "certificate", Example::Hex(certificate().to_bytes())),
        ("log.md", "tile", Example::Hex(leaves().iter().flat_map(|leaf| leaf.0).collect())),
        ("log.md", "root", hex(checkpoint().root.as_bytes())),
        ("checkpoint.md", "note", Example::Text(note().to_string())),
        ("checkpoint.md", "message", Example::Text(cosigner_message(1_700_000_201))),
        ("receipt.md", "receipt", Example::Text(receipt().text())),
        ("receipt.md", "cose-receipt", hex(&transparent().receipt.to_bytes())),
        ("receipt.md", "transparent-event", hex(&transparent().to_bytes())),
        ("receipt.md", "es256-key", hex(es256().public().as_bytes())),
        (
            "receipt.md",
            "es256-receipt",
            hex(&cose_receipt(ReceiptSecret::Es256(&es256())).to_bytes()),
        ),
        ("trust.md", "trust", Example::Text(trust().to_json())),
        ("trust.md", "policy", Example::Text(policy(&trust()).unwrap())),
        ("device-claim.md", "claim", Example::Text(format!("{}\n", claim()))),
        ("device-claim.md", "content", Example::Hex(claim().to_bytes())),
        ("governance.md", "proposal", hex(proposal().bytes())),
        ("governance.md", "ballot", hex(ballot().bytes())),
        ("governance.md", "fingerprint", Example::Text(format!("{print}\n"))),
        ("joining.md", "invite", Example::Text(format!("{}\n", invite()))),
        ("joining.md", "content", Example::Hex(invite().to_bytes())),
        ("joining.md", "inviter", Example::Text(format!("{inviter}\n"))),
        ("witness.md", "witness", Example::Text(format!("{}\n", witness()))),
        ("witness.md", "network-id", hex(witnessed_trust().network.as_bytes())),
        ("witness.md", "request", Example::Text(witness_request().to_string())),
        ("witness.md", "answer", Example::Text(witness_line())),
        ("witness.md", "policy", Example::Text(tail(&policy(&witnessed_trust()).unwrap(), 5))),
        ("witness.md", "trust", Example::Text(tail(&witnessed_trust().to_json(), 9))),
    ]
}

/// The last lines of a text.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let kept = &all[all.len() - lines..];
    format!("{}\n", kept.join("\n"))
}

/// The blocks of a page by what follows their fences: hex on one line, text as it stands.
fn blocks_of(page: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                if info.starts_with("hex ") || info.starts_with("text ") {
                    open = Some((info.to_owned(), String::new()));
                }
            }
            (Some((fence, block)), None) if fence.starts_with("hex ") => {
                block.push_str(line.trim())
            }
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
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
    for (page, name, example) in examples() {
        if update {
            println!("{page}\n{}", example.fenced(name));
            continue;
        }
        let text =
            std::fs::read_to_string(pages.join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        let (fence, expected) = example.block(name);
        assert_eq!(blocks_of(&text).get(&fence), Some(&expected), "{page}, block `{fence}`");
    }
}

#[test]
fn the_examples_hold_together() {
    let domain = genesis().domain();
    assert_eq!(certificate().verify(&domain, genesis().validators()), Ok(()));
    assert_eq!(Genesis::from_bytes(&genesis().to_bytes()), Ok(genesis()));
    assert_eq!(SignedEvent::decode(offer().bytes()), Ok(offer()));
    assert!(offer().check_with(&SignerKey::from(key("forwarder.dock1").public())).is_ok());
    assert!(p256_offer().check_with(&p256_key().public()).is_ok());
    assert_eq!(SignedEvent::decode(p256_offer().bytes()), Ok(p256_offer()));
    assert_eq!(claim().to_string().parse(), Ok(claim()));
    assert!(admission().possession_holds(genesis().network()));
    for event in [proposal(), ballot()] {
        assert_eq!(SignedEvent::decode(event.bytes()), Ok(event));
    }
    assert_eq!(invite().to_string().parse(), Ok(invite()));
    assert!(invite().is_by(&key("airline member").public().into()));

    let airline = key("airline cosigner");
    let cosignature = checkpoint().cosign(&airline, 1_700_000_201).signature;
    let message = cosigner_message(1_700_000_201);
    assert!(airline.public().verify(message.as_bytes(), &cosignature).is_ok());

    let (origin, set) = (genesis().origin().to_owned(), genesis().validators().clone());
    let proven = checkpoint::verify(&note(), &origin, &set).unwrap();
    assert_eq!((&proven.checkpoint, proven.time_s), (&checkpoint(), 1_700_000_201));
    assert!(checkpoint::signed_by_log(&note(), &origin, key("airline log").public()).unwrap());
    assert_eq!(receipt().text().parse(), Ok(receipt()));
    assert_eq!(receipt().verify(offer().leaf_hash(), &trust()), Ok(proven));
    assert_eq!(Trust::from_json(&trust().to_json()), Ok(trust()));

    let root = checkpoint().root;
    let log = ReceiptKey::Ed25519(key("airline log").public());
    assert_eq!(transparent().receipt.verify(&offer(), &origin, &log), Ok(root));
    assert_eq!(TransparentEvent::from_bytes(&transparent().to_bytes()), Ok(transparent()));
    let es256_receipt = cose_receipt(ReceiptSecret::Es256(&es256()));
    let key = ReceiptKey::Es256(es256().public());
    assert_eq!(es256_receipt.verify(&offer(), &origin, &key), Ok(root));
    let listed =
        Trust { receipt_keys: vec![("airline".parse().unwrap(), es256().public())], ..trust() };
    assert_eq!(Trust::from_json(&listed.to_json()), Ok(listed));
    assert_eq!(Trust::from_json(&witnessed_trust().to_json()), Ok(witnessed_trust()));

    let request = witness_request().to_string();
    let logs = [trust()];
    let decided = decide(request.as_bytes(), &logs, |_| Default::default());
    assert_eq!(decided.map(|(_, checkpoint, _)| checkpoint), Ok(checkpoint()));
    let mut witnessed = note();
    witnessed.add(witness_line().trim_end().parse().unwrap());
    let proven = witnessed_trust().at(Millis(1_700_003_804_000)).verify(&witnessed, &set).unwrap();
    assert_eq!(proven.witnessed.names, ["witness.example/w1"]);
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
