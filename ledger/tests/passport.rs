//! Passports: what they tell, that every part counts, and that they tell what the ledger did.

#[path = "passport/algorithms.rs"]
mod algorithms;
#[path = "model/mod.rs"]
#[allow(dead_code, reason = "the model's own tests use the rest")]
mod model;
#[path = "passport/page.rs"]
mod page;
#[path = "passport/parts.rs"]
mod parts;
#[path = "passport/runs.rs"]
mod runs;
mod support;

use std::collections::BTreeSet;

use consign_ledger::correction::Correction;
use consign_ledger::passport::{
    BadPassport, BadSetLink, BuildError, Custodian, Flag, Holding, Passport, Stay, Verified,
    advanced, build, read, story, verify,
};
use consign_ledger::unit::Counters;
use consign_types::block::Height;
use consign_types::codec::Canonical as _;
use consign_types::digest::EventId;
use consign_types::event::{Action, Fix, Kind, NotVerified, Reason, SignedEvent, Subject, Verdict};
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

use support::faults::{revoke, revoke_since, testimony};
use support::node::{Node, trust};
use support::scene::{EXCEPTION, EXCURSION, HOLD, OBSERVE, accept, into, out_of, seals};
use support::{Desk, key_after, party, rotate, sign_with, unit};

const SIGNER: &str = "forwarder.dock1";

/// A desk whose blocks are a minute apart.
pub fn desk() -> Desk {
    let mut desk = Desk::new();
    (desk.tick_ms, desk.time) = (60_000, desk.time.plus(60_000));
    desk
}

/// The passport of a unit now, written, read and checked.
pub fn proven(desk: &Desk, unit: &UnitId) -> Verified {
    let passport = Node::of(desk).passport(unit);
    let bytes = passport.to_bytes();
    assert_eq!(Passport::from_bytes(&bytes), Ok(passport));
    read(&bytes, &trust())
        .unwrap_or_else(|bad| panic!("{bad}: {:?}", std::error::Error::source(&bad)))
}

/// What happened, in short: kind, unit, containers around it, and the stay.
fn outline(verified: &Verified) -> Vec<(&'static str, String, usize, Stay)> {
    let steps = verified.steps.iter();
    steps
        .map(|step| {
            let kind = step.event.event().action.kind().as_str();
            let number = step.unit.as_str().rsplit('/').next().unwrap();
            (kind, number.to_owned(), step.around.len(), step.stay)
        })
        .collect()
}

fn flags(flags: &[Flag]) -> BTreeSet<Flag> {
    flags.iter().copied().collect()
}

fn held(from: Millis, by: &str) -> Holding {
    Holding { from, custodian: Custodian::Held(party(by)) }
}

/// Ten handovers that devices of three parties made without a network.
fn ten_handovers(desk: &mut Desk, number: &str) -> UnitId {
    let unit = desk.held(number);
    let devices = [SIGNER, "airline.dock1", "handler.dock1"];
    for n in 0..10 {
        let (giver, taker) = (devices[n % 3], devices[(n + 1) % 3]);
        let basis = desk.unit(&unit).basis;
        let handover = desk.offline(giver, taker, &unit, basis);
        desk.submit_verified(&handover).unwrap();
    }
    unit
}

/// The design's bound: ten handovers, three devices, four validators, a million units. The log of the test is
/// small; hashes are added for one of 2^24 leaves.
#[test]
fn ten_handovers_fit_into_ten_kilobytes() {
    let mut desk = desk();
    let unit = ten_handovers(&mut desk, "A");
    let mut node = Node::of(&desk);
    node.fill(1_000_000);
    let passport = node.passport(&unit);
    let bytes = passport.to_bytes();
    assert_eq!(passport.entered.len(), 11);
    let size = bytes.len() + 34 * (24 - passport.path.len());
    let siblings: Vec<usize> =
        passport.entries.iter().map(|entry| entry.proof.siblings().len()).collect();
    println!("{size} bytes; siblings of the entries: {siblings:?}");
    assert!(siblings.iter().all(|count| *count > 16), "the map is as deep as it is said to be");
    assert!(size <= 10_000, "{size} bytes");
    assert!(read(&bytes, &trust()).is_ok());

    let verified = proven(&desk, &unit);
    assert_eq!(verified.custody.len(), 11, "one custodian after another");
    assert_eq!(verified.flags(), BTreeSet::new());
    assert_eq!(verified.state, desk.unit(&unit));
    assert_eq!((verified.checkpoint.validators.len(), verified.set_changes), (4, 0));
}

