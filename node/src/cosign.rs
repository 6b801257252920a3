//! Cosigning checkpoints, and collecting the cosignatures of others: *committed* becomes *proven*.
//!
//! A validator cosigns only what it has committed, never two roots for one size, never backwards, and
//! at a time that never decreases: what it is about to sign lies on disk first. Every node collects;
//! a quorum makes a note that anybody can verify.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_consensus::{Signing, Status};
use consign_types::block::TreeSize;
use consign_types::checkpoint::{self, Checkpoint, Cosignature, cosigner_key};
use consign_types::codec::Canonical as _;
use consign_types::digest::TreeRoot;
use consign_types::key::{PublicKey, Signature, Signer};
use consign_types::note::Note;
use consign_types::party::PartyId;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};
use tracing::{debug, warn};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::p2p::{Class, NetHandle};
use crate::state::{Committed, sure};
use crate::store::{CosignedState, Fault, Tip};
use crate::wire::Cosigned;
use crate::witness::Lines;
use crate::{clock, evidence};

/// Sizes ahead of this node's own, or behind it, that cosignatures are kept for.
const SIZES_KEPT: usize = 256;
/// How long a cosignature may be under way before a peer that lacks a quorum is sent it again.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// One node's cosigner and collector.
pub struct Cosigner {
    origin: String,
    /// Signs where its key is in the set that decided the block.
    cosigner: Arc<dyn Signer>,
    log_key: Arc<dyn Signer>,
    net: NetHandle,
    status: Arc<Mutex<Option<Status>>>,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    state: CosignedState,
    /// Cosignatures by size; those of a size that this node has not committed wait unchecked.
    by_size: BTreeMap<TreeSize, BTreeMap<ValidatorIndex, (TreeRoot, Cosignature)>>,
    newest: Option<(TreeSize, String)>,
    /// The newest, and when it was sent to everybody.
    own: Option<(Cosigned, Instant)>,
    /// What witnesses said of the newest size that they cosigned.
    witnessed: Lines,
    /// Validators that cosigned two roots at one size, of which the proof was kept since the start.
    accused: BTreeSet<PartyId>,
    /// The largest size that was served as the newest: nobody is shown a log that shrinks.
    served: TreeSize,
}

impl Cosigner {
    /// The cosigner of this node.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(
        config: &Config,
        committed: &Committed,
        net: NetHandle,
        status: Arc<Mutex<Option<Status>>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Fault> {
        let inner = Inner {
            state: committed.store().cosigned()?,
            newest: committed.store().newest_note()?,
            ..Inner::default()
        };
        let witnesses = committed.witnesses();
        let inner = match &inner.newest {
            Some((_, note)) => Inner { witnessed: Lines::of(note, &witnesses), ..inner },
            None => inner,
        };
        Ok(Self {
            origin: committed.genesis().origin().to_owned(),
            cosigner: Arc::clone(&config.keys.cosigner),
            log_key: Arc::clone(&config.keys.log),
            net,
            status,
            metrics,
            inner: Mutex::new(inner),
        })
    }

    /// What this node will put its name to once `tip` is on disk; goes into the same write.
    ///
    /// `set` decided the block: whoever only votes from the next one on has nothing to say of it.
    pub fn prepare(&self, tip: &Tip, set: &ValidatorSet) -> Option<CosignedState> {
        self.index_in(set)?;
        if !self.may_sign() {
            return None;
        }
        let last = self.lock().state;
        let forward = tip.size > last.size || (tip.size == last.size && tip.root == last.root);
        if !forward {
            warn!(code = "checkpoint.cosign.refused", size = tip.size.0, last = last.size.0);
            return None;
        }
        let time_s = clock::now().seconds().max(last.time_s);
        Some(CosignedState { size: tip.size, root: tip.root, time_s })
    }

    /// Whether this node's consensus signs. A node that lost what it signed, and with it what it cosigned,
    /// stays silent through all heights at which it may have done either.
    fn may_sign(&self) -> bool {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.as_ref().is_some_and(|status| status.signing == Signing::Allowed)
    }

    /// The validator set changes after the log of this size: what was kept of larger ones was judged by the
    /// set before. Who said it says it again.
    pub fn set_changed(&self, size: TreeSize) {
        self.lock().by_size.retain(|kept, _| *kept <= size);
    }

