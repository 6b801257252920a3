//! `consign evidence make`: whatever somebody holds that contradicts itself becomes one file.
//!
//! Which file is what, and what it shows with which other, is found out here: passports bring the keys of those
//! who signed, events and checkpoints are held to each other. What comes out was verified as a stranger would.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use consign_ledger::evidence::{
    Anchor, Believed, Evidence, Seen, double_offer, growth, log_signature, same_number,
    two_checkpoints, verify,
};
use consign_ledger::passport::{self, Passport, Proven, SetLink};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::LeafHash;
use consign_types::event::{SignedEvent, Subject};
use consign_types::limits::PASSPORT_BYTES_MAX;
use consign_types::merkle::{self, InclusionProof};
use consign_types::note::Note;
use consign_types::receipt::Receipt;
use consign_types::trust::Trust;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::verify::read_trust;

/// Files that are held to each other at once.
const FILES_MAX: usize = 64;

/// `consign evidence make`.
#[derive(Args, Debug)]
#[command(after_help = "\
Two checkpoints of one log, or receipts: cosigners that signed two roots for a size, or a smaller size later; a log key that signed
two roots. Two receipts of different events at one place in the log: cosigners that signed both. Two events under one number, and a passport in which their device signed something: that device. A passport in which a
custodian's second offer stands, and the first with its acceptance, if they are not in it: that custodian.")]
pub struct MakeArgs {
    /// Passports, signed events, checkpoints, receipts (.tlog-proof): all that bears on it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What somebody holds.
#[derive(Default)]
struct Held {
    passports: Vec<Passport>,
    events: Vec<SignedEvent>,
    notes: Vec<Note>,
    /// Their checkpoints are among the notes too.
    receipts: Vec<Receipt>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    evidence_id: String,
    kind: &'static str,
    accused: Vec<String>,
    bytes: usize,
    file: PathBuf,
}

impl Report for Made {
    fn text(&self) -> String {
        let file = self.file.display();
        format!(
            "{} {}\n  {}\nwrote {file}, {} bytes; next: consign evidence submit {file}",
            self.evidence_id,
            self.kind,
            self.accused.join("\n  "),
            self.bytes
        )
    }
}

/// Carries it out.
///
/// # Errors
/// When a file is none of these, or they contradict each other in no way that can be shown.
pub fn make(console: &Console, global: &Global, args: MakeArgs) -> Result<(), Failure> {
    let Some(trust) = &global.trust else {
        let help = "name the network's trust file with --trust";
        return Err(Failure::usage("no_trust", "evidence is verified before it is written", help));
    };
    let trust = read_trust(trust)?;
    if args.files.len() > FILES_MAX {
        let message = format!("more than {FILES_MAX} files");
        return Err(Failure::usage("too_many_files", message, "name those that bear on it"));
    }
    let mut held = Held::default();
    for path in &args.files {
        held.read(path, &trust)?;
    }
    let believed = Believed::from(&trust);
    let evidence = held.evidence(believed).ok_or_else(|| {
        let message = "these files show no contradiction that names anybody for certain";
        let help = "docs/spec/evidence.md says what each kind needs; keep the files";
        Failure::new(Exit::Incomplete, "no_evidence", message, help)
    })?;
    let accused = verify(&evidence, believed).unwrap_or_default();
    let bytes = evidence.to_bytes();
    fs::write(&args.out, &bytes).map_err(|e| Failure::file("write", &args.out, e))?;
    console.result(&Made {
        evidence_id: evidence.id().to_string(),
        kind: evidence.case.kind().as_str(),
        accused: accused.iter().map(ToString::to_string).collect(),
        bytes: bytes.len(),
        file: args.out,
    })
}

impl Held {
    fn read(&mut self, path: &Path, trust: &Trust) -> Result<(), Failure> {
        let no = |why: String| {
            let help = "a passport, a signed event, a checkpoint or a receipt is needed";
            Failure::new(Exit::Integrity, "unreadable", format!("{}: {why}", path.display()), help)
        };
        let length = fs::metadata(path).map_err(|e| Failure::file("read", path, e))?.len();
        if length > PASSPORT_BYTES_MAX as u64 {
            return Err(no(format!("{length} bytes are more than any of these has")));
        }
        let bytes = fs::read(path).map_err(|e| Failure::file("read", path, e))?;
        if let Ok(passport) = Passport::from_bytes(&bytes) {
            // Its entries are somebody's keys only if it holds.
            passport::verify(&passport, &trust.undemanding()).map_err(|e| no(e.to_string()))?;
            self.passports.push(passport);
        } else if let Ok(event) = SignedEvent::decode_submitted(&bytes) {
            self.events.push(event);
        } else if !self.take_text(&bytes) {
            return Err(no("it is none of them".to_owned()));
        }
        Ok(())
    }

