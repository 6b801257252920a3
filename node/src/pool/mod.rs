//! The pool: events that were checked and wait for a block.
//!
//! Bounded in number and bytes. A known id is answered at once; what the rules refuse is refused with
//! its code at the door, and what leaves the pool unordered becomes *refused*: nothing is dropped in
//! silence. Each event's signature is checked once, when the node first meets it, off the consensus
//! path and on all cores.

mod parking;
mod quota;
mod relay;
mod strangers;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use consign_ledger::door::{Door, Refusal};
use consign_ledger::errors::Rejection;
use consign_types::block::Height;
use consign_types::digest::{EventId, LeafHash};
use consign_types::event::{NotVerified, SignedEvent, Verified};
use consign_types::limits::{POOL_BYTES_MAX, POOL_EVENTS_MAX, POOL_ORPHAN_MS};
use consign_types::party::SignerId;
use consign_types::signer_key::{PreparedKey, SignerKey};
use consign_types::unit::UnitId;
use lru::LruCache;
use quick_cache::sync::Cache;
use rayon::prelude::*;
use tokio::sync::{Notify, futures::Notified, mpsc, watch};

use parking::{Parked, Parking};
pub use quota::{Exceeded, Quotas};
pub use relay::Relay;
use strangers::{Stranger, Strangers};

use crate::metrics::Metrics;
use crate::state::Committed;

/// How long an event waits for what it refers to.
const ORPHAN_WAIT: Duration = Duration::from_millis(POOL_ORPHAN_MS);
/// Signers' keys that are kept ready, 256 bytes each.
const PREPARED_KEYS_MAX: usize = 32_768;
/// Events under used numbers that wait to be looked into; more are left.
const DOUBLED_MAX: usize = 16;
/// Refusals that are remembered for whoever asks.
const REFUSALS_MAX: usize = 65_536;

/// Why an event did not get in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It is not what it says it is.
    #[error(transparent)]
    NotVerified(NotVerified),
    /// A rule forbids it.
    #[error("{rejection}")]
    Rule {
        /// The rule.
        rejection: Rejection,
        /// Whether the refusal rests on events that are not committed yet: it may be tried again.
        rests_on_pooled: bool,
    },
    /// No room; try again later.
    #[error("the pool holds {POOL_EVENTS_MAX} events or {POOL_BYTES_MAX} bytes; try again later")]
    Full,
    /// Its device, or its member, hands in too many; try again later.
    #[error("{0}")]
    Quota(Exceeded),
    /// What it refers to did not come within 30 s.
    #[error("what the event refers to did not arrive within {} s", POOL_ORPHAN_MS / 1000)]
    Orphaned,
}

/// What became of an event that was offered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Admission {
    /// New, and in the pool.
    Accepted,
    /// In the pool already.
    Known,
    /// In the log already.
    Committed,
    /// Waiting for an event that it refers to.
    Parked,
    /// Not taken.
    Refused(Refused),
}

/// An event whose signature holds, and whose number was used by another one that is committed, or was closed.
#[derive(Clone, Debug)]
pub struct Doubled {
    /// The event.
    pub event: Arc<Verified>,
    /// Whose number it is: its signer's, or that of an event inside.
    pub signer: SignerId,
    /// The number.
    pub sequence: u64,
}

/// The pool of one node.
pub struct Pool {
    committed: Arc<Committed>,
    inner: Mutex<Inner>,
    admitted: Notify,
    work: watch::Sender<bool>,
    /// Keys of the signers that were last heard.
    prepared: Cache<SignerKey, Arc<PreparedKey>>,
    relay: Arc<Relay>,
    doubled: mpsc::Sender<Doubled>,
    to_look_into: Mutex<Option<mpsc::Receiver<Doubled>>>,
    metrics: Arc<Metrics>,
}

/// An event whose signature holds, or whose signer nobody here knows yet.
enum Checked {
    Verified(Arc<Verified>),
    Stranger(Box<SignedEvent>),
}

struct Inner {
    /// By order of arrival.
    events: BTreeMap<u64, Pooled>,
    by_leaf: HashMap<LeafHash, u64>,
    by_id: HashMap<EventId, u64>,
    bytes: usize,
    next: u64,
    door: Door,
    /// Whether events were committed that the door never saw.
    door_is_stale: bool,
    parked: Parking,
    strangers: Strangers,
    /// What is to be passed on once the pool is free again.
    to_relay: Vec<Vec<u8>>,
    refusals: LruCache<EventId, Refused>,
    /// The last height seen with events here, and since when.
    advanced: (Height, Instant),
}

