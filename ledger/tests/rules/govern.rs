//! What members decide together, and what of it is in force when.

use consign_ledger::door::{Door, Refusal};
use consign_ledger::entry::{EntryKey, LogState, MemberState, read};
use consign_ledger::errors::Rejection;
use consign_ledger::governance::{Governance, Proposal, Stage};
use consign_types::block::Height;
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, EventId};
use consign_types::event::{Action, Event, Kind, Subject};
use consign_types::genesis::Params;
use consign_types::governance::{Change, Motion, Node};
use consign_types::key::SecretKey;
use consign_types::limits::{
    MOTION_HEIGHTS_MAX, MOTION_WINDOW_MAX_MS, MOTIONS_MAX, MOTIONS_OF_MEMBER_MAX,
};
use consign_types::party::SignerId;
use consign_types::validator::ValidatorSet;

use crate::support::council::{
    WINDOW_MS, admit, another_key, decided, expel, follows, interval, motion, proposed, proposes,
    retire, validator, validator_of, voted, votes, witness,
};
use crate::support::scene::OBSERVE;
use crate::support::{Desk, PARTIES, enrol, genesis, key, party, sign, sign_with};
use crate::{Case, Expected, refused};

fn proposal(desk: &Desk, id: &EventId) -> Proposal {
    read(&desk.entries, &EntryKey::Proposal(*id)).unwrap()
}

fn governance(desk: &Desk) -> Governance {
    read(&desk.entries, &EntryKey::Governance).unwrap()
}

fn set(desk: &Desk) -> ValidatorSet {
    read(&desk.entries, &EntryKey::Validators).unwrap()
}

fn members(desk: &Desk) -> Vec<String> {
    governance(desk).members.iter().map(ToString::to_string).collect()
}

fn validators(desk: &Desk) -> Vec<String> {
    set(desk).validators().iter().map(|entry| entry.party.to_string()).collect()
}

const ANOTHER_MEMBERS: &str = "a key of the node is the network key of another member's";

/// A fifth member, whose node follows under the network key of this name.
fn port_follows(desk: &mut Desk, network_key: &str) {
    let change = admit(desk, "port");
    decided(desk, motion(change));
    let id = decided(desk, motion(follows("port", network_key)));
    voted(desk, "port", id, true);
}

fn impossible(why: &str) -> Expected {
    refused(Rejection::ChangeNotPossible { why: why.to_owned() })
}

const UNKNOWN: EventId = EventId(Digest([9; 32]));

