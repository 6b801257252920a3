//! Who may sign, asked of a running node: every kind of event by a device in every state that stops it.
//!
//! What a device that is enrolled may say is a table of the ledger's tests (`ledger/tests/authority.rs`); here each
//! refusal is heard where devices hear it. Nothing of it comes into the log.

use consign_cli::keys::{self, Purpose};
use consign_ledger::evidence::{Anchor, Believed, same_number};
use consign_ledger::passport::Passport;
use consign_node::clock;
use consign_rpc::errors::RpcError;
use consign_rpc::methods::GetMembers;
use consign_rpc::params::Wait;
use consign_tests::drill::Drill;
use consign_tests::drill::device::Device;
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, EventId};
use consign_types::event::{
    Action, Condition, Event, ExceptionCode, FactorSet, Fix, Kind, KindSet, Reason, SignedEvent,
    Subject, Verdict, Window, possession_message,
};
use consign_types::governance::{Change, Motion};
use consign_types::key::SecretKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::time::Millis;
use consign_types::trust::Trust;

const UNIT: &str = "trk/forwarder/WHO-1";

/// Something of each kind. Whether it fits the unit does not matter: it never comes to that.
fn action(kind: Kind, desk: &Device, said: &SignedEvent) -> Action {
    let (id, reason) = (EventId(Digest::ZERO), Reason::Other);
    let party = desk.keyed.id.party().clone();
    let label = "LH8400".parse().expect("a label");
    let ids = vec!["S1".parse().expect("a label")];
    let window = Window { from: Millis(1), to: Millis(2) };
    let until = Millis(4_000_000_000_000);
    let children = vec!["trk/forwarder/WHO-2".parse().expect("a unit")];
    let key = SecretKey::from_seed([9; 32]);
    let subject = Subject::Signer(desk.keyed.id.clone());
    let possession = key.sign(&possession_message(desk.network, &subject, &key.public().into()));
    let key = key.public().into();
    let boxed = || Box::new(said.clone());
    match kind {
        Kind::Register => Action::Register,
        Kind::Book => Action::Book { receiver: party, window, factors: FactorSet::default() },
        Kind::Offer => Action::Offer { to: party, until, terms: Digest::ZERO },
        Kind::Accept => {
            let (seals, exceptions) = (Vec::new(), Vec::new());
            Action::Accept { offer: id, count: 1, seals, condition: Condition::Sound, exceptions }
        }
        Kind::Refuse => Action::Refuse { offer: id, reason },
        Kind::Cancel => Action::Cancel { offer: id },
        Kind::Handover => {
            let (seals, exceptions) = (Vec::new(), Vec::new());
            let condition = Condition::Sound;
            let accept = Action::Accept { offer: id, count: 1, seals, condition, exceptions };
            let mut offer =
                desk.says(3, UNIT, Action::Offer { to: party, until, terms: Digest::ZERO });
            offer.basis = Some(id);
            let offer = Box::new(desk.sign(offer));
            Action::Handover { offer, acceptance: Box::new(desk.signs(4, UNIT, accept)) }
        }
        Kind::Aggregate => Action::Aggregate { children },
        Kind::Disaggregate => Action::Disaggregate { children },
        Kind::Load => Action::Load { conveyance: label },
        Kind::Unload => Action::Unload { conveyance: label },
        Kind::Depart => Action::Depart { conveyance: None },
        Kind::Arrive => Action::Arrive,
        Kind::Observe => Action::Observe { note: None },
        Kind::SealApply => Action::SealApply { ids },
        Kind::SealVerify => Action::SealVerify { ids },
        Kind::SealBreak => Action::SealBreak { reason },
        Kind::Readings => Action::Readings { root: Digest::ZERO, count: 1, first: 1, last: 1 },
        Kind::Excursion => Action::Excursion { window },
        Kind::CloseExcursion => Action::CloseExcursion { verdict: Verdict::Sound },
        Kind::Hold => Action::Hold { reason },
        Kind::Release => Action::Release { hold: id },
        Kind::Exception => Action::Exception { code: ExceptionCode::Wet, evidence: Digest::ZERO },
        Kind::Attempt => Action::Attempt { reason },
        Kind::Deliver => Action::Deliver { factors: Vec::new() },
        Kind::Return => Action::Return { reason },
        Kind::Lost => Action::Lost { holder: party, reason },
        Kind::Destroyed => Action::Destroyed { holder: party, reason },
        Kind::Found => Action::Found,
        Kind::Resolve => Action::Resolve { holder: party, reason },
        Kind::Consent => Action::Consent { proposal: id },
        Kind::Correct => {
            Action::Correct { original: boxed(), offer: None, fix: Fix::Place, right: None }
        }
        Kind::Report => Action::Report { evidence: vec![0] },
        Kind::Enrol => {
            let (kinds, places) = (KindSet::of(&[Kind::Observe]), Vec::new());
            Action::Enrol { key, possession, kinds, places, classes: Vec::new(), until: None }
        }
        Kind::Testimony => Action::Testimony { event: boxed() },
        Kind::Revoke => Action::Revoke { suspected_since: None },
        Kind::Rotate => Action::Rotate { key, possession, first: 100 },
        Kind::Propose => {
            let change = Change::Retire { party };
            let motion = Box::new(Motion { change, from: Default::default(), few: false });
            Action::Propose { motion, until }
        }
        Kind::Ballot => Action::Ballot { proposal: id, approve: true },
    }
}

