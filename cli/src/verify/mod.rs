//! `consign verify`: checks a proof file offline, and answers four questions apart.
//!
//! *Integrity*: do the bytes hold together? *Trust*: did a quorum of validators that the trust file
//! names stand by them? *Completeness*: is this everything? *Time*: how well is it bounded? No
//! question's answer stands in for another's. Nothing is fetched from anywhere unless `--online` asks for it.
//!
//! Reads evidence, which names who misbehaved; passports, the whole history of a unit; and receipts, one
//! event: C2SP `.tlog-proof`, or COSE (RFC 9942), which shows one log key's word and no quorum. A receipt
//! does not carry the device's key: the event's own signature was checked by the validators before they
//! cosigned, and is not checked again. A passport carries the keys with their proofs, and is.

mod cose;
mod evidence;
mod online;
mod passport;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use consign_types::block::BlockRecord;
use consign_types::checkpoint::{Checkpoint, NotProven, Proven};
use consign_types::codec::Canonical as _;
use consign_types::event::SignedEvent;
use consign_types::limits::PASSPORT_BYTES_MAX;
use consign_types::merkle::{self, InclusionProof};
use consign_types::receipt::{RECEIPT_BYTES_MAX, Receipt};
use consign_types::time::Millis;
use consign_types::trust::Trust;
use serde::Serialize;

use self::online::Online;
use self::passport::{Asked, Told, Unmet};
use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure, chain};
use crate::instant;

/// `consign verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The proof: a passport, a .tlog-proof receipt, an event with a COSE receipt, or evidence
    file: PathBuf,
    /// The event's exact bytes, where the receipt does not carry them
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Ask every --node whether it can prove more of the unit than the passport does
    #[arg(long)]
    online: bool,
    /// What is asked of a passport besides.
    #[command(flatten)]
    asked: Asked,
    /// The time to judge ages by; the present where absent
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    now: Option<Millis>,
}

/// How one question is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Yes.
    Ok,
    /// No, and somebody should ask why.
    Failed,
    /// Nothing here says so.
    NotEstablished,
    /// As far as the file goes.
    Bounded,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Failed => "FAILED",
            Self::NotEstablished => "NOT ESTABLISHED",
            Self::Bounded => "BOUNDED",
        }
    }
}

/// One question's answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Answer {
    /// Short.
    pub verdict: Verdict,
    /// Long.
    pub detail: String,
}

impl Answer {
    fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }
}

/// What a proof file proves.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// What it speaks of.
    pub subject: String,
    /// Do the bytes hold together?
    pub integrity: Answer,
    /// Did a quorum of trusted validators stand by them?
    pub trust: Answer,
    /// Is this everything?
    pub completeness: Answer,
    /// How well is the time bounded?
    pub time: Answer,
    /// What a passport tells besides.
    #[serde(flatten)]
    pub told: Option<Told>,
    /// Whom evidence names, and what each did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accused: Vec<String>,
    /// What members that were asked can prove besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub online: Vec<Online>,
    /// What was asked and is not so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<Unmet>,
    /// Whether the next thing to do is to find somebody to trust.
    #[serde(skip)]
    needs_trust: bool,
    /// Whether the proof holds. What was asked of it besides may still be unmet.
    pub verified: bool,
}

impl Report for Verification {
    fn text(&self) -> String {
        let line = |name: &str, answer: &Answer| {
            format!("{name:<13}{:<16} {}", answer.verdict.as_str(), answer.detail)
        };
        let mut lines = Vec::new();
        if let Some(told) = &self.told {
            lines.extend(told.story.iter().cloned());
            lines.push(String::new());
        }
        lines.push(format!("{:<13}{}", "Proof", self.subject));
        if let Some(told) = &self.told {
            let flags =
                if told.flags.is_empty() { "none".to_owned() } else { told.flags.join(", ") };
            lines.push(format!("{:<13}{}", "Holder", told.holder));
            lines.push(format!("{:<13}{flags}", "Flags"));
        }
        lines.extend(self.accused.iter().map(|accused| format!("{:<13}{accused}", "Named")));
        lines.push(line("Integrity", &self.integrity));
        lines.push(line("Trust", &self.trust));
        lines.push(line("Completeness", &self.completeness));
        lines.push(line("Time", &self.time));
        lines.extend(self.online.iter().map(|o| format!("{:<13}{}: {}", "Online", o.node, o.says)));
        lines.extend(self.unmet.iter().map(|unmet| format!("{:<13}{}", "Not so", unmet.detail)));
        let said = match (self.verified, self.unmet.is_empty()) {
            _ if !self.accused.is_empty() => "MISBEHAVIOUR PROVEN",
            (true, true) => "VERIFIED",
            (true, false) => "VERIFIED, BUT NOT AS ASKED",
            (false, _) => "NOT VERIFIED",
        };
        lines.push(said.to_owned());
        lines.join("\n")
    }
}