pub(crate) const GOVERNANCE: &[Case] = &[
    ("a member proposes a change", |desk| {
        (proposes(desk, "airline", motion(interval(200))), Expected::Accepted)
    }),
    ("a device proposes nothing", |desk| {
        let event = proposes(desk, "airline", motion(interval(200)));
        let signer: SignerId = "airline.dock1".parse().unwrap();
        let event = Event { signer: signer.clone(), sequence: 1, ..event.event().clone() };
        (sign(event), refused(Rejection::KindNotEnrolled { signer, kind: Kind::Propose }))
    }),
    ("a member proposes and votes for itself", |desk| {
        let event = proposes(desk, "airline", motion(interval(200)));
        let subject = Subject::Signer("customs".parse().unwrap());
        let event = Event { subject, ..event.event().clone() };
        (sign(event), refused(Rejection::WrongSubject { kind: Kind::Propose }))
    }),
    ("there is a time to vote, and it ends", |desk| {
        let until = desk.time.plus(MOTION_WINDOW_MAX_MS + 1);
        let motion = Box::new(motion(interval(200)));
        let subject = Subject::Signer("airline".parse().unwrap());
        let event = desk.event("airline", subject, Action::Propose { motion, until });
        (sign(event), refused(Rejection::MotionWindow { until }))
    }),
    ("whose key it is must be shown", |desk| {
        let mut change = admit(desk, "port");
        if let Change::Admit { key: shown, .. } = &mut change {
            *shown = key("somebody else").public();
        }
        let event = proposes(desk, "airline", motion(change));
        (event, impossible("a key in it is not shown to be whose it says"))
    }),
    ("a member is not admitted again", |desk| {
        let change = admit(desk, "customs");
        (proposes(desk, "airline", motion(change)), impossible("the party is a member already"))
    }),
    ("nobody else is expelled", |desk| {
        (proposes(desk, "airline", motion(expel("port"))), impossible("the party is no member"))
    }),
    ("a node that votes is no node that follows", |desk| {
        let event = proposes(desk, "airline", motion(follows("customs", "new")));
        (event, impossible("the party's node votes: change its validator"))
    }),
    ("no two members' nodes have one identity", |desk| {
        port_follows(desk, "port network");
        let Change::Node { node, .. } = follows("dock", "port network") else {
            unreachable!("a node")
        };
        let mut change = admit(desk, "dock");
        if let Change::Admit { node: its, .. } = &mut change {
            *its = node;
        }
        (proposes(desk, "airline", motion(change)), impossible(ANOTHER_MEMBERS))
    }),
    ("nor has a node that votes that of one that follows", |desk| {
        port_follows(desk, "customs network 1");
        let change = validator(desk, "customs", 1);
        (proposes(desk, "airline", motion(change)), impossible(ANOTHER_MEMBERS))
    }),
    ("nor the other way round", |desk| {
        port_follows(desk, "port network");
        let event = proposes(desk, "airline", motion(follows("port", "customs network")));
        (event, impossible("the node's network key is a validator's"))
    }),
    ("a member's node keeps its identity when it begins to vote", |desk| {
        port_follows(desk, "port network");
        let change = validator(desk, "port", 0);
        (proposes(desk, "airline", motion(change)), Expected::Accepted)
    }),
    ("a validator under the same keys is no change", |desk| {
        let change = validator(desk, "customs", 0);
        let event = proposes(desk, "airline", motion(change));
        (event, impossible("the party's node votes under these keys already"))
    }),
    ("a member's key is another one than before", |desk| {
        let (mut change, _) = another_key(desk, "handler", 1);
        if let Change::Key { key: present, possession, .. } = &mut change {
            let Change::Admit { key, possession: shown, .. } = admit(desk, "handler") else {
                unreachable!("an admission")
            };
            (*present, *possession) = (key, shown);
        }
        let event = proposes(desk, "airline", motion(change));
        (event, impossible("that is a key of the party already, or was one"))
    }),
    ("and is shown to be held", |desk| {
        let (mut change, _) = another_key(desk, "handler", 1);
        if let Change::Key { key: shown, .. } = &mut change {
            *shown = key("somebody else").public();
        }
        let event = proposes(desk, "airline", motion(change));
        (event, impossible("a key in it is not shown to be whose it says"))
    }),
    ("three validators are too few", |desk| {
        let event = proposes(desk, "airline", motion(retire("customs")));
        (event, refused(Rejection::TooFewValidators { left: 3 }))
    }),
    ("unless members accept it", |desk| {
        let motion = Motion { few: true, ..motion(retire("customs")) };
        (proposes(desk, "airline", motion), Expected::Accepted)
    }),
    ("witnesses are outsiders", |desk| {
        let change = Change::Witnesses(vec![witness("w.example/1", "customs cosigner")]);
        let why = "w.example/1 shares its name or key with another witness, a validator or the log";
        (proposes(desk, "airline", motion(change)), impossible(why))
    }),
    ("each with a key of its own", |desk| {
        let both = ["w.example/1", "w.example/2"].map(|name| witness(name, "w.example/1"));
        let change = Change::Witnesses(both.to_vec());
        let why = "w.example/2 shares its name or key with another witness, a validator or the log";
        (proposes(desk, "airline", motion(change)), impossible(why))
    }),
    ("and a validator is none of them", |desk| {
        let insider = witness("w.example/1", "port cosigner");
        let change = admit(desk, "port");
        decided(desk, motion(change));
        let id = decided(desk, motion(Change::Witnesses(vec![insider])));
        voted(desk, "port", id, true);
        let change = validator(desk, "port", 0);
        let why = "w.example/1 shares its name or key with another witness, a validator or the log";
        (proposes(desk, "airline", motion(change)), impossible(why))
    }),
    ("a change is put off by so many heights", |desk| {
        let from = Height(desk.context().height.0 + MOTION_HEIGHTS_MAX);
        (proposes(desk, "airline", Motion { from, ..motion(interval(200)) }), Expected::Accepted)
    }),
    ("and by no more", |desk| {
        let from = Height(desk.context().height.0 + MOTION_HEIGHTS_MAX + 1);
        let event = proposes(desk, "airline", Motion { from, ..motion(interval(200)) });
        (event, impossible("it would be put off by more than 10000000 heights"))
    }),
    ("a member has so many proposals and no more", |desk| {
        for ms in 0..MOTIONS_OF_MEMBER_MAX as u32 {
            proposed(desk, "airline", motion(interval(200 + ms)));
        }
        let event = proposes(desk, "airline", motion(interval(100)));
        (event, refused(Rejection::TooManyMotions { party: party("airline") }))
    }),
    ("a member votes", |desk| {
        let id = proposed(desk, "airline", motion(interval(200)));
        (votes(desk, "customs", id, false), Expected::Accepted)
    }),
    ("on what there is", |desk| {
        let event = votes(desk, "customs", UNKNOWN, true);
        (event, refused(Rejection::UnknownMotion { proposal: UNKNOWN }))
    }),
    ("once", |desk| {
        let proposal = proposed(desk, "airline", motion(interval(200)));
        let event = votes(desk, "airline", proposal, true);
        (event, refused(Rejection::BallotKnown { party: party("airline"), proposal }))
    }),
    ("until it is decided", |desk| {
        let proposal = decided(desk, motion(interval(200)));
        let event = votes(desk, "handler", proposal, true);
        (event, refused(Rejection::MotionClosed { proposal }))
    }),
    ("or its time is over", |desk| {
        let proposal = proposed(desk, "airline", motion(interval(200)));
        desk.time = desk.time.plus(WINDOW_MS + 1);
        let event = votes(desk, "handler", proposal, true);
        (event, refused(Rejection::MotionClosed { proposal }))
    }),
    ("who was expelled signs nothing", |desk| {
        let unit = desk.held("A");
        decided(desk, Motion { few: true, ..motion(expel("forwarder")) });
        let event = desk.say("forwarder.dock1", &unit, OBSERVE);
        (event, refused(Rejection::NotMember { party: party("forwarder") }))
    }),
];