/// What is said about a unit, and what about a signer.
fn event(kind: Kind, desk: &Device, said: &SignedEvent, sequence: u64) -> Event {
    let about_signers =
        [Kind::Enrol, Kind::Revoke, Kind::Rotate, Kind::Report, Kind::Propose, Kind::Ballot];
    let mut event = desk.says(sequence, UNIT, action(kind, desk, said));
    if about_signers.contains(&kind) {
        event.subject = Subject::Signer(desk.keyed.id.clone());
    }
    if kind == Kind::Offer {
        event.basis = Some(EventId(Digest::ZERO));
    }
    event
}

/// The member, who enrols, rotates and revokes.
struct Member {
    signer: Device,
    next: u64,
}

impl Member {
    fn says(&mut self, device: &Device, action: Action) -> SignedEvent {
        self.next += 1;
        let mut event = self.signer.says(self.next, UNIT, action);
        (event.subject, event.place) = (Subject::Signer(device.keyed.id.clone()), None);
        self.signer.sign(event)
    }

    fn enrols(&mut self, device: &Device, kinds: &[Kind], until: Option<Millis>) -> SignedEvent {
        let subject = Subject::Signer(device.keyed.id.clone());
        let key = device.keyed.key.public();
        let message = possession_message(device.network, &subject, &key);
        let possession = device.keyed.key.sign(&message);
        let (kinds, places, classes) = (KindSet::of(kinds), Vec::new(), Vec::new());
        self.says(device, Action::Enrol { key, possession, kinds, places, classes, until })
    }
}

fn device(of: &Device, label: &str) -> Device {
    let mut device = of.clone();
    device.keyed.id = SignerId::device(of.keyed.id.party().clone(), label).expect("a label");
    device.keyed.key = SecretKey::from_seed(Digest::of(&[label.as_bytes()]).0).into();
    device
}

/// Has a device give one number to two events, and another report it. Everything of it is proven.
async fn suspend(drill: &mut Drill, party: &PartyId, device: &Device) {
    const UNIT: &str = "trk/forwarder/WHO-3";
    let office = drill.enrol(party, "office", &[Kind::Report]).await;
    let one = device.signs(1, UNIT, Action::Register);
    drill.prove(party, &one).await;
    let other = device.signs(1, UNIT, Action::Observe { note: None });
    let unit = UNIT.parse().expect("a unit");
    let file = drill.client(party).passport(unit, None).await.expect("a passport").passport.0;
    let passport = Passport::from_bytes(&file).expect("a passport");
    let subject = Subject::Signer(device.keyed.id.clone());
    let entry = passport.entries.iter().find(|entry| entry.key == subject).expect("its entry");
    let anchor = Anchor::of_passport(&passport, entry).expect("a checkpoint");
    let trust = Trust::of_genesis(drill.devnet().genesis(), Vec::new());
    let evidence = same_number(Believed::from(&trust), &passport.sets, &anchor, &one, &other);
    let evidence = evidence.expect("evidence").to_bytes();
    let mut report = office.says(1, UNIT, Action::Report { evidence });
    (report.subject, report.place) = (subject, None);
    drill.prove(party, &office.sign(report)).await;
}

/// A party comes in, enrols a device, and is expelled.
async fn expelled(drill: &mut Drill, label: &str, kinds: &[Kind]) -> Device {
    let founders = drill.parties();
    let port: PartyId = "port".parse().expect("a name");
    let request = drill.join(&port);
    let request = request.to_str().expect("text");
    drill.decide(&founders, &["admit", "--request", request]).await;
    drill.until("it follows", || drill.is_ready(&port)).await;
    let device = drill.enrol(&port, label, kinds).await;
    drill.decide(&founders, &["expel", port.as_str()]).await;
    drill.leave(&port);
    device
}