/// A parcel in a pallet in a trailer, and an excursion of the trailer meanwhile. Another parcel comes
/// after its end.
#[test]
fn an_excursion_of_the_outer_container_is_shown_and_what_came_after_is_clean() {
    let mut desk = desk();
    let (early, late) = (desk.held("E"), desk.held("L"));
    let (pallet, trailer) = (desk.held("P"), desk.held("T"));
    desk.put(SIGNER, &pallet, into(&[&early]));
    desk.put(SIGNER, &trailer, into(&[&pallet]));
    desk.put(SIGNER, &trailer, EXCURSION);
    let verdict = Verdict::Sound;
    desk.put("customs.dock1", &trailer, Action::CloseExcursion { verdict });
    desk.put(SIGNER, &pallet, into(&[&late]));

    let verified = proven(&desk, &early);
    assert_eq!(
        outline(&verified),
        [
            ("register", "E".to_owned(), 0, Stay::Same),
            ("aggregate", "E".to_owned(), 1, Stay::Begins),
            ("aggregate", "P".to_owned(), 1, Stay::Begins),
            ("excursion", "T".to_owned(), 0, Stay::Same),
            ("close-excursion", "T".to_owned(), 0, Stay::Same),
            ("aggregate", "P".to_owned(), 1, Stay::Same),
        ]
    );
    assert_eq!(verified.effective, Counters { excursions: 1, ..Counters::default() });
    assert_eq!(verified.flags(), flags(&[Flag::Excursion]));
    assert_eq!(
        verified.around,
        [(pallet.clone(), desk.unit(&pallet)), (trailer.clone(), desk.unit(&trailer))]
    );
    assert_eq!(proven(&desk, &late).flags(), BTreeSet::new());

    // Out again: the same, and no word of what the pallet does later.
    desk.put(SIGNER, &pallet, out_of(&[&early]));
    let out = proven(&desk, &early);
    desk.put(SIGNER, &trailer, EXCURSION);
    desk.put(SIGNER, &pallet, OBSERVE);
    let later = proven(&desk, &early);
    assert_eq!(outline(&later), outline(&out));
    assert_eq!(later.flags(), flags(&[Flag::Excursion]));
    assert_eq!(proven(&desk, &late).flags(), flags(&[Flag::Excursion, Flag::ExcursionOpen]));
}

/// Twice in the same container: what it did between the two stays is nobody's business.
#[test]
fn a_container_that_is_entered_again_is_followed_for_each_stay() {
    let mut desk = desk();
    let (inner, outer) = desk.nested("A", "B");
    desk.put(SIGNER, &outer, OBSERVE);
    desk.put(SIGNER, &outer, out_of(&[&inner]));
    desk.put(SIGNER, &outer, EXCEPTION);
    desk.put(SIGNER, &outer, into(&[&inner]));
    desk.put("customs.dock1", &outer, HOLD);
    let verified = proven(&desk, &inner);
    assert_eq!(
        outline(&verified),
        [
            ("register", "A".to_owned(), 0, Stay::Same),
            ("aggregate", "A".to_owned(), 1, Stay::Begins),
            ("observe", "B".to_owned(), 0, Stay::Same),
            ("disaggregate", "A".to_owned(), 1, Stay::Ends),
            ("aggregate", "A".to_owned(), 1, Stay::Begins),
            ("hold", "B".to_owned(), 0, Stay::Same),
        ]
    );
    assert_eq!(verified.flags(), flags(&[Flag::Hold, Flag::HoldStanding]));
}

