//! One round of an audit: ask every source, hash what is new, run its rules, and compare.
//!
//! A checkpoint is compared with what this auditor saw before, at that source and at the others. What the
//! mirror holds was hashed here up to a root that a quorum cosigned, so it is what the others are held to.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use consign_ledger::evidence::{self, Believed, Evidence, Seen};
use consign_ledger::log::{Mirror, TileHashes as _, TilePath, inclusion_proof, root_at};
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::LeafHash;
use consign_types::note::Note;

use super::compare::{compare, root_of};
use super::fetch::{fetch, keep_partial};
use super::finding::{Code, Finding};
use super::judge::{Judged, in_words, judge};
use super::report::{Audit, Covered};
use super::rerun::rerun;
use super::source::Source;
use super::state::State;
use crate::failure::Failure;

/// How often a long run notes how far it is.
const NOTED_EVERY: Duration = Duration::from_secs(30);

/// What a round is busy with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Fetching and hashing leaves.
    Fetching,
    /// Checking signatures and running rules.
    Checking,
}

/// Is told how many of how many leaves a step has done.
pub type Progress<'a> = &'a mut dyn FnMut(Step, u64, u64);

/// Audits once.
///
/// # Errors
/// When the auditor's own folder fails. What is wrong with sources is in the answer.
pub fn audit(state: &State, progress: Progress<'_>) -> Result<Audit, Failure> {
    let mut audit = Audit::new(&state.trust);
    let before = state.mirrored()?.map_or(TreeSize(0), |checkpoint| checkpoint.size);
    let mut judged = Vec::new();
    for (at, source) in state.sources.iter().enumerate() {
        match ask(state, at, source)? {
            Ok(found) => judged.push((at, found)),
            Err(findings) => audit.findings.extend(findings),
        }
    }
    // The largest first; where its source cannot show what it claims, the next.
    judged.sort_by_key(|(_, found)| Reverse(found.proven.checkpoint.size));
    for (at, found) in &judged {
        if found.proven.checkpoint.size <= state.mirrored()?.map_or(TreeSize(0), |c| c.size) {
            break;
        }
        audit.findings.extend(extend(state, &state.sources[*at], found, progress)?);
    }
    let mirrored = state.mirrored()?.map_or(TreeSize(0), |checkpoint| checkpoint.size);
    audit.leaves = mirrored.0 - before.0;
    for (at, found) in &judged {
        audit.covered.push(Covered::of(&state.sources[*at].name(), found));
        audit.findings.extend(held_to_mirror(state, *at, found, mirrored)?);
    }
    if mirrored.0 > 0 {
        run_rules(state, mirrored, &mut audit, progress)?;
    }
    for (at, found) in judged {
        let seen = state.seen(at)?.map_or(TreeSize(0), |(_, checkpoint)| checkpoint.size);
        // A source that went back is held to the most that it showed.
        if found.proven.checkpoint.size >= seen {
            state.keep(&format!("seen/{at}.checkpoint"), found.text.as_bytes())?;
        }
    }
    Ok(audit)
}

/// The checkpoint of a source, or what is wrong with it.
fn ask(state: &State, at: usize, source: &Source) -> Result<Result<Judged, Vec<Finding>>, Failure> {
    let name = source.name();
    let text = match source.checkpoint() {
        Ok(Some(text)) => text,
        Ok(None) => {
            let detail = "it has no checkpoint that a quorum cosigned";
            return Ok(Err(vec![Finding::new(Code::NoCheckpoint, &name, detail)]));
        }
        Err(failure) => {
            return Ok(Err(vec![Finding::new(Code::Unreachable, &name, failure.message)]));
        }
    };
    let judged = match judge(text, &name, &state.trust) {
        Ok(judged) => judged,
        Err(finding) => return Ok(Err(vec![finding])),
    };
    let now = &judged.proven.checkpoint;
    if let Some((seen_text, seen)) = state.seen(at)?
        && now.size < seen.size
    {
        let detail = format!(
            "it went back: it showed {} before, and shows {} now",
            in_words(&seen),
            in_words(now)
        );
        let stem = format!("evidence/rolled-back-{at}-{}-{}", seen.size, now.size);
        state.keep(&format!("{stem}.before.checkpoint"), seen_text.as_bytes())?;
        state.keep(&format!("{stem}.after.checkpoint"), judged.text.as_bytes())?;
        let finding = Finding::new(Code::RolledBack, &name, detail);
        let notes = (seen_text.parse(), judged.text.parse());
        // An old checkpoint that is shown again is the source's doing; nobody signed anything new.
        let proof = match notes {
            (Ok(before), Ok(after)) => {
                evidence::two_checkpoints((&state.trust).into(), &[], &before, &after)
            }
            _ => None,
        };
        return Ok(Err(vec![proven(state, finding, proof)?]));
    }
    Ok(Ok(judged))
}