#[test]
fn three_of_four_members_decide_and_it_is_in_force_at_the_next_height() {
    let mut desk = Desk::new();
    let change = admit(&desk, "port");
    let id = proposed(&mut desk, "airline", motion(change));
    voted(&mut desk, "customs", id, true);
    assert_eq!(proposal(&desk, &id).stage, Stage::Open);
    assert_eq!(members(&desk), PARTIES);
    let at = desk.context().height;
    voted(&mut desk, "handler", id, true);
    let after = proposal(&desk, &id);
    assert_eq!(after.stage, Stage::InForce(at.next()));
    assert_eq!(after.approvals, ["airline", "customs", "handler"].map(party));
    assert_eq!(members(&desk), ["airline", "customs", "forwarder", "handler", "port"]);
    let expected =
        Governance { members: governance(&desk).members, proposals: 1, ..Default::default() };
    assert_eq!(governance(&desk), expected);

    // It enrols devices as any other member does, and is counted: four of five.
    let device: SignerId = "port.gate1".parse().unwrap();
    let action = enrol(desk.network, &device, &[Kind::Observe]);
    desk.submit(desk.event("port", Subject::Signer(device), action)).unwrap();
    let id = decided(&mut desk, motion(interval(200)));
    assert_eq!(proposal(&desk, &id).stage, Stage::Open);
    voted(&mut desk, "port", id, true);
    let params: Params = read(&desk.entries, &EntryKey::Params).unwrap();
    assert_eq!(params, Params { block_interval_ms: 200, ..Params::default() });
}