impl Verification {
    fn with_completeness(self, completeness: Answer) -> Self {
        Self { completeness, ..self }
    }

    /// The same, where one log key's word is enough.
    fn accepting_log_key(self) -> Self {
        let holds = self.integrity.verdict == Verdict::Ok && self.trust.verdict == Verdict::Bounded;
        Self { verified: self.verified || holds, ..self }
    }

    /// Why the process does not end well, if it does not.
    ///
    /// # Errors
    /// [`Exit::Integrity`], [`Exit::Trust`] or [`Exit::Incomplete`], by the first question that fails;
    /// what was asked besides comes last.
    pub fn outcome(&self) -> Result<(), Failure> {
        let fail =
            |exit, code, answer: &Answer, help| Err(Failure::new(exit, code, &answer.detail, help));
        match (self.integrity.verdict, self.trust.verdict) {
            (Verdict::Failed, _) => {
                let help = "do not rely on this file; ask a node for the proof again";
                fail(Exit::Integrity, "integrity", &self.integrity, help)
            }
            (Verdict::NotEstablished, _) if !self.needs_trust => fail(
                Exit::Incomplete,
                "incomplete",
                &self.integrity,
                "name the event with --event FILE",
            ),
            (_, Verdict::Ok) if !self.accused.is_empty() => {
                let help = "keep the file: whoever holds the network's trust file can check it";
                let message = self.accused.join("; ");
                Err(Failure::new(Exit::Misbehaviour, "misbehaviour", message, help))
            }
            (_, trust) if trust == Verdict::Ok || self.verified => match self.unmet.first() {
                None => Ok(()),
                Some(unmet) => {
                    let help = "the file is genuine; what was asked of it is not so";
                    Err(Failure::new(Exit::Incomplete, unmet.code, &unmet.detail, help))
                }
            },
            (_, Verdict::Bounded) => fail(
                Exit::Trust,
                "log_key_alone",
                &self.trust,
                "where one log key's word is enough, say so with --accept-log-key; else ask for a \
                 .tlog-proof or a passport",
            ),
            _ => fail(
                Exit::Trust,
                "trust",
                &self.trust,
                "name the network's trust file with --trust, or ask for a newer proof",
            ),
        }
    }
}

/// Carries out `consign verify`.
///
/// # Errors
/// When a file cannot be read, or the proof is not verified.
pub async fn run(console: &Console, global: &Global, args: &VerifyArgs) -> Result<(), Failure> {
    let trust = global.trust.as_deref();
    let now = args.now.unwrap_or_else(instant::now);
    let mut verification =
        verify_as_asked(&args.file, args.event.as_deref(), trust, &args.asked, now)?;
    if let (true, true, Some(trust)) = (args.online, verification.verified, trust) {
        let bytes = fs::read(&args.file).map_err(|e| Failure::file("read", &args.file, e))?;
        let trust = read_trust(trust)?.at(now);
        match consign_ledger::passport::read(&bytes, &trust) {
            Ok(known) => {
                verification.online = online::ask(global, &trust, &known).await;
                verification.unmet.extend(online::unmet(&verification.online));
            }
            Err(_) => verification.unmet.push(Unmet {
                code: "not_a_passport",
                detail: "only a passport names a unit that members can be asked for".to_owned(),
            }),
        }
    }
    console.result(&verification)?;
    verification.outcome()
}

/// Verifies the proof in the file `proof` with what the file `trust` says.
///
/// # Errors
/// When a file cannot be read, or the trust file is none.
pub fn verify_file(
    proof: &Path,
    event: Option<&Path>,
    trust: Option<&Path>,
) -> Result<Verification, Failure> {
    verify_as_asked(proof, event, trust, &Asked::default(), instant::now())
}