/// Takes into the mirror what the source has more, if it leads to the root that was cosigned.
fn extend(
    state: &State,
    source: &Source,
    found: &Judged,
    progress: Progress<'_>,
) -> Result<Vec<Finding>, Failure> {
    let target = &found.proven.checkpoint;
    let from = state.mirrored()?.map_or(TreeSize(0), |checkpoint| checkpoint.size);
    let scan = match fetch(source, target.size, state.scan(from)?, &state.path("mirror"), |done| {
        progress(Step::Fetching, done - from.0, target.size.0 - from.0);
    })? {
        Ok(scan) => scan,
        Err(finding) => return Ok(vec![finding]),
    };
    let root = scan.frontier().root();
    if root != target.root {
        return Ok(vec![why_another_root(state, source, found, from)?]);
    }
    keep_partial(&scan, &state.path("mirror"))?;
    // Last: up to here the mirror is what it was before.
    state.keep("mirror/checkpoint", found.text.as_bytes())?;
    Ok(Vec::new())
}

/// Whether a source's files are wrong, or it has another history than the mirror.
fn why_another_root(
    state: &State,
    source: &Source,
    found: &Judged,
    from: TreeSize,
) -> Result<Finding, Failure> {
    let target = &found.proven.checkpoint;
    let whole = root_of(source, target.size, target.size).is_ok_and(|root| root == target.root);
    let earlier = root_of(source, target.size, from);
    let own = state.mirrored()?.map(|checkpoint| checkpoint.root);
    if whole && from.0 > 0 && earlier.is_ok_and(|root| Some(root) != own) {
        return fork(state, source, found);
    }
    let detail = format!("its entries do not lead to its checkpoint: {}", in_words(target));
    Ok(Finding::new(Code::WrongRoot, &source.name(), detail))
}

/// Holds a checkpoint to the mirror, which is as large or larger.
fn held_to_mirror(
    state: &State,
    at: usize,
    found: &Judged,
    mirrored: TreeSize,
) -> Result<Option<Finding>, Failure> {
    let checkpoint = &found.proven.checkpoint;
    if checkpoint.size > mirrored {
        return Ok(None);
    }
    let mirror = state.mirror();
    let tiles = Mirror::new(mirrored, |path: &TilePath| mirror.file(path).ok().flatten());
    let own = root_at(&tiles, checkpoint.size).map_err(|e| {
        let message = format!("the mirror is damaged: {e}");
        Failure::operational("damaged", message, "begin again in a new folder: consign audit init")
    })?;
    if own == checkpoint.root {
        return Ok(None);
    }
    fork(state, &state.sources[at], found).map(Some)
}

/// Keeps what proves a finding, where something does, and names whom it names.
fn proven(state: &State, finding: Finding, proof: Option<Evidence>) -> Result<Finding, Failure> {
    let Some(proof) = proof else { return Ok(finding) };
    let accused = evidence::verify(&proof, (&state.trust).into());
    let named = accused.unwrap_or_default().iter().map(ToString::to_string).collect();
    let name = format!("evidence/{}-{}.evidence", proof.case.kind(), &proof.id().to_string()[..12]);
    state.keep(&name, &proof.to_bytes())?;
    Ok(Finding { named, evidence: Some(state.path(&name)), ..finding })
}

