//! One round of an audit: ask every source, hash what is new, run its rules, and compare.
//!
//! A checkpoint is compared with what this auditor saw before, at that source and at the others. What the
//! mirror holds was hashed here up to a root that a quorum cosigned, so it is what the others are held to.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use consign_ledger::evidence::{self, Believed, Evidence, Seen};
use consign_ledger::log::{Mirror, TileHashes as _, TilePath, inclusion_proof};
use consign_ledger::replay::Replay;
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::LeafHash;
use consign_types::note::Note;

use super::compare::{compare, root_of};
use super::fetch::{discard, fetch, keep_partial};
use super::finding::{Code, Finding};
use super::judge::{Judged, by_set_in_force, ends_in_force, in_words, judge};
use super::own::Own;
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
    again(state, &mut None, progress)
}

/// Audits, and keeps in `kept` where the rules were run to: the next round goes on from there.
///
/// # Errors
/// As [`audit`].
pub fn again(
    state: &State,
    kept: &mut Option<Replay>,
    progress: Progress<'_>,
) -> Result<Audit, Failure> {
    let mut audit = Audit::new(&state.trust);
    let own = match copy_of(state)? {
        Ok(own) => own,
        // Nobody is held to a copy that is damaged.
        Err(damage) => {
            audit.findings.push(damage);
            return Ok(audit);
        }
    };
    let before = own.map_or(TreeSize(0), |own| own.checkpoint().size);
    let mut judged = Vec::new();
    for (at, source) in state.sources.iter().enumerate() {
        match ask(state, at, source)? {
            Ok((found, went_back)) => {
                judged.push((at, found));
                audit.findings.extend(went_back);
            }
            Err(finding) => audit.findings.push(finding),
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
    let own = match copy_of(state)? {
        Ok(own) => own,
        Err(damage) => {
            audit.findings.push(damage);
            return Ok(audit);
        }
    };
    if let Some(own) = &own {
        audit.leaves = own.checkpoint().size.0 - before.0;
        for (at, found) in &mut judged {
            match held_to(own, state, *at, found)? {
                Some(damage) if damage.code == Code::Damaged => note(&mut audit, damage),
                finding => audit.findings.extend(finding),
            }
        }
        run_rules(state, own, kept, &mut audit, progress)?;
    }
    for (at, found) in judged {
        audit.covered.push(Covered::of(&state.sources[at].name(), &found));
        let seen = state.seen(at)?.map_or(TreeSize(0), |(_, checkpoint)| checkpoint.size);
        let name = state.sources[at].name();
        let retired = |finding: &Finding| finding.code == Code::WrongSet && finding.source == name;
        // A source that went back is held to the most that it showed; to what the wrong set signed nobody is.
        if found.proven.checkpoint.size >= seen && !audit.findings.iter().any(retired) {
            state.keep(&format!("seen/{at}.checkpoint"), found.text.as_bytes())?;
        }
    }
    Ok(audit)
}

/// The mirror, where it has leaves; the inner error is that it is damaged.
fn copy_of(state: &State) -> Result<Result<Option<Own<'_>>, Finding>, Failure> {
    let mirrored = state.mirrored()?.filter(|checkpoint| checkpoint.size.0 > 0);
    Ok(mirrored.map(|checkpoint| Own::new(state, checkpoint)).transpose())
}

/// A checkpoint that is to be trusted, and that its source showed more before, where it did.
type Asked = Result<(Judged, Option<Finding>), Finding>;

/// The checkpoint of a source, or what is wrong with it.
fn ask(state: &State, at: usize, source: &Source) -> Result<Asked, Failure> {
    let name = source.name();
    let text = match source.checkpoint() {
        Ok(Some(text)) => text,
        Ok(None) => {
            let detail = "it has no checkpoint that a quorum cosigned";
            return Ok(Err(Finding::new(Code::NoCheckpoint, &name, detail)));
        }
        Err(failure) => {
            return Ok(Err(Finding::new(Code::Unreachable, &name, failure.message)));
        }
    };
    let judged = match judge(text, &name, &state.trust) {
        Ok(judged) => judged,
        Err(finding) => return Ok(Err(finding)),
    };
    let went_back = match state.seen(at)? {
        Some((text, seen)) if judged.proven.checkpoint.size < seen.size => {
            Some(rolled_back(state, at, (&text, &seen), &judged)?)
        }
        _ => None,
    };
    Ok(Ok((judged, went_back)))
}

/// That the source showed `seen` before and shows less now. Whether what it shows now is at least a beginning
/// of what was seen is another question: see [`held_to`].
fn rolled_back(
    state: &State,
    at: usize,
    (seen_text, seen): (&str, &Checkpoint),
    judged: &Judged,
) -> Result<Finding, Failure> {
    let now = &judged.proven.checkpoint;
    let detail = format!(
        "it went back: it showed {} before, and shows {} now",
        in_words(seen),
        in_words(now)
    );
    let stem = format!("evidence/rolled-back-{at}-{}-{}", seen.size, now.size);
    state.keep(&format!("{stem}.before.checkpoint"), seen_text.as_bytes())?;
    state.keep(&format!("{stem}.after.checkpoint"), judged.text.as_bytes())?;
    let finding = Finding::new(Code::RolledBack, &state.sources[at].name(), detail);
    let notes = (seen_text.parse(), judged.text.parse());
    // An old checkpoint that is shown again is the source's doing; nobody signed anything new.
    let proof = match notes {
        (Ok(before), Ok(after)) => {
            evidence::two_checkpoints((&state.trust).into(), &[], &before, &after)
        }
        _ => None,
    };
    proven(state, finding, proof)
}

/// Takes into the mirror what the source has more, if it leads to the root that was cosigned.
fn extend(
    state: &State,
    source: &Source,
    found: &Judged,
    progress: Progress<'_>,
) -> Result<Option<Finding>, Failure> {
    let target = &found.proven.checkpoint;
    let from = state.mirrored()?.map_or(TreeSize(0), |checkpoint| checkpoint.size);
    let mirror = state.path("mirror");
    let mut reached = from;
    let fetched = fetch(source, target.size, state.scan(from)?, &mirror, |done| {
        reached = TreeSize(done);
        progress(Step::Fetching, done - from.0, target.size.0 - from.0);
    })?;
    let scan = match fetched {
        Ok(scan) if scan.frontier().root() == target.root => scan,
        refused => {
            discard(&mirror, from, reached)?;
            return why_not(state, source, found, (from, refused.err())).map(Some);
        }
    };
    if let Err(finding) = ends_in_force(&state.mirror(), found, &source.name(), &state.trust) {
        discard(&mirror, from, target.size)?;
        return wrong_set(state, finding, found).map(Some);
    }
    keep_partial(&scan, &mirror)?;
    // Last: up to here the mirror is what it was before.
    state.keep("mirror/checkpoint", found.text.as_bytes())?;
    Ok(None)
}

/// Whether a source's files are wrong, or it has another history than the mirror, which has `from` leaves.
fn why_not(
    state: &State,
    source: &Source,
    found: &Judged,
    (from, refused): (TreeSize, Option<Finding>),
) -> Result<Finding, Failure> {
    let target = &found.proven.checkpoint;
    // A file that is missing, or a source that does not answer, says nothing of another history.
    let bytes_differ = refused.as_ref().is_none_or(|finding| finding.code == Code::BadFile);
    if bytes_differ && has_another_history(state, source, target, from)? {
        return fork(state, source, found);
    }
    Ok(refused.unwrap_or_else(|| {
        let detail = format!("its entries do not lead to its checkpoint: {}", in_words(target));
        Finding::new(Code::WrongRoot, &source.name(), detail)
    }))
}

/// Whether a source's tiles lead to its cosigned root, and by another way than the mirror's.
fn has_another_history(
    state: &State,
    source: &Source,
    target: &Checkpoint,
    from: TreeSize,
) -> Result<bool, Failure> {
    let whole = root_of(source, target.size, target.size).is_ok_and(|root| root == target.root);
    let earlier = root_of(source, target.size, from);
    let own = state.mirrored()?.map(|checkpoint| checkpoint.root);
    Ok(whole && from.0 > 0 && earlier.is_ok_and(|root| Some(root) != own))
}

/// Holds a checkpoint to the mirror, where that is as large or larger: that it is a beginning of it, and that
/// the set which was in force there signed it.
fn held_to(
    own: &Own<'_>,
    state: &State,
    at: usize,
    found: &mut Judged,
) -> Result<Option<Finding>, Failure> {
    let checkpoint = &found.proven.checkpoint;
    if checkpoint.size > own.checkpoint().size {
        return Ok(None);
    }
    match own.root_at(checkpoint.size) {
        Ok(root) if root == checkpoint.root => {}
        Ok(_) => return fork(state, &state.sources[at], found).map(Some),
        Err(damage) => return Ok(Some(damage)),
    }
    let record = match own.record_at(checkpoint.size) {
        // That the log ends within a block is found where the rules are run.
        Ok(None) => return Ok(None),
        Ok(Some(record)) => record,
        Err(damage) => return Ok(Some(damage)),
    };
    match by_set_in_force(found, &record, &state.sources[at].name(), &state.trust) {
        Ok(proven) => {
            found.proven = proven;
            Ok(None)
        }
        Err(finding) => wrong_set(state, finding, found).map(Some),
    }
}

/// Keeps a checkpoint that a set signed which was not in force.
fn wrong_set(state: &State, finding: Finding, found: &Judged) -> Result<Finding, Failure> {
    let name = format!("evidence/wrong-set-{}.checkpoint", found.proven.checkpoint.size);
    state.keep(&name, found.text.as_bytes())?;
    Ok(finding)
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

/// Runs the rules over what is new in the mirror. Before anybody answers for a leaf, the mirror does.
fn run_rules(
    state: &State,
    own: &Own<'_>,
    kept: &mut Option<Replay>,
    audit: &mut Audit,
    progress: Progress<'_>,
) -> Result<(), Failure> {
    let size = own.checkpoint().size;
    let from = match own.done(kept.as_ref()) {
        Ok(Some(record)) => {
            audit.stands_at(&record);
            return Ok(());
        }
        Ok(None) => own.replay(kept.take()),
        Err(damage) => Err(damage),
    };
    let from = match from {
        Ok(from) => from,
        Err(damage) => {
            note(audit, damage);
            return Ok(());
        }
    };
    let begun = from.as_ref().map(|replay| replay.frontier().clone()).unwrap_or_default();
    let (first, mut noted, mut unwritable) = (begun.size().0, Instant::now(), None);
    let mut run = rerun(&state.mirror(), state.trust.network, size, from, |replay, _| {
        progress(Step::Checking, replay.frontier().size().0 - first, size.0 - first);
        if noted.elapsed() >= NOTED_EVERY {
            noted = Instant::now();
            unwritable = state.keep("replay.cbor", &replay.to_bytes()).err();
        }
    })?;
    if let Some(failure) = unwritable {
        return Err(failure);
    }
    let holds = match (&run.finding, &run.replay) {
        (None, Some(replay)) => own.leads_here(replay.frontier()),
        _ => own.entries_hold(begun),
    };
    if let Err(damage) = holds {
        note(audit, damage);
        return Ok(());
    }
    audit.take(&run);
    audit.findings.extend(run.finding.take());
    if let (Some(replay), true) = (&run.replay, run.blocks > 0) {
        state.keep("replay.cbor", &replay.to_bytes())?;
    }
    *kept = run.replay;
    Ok(())
}

/// Takes up that the mirror is damaged, once: whoever is held to it meets the same.
fn note(audit: &mut Audit, damage: Finding) {
    if audit.findings.iter().all(|finding| finding.code != Code::Damaged) {
        audit.findings.push(damage);
    }
}