/// Custody of a contained unit is that of the trailer, which changes hands twice, and the unit leaves with
/// the last of them.
#[test]
fn the_custody_chain_runs_through_containers() {
    let mut desk = desk();
    let (inner, outer) = desk.nested("A", "T");
    let start = desk.journal[desk.journal.len() - 3].0.time;
    let offer = desk.submit(desk.offer(SIGNER, &outer, "airline")).unwrap();
    let first = desk.time;
    desk.put("airline.dock1", &outer, accept(offer));
    let (second, basis) = (desk.time, desk.unit(&outer).basis);
    let handover = desk.offline("airline.dock1", "handler.dock1", &outer, basis);
    desk.submit_verified(&handover).unwrap();
    let chain = [held(start, "forwarder"), held(first, "airline"), held(second, "handler")];
    assert_eq!(proven(&desk, &inner).custody, chain);
    desk.put("handler.dock1", &outer, out_of(&[&inner]));
    let verified = proven(&desk, &inner);
    assert_eq!(verified.custody, chain);
    assert_eq!(verified.holder(Millis(start.0 - 1)), None);
    assert_eq!(verified.holder(start), Some(&party("forwarder")));
    assert_eq!(verified.holder(Millis(second.0 - 1)), Some(&party("airline")));
    assert_eq!(verified.holder(Millis(u64::MAX)), Some(&party("handler")));
}

/// A handover of a contained unit that was made before it was put in: it leaves, contested.
#[test]
fn a_contested_unit_leaves_its_container() {
    let mut desk = desk();
    let unit = desk.held("A");
    let basis = desk.unit(&unit).basis;
    let handover = desk.offline("forwarder.dock2", "handler.dock1", &unit, basis);
    let (pallet, trailer) = desk.nested("P", "T");
    desk.put(SIGNER, &pallet, into(&[&unit]));
    desk.put(SIGNER, &trailer, seals(&["S1"]));
    let at = desk.time;
    desk.submit_verified(&handover).unwrap();
    desk.put(SIGNER, &trailer, EXCURSION);
    let verified = proven(&desk, &unit);
    let (holder, claimant) = (party("forwarder"), party("handler"));
    let contested = Holding { from: at, custodian: Custodian::Contested { holder, claimant } };
    assert_eq!(verified.custody.last(), Some(&contested));
    assert_eq!(verified.flags(), flags(&[Flag::Contested]));
    assert_eq!(outline(&verified).last().unwrap(), &("handover", "A".to_owned(), 2, Stay::Ends));
    // And a container itself: what is in it is contested with it.
    let other = desk.held("B");
    let basis = desk.unit(&pallet).basis;
    let handover = desk.offline(SIGNER, "handler.dock1", &pallet, basis);
    let at = desk.time;
    desk.submit_verified(&handover).unwrap();
    assert_eq!(
        proven(&desk, &pallet).flags(),
        flags(&[Flag::Contested, Flag::Excursion, Flag::ExcursionOpen])
    );
    assert_eq!(proven(&desk, &other).flags(), BTreeSet::new());
    assert_eq!(proven(&desk, &pallet).custody.last().unwrap().from, at);
}

#[test]
fn a_story_is_told_in_plain_words() {
    let mut desk = desk();
    let (inner, outer) = desk.nested("A", "T");
    desk.put(SIGNER, &outer, EXCURSION);
    desk.put(SIGNER, &outer, out_of(&[&inner]));
    let offer = desk.submit(desk.offer(SIGNER, &inner, "airline")).unwrap();
    desk.put("airline.dock1", &inner, accept(offer));
    let lines: Vec<String> =
        story(&proven(&desk, &inner)).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "2023-11-14T22:14:20.000Z  forwarder.dock1 registered trk/forwarder/A at 414/9521321000018",
            "2023-11-14T22:16:20.000Z  forwarder.dock1 put trk/forwarder/A into trk/forwarder/T",
            "2023-11-14T22:17:20.000Z    forwarder.dock1 reported an excursion of trk/forwarder/T from \
             1970-01-01T00:00:00.001Z to 1970-01-01T00:00:00.002Z",
            "2023-11-14T22:18:20.000Z  forwarder.dock1 took trk/forwarder/A out of trk/forwarder/T",
            "2023-11-14T22:19:20.000Z  forwarder.dock1 offered trk/forwarder/A to airline until \
             2023-11-15T22:19:20.000Z",
            "2023-11-14T22:20:20.000Z  airline.dock1 took over trk/forwarder/A",
        ]
    );
}

