//! Every decoder of bytes that come from outside, as something that can be fed anything.
//!
//! No bytes may make one panic, or allocate more than a small multiple of their number; what is read must
//! be written back as the bytes that it was. `fuzz_targets/` hands each to `cargo fuzz`; `tests/` runs
//! each for a while over changed copies of the worked examples in `docs/spec`.

use std::sync::OnceLock;

use consign_ledger::evidence::{self, Evidence};
use consign_ledger::log::{TilePath, entry_bundle, read_entry_bundle, read_tile, tile_bytes};
use consign_ledger::map::MapProof;
use consign_ledger::passport::{self, Passport};
use consign_rpc::join::JoinRequest;
use consign_types::block::{BlockRecord, LeafIndex};
use consign_types::certificate::Certificate;
use consign_types::checkpoint::{self, Checkpoint};
use consign_types::claim::Claim;
use consign_types::codec::Canonical;
use consign_types::cose_receipt::TransparentEvent;
use consign_types::digest::encode_hex;
use consign_types::event::SignedEvent;
use consign_types::genesis::Genesis;
use consign_types::invite::Invite;
use consign_types::merkle;
use consign_types::note::Note;
use consign_types::receipt::Receipt;
use consign_types::signature_line::judge_lines;
use consign_types::trust::Trust;
use consign_types::witness::decide;

/// A decoder under fire.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its file in `fuzz_targets/`.
    pub name: &'static str,
    /// The page in `docs/spec` and the fence of the example that it begins with.
    pub example: (&'static str, &'static str),
    /// Feeds it; panics where something is wrong.
    pub feed: fn(&[u8], &Trust),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "event", example: ("event.md", "hex event"), feed: event },
    Target { name: "genesis", example: ("genesis.md", "hex genesis"), feed: canonical::<Genesis> },
    Target {
        name: "certificate",
        example: ("certificate.md", "hex certificate"),
        feed: canonical::<Certificate>,
    },
    Target {
        name: "record",
        example: ("passport.md", "hex passport"),
        feed: canonical::<BlockRecord>,
    },
    Target {
        name: "map_proof",
        example: ("passport.md", "hex passport"),
        feed: canonical::<MapProof>,
    },
    Target { name: "receipt", example: ("receipt.md", "text receipt"), feed: receipt },
    Target { name: "trust", example: ("trust.md", "text trust"), feed: trust },
    Target { name: "note", example: ("receipt.md", "text receipt"), feed: note },
    Target { name: "tile", example: ("event.md", "hex event"), feed: tile },
    Target { name: "passport", example: ("passport.md", "hex passport"), feed: passport },
    Target { name: "evidence", example: ("evidence.md", "hex double-offer"), feed: evidence },
    Target {
        name: "cose_receipt",
        example: ("receipt.md", "hex transparent-event"),
        feed: cose_receipt,
    },
    Target { name: "witness", example: ("witness.md", "text request"), feed: witness },
    Target { name: "event_p256", example: ("event.md", "hex p256-event"), feed: handed_in },
    Target { name: "proposal", example: ("governance.md", "hex proposal"), feed: event },
    Target { name: "claim", example: ("device-claim.md", "text claim"), feed: claim },
    Target { name: "invite", example: ("joining.md", "text invite"), feed: invite },
    Target { name: "request", example: ("joining.md", "json request"), feed: request },
    Target { name: "signature_line", example: ("event.md", "hex p256-event"), feed: signature },
];

/// The target of this name.
///
/// # Panics
/// When there is none.
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).expect("a target of that name")
}

fn canonical<T: Canonical>(bytes: &[u8], _: &Trust) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes, "one value, one encoding");
    }
}

fn event(bytes: &[u8], _: &Trust) {
    if let Ok(event) = SignedEvent::decode(bytes) {
        assert_eq!(event.bytes(), bytes, "one event, one encoding");
        let again = SignedEvent::decode(event.bytes()).expect("it was decoded before");
        assert_eq!((again.id(), again.leaf_hash()), (event.id(), merkle::leaf_hash(bytes)));
    }
}

/// As a node takes it from outside: what it makes of it, everybody else reads.
fn handed_in(bytes: &[u8], trust: &Trust) {
    event(bytes, trust);
    if let Ok(taken) = SignedEvent::decode_submitted(bytes) {
        assert_eq!(SignedEvent::decode(taken.bytes()), Ok(taken), "one form of it");
    }
}

fn claim(bytes: &[u8], _: &Trust) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(claim) = text.trim_end().parse::<Claim>() {
        assert_eq!(claim.to_string(), text.trim_end(), "one claim, one text");
    }
}