    /// Signs what was prepared and is on disk now, and sends it to everybody.
    pub fn publish(&self, committed: &Committed, state: &CosignedState) {
        let Some(index) = self.index_in(&committed.validators_of(state.size)) else { return };
        let checkpoint = self.checkpoint(state.size, state.root);
        let cosignature = checkpoint.cosign(self.cosigner.as_ref(), state.time_s);
        let cosigned = Cosigned {
            size: state.size,
            root: state.root,
            time_s: state.time_s,
            signature: cosignature.signature.0,
        };
        self.net.broadcast(Class::Cosignature, Bytes::from(cosigned.to_bytes()));
        let mut inner = self.lock();
        inner.state = *state;
        inner.own = Some((cosigned, Instant::now()));
        inner.keep(state.size, index, (state.root, cosignature));
        self.assemble(committed, &mut inner);
    }

    /// After a start: says again what was said of the newest checkpoint. The same bytes, if they are of
    /// the tip; nothing is signed anew.
    pub fn resume(&self, committed: &Committed) {
        let (state, tip) = (self.lock().state, committed.tip());
        if (state.size, state.root) == (tip.size, tip.root) {
            self.publish(committed, &state);
        }
    }

    /// Cosigns the unchanged checkpoint again, so that freshness can be asked for.
    ///
    /// # Errors
    /// When what is about to be signed cannot be written.
    pub fn freshen(&self, committed: &Committed) -> Result<(), Fault> {
        const FRESH_S: u64 = 55;
        let tip = committed.tip();
        let set = committed.validators_of(tip.size);
        let Some(state) = self.prepare(&tip, &set) else { return Ok(()) };
        if state.time_s < self.lock().state.time_s + FRESH_S {
            return Ok(());
        }
        committed.store().put_cosigned(&state)?;
        self.publish(committed, &state);
        Ok(())
    }

    /// Takes a cosignature from a peer.
    pub fn collect(&self, committed: &Committed, from: &PublicKey, cosigned: &Cosigned) {
        let set = committed.validators_of(cosigned.size);
        let at = set.validators().iter().position(|v| v.network_key == *from);
        let Some((from, validator)) = at.and_then(|at| {
            let index = ValidatorIndex(at as u16);
            set.get(index).map(|validator| (index, validator))
        }) else {
            return;
        };
        let checkpoint = self.checkpoint(cosigned.size, cosigned.root);
        let cosignature =
            Cosignature { time_s: cosigned.time_s, signature: Signature(cosigned.signature) };
        if checkpoint.check(&validator.cosigner_key, &cosignature).is_err() {
            warn!(code = "checkpoint.cosignature.bad", party = %validator.party);
            return;
        }
        let mut inner = self.lock();
        let before = inner.keep(cosigned.size, from, (cosigned.root, cosignature));
        self.assemble(committed, &mut inner);
        drop(inner);
        let before = before.or_else(|| self.said_before(committed, validator, &checkpoint));
        if let Some(before) = before {
            self.accuse(committed, validator, &checkpoint, cosignature, before);
        }
    }

    /// What a validator cosigned of another root, under the note that this node has of that size.
    fn said_before(
        &self,
        committed: &Committed,
        validator: &Validator,
        now: &Checkpoint,
    ) -> Option<(TreeRoot, Cosignature)> {
        let note: Note = sure(committed.store().note(now.size))?.parse().ok()?;
        let proven = Checkpoint::from_text(note.text()).ok()?;
        let key = cosigner_key(&self.origin, &validator.party, validator.cosigner_key).ok()?;
        let line = note.by(&key).find_map(Cosignature::from_line)?;
        (proven.root != now.root).then_some((proven.root, line))
    }

    /// A validator cosigned two roots at one size: keeps the proof. One of each validator is enough, until the
    /// next start: more would show nothing else.
    fn accuse(
        &self,
        committed: &Committed,
        validator: &Validator,
        now: &Checkpoint,
        cosignature: Cosignature,
        (root, before): (TreeRoot, Cosignature),
    ) {
        let Ok(key) = cosigner_key(&self.origin, &validator.party, validator.cosigner_key) else {
            return;
        };
        if !self.lock().accused.insert(validator.party.clone()) {
            return;
        }
        let note = |checkpoint: &Checkpoint, cosignature: Cosignature| {
            let mut note = Note::new(checkpoint.text()).ok()?;
            note.add(cosignature.line(&key));
            Some(note)
        };
        let other = note(&self.checkpoint(now.size, root), before);
        if let (Some(one), Some(other)) = (note(now, cosignature), other)
            && sure(evidence::found_two_roots(committed, now.size, &one, &other)).is_some()
        {
            self.metrics.evidence.inc();
        }
    }