#[test]
fn what_was_lost_and_found_is_told_with_what_was_in_it() {
    let mut desk = desk();
    let (inner, outer) = desk.nested_and_handed_over("A", "T");
    let lost = Action::Lost { holder: party("airline"), reason: Reason::Other };
    let lost_at = desk.time;
    desk.put("customs.dock1", &outer, lost);
    let closed = Holding { from: lost_at, custodian: Custodian::Closed(party("airline")) };
    assert_eq!(proven(&desk, &inner).custody.last(), Some(&closed));
    let found_at = desk.time;
    desk.put(SIGNER, &outer, Action::Found);
    let verified = proven(&desk, &inner);
    let held = Holding { from: found_at, custodian: Custodian::Held(party("forwarder")) };
    assert_eq!(verified.custody.last_chunk(), Some(&[closed, held]));
    let told: Vec<String> = story(&verified).into_iter().map(|line| line.text).collect();
    assert_eq!(
        told.last_chunk(),
        Some(&[
            "customs.dock1 declared trk/forwarder/T lost, held by airline: other".to_owned(),
            "forwarder.dock1 found trk/forwarder/T at 414/9521321000018".to_owned(),
        ])
    );
    let destroyed = Action::Destroyed { holder: party("forwarder"), reason: Reason::Customs };
    desk.put(SIGNER, &outer, destroyed);
    let told = story(&proven(&desk, &outer)).pop().map(|line| line.text);
    let sentence = "forwarder.dock1 declared trk/forwarder/T destroyed, held by forwarder: customs";
    assert_eq!(told.as_deref(), Some(sentence));
}

#[test]
fn an_unknown_unit_has_no_passport() {
    let unknown = unit("N");
    let built = build(&Node::of(&desk()), &unknown, Height(0));
    assert_eq!(built, Err(BuildError::UnknownUnit(unknown)));
}

/// A passport as of a checkpoint before the newest events is complete as of that checkpoint.
#[test]
fn the_age_is_that_of_the_checkpoint() {
    let mut desk = desk();
    let unit = desk.held("A");
    let verified = proven(&desk, &unit);
    let (context, ..) = desk.journal.last().unwrap();
    assert_eq!((verified.time, verified.height), (context.time, context.height));
    // Four cosigned, each a second after the one before: the third newest of four.
    assert_eq!(verified.checkpoint.time_s, context.time.seconds() + 1);
}

/// A trust file of the genesis, and two changes of the set since.
#[test]
fn a_passport_proves_the_way_from_an_older_trust_file() {
    let mut desk = desk();
    let unit = desk.held("A");
    let mut node = Node::of(&desk);
    node.change_set(" 2");
    let middle = node.clone();
    node.change_set(" 3");
    let passport = node.passport(&unit);
    assert_eq!(verify(&passport, &trust()).unwrap().set_changes, 2);

    let mut newer = trust();
    newer.validators = support::node::validators(" 2");
    newer.height = Height(passport.sets[0].record.height.0 + 1);
    assert_eq!(
        verify(&passport, &newer).map(|_| ()).unwrap_err().to_string(),
        "change 0 of the validator set does not hold"
    );
    let since = build(&node, &unit, newer.height).unwrap();
    assert_eq!(verify(&since, &newer).unwrap().set_changes, 1);
    assert_eq!(verify(&middle.passport(&unit), &trust()).unwrap().set_changes, 1);

    // Without the links, the cosigners are strangers.
    let none = Passport { sets: Vec::new(), ..passport.clone() };
    assert!(matches!(verify(&none, &trust()), Err(BadPassport::Checkpoint(_))));
    // A trust file that already has the set needs no link, and takes none.
    let mut newest = trust();
    newest.validators = support::node::validators(" 3");
    assert_eq!(verify(&none, &newest).unwrap().set_changes, 0);
    assert!(matches!(verify(&passport, &newest), Err(BadPassport::SetLink { at: 0, .. })));
}

