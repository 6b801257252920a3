//! The passport of a unit: fetched from a running network, checked without it.

use std::path::{Path, PathBuf};

use consign_ledger::passport::{self, Custodian, Flag};
use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, consign};
use consign_tests::drill::device::Device;
use consign_types::digest::{Digest, EventId};
use consign_types::event::{Action, Condition, Kind, Reason, SignedEvent};
use consign_types::signer_key::Algorithm;
use consign_types::time::Millis;
use consign_types::trust::Trust;

const PARCEL: &str = "trk/forwarder/PARCEL-1";
const TRAILER: &str = "trk/forwarder/TRAILER-1";
const ATTEMPT: Action = Action::Attempt { reason: Reason::NobodyThere };

/// A network on which a parcel travelled in a trailer, which changed hands around it: from a device on P-256 to one
/// on Ed25519.
struct Scene {
    drill: Drill,
    /// Of the airline, which holds the parcel in the end; its next number is 4.
    ramp: Device,
    dir: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let mut drill = Drill::start().await;
        let [forwarder, airline] = [0, 1].map(|at| drill.parties()[at].clone());
        let kinds = [Kind::Register, Kind::Offer, Kind::Aggregate, Kind::Attempt];
        let desk = drill.enrol_on(Algorithm::P256, &forwarder, "desk", &kinds).await;
        let kinds = [Kind::Accept, Kind::Disaggregate, Kind::Attempt];
        let ramp = drill.enrol(&airline, "ramp", &kinds).await;

        let registered = desk.signs(2, TRAILER, Action::Register);
        let offer = offer(&desk, 5, TRAILER, registered.id(), &airline);
        let loaded = Action::Aggregate { children: vec![PARCEL.parse().expect("a unit")] };
        let unloaded = Action::Disaggregate { children: vec![PARCEL.parse().expect("a unit")] };
        let accept = Action::Accept {
            offer: offer.id(),
            count: 1,
            seals: Vec::new(),
            condition: Condition::Sound,
            exceptions: Vec::new(),
        };
        let events = [
            (&forwarder, desk.signs(1, PARCEL, Action::Register)),
            (&forwarder, registered),
            // Before the stay: the parcel's story does not know of it.
            (&forwarder, desk.signs(3, TRAILER, ATTEMPT)),
            (&forwarder, desk.signs(4, TRAILER, loaded)),
            (&forwarder, offer),
            (&airline, ramp.signs(1, TRAILER, accept)),
            (&airline, ramp.signs(2, TRAILER, unloaded)),
            // After the stay.
            (&airline, ramp.signs(3, TRAILER, ATTEMPT)),
        ];
        for (party, event) in &events {
            drill.prove(party, event).await;
        }
        Self { drill, ramp, dir: tempfile::tempdir().expect("a directory") }
    }

    fn trust_file(&self) -> PathBuf {
        self.drill.devnet().layout().trust()
    }

    fn trust(&self) -> Trust {
        let text = std::fs::read_to_string(self.trust_file()).expect("the trust file");
        Trust::from_json(&text).expect("a trust file")
    }

    /// `consign verify` of these bytes, with more arguments.
    async fn verify(&self, bytes: &[u8], more: &[&str]) -> Ran {
        let file = self.dir.path().join("unit.passport");
        std::fs::write(&file, bytes).expect("it can be written");
        let trust = self.trust_file();
        let trust = ["--trust", path(&trust)];
        consign([&["verify", path(&file)], &trust[..], more].concat()).await
    }
}

