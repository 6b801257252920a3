//! A network whose members and validators change while it works.

use std::path::{Path, PathBuf};

use consign_cli::keys::{self, Purpose};
use consign_ledger::evidence::{Believed, Evidence, double_vote};
use consign_rpc::methods::GetMembers;
use consign_rpc::params::{GetEvidence, SubmitEvidence};
use consign_rpc::views::{Base64, StatusView};
use consign_tests::drill::command::consign;
use consign_tests::drill::council::field;
use consign_tests::drill::{Drill, http};
use consign_types::block::Height;
use consign_types::certificate::{Round, Statement};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest};
use consign_types::double_vote::DoubleVote;
use consign_types::event::{Action, Kind};
use consign_types::party::PartyId;
use consign_types::trust::Trust;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

async fn status(drill: &Drill, party: &PartyId) -> StatusView {
    drill.client(party).status().await.expect("it answers")
}

/// The validators in force, by their names, as the node of `party` has it.
async fn validators(drill: &Drill, party: &PartyId) -> Vec<String> {
    let view = drill.client(party).call(&GetMembers::default()).await.expect("members");
    let members = view.members.iter().filter(|member| member.validator.is_some());
    members.map(|member| member.party.to_string()).collect()
}

/// Longest time between two blocks of these heights, by their block times, in milliseconds.
async fn longest_pause_ms(drill: &Drill, party: &PartyId, heights: [u64; 2]) -> u64 {
    let client = drill.client(party);
    let (mut before, mut longest) = (None, 0);
    for height in heights[0]..=heights[1] {
        let time = client.block(height).await.expect("a block").header.time.ms;
        if let Some(before) = before.replace(time) {
            longest = longest.max(time - before);
        }
    }
    longest
}