#[test]
fn a_validator_set_changes_between_two_blocks() {
    let mut desk = Desk::new();
    let change = admit(&desk, "port");
    decided(&mut desk, motion(change));
    let change = validator(&desk, "port", 0);
    let id = proposed(&mut desk, "airline", motion(change));
    for by in ["customs", "forwarder", "port"] {
        assert_eq!(desk.journal.last().unwrap().2.validators(), None);
        voted(&mut desk, by, id, true);
    }
    let next = set(&desk);
    assert_eq!(desk.journal.last().unwrap().2.validators(), Some(&next));
    assert_eq!(validators(&desk), ["airline", "customs", "forwarder", "handler", "port"]);
    assert_eq!(next.validators()[4], validator_of("port", 0).0);

    // Another key in the same place, and then it votes no more but follows.
    let change = validator(&desk, "port", 1);
    let id = decided(&mut desk, motion(change));
    voted(&mut desk, "port", id, true);
    assert_eq!(set(&desk).validators()[4], validator_of("port", 1).0);
    let id = decided(&mut desk, motion(retire("port")));
    voted(&mut desk, "port", id, true);
    assert_eq!(set(&desk), *genesis().validators());
    let state: MemberState = read(&desk.entries, &EntryKey::Member(party("port"))).unwrap();
    let network_key = key("port network 1").public();
    let node = Some(Node { network_key, addresses: Vec::new() });
    assert_eq!(state, MemberState { node, ..MemberState::default() });
}

#[test]
fn members_decide_who_the_witnesses_are() {
    let mut desk = Desk::new();
    let log = |desk: &Desk| read::<LogState>(&desk.entries, &EntryKey::Log).unwrap();
    assert_eq!(log(&desk).asked(&genesis()), genesis().witnesses());
    let both = ["w.example/1", "w.example/2"].map(|name| witness(name, name)).to_vec();
    decided(&mut desk, motion(Change::Witnesses(both.clone())));
    assert_eq!(log(&desk).asked(&genesis()), both);
    assert_eq!(log(&desk).origin, genesis().origin());
    assert_eq!(desk.journal.last().unwrap().2.validators(), None, "the set stays");
    decided(&mut desk, motion(Change::Witnesses(Vec::new())));
    assert_eq!(log(&desk).asked(&genesis()), []);
}

/// Each states all four parameters, as they were when it was made: the later one would take the first one back.
#[test]
fn parameters_that_others_overtook_are_void() {
    let mut desk = Desk::new();
    let witnesses = Change::Witnesses(vec![witness("w.example/1", "w.example/1")]);
    let witnesses = proposed(&mut desk, "airline", motion(witnesses));
    let open = proposed(&mut desk, "airline", motion(interval(300)));
    let far = Height(desk.context().height.0 + 100);
    let due = decided(&mut desk, Motion { from: far, ..motion(interval(400)) });
    assert_eq!(governance(&desk).due, [due]);
    let first = decided(&mut desk, motion(interval(200)));
    assert!(matches!(proposal(&desk, &first).stage, Stage::InForce(_)));
    assert_eq!([open, due].map(|id| proposal(&desk, &id).stage), [Stage::Void; 2]);
    let left = governance(&desk);
    assert_eq!(
        (left.open, left.due),
        (vec![witnesses], vec![]),
        "who the witnesses are is another matter"
    );
    let late = votes(&desk, "customs", open, true);
    assert_eq!(desk.submit_verified(&late), Err(Rejection::MotionClosed { proposal: open }));

    // One that is made now is made with these in view.
    decided(&mut desk, motion(interval(500)));
    let params: Params = read(&desk.entries, &EntryKey::Params).unwrap();
    assert_eq!(params, Params { block_interval_ms: 500, ..Params::default() });
}