    /// Takes a receipt with its checkpoint, or a checkpoint; says whether it is one.
    fn take_text(&mut self, bytes: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        // First: a receipt reads as a note too, of a text that is no checkpoint.
        if let Ok(receipt) = text.parse::<Receipt>() {
            self.notes.push(receipt.checkpoint.clone());
            self.receipts.push(receipt);
            return true;
        }
        let note = text.parse().ok();
        let note = note.filter(|note: &Note| Checkpoint::from_text(note.text()).is_ok());
        self.notes.extend(note.clone());
        note.is_some()
    }

    fn evidence(&self, believed: Believed<'_>) -> Option<Evidence> {
        self.of_notes(believed)
            .or_else(|| self.of_leaves(believed))
            .or_else(|| self.of_numbers(believed))
            .or_else(|| self.of_offers(believed))
    }

    fn of_notes(&self, believed: Believed<'_>) -> Option<Evidence> {
        let sets = self.sets();
        pairs(&self.notes).find_map(|(one, other)| {
            let cosigned = sets.iter().find_map(|sets| two_checkpoints(believed, sets, one, other));
            cosigned.or_else(|| log_signature(believed, one, other))
        })
    }

    /// Receipts of different leaves at one place in the log.
    fn of_leaves(&self, believed: Believed<'_>) -> Option<Evidence> {
        let (sets, events) = (self.sets(), self.events());
        let leaves = self.receipts.iter().filter_map(|receipt| Shown::of(receipt, &events));
        let leaves: Vec<_> = leaves.collect();
        pairs(&leaves).find_map(|(one, other)| {
            if one.proof.index != other.proof.index || one.leaf == other.leaf {
                return None;
            }
            sets.iter().find_map(|sets| growth(believed, sets, one.seen(), other.seen()))
        })
    }

    /// Changes of the set that files bring along, and none.
    fn sets(&self) -> Vec<&[SetLink]> {
        let brought = self.passports.iter().map(|passport| passport.sets.as_slice());
        brought.chain([&[][..]]).collect()
    }

    /// Every event that somebody holds, in passports too.
    fn events(&self) -> Vec<SignedEvent> {
        let entered = self.passports.iter().flat_map(|passport| &passport.entered);
        let entered = entered.filter_map(|entered| SignedEvent::decode(&entered.event).ok());
        self.events.iter().cloned().chain(entered).collect()
    }

    fn of_numbers(&self, believed: Believed<'_>) -> Option<Evidence> {
        let all = self.events();
        let keys = self.passports.iter().flat_map(|passport| {
            let signers =
                passport.entries.iter().filter(|entry| matches!(entry.key, Subject::Signer(_)));
            signers.filter_map(move |entry| Some((passport, Anchor::of_passport(passport, entry)?)))
        });
        let keys: Vec<_> = keys.collect();
        self.events.iter().find_map(|one| {
            all.iter().filter(|other| other.id() != one.id()).find_map(|other| {
                keys.iter().find_map(|(passport, anchor)| {
                    same_number(believed, &passport.sets, anchor, one, other)
                })
            })
        })
    }

    fn of_offers(&self, believed: Believed<'_>) -> Option<Evidence> {
        self.passports.iter().find_map(|passport| {
            // Entries of another passport hold under the record of this one if it is the same.
            let same = self.passports.iter().filter(|other| other.record == passport.record);
            let signers: Vec<Proven> =
                same.flat_map(|other| other.entries.iter().cloned()).collect();
            double_offer(believed, passport, &signers, &self.events())
        })
    }
}

/// Every two of them, once.
fn pairs<T>(all: &[T]) -> impl Iterator<Item = (&T, &T)> {
    let rest = |(at, one)| all.iter().skip(at + 1).map(move |other| (one, other));
    all.iter().enumerate().flat_map(rest)
}

/// A leaf under the checkpoint of a receipt.
struct Shown<'r> {
    note: &'r Note,
    leaf: LeafHash,
    proof: InclusionProof,
}

impl<'r> Shown<'r> {
    /// By the event that the receipt carries, or the one of `events` that it fits.
    fn of(receipt: &'r Receipt, events: &[SignedEvent]) -> Option<Self> {
        let checkpoint = Checkpoint::from_text(receipt.checkpoint.text()).ok()?;
        let (index, size) = (receipt.index, checkpoint.size);
        let proof = InclusionProof { index, size, path: receipt.path.clone() };
        let carried = receipt.extra.iter().map(|bytes| merkle::leaf_hash(bytes));
        let mut leaves = carried.chain(events.iter().map(SignedEvent::leaf_hash));
        let leaf = leaves.find(|leaf| proof.verify(*leaf, checkpoint.root).is_ok())?;
        Some(Self { note: &receipt.checkpoint, leaf, proof })
    }

    const fn seen(&self) -> Seen<'_> {
        Seen { note: self.note, leaf: self.leaf, proof: &self.proof }
    }
}