struct Pooled {
    event: Arc<Verified>,
    since: Instant,
}

impl Pool {
    /// An empty pool over what is committed; `relay` passes on what own callers hand in.
    pub fn new(committed: Arc<Committed>, relay: Arc<Relay>, metrics: Arc<Metrics>) -> Self {
        let capacity = NonZeroUsize::new(REFUSALS_MAX).unwrap_or(NonZeroUsize::MIN);
        let inner = Inner {
            events: BTreeMap::new(),
            by_leaf: HashMap::new(),
            by_id: HashMap::new(),
            bytes: 0,
            next: 0,
            door: Door::new(&*committed, committed.context()),
            door_is_stale: false,
            parked: Parking::default(),
            strangers: Strangers::default(),
            to_relay: Vec::new(),
            refusals: LruCache::new(capacity),
            advanced: (Height(0), Instant::now()),
        };
        let (work, _) = watch::channel(false);
        let prepared = Cache::new(PREPARED_KEYS_MAX);
        let (inner, admitted) = (Mutex::new(inner), Notify::new());
        let (doubled, looked_into) = mpsc::channel(DOUBLED_MAX);
        let to_look_into = Mutex::new(Some(looked_into));
        Self { committed, inner, admitted, work, prepared, relay, doubled, to_look_into, metrics }
    }

    /// What was refused under a number that another event used; there is one who takes it.
    pub fn doubled(&self) -> Option<mpsc::Receiver<Doubled>> {
        self.to_look_into.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether there is something to order.
    pub fn work(&self) -> watch::Receiver<bool> {
        self.work.subscribe()
    }

    /// Done once something is admitted after this call.
    pub fn admitted(&self) -> Notified<'_> {
        self.admitted.notified()
    }

    /// The key of a signer, by what is committed.
    pub fn key_of(&self, signer: &SignerId, id: &[u8; 8]) -> Option<SignerKey> {
        self.committed.key_of(signer, id)
    }

    /// Offers events that peers passed on, in order; each is answered. Checks signatures on all cores.
    pub fn offer(&self, events: Vec<SignedEvent>) -> Vec<Admission> {
        self.offer_within(events, None)
    }

    /// Offers events that this node's own callers hand in, each of which counts against its signer's share.
    /// They are passed on once their signatures were found to hold.
    pub fn submit(&self, events: Vec<SignedEvent>, quotas: &Quotas) -> Vec<Admission> {
        self.offer_within(events, Some(quotas))
    }

    fn offer_within(&self, events: Vec<SignedEvent>, quotas: Option<&Quotas>) -> Vec<Admission> {
        let known: Vec<Option<Admission>> = {
            let inner = self.lock();
            events.iter().map(|event| self.known(&inner, event)).collect()
        };
        let checked: Vec<Result<Checked, Admission>> = events
            .into_par_iter()
            .zip(known)
            .map(|(event, known)| known.map_or_else(|| self.check(event), Err))
            .collect();
        let mut inner = self.lock();
        let until = Instant::now() + ORPHAN_WAIT;
        let answers: Vec<Admission> = checked
            .into_iter()
            .map(|checked| self.take(&mut inner, checked, quotas, until).unwrap_or_else(|no| no))
            .collect();
        // Nothing waits for an event that did not come in.
        if answers.contains(&Admission::Accepted) {
            self.retry_after_events(&mut inner);
        }
        self.after_change(inner);
        answers
    }

    /// An event of the pool, and its place in order of arrival.
    pub fn get(&self, id: &EventId) -> Option<Arc<Verified>> {
        let inner = self.lock();
        inner
            .by_id
            .get(id)
            .and_then(|at| inner.events.get(at))
            .map(|pooled| Arc::clone(&pooled.event))
    }

    /// Whether an event is here, or waits here for what it refers to.
    pub fn holds(&self, id: &EventId) -> bool {
        let inner = self.lock();
        inner.by_id.contains_key(id) || inner.parked.holds(id) || inner.strangers.holds(id)
    }