/// Members vote at their own nodes: a vote may be at a node before the proposal is.
#[test]
fn a_vote_that_comes_before_its_proposal_waits() {
    let mut desk = Desk::new();
    let proposal = proposes(&desk, "airline", motion(interval(200)));
    let id = proposal.signed().id();
    let vote = votes(&desk, "customs", id, true);
    let early = Rejection::UnknownMotion { proposal: id };
    assert!(early.retryable());
    let mut door = Door::new(&desk.entries, desk.context());
    assert_eq!(door.admit(&desk.entries, &vote), Err(Refusal::UnknownReference(early)));
    assert_eq!(door.admit(&desk.entries, &proposal), Ok(()));
    assert_eq!(door.admit(&desk.entries, &vote), Ok(()));
    desk.submit_block(&[proposal, vote]).unwrap();
    assert_eq!(self::proposal(&desk, &id).approvals, ["airline", "customs"].map(party));
}

#[test]
fn what_is_decided_waits_for_its_height() {
    let mut desk = Desk::new();
    let at = Height(desk.context().height.0 + 5);
    let id = decided(&mut desk, Motion { from: at, few: true, ..motion(expel("handler")) });
    assert_eq!(proposal(&desk, &id).stage, Stage::Decided(Height(at.0 - 3)));
    assert_eq!(governance(&desk).due, [id]);
    let unit = desk.held("A");
    assert_eq!(desk.context().height.0, at.0 - 1);
    assert_eq!(members(&desk), PARTIES);
    // The last event of an expelled party is in the last block before.
    let last = desk.say("handler.dock1", &unit, OBSERVE);
    desk.submit_verified(&last).ok();
    if desk.context().height != at {
        let observed = desk.say("forwarder.dock1", &unit, OBSERVE);
        desk.submit_verified(&observed).unwrap();
    }
    assert_eq!(desk.context().height, at);
    assert_eq!(proposal(&desk, &id).stage, Stage::InForce(at));
    assert_eq!(members(&desk), ["airline", "customs", "forwarder"]);
    assert_eq!(validators(&desk), ["airline", "customs", "forwarder"]);
    let state: MemberState = read(&desk.entries, &EntryKey::Member(party("handler"))).unwrap();
    assert_eq!(state, MemberState { expelled: Some(at), ..MemberState::default() });
}

#[test]
fn two_of_four_against_it_end_a_proposal() {
    let mut desk = Desk::new();
    let id = proposed(&mut desk, "airline", motion(interval(200)));
    voted(&mut desk, "customs", id, false);
    assert_eq!(proposal(&desk, &id).stage, Stage::Open);
    // A member may think better of it, either way.
    voted(&mut desk, "customs", id, true);
    voted(&mut desk, "airline", id, false);
    voted(&mut desk, "handler", id, false);
    let after = proposal(&desk, &id);
    assert_eq!(after.stage, Stage::Rejected);
    assert_eq!(
        (after.approvals, after.rejections),
        (vec![party("customs")], ["airline", "handler"].map(party).to_vec())
    );
    assert_eq!(governance(&desk).open, []);
}

#[test]
fn what_is_not_possible_any_more_at_its_height_is_void() {
    let mut desk = Desk::new();
    let change = admit(&desk, "port");
    decided(&mut desk, motion(change));
    let change = validator(&desk, "port", 0);
    let id = decided(&mut desk, motion(change));
    voted(&mut desk, "port", id, true);
    // Each is possible by itself: five validators, and four are left.
    let one = decided(&mut desk, motion(retire("customs")));
    let other = decided(&mut desk, motion(retire("forwarder")));
    voted(&mut desk, "port", one, true);
    voted(&mut desk, "port", other, true);
    assert!(matches!(proposal(&desk, &one).stage, Stage::InForce(_)));
    assert_eq!(proposal(&desk, &other).stage, Stage::Void);
    assert_eq!(validators(&desk), ["airline", "forwarder", "handler", "port"]);
}

