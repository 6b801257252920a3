//! Double votes.

use consign_ledger::evidence::{BadEvidence, Believed, Case, Evidence, Part, Why, double_vote};
use consign_types::block::{Epoch, Height};
use consign_types::certificate::{Domain, Round, Statement};
use consign_types::digest::{BlockId, Digest};
use consign_types::double_vote::{BadDoubleVote, DoubleVote};
use consign_types::validator::ValidatorIndex;

use super::support::{PARTIES, genesis, key};
use super::{named, refused, trust};

pub const ONE: BlockId = BlockId(Digest([1; 32]));
pub const OTHER: BlockId = BlockId(Digest([2; 32]));

/// What validator `at` signed twice, of one network and epoch.
pub fn votes(
    domain: &Domain,
    at: u16,
    height: u64,
    round: u32,
    pair: [Statement; 2],
) -> DoubleVote {
    let secret = key(&format!("{} consensus", PARTIES[usize::from(at)]));
    let (height, round) = (Height(height), Round(round));
    let [one, other] = pair
        .map(|statement| (statement, secret.sign(&domain.sign_bytes(height, round, &statement))));
    DoubleVote::new((height, round), (ValidatorIndex(at), secret.public()), one, other)
}

fn made(votes: DoubleVote) -> Option<Evidence> {
    double_vote(Believed::from(&trust()), &[], votes)
}

pub fn example() -> Evidence {
    let pair = [Statement::Prevote(Some(ONE)), Statement::Prevote(None)];
    made(votes(&genesis().domain(), 0, 4, 1, pair)).unwrap()
}

#[test]
fn two_votes_at_one_place_name_the_validator() {
    assert_eq!(named(&example()), ["airline signed two different prevotes at height 4, round 1"]);
    let table = [
        (
            [Statement::Precommit(Some(ONE)), Statement::Precommit(Some(OTHER))],
            "handler signed two different precommits at height 9, round 0",
        ),
        (
            [Statement::Proposal(ONE, None), Statement::Proposal(ONE, Some(Round(0)))],
            "handler signed two different proposals at height 9, round 0",
        ),
    ];
    for (pair, sentence) in table {
        let evidence = made(votes(&genesis().domain(), 3, 9, 0, pair)).unwrap();
        assert_eq!(named(&evidence), [sentence]);
    }
}

/// A validator signs one prevote, one precommit and, as proposer, one proposal at each height and round,
/// and the same bytes as often as it likes.
#[test]
fn an_honest_validator_is_never_named_by_its_votes() {
    let domain = genesis().domain();
    let later = Domain { epoch: Epoch(1), ..domain };
    let honest = [
        [Statement::Prevote(Some(ONE)), Statement::Prevote(Some(ONE))],
        [Statement::Prevote(None), Statement::Precommit(None)],
        [Statement::Prevote(Some(ONE)), Statement::Precommit(Some(OTHER))],
        [Statement::Proposal(ONE, None), Statement::Prevote(Some(OTHER))],
    ];
    for pair in honest {
        assert_eq!(made(votes(&domain, 0, 4, 0, pair)), None, "{pair:?}");
    }
    // Different at one place, but of another incarnation of the network; or at two places.
    let pair = [Statement::Prevote(Some(ONE)), Statement::Prevote(None)];
    assert_eq!(made(votes(&later, 0, 4, 0, pair)), None);
    for (height, round) in [(5, 0), (4, 1)] {
        let mut mixed = votes(&domain, 0, 4, 0, pair);
        mixed.second = votes(&domain, 0, height, round, pair).second;
        let bad = Why::Votes(BadDoubleVote::Signature);
        let evidence = Evidence { case: Case::DoubleVote(mixed), ..example() };
        assert_eq!(refused(&evidence), BadEvidence { part: Part::Votes, why: bad });
    }
}

#[test]
fn a_key_that_is_no_validators_names_nobody() {
    let pair = [Statement::Prevote(Some(ONE)), Statement::Prevote(None)];
    let of = |at| votes(&genesis().domain(), at, 4, 0, pair);
    let mut stranger = of(0);
    let secret = key("somebody");
    stranger.key = secret.public();
    for (statement, signature) in [&mut stranger.first, &mut stranger.second] {
        let bytes = genesis().domain().sign_bytes(Height(4), Round(0), statement);
        *signature = secret.sign(&bytes);
    }
    // And a validator's key under the place of another.
    let misplaced = DoubleVote { validator: ValidatorIndex(1), ..of(0) };
    let outside = DoubleVote { validator: ValidatorIndex(4), ..of(0) };
    for votes in [stranger, misplaced, outside] {
        let evidence = Evidence { case: Case::DoubleVote(votes), ..example() };
        let expected = BadEvidence { part: Part::Votes, why: Why::UnknownKey };
        assert_eq!(refused(&evidence), expected);
    }
}