/// Trust in the genesis, in the first change, and in all three sets; a passport made under each of them.
struct Ways {
    trusts: [Trust; 3],
    passports: [Passport; 3],
}

fn three_sets() -> Ways {
    let mut desk = desk();
    let unit = desk.held("A");
    let mut node = Node::of(&desk);
    let first = node.passport(&unit);
    node.change_set(" 2");
    node.commit_empty();
    let second = node.passport(&unit);
    node.change_set(" 3");
    node.commit_empty();
    let third = node.passport(&unit);
    let genesis = trust();
    let [after_one, after_two] = [1, 2].map(|n| advanced(&genesis, &third.sets[..n]).unwrap());
    Ways { trusts: [genesis, after_one, after_two], passports: [first, second, third] }
}

/// Whoever keeps a trust file up to date goes on verifying what was made before.
#[test]
fn a_trust_file_that_names_earlier_sets_takes_a_passport_of_each() {
    let Ways { trusts, passports } = three_sets();
    assert_eq!(trusts.each_ref().map(|trust| trust.sets().count()), [1, 2, 3]);
    assert_eq!(passports.each_ref().map(|passport| passport.sets.len()), [0, 1, 2]);
    for (newest, trust) in trusts.iter().enumerate() {
        let text = trust.to_json();
        assert_eq!(Trust::from_json(&text).as_ref(), Ok(trust));
        for (made_under, passport) in passports.iter().enumerate() {
            let verified = verify(passport, trust);
            let verified = verified.unwrap_or_else(|e| panic!("{made_under} by {newest}: {e}"));
            let set = support::node::validators(["", " 2", " 3"][made_under]);
            assert_eq!(verified.checkpoint.set, set.hash(), "{made_under} by {newest}");
        }
    }
    // The same without the changes that the trust file already knows of.
    for (made_under, passport) in passports.into_iter().enumerate() {
        let bare = Passport { sets: Vec::new(), ..passport };
        assert!(verify(&bare, &trusts[2]).is_ok(), "{made_under}");
        assert_eq!(verify(&bare, &trusts[0]).is_ok(), made_under == 0);
    }
}

/// A set that another took the place of speaks for nothing after that, and leads to no other set.
#[test]
fn an_earlier_set_ends_where_the_next_begins() {
    let Ways { trusts, passports } = three_sets();
    let [_, _, trust] = trusts;
    // The set of the third, said to have been in force from later on than the passport is of.
    let mut late = trust.clone();
    late.height = Height(passports[2].record.height.0 + 1);
    let bare = Passport { sets: Vec::new(), ..passports[2].clone() };
    assert!(matches!(verify(&bare, &late), Err(BadPassport::Checkpoint(_))));
    // The change that the passport proves is not where the trust file has it.
    let refused = verify(&passports[2], &late).unwrap_err();
    assert_eq!(refused, BadPassport::SetLink { at: 1, why: BadSetLink::Known });

    // Its quorum says, once more and later, that another set follows.
    let mut other = trust.clone();
    other.earlier[1].validators = support::node::validators(" other");
    let refused = verify(&passports[2], &other).unwrap_err();
    assert_eq!(refused, BadPassport::SetLink { at: 0, why: BadSetLink::Known });

    // Only the first of two changes, and a record from after the second.
    let mut cut = passports[2].clone();
    cut.sets.truncate(1);
    assert!(matches!(verify(&cut, &trust), Err(BadPassport::Checkpoint(_))));
    let second = passports[1].record.height.0;
    let mut early = trust;
    early.height = Height(second);
    assert_eq!(verify(&passports[1], &early).unwrap_err(), BadPassport::RecordSet);
}