#[test]
fn a_proposal_expires_and_makes_room() {
    let mut desk = Desk::new();
    let old: Vec<_> = (0..MOTIONS_OF_MEMBER_MAX as u32)
        .map(|ms| proposed(&mut desk, "airline", motion(interval(200 + ms))))
        .collect();
    desk.time = desk.time.plus(WINDOW_MS + 1);
    let new = proposed(&mut desk, "airline", motion(interval(100)));
    assert!(old.iter().all(|id| proposal(&desk, id).stage == Stage::Expired));
    assert_eq!(governance(&desk).open, [new]);
    assert_eq!(proposal(&desk, &new).number, MOTIONS_OF_MEMBER_MAX as u32 + 1);
}

/// Numbers that it used before stay used, and what it enrolled is its own again.
#[test]
fn a_party_that_comes_back_goes_on_where_it_was() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    let forwarder: SignerId = "forwarder".parse().unwrap();
    let id = proposed(&mut desk, "airline", Motion { few: true, ..motion(expel("forwarder")) });
    voted(&mut desk, "customs", id, true);
    voted(&mut desk, "handler", id, true);
    let before = desk.signer(&forwarder).unwrap();
    let change = admit(&desk, "forwarder");
    let id = proposed(&mut desk, "airline", motion(change));
    voted(&mut desk, "customs", id, true);
    voted(&mut desk, "handler", id, true);
    assert_eq!(desk.signer(&forwarder), Some(before));
    assert_eq!(members(&desk), PARTIES);
    assert_eq!(validators(&desk), ["airline", "customs", "handler"]);
    let again = desk.say("forwarder.dock1", &unit, OBSERVE);
    desk.submit_verified(&again).unwrap();
}

/// Whoever has the key before says nothing any more, not even under a number that was left out.
#[test]
fn members_give_a_member_another_key() {
    let mut desk = Desk::new();
    let handler: SignerId = "handler".parse().unwrap();
    let vote = |desk: &Desk, proposal, sequence: u64, secret: &SecretKey| {
        let subject = Subject::Signer(handler.clone());
        let action = Action::Ballot { proposal, approve: true };
        sign_with(Event { sequence, ..desk.event("handler", subject, action) }, secret)
    };
    let first = proposed(&mut desk, "customs", motion(interval(200)));
    let left_out = desk.signer(&handler).unwrap().sequence.high() + 1;
    let skipping = vote(&desk, first, left_out + 1, &key("handler"));
    desk.submit_verified(&skipping).unwrap();
    let (change, secret) = another_key(&desk, "handler", 1);
    let id = decided(&mut desk, motion(change));
    assert!(matches!(proposal(&desk, &id).stage, Stage::InForce(_)));

    let open = proposed(&mut desk, "customs", motion(interval(300)));
    let used = |sequence| Rejection::SequenceUsed { signer: handler.clone(), sequence };
    let late = vote(&desk, open, left_out, &key("handler"));
    assert_eq!(desk.submit_verified(&late), Err(used(left_out)));
    let next = left_out + 2;
    let old = vote(&desk, open, next, &key("handler"));
    let wrong = Rejection::WrongKey { signer: handler.clone() };
    assert_eq!(desk.submit_verified(&old), Err(wrong));
    desk.submit_verified(&vote(&desk, open, next, &secret)).unwrap();
    assert_eq!(proposal(&desk, &open).approvals, ["customs", "handler"].map(party));
}

/// A block puts in force what members decided after the events in it: a door that was made before knows
/// nothing of that, and says so.
#[test]
fn a_door_does_not_outlive_what_members_decide() {
    let mut desk = Desk::new();
    let change = admit(&desk, "port");
    let id = proposed(&mut desk, "airline", motion(change));
    voted(&mut desk, "customs", id, true);
    let mut door = Door::new(&desk.entries, desk.context());
    desk.held("A");
    assert!(door.committed(&desk.entries, desk.context()), "a unit is no matter of members");

    let last = votes(&desk, "forwarder", id, true);
    assert_eq!(door.admit(&desk.entries, &last), Ok(()));
    desk.submit_verified(&last).unwrap();
    assert!(!door.committed(&desk.entries, desk.context()));
    let of_newcomer = proposes(&desk, "port", motion(follows("port", "port network")));
    let rejection = Rejection::ChangeNotPossible { why: "the party is no member".to_owned() };
    let refusal = Refusal::Rule { rejection, rests_on_pooled: true };
    assert_eq!(door.admit(&desk.entries, &of_newcomer), Err(refusal));
    let mut anew = Door::new(&desk.entries, desk.context());
    assert_eq!(anew.admit(&desk.entries, &of_newcomer), Ok(()));
    assert!(anew.committed(&desk.entries, desk.context()));
}