fn verify_as_asked(
    proof: &Path,
    event: Option<&Path>,
    trust: Option<&Path>,
    asked: &Asked,
    now: Millis,
) -> Result<Verification, Failure> {
    let read = |path: &Path| fs::read(path).map_err(|e| Failure::file("read", path, e));
    let event = event.map(read).transpose()?;
    let trust = trust.map(read_trust).transpose()?.map(|trust| trust.at(now));
    let size = fs::metadata(proof).map_err(|e| Failure::file("read", proof, e))?.len();
    if size > RECEIPT_BYTES_MAX.max(PASSPORT_BYTES_MAX) as u64 {
        let detail = format!("the file has {size} bytes, more than a proof can have");
        return Ok(broken("unreadable", detail));
    }
    let bytes = read(proof)?;
    // A receipt is text, and a passport begins with a byte that no text begins with.
    let mut verification = match bytes.first() {
        _ if bytes.starts_with(evidence::BEGINNING) => evidence::verify(&bytes, trust.as_ref()),
        Some(&cose::FIRST_BYTE) => {
            let found = cose::verify(&bytes, event.as_deref(), trust.as_ref());
            if asked.accept_log_key { found.accepting_log_key() } else { found }
        }
        Some(0x80..) => return Ok(passport::verify(&bytes, trust.as_ref(), asked, now)),
        _ => verify(&String::from_utf8_lossy(&bytes), event.as_deref(), trust.as_ref()),
    };
    verification.unmet.extend(asked.of_no_passport());
    Ok(verification)
}

/// Reads a trust file.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_trust(path: &Path) -> Result<Trust, Failure> {
    let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?;
    Trust::from_json(&text).map_err(|e| {
        let message = format!("{} is no trust file: {e}", path.display());
        Failure::new(Exit::Trust, "bad_trust", message, "ask a member for the network's trust file")
    })
}

/// Verifies the receipt `text`.
pub fn verify(text: &str, event: Option<&[u8]>, trust: Option<&Trust>) -> Verification {
    let receipt: Receipt = match text.parse() {
        Ok(receipt) => receipt,
        Err(error) => return broken("unreadable", chain(&error)),
    };
    let claimed = match Checkpoint::from_text(receipt.checkpoint.text()) {
        Ok(claimed) => claimed,
        Err(error) => return broken("unreadable", chain(&error)),
    };
    let Some(leaf) = event.or(receipt.extra.as_deref()) else {
        let why = "the receipt does not carry the event that it speaks of";
        return unfinished(
            &format!("leaf {}", receipt.index),
            Verdict::NotEstablished,
            why.to_owned(),
        );
    };
    let (subject, device_time, network) = describe(leaf);
    let proof =
        InclusionProof { index: receipt.index, size: claimed.size, path: receipt.path.clone() };
    if let Err(error) = proof.verify(merkle::leaf_hash(leaf), claimed.root) {
        return broken(&subject, format!("the bytes are not what the checkpoint covers: {error}"));
    }
    let integrity = Answer::new(
        Verdict::Ok,
        format!("leaf {} of {}, root {}", receipt.index, claimed.size, claimed.root),
    );
    let Some(trust) = trust else {
        let why = "no trust file says whom to believe";
        let trust = Answer::new(Verdict::NotEstablished, why);
        return assembled(subject, integrity, trust, unbounded(device_time));
    };
    if network.is_some_and(|network| network != trust.network) {
        return broken(&subject, "the event is meant for another network".to_owned());
    }
    match trust.verify_by_any(&receipt.checkpoint) {
        Ok(proven) => {
            let time = bounded(proven.time_s, device_time);
            assembled(subject, integrity, trusted(&proven, trust), time)
        }
        // An honest node never serves a cosignature that does not hold.
        Err(
            error @ (NotProven::Signature(_)
            | NotProven::WitnessSignature(_)
            | NotProven::Malformed(_)),
        ) => broken(&subject, chain(&error)),
        Err(error) => {
            let trust = Answer::new(Verdict::NotEstablished, chain(&error));
            assembled(subject, integrity, trust, unbounded(device_time))
        }
    }
}

fn trusted(proven: &Proven, trust: &Trust) -> Answer {
    // A set may have come back: the last time that it was in force.
    let (mut set, mut until) = (&trust.validators, String::new());
    let mut replaced = None;
    for (height, known) in trust.sets().rev() {
        if known.hash() == proven.set {
            set = known;
            until = replaced.map_or_else(String::new, |from| {
                format!("; as the trust file has it, they were in force before block {from}")
            });
            break;
        }
        replaced = Some(height);
    }
    let names: Vec<&str> = proven
        .validators
        .iter()
        .filter_map(|index| set.get(*index))
        .map(|validator| validator.party.as_str())
        .collect();
    let detail = format!(
        "cosigned by {} of {} validators ({}); {} are needed",
        names.len(),
        set.count(),
        names.join(", "),
        set.quorum()
    );
    let detail = format!("{detail}{until}{}", witnesses(proven, trust));
    Answer::new(Verdict::Ok, detail)
}