#[test]
fn a_trust_file_whose_sets_do_not_follow_one_another_is_refused() {
    let Ways { trusts, .. } = three_sets();
    let [_, _, trust] = trusts;
    let mut swapped = trust.clone();
    swapped.earlier.swap(0, 1);
    let mut twice = trust.clone();
    twice.earlier[1].validators = trust.validators.clone();
    let mut above = trust.clone();
    above.height = trust.earlier[1].height;
    for bad in [swapped, twice, above] {
        let refused = Trust::from_json(&bad.to_json()).unwrap_err();
        assert!(refused.to_string().contains("do not follow one another"), "{refused}");
    }
}

/// The signature of an event is part of its bytes; its id is not. A head covers the id.
#[test]
fn an_event_of_the_unit_is_named_by_its_head() {
    let mut desk = desk();
    let unit = desk.held("A");
    let id = desk.put(SIGNER, &unit, OBSERVE);
    let verified = proven(&desk, &unit);
    let ids: Vec<EventId> = verified.steps.iter().map(|step| step.event.id()).collect();
    assert_eq!(ids, [verified.state.basis, id]);
}

/// What was signed under the key before verifies still, and each number under its own key alone.
#[test]
fn a_passport_verifies_across_a_rotation() {
    let mut desk = desk();
    let unit = desk.held("A");
    let dock: SignerId = SIGNER.parse().unwrap();
    let first = desk.signer(&dock).unwrap().sequence.high() + 2;
    let action = rotate(desk.network, &dock, 1, first);
    desk.submit(desk.event(SIGNER, Subject::Signer(dock.clone()), action)).unwrap();
    let said = desk.draft(SIGNER, &unit, OBSERVE);
    desk.submit_verified(&sign_with(said, &key_after(&dock, 1))).unwrap();
    let verified = proven(&desk, &unit);
    let keys: Vec<_> = verified.steps.iter().map(|step| step.event.key_id()).collect();
    let expected = [0, 1].map(|n| key_after(&dock, n).public().key_id());
    assert_eq!(keys, expected);

    // The same content under the key that the number does not belong to.
    let mut forged = Node::of(&desk).passport(&unit);
    let content = SignedEvent::decode(&forged.entered[1].event).unwrap().event().clone();
    forged.entered[1].event = sign_with(content, &key_after(&dock, 0)).signed().bytes().to_vec();
    let why = NotVerified::UnknownKey(dock);
    assert_eq!(verify(&forged, &trust()), Err(BadPassport::EventSignature { at: 1, why }));
}

/// A reader sees what was corrected beside what stays, and whose consent is still awaited.
#[test]
fn corrections_are_told_beside_what_they_correct() {
    let mut desk = desk();
    let unit = desk.held("A");
    let seen = desk.say(SIGNER, &unit, OBSERVE);
    desk.submit_verified(&seen).unwrap();
    let (mistaken, wrong) = (seen.signed().clone(), seen.signed().id());
    let correct = |original: &SignedEvent, offer: Option<&SignedEvent>, fix| Action::Correct {
        original: Box::new(original.clone()),
        offer: offer.cloned().map(Box::new),
        fix,
        right: None,
    };
    let alone = desk.time;
    desk.put(SIGNER, &unit, correct(&mistaken, None, Fix::DidNotOccur));
    let handover = desk.offline(SIGNER, "airline.dock1", &unit, desk.unit(&unit).basis);
    desk.submit_verified(&handover).unwrap();
    let (offer, acceptance) = handover.inner().unwrap();
    let (offer, acceptance) = (offer.into_signed(), acceptance.into_signed());
    let taken = correct(&acceptance, Some(&offer), Fix::Place);
    let proposed = desk.time;
    let proposal = desk.put("airline.dock1", &unit, taken);

    let told = |desk: &Desk| -> Vec<String> {
        story(&proven(desk, &unit)).into_iter().map(|line| line.text).collect()
    };
    let place = desk.say(SIGNER, &unit, OBSERVE).event().place.clone();
    assert_eq!(place, None, "lines below end without a place");
    let brought =
        format!("airline.dock1 brought the handover of {unit} from {SIGNER} to airline.dock1");
    let (id, accept) =
        (acceptance.id(), format!("airline.dock1 corrected accept {}", acceptance.id()));
    let lines = told(&desk);
    assert_eq!(lines[1], format!("{SIGNER} saw {unit} [corrected {alone}: did not occur]"));
    assert_eq!(lines[2], format!("{SIGNER} corrected observe {wrong} of {unit}: did not occur"));
    assert_eq!(lines[3], brought);
    let awaits = "; awaits the consent of forwarder";
    assert_eq!(lines[4], format!("{accept} of {unit}: place was wrong{awaits}"));

    let agreed_at = desk.time;
    desk.put(SIGNER, &unit, Action::Consent { proposal });
    let lines = told(&desk);
    assert_eq!(lines[3], format!("{brought} [corrected {proposed}: place was wrong]"));
    assert_eq!(lines[4], format!("{accept} of {unit}: place was wrong"));

    let verified = proven(&desk, &unit);
    let all = verified.corrections();
    let agreed = Correction {
        event: proposal,
        by: party("airline"),
        time: proposed,
        original: id,
        kind: Kind::Accept,
        found: true,
        fix: Fix::Place,
        right: None,
        awaits: Vec::new(),
        agreed: Some(agreed_at),
    };
    assert_eq!(all[1], agreed);
    let holders: Vec<_> = verified.custody.iter().map(|holding| &holding.custodian).collect();
    let (forwarder, airline) = (party("forwarder"), party("airline"));
    assert_eq!(holders, [&Custodian::Held(forwarder), &Custodian::Held(airline)]);
}