fn invite(bytes: &[u8], _: &Trust) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(invite) = text.trim_end().parse::<Invite>() {
        assert_eq!(invite.to_string(), text.trim_end(), "one invitation, one text");
    }
}

fn request(bytes: &[u8], _: &Trust) {
    if let Ok(request) = JoinRequest::parse(&String::from_utf8_lossy(bytes)) {
        assert_eq!(JoinRequest::parse(&request.to_text()), Ok(request.clone()), "as it was read");
        let _ = request.check();
    }
}

/// Bytes as text, and as the words of a line.
fn signature(bytes: &[u8], _: &Trust) {
    let _ = judge_lines(&String::from_utf8_lossy(bytes)).count();
    let half = encode_hex(&bytes[..bytes.len() / 2]);
    let whole = format!("p256 {half} {half} {}", encode_hex(bytes));
    let _ = judge_lines(&whole).count();
}

fn receipt(bytes: &[u8], trust: &Trust) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(receipt) = text.parse::<Receipt>() {
        assert_eq!(receipt.text(), text, "one receipt, one text");
        let leaf = merkle::leaf_hash(receipt.extra.as_deref().unwrap_or_default());
        let _ = receipt.verify(leaf, trust);
    }
}

fn trust(bytes: &[u8], _: &Trust) {
    if let Ok(trust) = Trust::from_json(&String::from_utf8_lossy(bytes)) {
        assert_eq!(Trust::from_json(&trust.to_json()), Ok(trust), "what is written is read");
    }
}

fn note(bytes: &[u8], trust: &Trust) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(note) = text.parse::<Note>() {
        assert_eq!(note.to_string(), text, "one note, one text");
        let _ = Checkpoint::from_text(note.text());
        let _ = checkpoint::verify(&note, &trust.origin, &trust.validators);
    }
}

/// The first bytes choose the tile, the rest is its content.
fn tile(bytes: &[u8], _: &Trust) {
    let Some(([level, index, width], content)) = bytes.split_first_chunk() else { return };
    let width = u16::from(*width) + 1;
    let level = (*level < 8).then_some(*level);
    let path = TilePath { level, index: LeafIndex(u64::from(*index)).0, width };
    assert_eq!(path.to_string().parse::<TilePath>(), Ok(path), "one path, one text");
    let _ = String::from_utf8_lossy(content).parse::<TilePath>();
    if let Ok(hashes) = read_tile(&path, content) {
        assert_eq!(tile_bytes(&hashes), content);
    }
    if let Ok(entries) = read_entry_bundle(&path, content) {
        let entries: Vec<Vec<u8>> = entries.into_iter().map(<[u8]>::to_vec).collect();
        assert_eq!(entry_bundle(&entries), content);
    }
}

fn passport(bytes: &[u8], trust: &Trust) {
    canonical::<Passport>(bytes, trust);
    if let Ok(verified) = passport::read(bytes, trust) {
        let lines = passport::story(&verified);
        assert!(lines.len() >= verified.steps.len().min(1), "what happened can be told");
    }
}

fn evidence(bytes: &[u8], trust: &Trust) {
    canonical::<Evidence>(bytes, trust);
    if let Ok(accused) = evidence::read(bytes, trust.into()) {
        assert!(!accused.is_empty(), "evidence names somebody");
    }
}

fn cose_receipt(bytes: &[u8], _: &Trust) {
    if let Ok(event) = TransparentEvent::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes, "one event with its receipt, one encoding");
    }
}

fn witness(bytes: &[u8], trust: &Trust) {
    let _ = decide(bytes, std::slice::from_ref(trust), |_| Default::default());
}

/// The trust file of the passport's page, which the examples of passports verify under.
///
/// # Panics
/// When the page is not what it was.
pub fn trust_of_page() -> &'static Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    TRUST.get_or_init(|| {
        let text = example("passport.md", "text trust");
        Trust::from_json(&String::from_utf8_lossy(&text)).expect("the trust file on the page")
    })
}

/// An example of a page: the bytes behind a block of hexadecimal, or the text of another.
///
/// # Panics
/// When the page has no such block.
pub fn example(page: &str, fence: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec").join(page);
    let text = std::fs::read_to_string(&path).expect("a page of the specification");
    let (_, rest) = text.split_once(&format!("```{fence}\n")).expect("the example on the page");
    let block = rest.split("```").next().unwrap_or_default();
    if !fence.starts_with("hex") {
        return block.as_bytes().to_vec();
    }
    let digits: Vec<u8> = block.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        let text = str::from_utf8(pair).expect("digits are text");
        u8::from_str_radix(text, 16).expect("digits are a number")
    };
    digits.chunks(2).map(byte).collect()
}