/// Proposes as airline, and has the members vote for it, in their order, until it is decided.
fn agreed(desk: &mut Desk, motion: Motion) -> EventId {
    let members = members(desk);
    let id = proposed(desk, "airline", motion);
    for by in members.iter().filter(|by| *by != "airline") {
        if proposal(desk, &id).stage == Stage::Open {
            voted(desk, by, id, true);
        }
    }
    id
}

fn admitted(desk: &mut Desk, name: &str) {
    let change = admit(desk, name);
    let id = agreed(desk, motion(change));
    assert!(matches!(proposal(desk, &id).stage, Stage::InForce(_)), "{name}");
}

/// Eight members, as many as 25 tolerate, take all places that are shared. The ninth proposes all the same.
#[test]
fn no_members_keep_another_from_proposing() {
    let mut desk = Desk::new();
    for name in ["port", "rail", "road", "ship", "yard"] {
        admitted(&mut desk, name);
    }
    let [others @ .., last] = &members(&desk)[..] else { unreachable!("nine members") };
    let mut ms = 200;
    for by in others {
        for _ in 0..MOTIONS_OF_MEMBER_MAX {
            ms += 1;
            proposed(&mut desk, by, motion(interval(ms)));
        }
    }
    assert_eq!(governance(&desk).open.len(), MOTIONS_MAX);
    let too_many = |by: &str| Err(Rejection::TooManyMotions { party: party(by) });
    let more = proposes(&desk, &others[0], motion(interval(199)));
    assert_eq!(desk.submit_verified(&more), too_many(&others[0]));
    let id = proposed(&mut desk, last, motion(expel(&others[4])));
    let more = proposes(&desk, last, motion(expel(&others[5])));
    assert_eq!(desk.submit_verified(&more), too_many(last));

    let governance = governance(&desk);
    assert_eq!((governance.open.len(), governance.open.last()), (MOTIONS_MAX + 1, Some(&id)));
    assert_eq!(Governance::from_bytes(&governance.to_bytes()), Ok(governance));
}

/// A slip in the height, found before it comes.
#[test]
fn what_is_decided_is_ended_by_as_many_as_decide() {
    let mut desk = Desk::new();
    let at = Height(desk.context().height.0 + 100);
    let id = decided(&mut desk, Motion { from: at, ..motion(interval(200)) });
    let stage = proposal(&desk, &id).stage;
    assert_eq!(stage, Stage::Decided(Height(at.0 - 98)));
    for by in ["airline", "customs"] {
        voted(&mut desk, by, id, false);
        assert_eq!((proposal(&desk, &id).stage, governance(&desk).due), (stage, vec![id]));
    }
    // To approve it again decides nothing anew, and to reject it still counts.
    voted(&mut desk, "customs", id, true);
    voted(&mut desk, "customs", id, false);
    voted(&mut desk, "handler", id, false);
    let after = proposal(&desk, &id);
    assert_eq!(after.stage, Stage::Rejected);
    assert_eq!(after.rejections, ["airline", "customs", "handler"].map(party));
    assert_eq!(governance(&desk).due, []);
    let late = votes(&desk, "forwarder", id, false);
    assert_eq!(desk.submit_verified(&late), Err(Rejection::MotionClosed { proposal: id }));
}

