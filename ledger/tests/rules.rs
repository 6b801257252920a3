//! The table of custody rules: for each row what is accepted, and every code that it can be refused with.
//!
//! A case sets a scene and hands over one event and what must come of it, as a whole value. The cases are
//! constants, so that one test can see whether any code is without a case.

mod support;

#[path = "rules/admission.rs"]
mod admission;
#[path = "rules/condition.rs"]
mod condition;
#[path = "rules/consent.rs"]
mod consent;
#[path = "rules/contain.rs"]
mod contain;
#[path = "rules/correct.rs"]
mod correct;
#[path = "rules/custody.rs"]
mod custody;
#[path = "rules/govern.rs"]
mod govern;
#[path = "rules/handover.rs"]
mod handover;
#[path = "rules/journey.rs"]
mod journey;
#[path = "rules/report.rs"]
mod report;
#[path = "rules/rotate.rs"]
mod rotate;
#[path = "rules/settle.rs"]
mod settle;
#[path = "rules/stolen.rs"]
mod stolen;

use std::collections::BTreeSet;

use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Closed, Custody};
use consign_types::event::{Kind, Verified};
use consign_types::party::PartyId;
use consign_types::unit::UnitId;

use support::{Desk, party};

/// What must come of an event.
enum Expected {
    /// Accepted.
    Accepted,
    /// Accepted, and the unit's own entry then has this custody.
    Custody(Custody),
    /// Refused with this, and nothing changed.
    Refused(Rejection),
}

/// A sentence, and the scene that proves it.
type Case = (&'static str, fn(&mut Desk) -> (Verified, Expected));

/// Every table there is.
const TABLES: &[&[Case]] = &[
    admission::SIGNERS,
    admission::ENROLMENTS,
    custody::BEGIN,
    custody::OFFERS,
    custody::ENDS,
    handover::HANDOVERS,
    contain::CONTAINMENT,
    journey::JOURNEYS,
    condition::CONDITIONS,
    condition::SEALS,
    settle::ENDINGS,
    consent::CONSENTS,
    correct::CORRECTIONS,
    report::REVOCATIONS,
    rotate::ROTATIONS,
    report::REPORTS,
    report::TESTIMONIES,
    govern::GOVERNANCE,
];

/// Plays a case; the kind of its event and the code that it was refused with.
fn play((sentence, scene): &Case) -> (Kind, Option<&'static str>) {
    let mut desk = Desk::new();
    let (event, expected) = scene(&mut desk);
    let kind = event.event().action.kind();
    let before = desk.entries.clone();
    let result = desk.submit_verified(&event);
    match expected {
        Expected::Accepted => assert_eq!(result.err(), None, "{sentence}"),
        Expected::Custody(custody) => {
            assert_eq!(result.err(), None, "{sentence}");
            let unit = event.event().subject.unit().expect("a case about a unit");
            assert_eq!(desk.unit(unit).custody, custody, "{sentence}");
        }
        Expected::Refused(rejection) => {
            assert_eq!(result, Err(rejection.clone()), "{sentence}");
            assert_eq!(desk.entries, before, "{sentence}: a refusal changes nothing");
            return (kind, Some(rejection.code()));
        }
    }
    (kind, None)
}

fn play_all(table: &[Case]) {
    table.iter().for_each(|case| {
        play(case);
    });
}

fn held(by: &str) -> Expected {
    Expected::Custody(Custody::Held(party(by)))
}

fn contested(holder: &str, claimant: &str) -> Expected {
    Expected::Custody(Custody::Contested { holder: party(holder), claimant: party(claimant) })
}

fn delivered(by: &str, desk: &Desk) -> Expected {
    Expected::Custody(Custody::Closed { why: Closed::Delivered, by: party(by), at: desk.time })
}

fn refused(rejection: Rejection) -> Expected {
    Expected::Refused(rejection)
}

fn not_custodian(unit: &UnitId, custodian: &str, signer: &str) -> Expected {
    let (custodian, signer): (PartyId, PartyId) = (party(custodian), party(signer));
    refused(Rejection::NotCustodian { unit: unit.clone(), custodian, signer })
}

/// Every row of the table accepts something, and every code there is refuses something.
///
/// There is no code that cannot be met: `block_full` is met by `a_full_block_takes_no_more`.
#[test]
fn every_kind_and_every_code_has_a_case() {
    let played: Vec<_> = TABLES.iter().flat_map(|table| table.iter().map(play)).collect();
    let mut codes: BTreeSet<&str> = played.iter().filter_map(|(_, code)| *code).collect();
    codes.insert(Rejection::BlockFull.code());
    let missing: Vec<_> = Rejection::CODES.iter().filter(|code| !codes.contains(*code)).collect();
    assert!(missing.is_empty(), "codes without a case: {missing:?}");
    let accepted = |kind: &&Kind| played.iter().any(|(k, code)| k == *kind && code.is_none());
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !accepted(kind)).collect();
    assert!(missing.is_empty(), "kinds that are never accepted: {missing:?}");
}

#[test]
fn codes_are_distinct() {
    let codes: BTreeSet<&str> = Rejection::CODES.iter().copied().collect();
    assert_eq!(codes.len(), Rejection::CODES.len());
}

#[test]
fn signers_use_their_enrolment_and_each_number_once() {
    play_all(admission::SIGNERS);
}

#[test]
fn a_member_enrols_its_own_devices() {
    play_all(admission::ENROLMENTS);
}

#[test]
fn units_are_registered_and_booked_by_their_owner() {
    play_all(custody::BEGIN);
}

#[test]
fn custody_moves_by_offer_and_acceptance() {
    play_all(custody::OFFERS);
}

#[test]
fn custody_ends_by_delivery_and_begins_anew_by_return() {
    play_all(custody::ENDS);
}

#[test]
fn units_are_lost_destroyed_and_found() {
    play_all(settle::ENDINGS);
}

#[test]
fn handovers_without_a_network_move_or_contest_or_are_records() {
    play_all(handover::HANDOVERS);
}

#[test]
fn units_go_into_units_and_come_out() {
    play_all(contain::CONTAINMENT);
}

#[test]
fn journeys_match() {
    play_all(journey::JOURNEYS);
}

#[test]
fn conditions_are_reported_by_those_involved_and_decided_by_authorities() {
    play_all(condition::CONDITIONS);
}

#[test]
fn seals_are_applied_verified_and_broken() {
    play_all(condition::SEALS);
}

#[test]
fn a_member_revokes_its_devices_for_ever() {
    play_all(report::REVOCATIONS);
}

#[test]
fn evidence_is_reported_once_and_by_anybody() {
    play_all(report::REPORTS);
}

#[test]
fn members_propose_and_vote() {
    play_all(govern::GOVERNANCE);
}

#[test]
fn what_a_stopped_device_signed_is_filed_as_testimony() {
    play_all(report::TESTIMONIES);
}