/// Proof of a fork: the first leaf that differs, under both checkpoints.
fn growth(state: &State, source: &Source, found: &Judged) -> Result<Option<Evidence>, Failure> {
    let mirror = state.mirror();
    let (Some(own), theirs) = (mirror.checkpoint()?, &found.text) else { return Ok(None) };
    let (Ok(own), Ok(theirs)) = (own.parse::<Note>(), theirs.parse::<Note>()) else {
        return Ok(None);
    };
    let believed = Believed::from(&state.trust);
    if let Some(same_size) = evidence::two_checkpoints(believed, &[], &own, &theirs) {
        return Ok(Some(same_size));
    }
    let copies = [(&mirror, &own), (source, &theirs)];
    // Files that are missing prove nothing; the finding stands without them.
    let Ok(compared) = compare([&mirror, source]) else { return Ok(None) };
    let mut seen = Vec::new();
    for ((copy, note), size) in copies.into_iter().zip(compared.sizes) {
        // A live source may have grown since its checkpoint was fetched: proofs are of what was cosigned.
        let Ok(cosigned) = Checkpoint::from_text(note.text()) else { return Ok(None) };
        let tiles = Mirror::new(TreeSize(size), |path: &TilePath| copy.file(path).ok().flatten());
        let leaf = tiles.tile_hash(0, compared.same);
        let proof = inclusion_proof(&tiles, LeafIndex(compared.same), cosigned.size);
        let (Some(leaf), Ok(proof)) = (leaf, proof) else { return Ok(None) };
        seen.push((note, LeafHash(leaf), proof));
    }
    let seen: Vec<Seen<'_>> =
        seen.iter().map(|(note, leaf, proof)| Seen { note, leaf: *leaf, proof }).collect();
    let [one, other] = seen[..] else { return Ok(None) };
    Ok(evidence::growth(believed, &[], one, other))
}

/// Two cosigned histories of one log: both checkpoints are kept, and who cosigned both is named.
fn fork(state: &State, source: &Source, found: &Judged) -> Result<Finding, Failure> {
    let theirs = &found.proven.checkpoint;
    let own = state.mirror().checkpoint()?.unwrap_or_default();
    let stem = format!("evidence/fork-{}", theirs.size);
    state.keep(&format!("{stem}.a.checkpoint"), own.as_bytes())?;
    state.keep(&format!("{stem}.b.checkpoint"), found.text.as_bytes())?;
    let detail = format!(
        "the log forked: it shows {}, cosigned by a quorum, and that is not a beginning of what this \
         auditor saw cosigned",
        in_words(theirs)
    );
    let proof = growth(state, source, found)?;
    proven(state, Finding::new(Code::Fork, &source.name(), detail), proof)
}

fn run_rules(
    state: &State,
    size: TreeSize,
    audit: &mut Audit,
    progress: Progress<'_>,
) -> Result<(), Failure> {
    let from = state.replay().filter(|replay| replay.frontier().size() <= size);
    let begun = from.as_ref().map_or(0, |replay| replay.frontier().size().0);
    let mut noted = Instant::now();
    let mut unwritable = None;
    let run = rerun(&state.mirror(), state.trust.network, size, from, |replay, _| {
        progress(Step::Checking, replay.frontier().size().0 - begun, size.0 - begun);
        if noted.elapsed() >= NOTED_EVERY {
            noted = Instant::now();
            unwritable = state.keep("replay.cbor", &replay.to_bytes()).err();
        }
    })?;
    if let Some(failure) = unwritable {
        return Err(failure);
    }
    if let (Some(replay), true) = (&run.replay, run.blocks > 0) {
        state.keep("replay.cbor", &replay.to_bytes())?;
    }
    audit.take(&run);
    audit.findings.extend(run.finding);
    Ok(())
}