    /// Events that wait for what they refer to.
    pub fn parked(&self) -> usize {
        let inner = self.lock();
        inner.parked.len() + inner.strangers.len()
    }

    /// For how long the oldest event here has seen no block: since it came, or since the last block.
    pub fn stalled_for(&self, height: Height) -> Duration {
        let mut inner = self.lock();
        if inner.events.is_empty() || inner.advanced.0 != height {
            inner.advanced = (height, Instant::now());
        }
        inner.advanced.1.elapsed()
    }

    /// Why an event was refused, while that is remembered.
    pub fn refusal(&self, id: &EventId) -> Option<Refused> {
        self.lock().refusals.peek(id).cloned()
    }

    /// Adds to `found` those of `names` that are here.
    pub fn take_known(&self, names: &[LeafHash], found: &mut HashMap<LeafHash, Arc<Verified>>) {
        let inner = self.lock();
        for name in names {
            if let Some(pooled) = inner.by_leaf.get(name).and_then(|at| inner.events.get(at)) {
                found.entry(*name).or_insert_with(|| Arc::clone(&pooled.event));
            }
        }
    }

    /// The oldest events, at most `max`.
    pub fn oldest(&self, max: usize) -> Vec<Arc<Verified>> {
        self.lock().events.values().take(max).map(|pooled| Arc::clone(&pooled.event)).collect()
    }