fn offer(
    desk: &Device,
    sequence: u64,
    unit: &str,
    basis: EventId,
    to: &consign_types::party::PartyId,
) -> SignedEvent {
    let (to, until) = (to.clone(), Millis(4_000_000_000_000));
    let action = Action::Offer { to, until, terms: Digest::of(&[b"salted terms"]) };
    let mut event = desk.says(sequence, unit, action);
    event.basis = Some(basis);
    desk.sign(event)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passport_tells_the_whole_story_and_is_checked_without_the_network() {
    let scene = Scene::set().await;
    let parties = scene.drill.parties();
    let unit: consign_types::unit::UnitId = PARCEL.parse().expect("a unit");
    // Every node can make it, the consignee's too, which had no hand in anything.
    let mut files = Vec::new();
    for party in &parties {
        let client = scene.drill.client(party);
        let told = || async { client.unit(unit.clone(), None).await.is_ok_and(|u| u.events == 3) };
        scene.drill.until("the node has committed all of it", told).await;
        let made = || async { client.passport(unit.clone(), None).await.is_ok() };
        scene.drill.until("the node has a cosigned checkpoint", made).await;
        files.push(client.passport(unit.clone(), None).await.expect("a passport").passport.0);
    }
    for bytes in &files {
        let verified = passport::read(bytes, &scene.trust()).expect("it holds");
        let depths: Vec<usize> = verified.steps.iter().map(|step| step.depth).collect();
        assert_eq!(depths, [0, 0, 1, 1, 0], "registered, in, two of the trailer's, out");
        let custody: Vec<_> = verified.custody.iter().map(|held| held.custodian.clone()).collect();
        let held = |at: usize| Custodian::Held(parties[at].clone());
        assert_eq!(custody, [held(0), held(1)], "it came to the airline inside of the trailer");
        assert!(!verified.flags().contains(&Flag::Exception));
        assert!(bytes.len() < 10_000, "{} bytes", bytes.len());
    }
    scene.drill.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_fetches_and_judges_a_passport() {
    let scene = Scene::set().await;
    let url = scene.drill.home(&scene.drill.parties()[1]).url.clone();
    let file = scene.dir.path().join("fetched.passport");
    let get = ["--node", &url, "passport", "get", PARCEL, "--out", path(&file)];
    let ran = consign(get).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let bytes = std::fs::read(&file).expect("the file");

    let good = scene.verify(&bytes, &["--expect-holder", "airline", "--not-flag", "hold,damaged"]);
    let good = good.await;
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(good.stdout.ends_with("\nVERIFIED\n"), "{}", good.stdout);
    let wrong_holder = scene.verify(&bytes, &["--expect-holder", "forwarder"]).await;
    assert_eq!(wrong_holder.code, 5);
    assert!(wrong_holder.stderr.starts_with("error[other_holder]"), "{}", wrong_holder.stderr);
    let fresh = scene.verify(&bytes, &["--max-age", "1d"]).await;
    assert_eq!(fresh.code, 0, "{}", fresh.stderr);

    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let broken = scene.verify(&flipped, &[]).await;
    assert_eq!(broken.code, 3, "{}", broken.stdout);
    assert!(broken.stdout.ends_with("\nNOT VERIFIED\n"), "{}", broken.stdout);
    // Nobody to believe.
    let ran = consign(["verify", path(&file)]).await;
    assert_eq!(ran.code, 4, "{}", ran.stdout);

    let unknown = consign(["--node", &url, "passport", "get", "trk/forwarder/NONE"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""), "{}", unknown.stderr);
    scene.drill.finish().await;
}

/// A passport says nothing of what came after it. Whoever asks members finds out, and by proof.
#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_asked_prove_what_came_after_the_passport() {
    let mut scene = Scene::set().await;
    let [forwarder, airline] = [0, 1].map(|at| scene.drill.parties()[at].clone());
    let urls = [&forwarder, &airline].map(|party| scene.drill.home(party).url.clone());
    let unit: consign_types::unit::UnitId = PARCEL.parse().expect("a unit");
    let client = scene.drill.client(&airline);
    let old = client.passport(unit.clone(), None).await.expect("a passport").passport.0;
    let online = ["--online", "--node", &urls[0], "--node", &urls[1]];

    let nothing = scene.verify(&old, &online).await;
    assert_eq!(nothing.code, 0, "{}{}", nothing.stdout, nothing.stderr);
    assert_eq!(nothing.stdout.matches("nothing more up to block").count(), 2, "{}", nothing.stdout);

    let later = scene.ramp.signs(4, PARCEL, ATTEMPT);
    scene.drill.prove(&airline, &later).await;
    // Offline it still is what it was; online it is not the last word.
    assert_eq!(scene.verify(&old, &[]).await.code, 0);
    let superseded = scene.verify(&old, &online[..]).await;
    assert_eq!(superseded.code, 5, "{}", superseded.stdout);
    assert!(superseded.stderr.starts_with("error[superseded]"), "{}", superseded.stderr);
    assert!(superseded.stdout.contains("1 more events up to block"), "{}", superseded.stdout);

    let new = client.passport(unit, None).await.expect("a passport").passport.0;
    let last = scene.verify(&new, &["--online", "--node", &urls[1]]).await;
    assert_eq!(last.code, 0, "{}{}", last.stdout, last.stderr);
    let deaf = scene.verify(&new, &["--online", "--node", "http://127.0.0.1:1"]).await;
    assert!(deaf.stderr.starts_with("error[nobody_answered]"), "{}", deaf.stderr);
    scene.drill.finish().await;
}