/// Somebody else had the key of handler, and voted. What waits goes on without that vote, until handler votes under
/// its own; what was decided stays so.
#[test]
fn a_key_that_is_replaced_takes_its_votes_along() {
    let mut desk = Desk::new();
    let open = proposed(&mut desk, "customs", motion(interval(200)));
    voted(&mut desk, "handler", open, true);
    let refused = proposed(&mut desk, "customs", motion(interval(300)));
    voted(&mut desk, "handler", refused, false);
    let at = Height(desk.context().height.0 + 100);
    let due = proposed(&mut desk, "customs", Motion { from: at, ..motion(interval(400)) });
    voted(&mut desk, "handler", due, true);
    voted(&mut desk, "airline", due, true);
    let stage = proposal(&desk, &due).stage;
    assert!(matches!(stage, Stage::Decided(_)));

    let (change, secret) = another_key(&desk, "handler", 1);
    decided(&mut desk, motion(change));
    let said = |desk: &Desk, id| {
        let Proposal { approvals, rejections, stage, .. } = proposal(desk, id);
        (approvals, rejections, stage)
    };
    assert_eq!(said(&desk, &open), (vec![party("customs")], vec![], Stage::Open));
    assert_eq!(said(&desk, &refused), (vec![party("customs")], vec![], Stage::Open));
    assert_eq!(said(&desk, &due), (["airline", "customs"].map(party).to_vec(), vec![], stage));
    let subject = Subject::Signer("handler".parse().unwrap());
    let action = Action::Ballot { proposal: open, approve: true };
    let again = sign_with(desk.event("handler", subject, action), &secret);
    desk.submit_verified(&again).unwrap();
    assert_eq!(proposal(&desk, &open).approvals, ["customs", "handler"].map(party));
}

/// Three of five approve: one too few. With one member less they are enough, and nobody has to vote again.
#[test]
fn what_is_open_is_counted_again_when_a_member_leaves() {
    let mut desk = Desk::new();
    admitted(&mut desk, "port");
    let late = decided(&mut desk, motion(interval(300)));
    desk.time = desk.time.plus(10);
    let id = decided(&mut desk, motion(interval(200)));
    let other = proposed(&mut desk, "handler", motion(Change::Witnesses(Vec::new())));
    voted(&mut desk, "port", other, false);
    let gone = proposed(&mut desk, "airline", motion(expel("port")));
    // The time of the first is over.
    desk.time = desk.time.plus(WINDOW_MS - 9);
    for by in ["customs", "forwarder"] {
        voted(&mut desk, by, gone, true);
    }
    assert_eq!(proposal(&desk, &id).stage, Stage::Open);
    let in_force = Stage::InForce(desk.context().height.next());
    voted(&mut desk, "handler", gone, true);
    let stages = [&gone, &id, &late, &other].map(|id| proposal(&desk, id).stage);
    assert_eq!(stages, [in_force, in_force, Stage::Expired, Stage::Open]);
    // What port said is not said any more, should it ever come back.
    assert_eq!(proposal(&desk, &other).rejections, []);
    assert_eq!((governance(&desk).open, governance(&desk).due), (vec![other], vec![]));
    let params: Params = read(&desk.entries, &EntryKey::Params).unwrap();
    assert_eq!(params, Params { block_interval_ms: 200, ..Params::default() });
}

/// Of four members one against it ends nothing; of three it does.
#[test]
fn what_cannot_be_decided_any_more_is_rejected_when_a_member_leaves() {
    let mut desk = Desk::new();
    let id = proposed(&mut desk, "airline", motion(interval(200)));
    voted(&mut desk, "customs", id, false);
    assert_eq!(proposal(&desk, &id).stage, Stage::Open);
    decided(&mut desk, Motion { few: true, ..motion(expel("handler")) });
    assert_eq!(proposal(&desk, &id).stage, Stage::Rejected);
    assert_eq!(governance(&desk).open, []);
}

#[test]
fn entries_of_governance_have_one_encoding() {
    let mut desk = Desk::new();
    let change = validator(&desk, "customs", 1);
    let id = decided(&mut desk, Motion { from: Height(1_000), ..motion(change) });
    let proposal = proposal(&desk, &id);
    assert_eq!(Proposal::from_bytes(&proposal.to_bytes()), Ok(proposal));
    let governance = governance(&desk);
    assert_eq!(Governance::from_bytes(&governance.to_bytes()), Ok(governance));
}