    /// Events and bytes that are here.
    pub fn load(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.events.len(), inner.bytes)
    }

    /// Refuses events that were here and cannot be ordered any more.
    pub fn evict(&self, refused: Vec<(EventId, Rejection)>) {
        let mut inner = self.lock();
        for (id, rejection) in refused {
            if let Some(pooled) = inner.by_id.get(&id).and_then(|at| inner.events.get(at)) {
                self.note_doubled(&pooled.event, &rejection);
            }
            inner.remove(&id);
            let refusal = Refused::Rule { rejection, rests_on_pooled: false };
            self.remember(&mut inner, id, refusal);
        }
        inner.door_is_stale = true;
        self.after_change(inner);
    }

    /// Events that a block could not take yet wait aside, so that they neither hold up what comes behind
    /// them nor pass for work; each block is a new chance, for as long as an event may wait.
    pub fn set_aside(&self, waiting: Vec<EventId>) {
        let mut inner = self.lock();
        for id in waiting {
            self.park_pooled(&mut inner, &id, None);
        }
        inner.door_is_stale = true;
        self.after_change(inner);
    }

    /// A block was committed: its events leave, and the door is rebuilt over what is left.
    pub fn committed(&self, ids: &[EventId]) {
        let mut inner = self.lock();
        inner.advanced = (self.committed.tip().height(), Instant::now());
        let mut foreign = 0;
        for id in ids {
            if !inner.remove(id) {
                foreign += 1;
            }
        }
        self.rebase(&mut inner, foreign > 0);
        self.retry_after_block(&mut inner);
        self.after_change(inner);
    }

    /// Refuses what has waited too long, as of `now`, for what it refers to.
    pub fn expire(&self, now: Instant) {
        let mut inner = self.lock();
        for Parked { event, .. } in inner.parked.take_if(|parked| parked.until <= now) {
            self.remember(&mut inner, event.signed().id(), Refused::Orphaned);
        }
        let late = inner.strangers.take_if(|stranger| stranger.until <= now);
        self.refuse_strangers(&mut inner, late);
    }

    fn known(&self, inner: &Inner, event: &SignedEvent) -> Option<Admission> {
        let id = event.id();
        if inner.by_id.contains_key(&id) {
            return Some(Admission::Known);
        }
        if inner.parked.holds(&id) || inner.strangers.stands_for(event) {
            return Some(Admission::Parked);
        }
        self.committed.event_index(&id).map(|_| Admission::Committed)
    }

    fn check(&self, event: SignedEvent) -> Result<Checked, Admission> {
        let signer = &event.event().signer;
        // Its enrolment may be on the way; a signature that does not hold never mends.
        if self.prepared(signer, &event.key_id()).is_none() {
            if self.committed.knows(signer) {
                return Err(self.refuse_unsafe(NotVerified::UnknownKey(signer.clone())));
            }
            return Ok(Checked::Stranger(Box::new(event)));
        }
        match event.verify(&mut |signer, id| self.prepared(signer, id)) {
            Ok(verified) => Ok(Checked::Verified(Arc::new(verified))),
            Err(why) => Err(self.refuse_unsafe(why)),
        }
    }

    /// Takes an event that was checked, as far as that could be.
    fn take(
        &self,
        inner: &mut Inner,
        checked: Result<Checked, Admission>,
        quotas: Option<&Quotas>,
        until: Instant,
    ) -> Result<Admission, Admission> {
        let verified = match checked? {
            Checked::Verified(verified) => verified,
            Checked::Stranger(event) => {
                if let Some(answer) = self.known(inner, &event) {
                    return Err(answer);
                }
                let signer = &event.event().signer;
                if !inner.door.names(signer) && !self.committed.knows(signer) {
                    let stranger = Stranger { event, until, own: quotas.is_some() };
                    let gone = inner.strangers.push(stranger);
                    self.refuse_strangers(inner, gone);
                    return Ok(Admission::Parked);
                }
                // Its enrolment is pooled, perhaps since a moment ago.
                let verified = self.verify_pooled(inner, *event);
                Arc::new(verified.map_err(|why| self.refuse_unsafe(why))?)
            }
        };
        self.count(&verified, quotas)?;
        let answer = self.admit(inner, Arc::clone(&verified), until);
        Self::pass_on(inner, &verified, quotas.is_some(), &answer);
        Ok(answer)
    }

    /// Checks a signature by what is committed and pooled.
    fn verify_pooled(&self, inner: &Inner, event: SignedEvent) -> Result<Verified, NotVerified> {
        event.verify(&mut |signer: &SignerId, id: &[u8; 8]| {
            inner.door.key_of(&*self.committed, signer, id)
        })
    }

    /// Counts an event whose signature holds. One that waits for its signer's enrolment is bounded by the
    /// room of those.
    fn count(&self, event: &Verified, quotas: Option<&Quotas>) -> Result<(), Admission> {
        let Some(quotas) = quotas else { return Ok(()) };
        quotas.take(&event.event().signer, Instant::now()).map_err(|exceeded| {
            let why = Refused::Quota(exceeded);
            self.metrics.events_refused.get_or_create(&[("code", why.code().to_owned())]).inc();
            Admission::Refused(why)
        })
    }

    /// The key of a signer, ready for another check.
    fn prepared(&self, signer: &SignerId, id: &[u8; 8]) -> Option<Arc<PreparedKey>> {
        let key = self.key_of(signer, id)?;
        // What is committed was checked when it came in.
        let prepare = || PreparedKey::new(&key).map(Arc::new);
        self.prepared.get_or_insert_with(&key, prepare).ok()
    }

    /// A refusal that names an id which anybody could have made is answered, not remembered under it.
    fn refuse_unsafe(&self, why: NotVerified) -> Admission {
        let why = Refused::NotVerified(why);
        self.metrics.events_refused.get_or_create(&[("code", why.code().to_owned())]).inc();
        Admission::Refused(why)
    }

    /// Admits an event, or lets it wait until `until` for what it refers to.
    fn admit(&self, inner: &mut Inner, verified: Arc<Verified>, until: Instant) -> Admission {
        let id = verified.signed().id();
        if let Some(answer) = self.known(inner, verified.signed()) {
            return answer;
        }
        if inner.is_full_for(verified.signed()) {
            return Admission::Refused(Refused::Full);
        }
        let mut answer = inner.door.admit(&*self.committed, &verified);
        if matches!(answer, Err(Refusal::Rule { rests_on_pooled: true, .. })) && inner.door_is_stale
        {
            self.rebuild_door(inner);
            answer = inner.door.admit(&*self.committed, &verified);
        }
        match answer {
            Ok(()) => {
                inner.insert(verified);
                self.metrics.events_accepted.inc();
                Admission::Accepted
            }
            Err(Refusal::UnknownReference(rejection)) => {
                if inner.parked.is_full_for(verified.signed()) {
                    // It is refused as it would be in the end.
                    let why = Refused::Rule { rejection, rests_on_pooled: true };
                    self.remember(inner, id, why.clone());
                    return Admission::Refused(why);
                }
                let awaits = awaited(rejection);
                inner.parked.push(Parked { event: verified, until, awaits });
                Admission::Parked
            }
            Err(Refusal::Rule { rejection, rests_on_pooled }) => {
                if !rests_on_pooled {
                    self.note_doubled(&verified, &rejection);
                }
                let why = Refused::Rule { rejection, rests_on_pooled };
                self.remember(inner, id, why.clone());
                Admission::Refused(why)
            }
        }
    }

    /// What waited may have what it waited for among what was just pooled.
    fn retry_after_events(&self, inner: &mut Inner) {
        let Inner { strangers, door, .. } = inner;
        let named = strangers.take_if(|stranger| door.names(&stranger.event.event().signer));
        self.retry_strangers(inner, named);
        let Inner { parked, door, .. } = inner;
        let news = |parked: &Parked| parked.awaits.as_ref().is_none_or(|unit| door.touches(unit));
        let parked = parked.take_if(news);
        self.retry_parked(inner, parked);
    }

    /// What waited may have what it waited for in what was just committed.
    fn retry_after_block(&self, inner: &mut Inner) {
        let Inner { strangers, door, .. } = inner;
        let named = strangers.take_if(|stranger| {
            let signer = &stranger.event.event().signer;
            door.names(signer) || self.committed.knows(signer)
        });
        self.retry_strangers(inner, named);
        let parked = inner.parked.take_if(|_| true);
        self.retry_parked(inner, parked);
    }

    /// Somebody enrols who signed these, or one of the same name.
    fn retry_strangers(&self, inner: &mut Inner, named: Vec<Stranger>) {
        for Stranger { event, until, own } in named {
            let id = event.id();
            let verified = match self.verify_pooled(inner, *event) {
                Ok(verified) => Arc::new(verified),
                Err(why) => {
                    self.remember(inner, id, Refused::NotVerified(why));
                    continue;
                }
            };
            let parked = Parked { event: Arc::clone(&verified), until, awaits: None };
            let answer = self.retry(inner, parked);
            Self::pass_on(inner, &verified, own, &answer);
        }
    }

    fn retry_parked(&self, inner: &mut Inner, parked: Vec<Parked>) {
        for parked in parked {
            self.retry(inner, parked);
        }
    }

    fn retry(&self, inner: &mut Inner, parked: Parked) -> Admission {
        if inner.is_full_for(parked.event.signed()) {
            // It was told that it waits: it goes on waiting.
            inner.parked.push(parked);
            return Admission::Parked;
        }
        self.admit(inner, parked.event, parked.until)
    }

    /// What a caller of this node handed in, and was taken, goes to the others.
    fn pass_on(inner: &mut Inner, event: &Verified, own: bool, answer: &Admission) {
        if own && matches!(answer, Admission::Accepted | Admission::Parked) {
            inner.to_relay.push(event.signed().bytes().to_vec());
        }
    }

    fn refuse_strangers(&self, inner: &mut Inner, gone: Vec<Stranger>) {
        for Stranger { event, .. } in gone {
            // Not even who speaks is known: that is what its sender must hear.
            let why = NotVerified::UnknownKey(event.event().signer.clone());
            self.remember(inner, event.id(), Refused::NotVerified(why));
        }
    }

    /// Moves a pooled event aside; it may wait as long as if it had just come to wait.
    fn park_pooled(&self, inner: &mut Inner, id: &EventId, awaits: Option<UnitId>) {
        let pooled = inner.by_id.get(id).and_then(|at| inner.events.get(at));
        let Some((event, since)) = pooled.map(|p| (Arc::clone(&p.event), p.since)) else { return };
        inner.remove(id);
        if inner.parked.is_full_for_pooled(event.signed()) {
            return self.remember(inner, *id, Refused::Full);
        }
        inner.parked.push(Parked { event, until: since + ORPHAN_WAIT, awaits });
    }

    /// After a block. What the door knows of pooled events that were committed still holds; of events
    /// that others pooled it knows nothing, and is rebuilt when that first matters.
    fn rebase(&self, inner: &mut Inner, foreign: bool) {
        const AGE_MAX: u32 = 64;
        inner.door_is_stale |= foreign;
        let holds = inner.door.committed(&*self.committed, self.committed.context());
        if !holds || inner.events.is_empty() || inner.door.age() >= AGE_MAX {
            self.rebuild_door(inner);
        }
    }

    fn rebuild_door(&self, inner: &mut Inner) {
        inner.door = Door::new(&*self.committed, self.committed.context());
        inner.door_is_stale = false;
        let events: Vec<_> = inner.events.values().map(|p| Arc::clone(&p.event)).collect();
        for event in events {
            let id = event.signed().id();
            match inner.door.admit(&*self.committed, &event) {
                Ok(()) | Err(Refusal::Rule { rests_on_pooled: true, .. }) => {}
                Err(Refusal::UnknownReference(why)) => {
                    self.park_pooled(inner, &id, awaited(why));
                }
                Err(Refusal::Rule { rejection, rests_on_pooled: false }) => {
                    self.note_doubled(&event, &rejection);
                    inner.remove(&id);
                    let refusal = Refused::Rule { rejection, rests_on_pooled: false };
                    self.remember(inner, id, refusal);
                }
            }
        }
    }

    /// Whoever signed two events under one number is told of: the other one is in the log.
    fn note_doubled(&self, event: &Arc<Verified>, rejection: &Rejection) {
        if let Rejection::SequenceUsed { signer, sequence } = rejection {
            let (event, signer, sequence) = (Arc::clone(event), signer.clone(), *sequence);
            // Where there is no room, enough is looked into already.
            let _ = self.doubled.try_send(Doubled { event, signer, sequence });
        }
    }

    fn remember(&self, inner: &mut Inner, id: EventId, why: Refused) {
        self.metrics.events_refused.get_or_create(&[("code", why.code().to_owned())]).inc();
        inner.refusals.put(id, why);
    }

    fn after_change(&self, mut inner: MutexGuard<'_, Inner>) {
        let (events, bytes) = (inner.events.len(), inner.bytes);
        let to_relay = std::mem::take(&mut inner.to_relay);
        // Before another thread changes the pool: what is said last is what is so.
        self.work.send_if_modified(|work| std::mem::replace(work, events > 0) != (events > 0));
        drop(inner);
        self.relay.push(to_relay);
        self.metrics.pool_events.set(events as i64);
        self.metrics.pool_bytes.set(bytes as i64);
        self.admitted.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere ends the process; the pool itself is always consistent between calls.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The unit of which an event that waits needs to hear. `None` for everything else that may become known.
fn awaited(rejection: Rejection) -> Option<UnitId> {
    match rejection {
        Rejection::UnknownUnit { unit }
        | Rejection::NoSuchOffer { unit, .. }
        | Rejection::UnknownBasis { unit, .. } => Some(unit),
        _ => None,
    }
}

impl Inner {
    fn insert(&mut self, event: Arc<Verified>) {
        let at = self.next;
        self.next += 1;
        self.bytes += event.signed().bytes().len();
        self.by_leaf.insert(event.signed().leaf_hash(), at);
        self.by_id.insert(event.signed().id(), at);
        self.refusals.pop(&event.signed().id());
        if self.events.is_empty() {
            self.advanced.1 = Instant::now();
        }
        self.events.insert(at, Pooled { event, since: Instant::now() });
    }

    fn is_full_for(&self, event: &SignedEvent) -> bool {
        self.events.len() >= POOL_EVENTS_MAX || self.bytes + event.bytes().len() > POOL_BYTES_MAX
    }

    fn remove(&mut self, id: &EventId) -> bool {
        let Some(Pooled { event, .. }) =
            self.by_id.remove(id).and_then(|at| self.events.remove(&at))
        else {
            return false;
        };
        self.by_leaf.remove(&event.signed().leaf_hash());
        self.bytes -= event.signed().bytes().len();
        true
    }
}

impl Refused {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotVerified(NotVerified::UnknownKey(_)) => "unknown_device",
            Self::NotVerified(NotVerified::Signature(_)) => "bad_signature",
            Self::Rule { rejection, .. } => rejection.code(),
            Self::Full => "pool_full",
            Self::Quota(_) => "quota",
            Self::Orphaned => "unknown_reference",
        }
    }

    /// Whether the same bytes may be taken later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::NotVerified(NotVerified::UnknownKey(_))
            | Self::Full
            | Self::Quota(_)
            | Self::Orphaned => true,
            Self::NotVerified(NotVerified::Signature(_)) => false,
            Self::Rule { rejection, rests_on_pooled } => *rests_on_pooled || rejection.retryable(),
        }
    }
}