/// Who of the witnesses stands by it, where the trust file knows any.
fn witnesses(proven: &Proven, trust: &Trust) -> String {
    let rule = &trust.witnesses;
    if rule.keys.is_empty() {
        return String::new();
    }
    let names = &proven.witnessed.names;
    let named = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let needed = rule.needed;
    format!("; witnessed by {} of {}{named}; {needed} are needed", names.len(), rule.keys.len())
}

/// What a leaf is, what its device says about the time, and for which network it is meant.
fn describe(leaf: &[u8]) -> (String, Option<Millis>, Option<consign_types::digest::NetworkId>) {
    if let Ok(signed) = SignedEvent::decode(leaf) {
        let event = signed.event();
        let subject = format!(
            "{} of {}, signed by {}, event {}",
            event.action.kind(),
            event.subject,
            event.signer,
            signed.id()
        );
        return (subject, Some(event.time), Some(event.network));
    }
    match BlockRecord::from_bytes(leaf) {
        Ok(record) => (format!("record of block {}", record.height), None, None),
        Err(_) => (format!("leaf of {} bytes that is no event", leaf.len()), None, None),
    }
}

fn bounded(time_s: u64, device_time: Option<Millis>) -> Answer {
    let cosigned = Millis(time_s.saturating_mul(1000));
    let claim = claim(device_time);
    Answer::new(Verdict::Bounded, format!("in the log by {cosigned}, as a quorum says{claim}"))
}

fn unbounded(device_time: Option<Millis>) -> Answer {
    let detail = format!("no trusted cosignature bounds it{}", claim(device_time));
    Answer::new(Verdict::NotEstablished, detail)
}

fn claim(device_time: Option<Millis>) -> String {
    device_time.map(|time| format!("; the device claims {time}")).unwrap_or_default()
}

fn assembled(subject: String, integrity: Answer, trust: Answer, time: Answer) -> Verification {
    let verified = integrity.verdict == Verdict::Ok && trust.verdict == Verdict::Ok;
    let completeness = Answer::new(Verdict::Bounded, "one event; not a history");
    let (told, accused, online) = (None, Vec::new(), Vec::new());
    let (unmet, needs_trust) = (Vec::new(), false);
    Verification {
        subject,
        integrity,
        trust,
        completeness,
        time,
        told,
        accused,
        online,
        unmet,
        needs_trust,
        verified,
    }
}

fn broken(subject: &str, why: String) -> Verification {
    unfinished(subject, Verdict::Failed, why)
}