    /// Sends this node's newest cosignature to a peer that just connected.
    pub fn send_newest(&self, peer: &PublicKey) {
        let own = self.lock().own.clone();
        if let Some((cosigned, _)) = own {
            self.net.send(peer, Class::Cosignature, Bytes::from(cosigned.to_bytes()));
        }
    }

    /// Sends it again to a peer that says it has a quorum for less: what was written into a connection
    /// that died is gone, and nothing newer may follow on an idle network.
    pub fn send_where_missing(&self, peer: &PublicKey, proven: TreeSize) {
        let missing = self
            .lock()
            .own
            .as_ref()
            .is_some_and(|(own, sent)| proven < own.size && sent.elapsed() >= UNDER_WAY);
        if missing {
            self.send_newest(peer);
        }
    }

    /// The newest checkpoint with a quorum, signed by this node's log key too.
    pub fn newest_note(&self) -> Option<String> {
        self.lock().newest.as_ref().map(|(_, note)| note.clone())
    }

    /// The checkpoint to serve as the newest: the one that witnesses cosigned, while it is young and covers
    /// `covers`, else the newest one with a quorum. Where there are no witnesses, always that.
    pub fn served_note(&self, covers: TreeSize) -> Option<String> {
        let inner = self.lock();
        let witnessed = inner.witnessed.young().filter(|(size, _)| *size >= covers);
        let newest = inner.newest.as_ref().map(|(_, note)| note.as_str());
        witnessed.map(|(_, note)| note).or(newest).map(str::to_owned)
    }

    /// The same for whoever follows the log: never a smaller one than before.
    pub fn followed_note(&self) -> Option<String> {
        let served = self.lock().served;
        let note = self.served_note(served)?;
        let size = Checkpoint::from_text(note.parse::<Note>().ok()?.text()).ok()?.size;
        let mut inner = self.lock();
        inner.served = inner.served.max(size);
        Some(note)
    }

    /// Takes what witnesses said of a checkpoint that has a quorum, and puts it under the note.
    pub fn take_witnesses(
        &self,
        committed: &Committed,
        of: &Checkpoint,
        said: Vec<(String, Cosignature)>,
    ) {
        let mut inner = self.lock();
        let stored = match &inner.newest {
            Some((size, note)) if *size == of.size => Some(note.clone()),
            _ => sure(committed.store().note(of.size)),
        };
        let Some(Ok(mut note)) = stored.map(|note| note.parse::<Note>()) else { return };
        if note.text() != of.text() {
            return;
        }
        inner.witnessed.take(of, said);
        inner.witnessed.put_under(&mut note, of, &committed.witnesses());
        let text = note.to_string();
        sure(committed.store().put_note(of.size, &text));
        inner.witnessed.keep(&text);
        if let Some((size, newest)) = &mut inner.newest
            && *size == of.size
        {
            *newest = text;
        }
    }

    /// Takes a checkpoint that a peer has a quorum for, if it is of this node's own log.
    pub fn adopt(&self, committed: &Committed, text: &str) {
        let Ok(note) = text.parse::<Note>() else { return };
        let Ok(claimed) = Checkpoint::from_text(note.text()) else { return };
        let set = committed.validators_of(claimed.size);
        let Ok(proven) = checkpoint::verify(&note, &self.origin, &set) else { return };
        let mut inner = self.lock();
        let mut contradicted = Vec::new();
        for (at, validator) in set.validators().iter().enumerate() {
            let Ok(key) = cosigner_key(&self.origin, &validator.party, validator.cosigner_key)
            else {
                continue;
            };
            let newest = note.by(&key).filter_map(Cosignature::from_line).max_by_key(|c| c.time_s);
            if let Some(cosignature) = newest {
                let index = ValidatorIndex(at as u16);
                let kept = (proven.checkpoint.root, cosignature);
                let before = inner.keep(proven.checkpoint.size, index, kept);
                contradicted.extend(before.map(|before| (validator, cosignature, before)));
            }
        }
        self.assemble(committed, &mut inner);
        drop(inner);
        for (validator, cosignature, before) in contradicted {
            self.accuse(committed, validator, &proven.checkpoint, cosignature, before);
        }
    }