/// What the node answers to each: its kind, and the rule's code where a rule refused it; nothing where it waits.
async fn answers(drill: &Drill, party: &PartyId, events: &[SignedEvent]) -> Vec<String> {
    let bytes: Vec<&[u8]> = events.iter().map(SignedEvent::bytes).collect();
    let answers = drill.client(party).submit_batch(&bytes, Wait::Accepted, None).await;
    let word = |error: RpcError| match error.code {
        Some(code) => format!("{} {code}", error.kind),
        None => error.kind.to_string(),
    };
    let answers = answers.expect("an answer").into_iter();
    answers.map(|answer| answer.into_result().map_or_else(word, |_| "waits".to_owned())).collect()
}

/// A stranger's event waits, since its enrolment may be on the way; the others are refused at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_refuses_every_kind_of_event_by_a_device_that_may_not_sign_it() {
    let mut drill = Drill::start().await;
    let party = drill.parties()[0].clone();
    let desk = drill.enrol(&party, "desk", &[Kind::Register]).await;
    let said = desk.signs(1, UNIT, Action::Register);
    drill.prove(&party, &said).await;
    let key = drill.devnet().layout().key(&party, Purpose::Member);
    let mut signer = desk.clone();
    signer.keyed.id = SignerId::member(party.clone());
    signer.keyed.key = keys::read(&key, Purpose::Member).expect("the member's key").into();
    // The drill's own devices were enrolled under lower numbers.
    let mut member = Member { signer, next: 20 };

    let all: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| !kind.is_members_own()).collect();
    let names = ["stranger", "other", "rotated", "revoked", "expired", "suspended"];
    let [stranger, other, rotated, revoked, expired, suspended] =
        names.map(|name| device(&desk, name));
    let end = clock::now().plus(2_000);
    let mut events = vec![
        member.enrols(&expired, &all, Some(end)),
        member.enrols(&other, &[Kind::Attempt], None),
        member.enrols(&rotated, &all, None),
        member.enrols(&revoked, &all, None),
        member.enrols(&suspended, &all, None),
        member.says(&revoked, Action::Revoke { suspected_since: None }),
    ];
    for event in &events {
        drill.prove(&party, event).await;
    }
    drill.until("the end of a device has passed", || async { clock::now() > end }).await;
    // A block whose time is past it.
    let next = SecretKey::from_seed([7; 32]);
    let subject = Subject::Signer(rotated.keyed.id.clone());
    let possession =
        next.sign(&possession_message(rotated.network, &subject, &next.public().into()));
    let rotation = Action::Rotate { key: next.public().into(), possession, first: 2 };
    let mut rotation = rotated.says(1, UNIT, rotation);
    (rotation.subject, rotation.place) = (subject, None);
    events.push(rotated.sign(rotation));
    drill.prove(&party, &events[6]).await;
    suspend(&mut drill, &party, &suspended).await;
    let outsider = expelled(&mut drill, "outsider", &all).await;
    // The node that is asked has the block of it, whoever proved it.
    let gone = || async {
        let view = drill.client(&party).call(&GetMembers::default()).await.expect("members");
        view.members.iter().all(|member| member.party.0 != *outsider.keyed.id.party())
    };
    drill.until("the party is no member", gone).await;

    let states = [
        (&stranger, "waits"),
        (&other, "rule_violation kind_not_enrolled"),
        (&rotated, "rule_violation wrong_key"),
        (&revoked, "revoked_key revoked_key"),
        (&expired, "rule_violation device_expired"),
        (&suspended, "revoked_key suspended_key"),
        (&outsider, "rule_violation not_member"),
    ];
    for (device, expected) in states {
        // What it is enrolled for is not what is looked at here; and its key is everybody's own to change.
        let allowed = |kind: Kind| {
            device.keyed.id == other.keyed.id && [Kind::Attempt, Kind::Rotate].contains(&kind)
        };
        let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| !allowed(*kind)).collect();
        let events: Vec<SignedEvent> = (5..)
            .zip(&kinds)
            .map(|(number, kind)| device.sign(event(*kind, device, &said, number)))
            .collect();
        let found = answers(&drill, &party, &events).await;
        for (kind, found) in kinds.iter().zip(&found) {
            assert_eq!(found, expected, "{kind:?} by {}", device.keyed.id);
        }
    }
    drill.finish().await;
}