/// A member says since when a key may have been in other hands. What the device dated before stands as it is.
#[test]
fn what_a_device_dates_after_its_key_was_in_doubt_is_disputed() {
    let mut desk = desk();
    let (unit, offer) = desk.offered("A");
    desk.put("airline.dock1", &unit, accept(offer));
    let dated: Vec<_> =
        proven(&desk, &unit).steps.iter().map(|step| step.event.event().time).collect();
    let told = |desk: &Desk| -> Vec<String> {
        story(&proven(desk, &unit)).into_iter().map(|line| line.text).collect()
    };
    let before = told(&desk);
    let since = dated[1];
    desk.submit_verified(&revoke_since(&desk, "forwarder", SIGNER, Some(since))).unwrap();
    let mut expected = before;
    expected[1].push_str(&format!(" [disputed: others may have had {SIGNER} since {since}]"));
    assert!(dated[0] < since && since <= dated[2]);
    assert_eq!(told(&desk), expected, "neither what came before nor what others signed");
}

/// What a revoked device signed before is in the history, under its proven key, and moves nothing.
#[test]
fn testimony_is_shown_and_moves_nothing() {
    let mut desk = desk();
    let (unit, offer) = desk.offered("A");
    let said = desk.say(SIGNER, &unit, Action::Cancel { offer });
    let stop = revoke(&desk, "forwarder", SIGNER);
    desk.submit_verified(&stop).unwrap();
    let filed = testimony(&desk, "forwarder", &said);
    desk.submit_verified(&filed).unwrap();
    desk.put("airline.dock1", &unit, accept(offer));

    let verified = proven(&desk, &unit);
    let holders: Vec<_> = verified.custody.iter().map(|holding| &holding.custodian).collect();
    let (forwarder, airline) = (party("forwarder"), party("airline"));
    assert_eq!(holders, [&Custodian::Held(forwarder), &Custodian::Held(airline)]);
    let told = &story(&verified)[2].text;
    let dated = said.event().time;
    let expected = format!(
        "forwarder filed as testimony, without effect: cancel of {unit} by {SIGNER}, dated {dated}"
    );
    assert_eq!(*told, expected);

    // The signature inside counts like any other, and so does the entry that has its key.
    let mut passport = Node::of(&desk).passport(&unit);
    let at = passport.entered[2].event.len() - 80;
    passport.entered[2].event[at] ^= 1;
    assert!(matches!(verify(&passport, &trust()), Err(BadPassport::EventSignature { at: 2, .. })));
}