/// Four validators become seven, one at a time, then four again, while events come in all the time. Who
/// leaves is cut off; what was proven before the changes is proven after them.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_four_grows_to_seven_and_shrinks_to_four_under_load() {
    let mut drill = Drill::start().await;
    let founders = drill.parties();
    let trust = drill.devnet().layout().trust();
    let dir = tempfile::tempdir().expect("a directory");
    let desk = drill.enrol(&founders[0], "desk", &[Kind::Register]).await;
    drill.prove(&founders[0], &desk.signs(1, "trk/forwarder/BEFORE", Action::Register)).await;
    let before = passport(&drill, &founders[0], "trk/forwarder/BEFORE", dir.path().join("before"));
    let before = before.await;
    let fed = drill.enrol(&founders[0], "fed", &[Kind::Register]).await;
    let feed = drill.feed(&founders[0], fed);
    let height = async |drill: &Drill| status(drill, &founders[0]).await.height;
    let begun = height(&drill).await;

    let mut members = founders.clone();
    let mut twice = None;
    for name in ["port", "rail", "storage"] {
        let party: PartyId = name.parse().expect("a name");
        let request = drill.join(&party);
        drill.load(&founders, 50).await;
        let admitted = drill.decide(&members, &["admit", "--request", text(&request)]).await;
        assert!(field(&admitted, "stage").starts_with("in force from height "), "{admitted}");
        members.push(party.clone());
        drill.until("it follows", || async { drill.is_ready(&party).await }).await;
        assert!(!status(&drill, &party).await.validators.voting);
        drill.load(&founders, 50).await;
        let voting = drill.decide(&members, &["validator", "--request", text(&request)]).await;
        assert!(field(&voting, "stage").starts_with("in force from height "), "{voting}");
        drill.load(&founders, 50).await;
        let votes = || async { status(&drill, &party).await.validators.voting };
        drill.until(&format!("{party} votes"), votes).await;
        if twice.is_none() {
            twice = Some(votes_twice(&drill, &party).await);
        }
    }
    assert_eq!(validators(&drill, &founders[2]).await.len(), 7);
    let grown = [begun, height(&drill).await];

    // Of seven, five must agree: two of the founders may be away, if all of the new ones vote.
    for party in &founders {
        drill.until_all_proven(party).await;
    }
    drill.stop(&founders[2]);
    drill.stop(&founders[3]);
    drill.prove(&founders[0], &desk.signs(2, "trk/forwarder/AMONG", Action::Register)).await;
    let by_seven = passport(&drill, &founders[0], "trk/forwarder/AMONG", dir.path().join("seven"));
    let by_seven = by_seven.await;
    let advanced = dir.path().join("advanced.json");
    advance(&drill, &founders[0], &trust, &advanced, "3 certified changes followed").await;
    drill.restart(&founders[2]);
    drill.restart(&founders[3]);
    for party in &founders[2..] {
        drill.until("it is back", || drill.is_ready(party)).await;
    }

    let whole_again = height(&drill).await;
    // The second of them does not go of itself: it is expelled while it votes.
    for (at, party) in members.clone().iter().enumerate().skip(4) {
        drill.load(&founders, 50).await;
        if party.as_str() == "rail" {
            expel(&mut drill, &mut members, party).await;
        } else {
            let retired = drill.decide(&members, &["retire", party.as_str()]).await;
            assert!(field(&retired, "stage").starts_with("in force from height "), "{retired}");
        }
        assert_eq!(validators(&drill, &founders[0]).await.len(), 10 - at);
    }
    let shrunk = [whole_again, height(&drill).await];
    let refused = drill.refused_gov(&founders[0], &["propose", "retire", "airline"]).await;
    assert_eq!(refused.code, 7, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("--accept \"3 validators survive no faulty one\""),
        "{refused:?}"
    );

    // What a validator did is judged by the set of its height, long after it left.
    let client = drill.client(&founders[1]);
    let evidence = Base64(twice.expect("evidence").to_bytes());
    let kept = client.call(&SubmitEvidence { evidence }).await.expect("it is kept");
    assert_eq!(kept.accused.iter().map(|a| a.who.as_str()).collect::<Vec<_>>(), ["port"]);
    let all = client.call(&GetEvidence::default()).await.expect("a page").data;
    assert_eq!(all, [kept]);

    // One whose node only follows is cut off as well.
    let follower: PartyId = members.last().expect("a member").clone();
    expel(&mut drill, &mut members, &follower).await;
    drill.load(&founders, 50).await;
    drill.until_all_proven(&founders[1]).await;

    feed.end(&mut drill).await;
    for (what, heights) in [("came", grown), ("left", shrunk)] {
        let pause = longest_pause_ms(&drill, &founders[0], heights).await;
        let [first, last] = heights;
        println!(
            "longest time between two of {} blocks while three {what}: {pause} ms",
            last - first
        );
    }
    // The trust file of the genesis is enough, for what was made before and after; and one that was taken along
    // is, half of the way and all of it.
    let newest = dir.path().join("newest.json");
    advance(&drill, &founders[1], &advanced, &newest, "3 certified changes followed").await;
    advance(&drill, &founders[1], &newest, &newest, "nothing changed since").await;
    let among = passport(&drill, &founders[1], "trk/forwarder/AMONG", dir.path().join("among"));
    let among = among.await;
    for trust in [&trust, &advanced, &newest] {
        for file in [&before, &by_seven, &among] {
            let verified = consign(["verify", text(file), "--trust", text(trust)]).await;
            let said = format!("{}{}", verified.stdout, verified.stderr);
            assert_eq!(verified.code, 0, "{}, {}: {said}", file.display(), trust.display());
        }
    }
    let audit = dir.path().join("audit");
    let sources = founders[..2].iter().map(|party| drill.home(party).url.clone());
    let sources: Vec<String> = sources.flat_map(|url| ["--source".to_owned(), url]).collect();
    let mut init = vec!["audit", "init", "--dir", text(&audit), "--trust", text(&newest)];
    init.extend(sources.iter().map(String::as_str));
    let made = consign(init).await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let ran = consign(["audit", "run", "--dir", text(&audit), "--once"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    drill.finish().await;
}

/// The others expel `gone`. Each of their nodes hangs up on its node, refuses it when it dials again, and keeps all the
/// others that it had.
async fn expel(drill: &mut Drill, members: &mut Vec<PartyId>, gone: &PartyId) {
    const REFUSED: &str = "consign_p2p_handshakes_refused";
    members.retain(|member| member != gone);
    let mut before: Vec<u64> = Vec::new();
    for party in &*members {
        before.push(http::metric(&drill.home(party).url, REFUSED).await);
    }
    let expelled = drill.decide(members, &["expel", gone.as_str()]).await;
    assert!(field(&expelled, "stage").starts_with("in force from height "), "{expelled}");
    let shown = &*drill;
    for (party, before) in members.iter().zip(before) {
        let url = &shown.home(party).url;
        let refused = || async { http::metric::<u64>(url, REFUSED).await > before + 1 };
        shown.until(&format!("{party} refused {gone} twice"), refused).await;
        let peers = status(shown, party).await.peers;
        assert!(peers.iter().all(|peer| peer.party.0 != *gone), "{party}: {peers:?}");
        let own = party.to_string();
        let all = || async {
            let mut others = validators(shown, party).await;
            others.retain(|other| *other != own);
            http::metric::<u64>(url, "consign_p2p_peers").await == others.len() as u64
        };
        shown.until(&format!("{party} has the other validators, and no more"), all).await;
    }
    let alone = || async { status(shown, gone).await.peers.iter().all(|peer| !peer.connected) };
    shown.until("it is cut off", alone).await;
    drill.leave(gone);
}

/// Evidence that the node of `party`, which votes now, prevoted for a block and for none.
async fn votes_twice(drill: &Drill, party: &PartyId) -> Evidence {
    let view = drill.client(party).call(&GetMembers::default()).await.expect("members");
    let mut entries: Vec<_> = view
        .members
        .iter()
        .filter_map(|member| Some((member.validator.as_ref()?, member.party.0.clone())))
        .collect();
    entries.sort_by_key(|(validator, _)| validator.index);
    let at = entries.iter().position(|(_, known)| known == party).expect("it votes");
    let entries = entries.into_iter().map(|(validator, party)| Validator {
        party,
        consensus_key: validator.consensus_key.0,
        cosigner_key: validator.cosigner_key.0,
        network_key: validator.network_key.0,
    });
    let validators = ValidatorSet::new(entries.collect()).expect("a set");
    let genesis = drill.devnet().genesis();
    let key = drill.devnet().layout().key(party, Purpose::Consensus);
    let secret = keys::read(&key, Purpose::Consensus).expect("its key");
    let (height, round) = (Height(view.height + 1), Round(0));
    let [one, other] = [Some(BlockId(Digest([7; 32]))), None].map(|block| {
        let statement = Statement::Prevote(block);
        (statement, secret.sign(&genesis.domain().sign_bytes(height, round, &statement)))
    });
    let index = ValidatorIndex(u16::try_from(at).expect("few"));
    let votes = DoubleVote::new((height, round), (index, secret.public()), one, other);
    let trust = Trust { validators, ..Trust::of_genesis(genesis, Vec::new()) };
    double_vote(Believed::from(&trust), &[], votes).expect("evidence")
}

/// Takes a trust file to the set of today.
async fn advance(drill: &Drill, party: &PartyId, from: &Path, to: &Path, says: &str) {
    let url = drill.home(party).url.clone();
    let arguments = ["--node", &url, "trust", "advance", text(from), "--out", text(to)];
    let ran = consign(arguments).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains(says), "{}", ran.stdout);
}

async fn passport(drill: &Drill, party: &PartyId, unit: &str, file: PathBuf) -> PathBuf {
    let url = drill.home(party).url.clone();
    let got = consign(["--node", &url, "passport", "get", unit, "--out", text(&file)]).await;
    assert_eq!(got.code, 0, "{}", got.stderr);
    file
}