    /// Makes the newest note that there is a quorum for.
    fn assemble(&self, committed: &Committed, inner: &mut Inner) {
        let here = committed.tip().size;
        let known = inner.newest.as_ref().map_or(TreeSize(0), |(size, _)| *size);
        let mut candidates: Vec<TreeSize> =
            inner.by_size.range(known..=here).map(|(size, _)| *size).collect();
        while let Some(size) = candidates.pop() {
            let Some(kept) = inner.by_size.get(&size) else { continue };
            let set = committed.validators_of(size);
            if kept.len() < set.quorum() {
                continue;
            }
            let root = match self.own_root(committed, size) {
                Some(root) => root,
                None => continue,
            };
            let agreeing: Vec<_> = kept
                .iter()
                .filter(|(_, (cosigned, _))| *cosigned == root)
                .map(|(index, (_, cosignature))| (*index, *cosignature))
                .collect();
            if agreeing.len() < kept.len() {
                // Somebody cosigned another root than this node committed: that must be seen.
                warn!(code = "checkpoint.cosignature.other_root", size = size.0);
            }
            if agreeing.len() < set.quorum() {
                continue;
            }
            let Some(mut note) = self.note(size, root, &agreeing, &set) else { continue };
            let witnesses = committed.witnesses();
            inner.witnessed.put_under(&mut note, &self.checkpoint(size, root), &witnesses);
            let text = note.to_string();
            let unchanged = inner.newest.as_ref().is_some_and(|(s, n)| *s == size && *n == text);
            if !unchanged {
                sure(committed.store().put_note(size, &text));
                inner.newest = Some((size, text));
                committed.note_proven(size);
            }
            let (old, current) = (std::mem::take(&mut inner.by_size), size);
            inner.by_size = old.into_iter().filter(|(size, _)| *size >= current).collect();
            debug!(code = "checkpoint.proven", size = size.0, cosignatures = agreeing.len());
            return;
        }
    }

    fn note(
        &self,
        size: TreeSize,
        root: TreeRoot,
        cosignatures: &[(ValidatorIndex, Cosignature)],
        set: &ValidatorSet,
    ) -> Option<Note> {
        let mut note = self.checkpoint(size, root).signed(self.log_key.as_ref()).ok()?;
        for (index, cosignature) in cosignatures {
            let validator = set.get(*index)?;
            let key = cosigner_key(&self.origin, &validator.party, validator.cosigner_key).ok()?;
            note.add(cosignature.line(&key));
        }
        Some(note)
    }

    /// The root that this node committed at `size`.
    fn own_root(&self, committed: &Committed, size: TreeSize) -> Option<TreeRoot> {
        let tip = committed.tip();
        if tip.size == size {
            return Some(tip.root);
        }
        consign_ledger::log::root_at(&**committed.store(), size).ok()
    }

    fn index_in(&self, set: &ValidatorSet) -> Option<ValidatorIndex> {
        let own = self.cosigner.public();
        let at = set.validators().iter().position(|v| v.cosigner_key == own)?;
        Some(ValidatorIndex(at as u16))
    }

    fn checkpoint(&self, size: TreeSize, root: TreeRoot) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size, root }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Keeps a validator's newest cosignature for a size; bounded, the largest sizes last.
    /// Answers what the validator cosigned before, where that is of another root.
    fn keep(
        &mut self,
        size: TreeSize,
        from: ValidatorIndex,
        kept: (TreeRoot, Cosignature),
    ) -> Option<(TreeRoot, Cosignature)> {
        let of_size = self.by_size.entry(size).or_default();
        let before = of_size.get(&from).copied();
        if before.is_none_or(|(_, old)| old.time_s <= kept.1.time_s) {
            of_size.insert(from, kept);
        }
        // Nothing honest lies far ahead: who claims so loses its own claim first.
        while self.by_size.len() > SIZES_KEPT {
            self.by_size.pop_last();
        }
        before.filter(|(root, _)| *root != kept.0)
    }
}