fn unfinished(subject: &str, integrity: Verdict, why: String) -> Verification {
    let unchecked = || Answer::new(Verdict::NotEstablished, "not checked");
    Verification {
        completeness: unchecked(),
        ..assembled(subject.to_owned(), Answer::new(integrity, why), unchecked(), unchecked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::block::{LeafIndex, TreeSize};
    use consign_types::checkpoint::cosigner_key;
    use consign_types::digest::{Digest, NetworkId, TreeRoot};
    use consign_types::event::{Action, Event, Subject};
    use consign_types::genesis::{Genesis, Member, Params};
    use consign_types::key::SecretKey;
    use consign_types::validator::{Validator, ValidatorSet};

    const NAMES: [&str; 4] = ["airline", "consignee", "forwarder", "handler"];

    fn key(i: usize, purpose: u8) -> SecretKey {
        SecretKey::from_seed([i as u8 * 16 + purpose; 32])
    }

    fn trust() -> Trust {
        let all = || NAMES.iter().enumerate();
        let member = |(i, name): (usize, &&str)| Member {
            party: name.parse().unwrap(),
            key: key(i, 1).public(),
            authority: false,
        };
        let validator = |(i, name): (usize, &&str)| Validator {
            party: name.parse().unwrap(),
            consensus_key: key(i, 2).public(),
            cosigner_key: key(i, 3).public(),
            network_key: key(i, 4).public(),
        };
        let set = ValidatorSet::new(all().map(validator).collect()).unwrap();
        let (time, members) = (Millis(1_767_225_600_000), all().map(member).collect());
        let genesis =
            Genesis::new("verify.example/consign", time, members, set, Params::default()).unwrap();
        Trust::of_genesis(&genesis, Vec::new())
    }

    fn event(network: NetworkId) -> SignedEvent {
        let event = Event {
            network,
            signer: "handler.dock7".parse().unwrap(),
            subject: Subject::Unit("00/106141412345678908".parse().unwrap()),
            sequence: 1,
            floor: 0,
            time: Millis(1_767_225_601_000),
            place: None,
            basis: None,
            action: Action::Register,
        };
        SignedEvent::sign(event, &key(9, 1))
    }

    /// A receipt of leaf 0 in a log of two leaves, cosigned by these validators.
    fn receipt(trust: &Trust, event: &SignedEvent, cosigners: &[usize]) -> Receipt {
        let other = Digest::of(&[b"the other leaf"]);
        let root = TreeRoot(merkle::node_hash(&event.leaf_hash().0, &other));
        let checkpoint =
            Checkpoint { origin: "verify.example/consign".to_owned(), size: TreeSize(2), root };
        let mut note = checkpoint.signed(&key(0, 5)).unwrap();
        for i in cosigners {
            let validator = &trust.validators.validators()[*i];
            let line_key =
                cosigner_key(&trust.origin, &validator.party, validator.cosigner_key).unwrap();
            let cosignature = checkpoint.cosign(&key(*i, 3), 1_767_225_602 + *i as u64);
            note.add(cosignature.line(&line_key));
        }
        let extra = Some(event.bytes().to_vec());
        Receipt { extra, index: LeafIndex(0), path: vec![other], checkpoint: note }
    }

    fn exit(verification: &Verification) -> Option<Exit> {
        verification.outcome().err().map(|failure| failure.exit)
    }

    #[test]
    fn a_receipt_that_a_quorum_cosigned_is_verified() {
        let trust = trust();
        let text = receipt(&trust, &event(trust.network), &[0, 1, 3]).text();
        let verification = verify(&text, None, Some(&trust));
        assert_eq!(exit(&verification), None);
        insta::assert_snapshot!(verification.text());
    }

    #[test]
    fn without_a_quorum_or_a_trust_file_integrity_holds_and_trust_does_not() {
        let trust = trust();
        let short = receipt(&trust, &event(trust.network), &[0, 1]).text();
        let verification = verify(&short, None, Some(&trust));
        assert_eq!(exit(&verification), Some(Exit::Trust));
        insta::assert_snapshot!(verification.text());

        let full = receipt(&trust, &event(trust.network), &[0, 1, 2, 3]).text();
        assert_eq!(exit(&verify(&full, None, None)), Some(Exit::Trust));
    }

    #[test]
    fn a_receipt_without_its_event_is_incomplete_until_the_event_is_named() {
        let trust = trust();
        let event = event(trust.network);
        let bare = Receipt { extra: None, ..receipt(&trust, &event, &[0, 1, 2]) }.text();
        assert_eq!(exit(&verify(&bare, None, Some(&trust))), Some(Exit::Incomplete));
        assert_eq!(exit(&verify(&bare, Some(event.bytes()), Some(&trust))), None);
    }

    #[test]
    fn an_event_of_another_network_is_not_taken_for_one_of_this() {
        let trust = trust();
        let foreign = event(NetworkId(Digest::of(&[b"another"])));
        let verification =
            verify(&receipt(&trust, &foreign, &[0, 1, 2]).text(), None, Some(&trust));
        assert_eq!(exit(&verification), Some(Exit::Integrity));
    }

    /// Every byte of the file, one at a time. Some flips only spoil a signature that is not needed
    /// or known; none leaves a verified file that says something else.
    #[test]
    fn no_flipped_byte_changes_what_is_verified() {
        let trust = trust();
        let text = receipt(&trust, &event(trust.network), &[0, 1, 2]).text();
        let honest = verify(&text, None, Some(&trust));
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1;
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            let verification = verify(&flipped, None, Some(&trust));
            if verification.verified {
                assert_eq!(verification, honest, "byte {at}");
                let log_signature = text.find("\u{2014} verify.example/consign ").unwrap();
                assert!(at > log_signature, "byte {at}");
            } else {
                assert!(exit(&verification).is_some(), "byte {at}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_receipt_fail_integrity() {
        for text in ["", "\n\n", "c2sp.org/tlog-proof@v1\nindex 0\n\n", "{}"] {
            assert_eq!(
                exit(&verify(text, None, Some(&trust()))),
                Some(Exit::Integrity),
                "{text:?}"
            );
        }
        insta::assert_snapshot!(verify("{}", None, None).text());
    }
}
