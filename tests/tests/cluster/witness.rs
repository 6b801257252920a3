//! A witness beside a network: it cosigns growth and nothing else, and the network does not need it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use consign_cli::keys::{self, Purpose};
use consign_ledger::passport::{self, Passport};
use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, consign, consign_running};
use consign_tests::drill::http;
use consign_types::block::TreeSize;
use consign_types::checkpoint::{Checkpoint, cosigner_key};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, TreeRoot};
use consign_types::event::{Action, Kind, SignedEvent};
use consign_types::note::Note;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;
use consign_types::witness::{AddCheckpoint, Witness, state_file};
use tokio::process::Child;

const NAME: &str = "witness.example/w1";

/// A network that asks a witness, and where the witness has its things.
struct Scene {
    drill: Drill,
    dir: tempfile::TempDir,
    url: String,
    witness: Witness,
}

impl Scene {
    async fn set() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let url = format!("http://{port}");
        let key = dir.path().join("witness.key");
        let make = ["witness", "key", "--name", NAME, "--url", &url, "--out", path(&key)];
        let made = consign(make.into_iter().chain(["--output", "json"])).await;
        assert_eq!(made.code, 0, "{}", made.stderr);
        let made: serde_json::Value = serde_json::from_str(&made.stdout).expect("JSON");
        let witness: Witness = made["witness"].as_str().expect("a text").parse().expect("one");
        Self { drill: Drill::start_with(vec![witness.clone()]).await, dir, url, witness }
    }

    fn run_witness(&self) -> Child {
        let (key, state) = (self.dir.path().join("witness.key"), self.dir.path().join("state"));
        let trust = self.drill.devnet().layout().trust();
        let listen = self.url.trim_start_matches("http://");
        let run = ["witness", "run", "--trust", path(&trust), "--key", path(&key)];
        consign_running(run.into_iter().chain(["--state", path(&state), "--listen", listen]))
    }

    /// A trust file that demands the witness, and an age of an hour.
    fn demanding(&self) -> PathBuf {
        let text = std::fs::read_to_string(self.drill.devnet().layout().trust()).expect("it");
        let mut trust = Trust::from_json(&text).expect("a trust file");
        assert_eq!(trust.witnesses.keys.len(), 1, "the network's file names its witness");
        (trust.witnesses.needed, trust.witnesses.age_max_s) = (1, Some(3_600));
        let file = self.dir.path().join("demanding.trust.json");
        std::fs::write(&file, trust.to_json()).expect("it can be written");
        file
    }

    async fn receipt(&self, event: &SignedEvent) -> String {
        let client = self.drill.client(&self.drill.parties()[0]);
        let view = client.event_inclusion(event.id(), None).await.expect("a proof");
        view.tlog_proof.expect("a file")
    }

    async fn until_witnessed(&self, event: &SignedEvent) -> String {
        let witnessed = || async { self.receipt(event).await.contains(NAME) };
        self.drill.until("the receipt carries the witness' line", witnessed).await;
        self.receipt(event).await
    }

    async fn verify(&self, receipt: &str, more: &[&str]) -> Ran {
        let file = self.dir.path().join("one.tlog-proof");
        std::fs::write(&file, receipt).expect("it can be written");
        let trust = self.demanding();
        consign([&["verify", path(&file), "--trust", path(&trust)], more].concat()).await
    }

    /// The checkpoint that the witness serves.
    async fn served(&self) -> Checkpoint {
        let file = format!("/{}/checkpoint", state_file(self.drill.devnet().genesis().origin()));
        let answer = http::get(&self.url, &file).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let note: Note = answer.text().parse().expect("a note");
        Checkpoint::from_text(note.text()).expect("a checkpoint")
    }

    /// A checkpoint that all validators sign, as colluding ones would.
    async fn ask(&self, old: u64, size: u64, root: TreeRoot) -> (u16, String) {
        let layout = self.drill.devnet().layout();
        let origin = self.drill.devnet().genesis().origin().to_owned();
        let key = |party, purpose| keys::read(&layout.key(party, purpose), purpose).expect("a key");
        let parties = self.drill.parties();
        let checkpoint = Checkpoint { origin, size: TreeSize(size), root };
        let mut note = checkpoint.signed(&key(&parties[0], Purpose::Log)).expect("a note");
        for party in &parties {
            let secret = key(party, Purpose::Cosigner);
            let line = cosigner_key(&checkpoint.origin, party, secret.public()).expect("a key");
            note.add(checkpoint.cosign(&secret, 1).line(&line));
        }
        let request = AddCheckpoint { old: TreeSize(old), path: Vec::new(), checkpoint: note };
        let body = request.to_string();
        let answer = http::post_to(&self.url, "/add-checkpoint", body.as_bytes()).await;
        (answer.status, answer.text())
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_cosigns_growth_and_the_network_goes_on_without_it() {
    let mut scene = Scene::set().await;
    let party = scene.drill.parties()[0].clone();
    let desk = scene.drill.enrol(&party, "desk", &[Kind::Register]).await;
    let first = desk.signs(1, "trk/forwarder/WITNESSED-1", Action::Register);
    scene.drill.prove(&party, &first).await;
    let alone = scene.verify(&scene.receipt(&first).await, &[]).await;
    assert_eq!(alone.code, 4, "nobody witnesses yet: {}", alone.stdout);

    let mut witness = scene.run_witness();
    let receipt = scene.until_witnessed(&first).await;
    let good = scene.verify(&receipt, &[]).await;
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(good.stdout.contains("witnessed by 1 of 1 (witness.example/w1)"), "{}", good.stdout);
    let late = scene.verify(&receipt, &["--now", "2100-01-01T00:00:00Z"]).await;
    assert_eq!(late.code, 4, "{}", late.stdout);
    assert!(late.stderr.contains("the witnesses cosigned"), "{}", late.stderr);
    let file = http::get(&scene.drill.home(&party).url, "/tlog/checkpoint").await.text();
    assert!(file.contains(NAME), "{file}");

    let seen = scene.served().await;
    let size = seen.size.0;
    let forked = TreeRoot(Digest([7; 32]));
    assert_eq!(scene.ask(size, size, forked).await, (409, format!("{size}\n")), "another root");
    assert_eq!(scene.ask(size, size + 1, forked).await.0, 422, "a fork");
    assert_eq!(scene.ask(size - 1, size - 1, forked).await, (409, format!("{size}\n")), "smaller");

    witness.kill().await.expect("it ran");
    let second = desk.signs(2, "trk/forwarder/WITNESSED-2", Action::Register);
    scene.drill.prove(&party, &second).await;
    let unwitnessed = scene.verify(&scene.receipt(&second).await, &[]).await;
    assert_eq!(unwitnessed.code, 4, "{}", unwitnessed.stdout);
    let why = "0 of the 1 witnesses that are needed cosigned";
    assert!(unwitnessed.stderr.contains(why), "{}", unwitnessed.stderr);

    let _again = scene.run_witness();
    let receipt = scene.until_witnessed(&second).await;
    assert_eq!(scene.verify(&receipt, &[]).await.code, 0);
    let now = scene.served().await.size.0;
    assert!(now > size);
    assert_eq!(scene.ask(size, size, seen.root).await, (409, format!("{now}\n")), "it remembers");

    // The members ask nobody, and then the same witness again; a trust file that knows it takes what has no line of it
    // where it demands none.
    let members = scene.drill.parties();
    scene.drill.decide(&members, &["witnesses"]).await;
    let third = desk.signs(3, "trk/forwarder/WITNESSED-3", Action::Register);
    scene.drill.prove(&party, &third).await;
    assert!(!scene.receipt(&third).await.contains(NAME), "nobody is asked");
    let witness = scene.witness.to_string();
    scene.drill.decide(&members, &["witnesses", "--witness", &witness]).await;
    let fourth = desk.signs(4, "trk/forwarder/WITNESSED-4", Action::Register);
    scene.drill.prove(&party, &fourth).await;
    let receipt = scene.until_witnessed(&fourth).await;
    assert_eq!(scene.verify(&receipt, &[]).await.code, 0);
    // Whoever does not know the witness learns from the passport that it is one, and counts it for nothing.
    let unit: UnitId = "trk/forwarder/WITNESSED-4".parse().expect("a unit");
    let client = scene.drill.client(&party);
    let passport = || async { client.passport(unit.clone(), None).await.expect("one").passport.0 };
    let names_it = || async {
        let passport = Passport::from_bytes(&passport().await).expect("a passport");
        passport.witnesses.is_some()
    };
    scene.drill.until("the passport says who witnesses", names_it).await;
    let text = std::fs::read_to_string(scene.drill.devnet().layout().trust()).expect("it");
    let mut trust = Trust::from_json(&text).expect("a trust file");
    trust.witnesses = Default::default();
    let verified = passport::read(&passport().await, &trust).expect("it holds");
    assert_eq!(verified.checkpoint.witnessed.names, [""; 0]);
    // Told of the witness, it counts it.
    let told = scene.dir.path().join("told.trust.json");
    std::fs::write(&told, trust.to_json()).expect("it can be written");
    let url = scene.drill.home(&party).url.clone();
    let advance = ["--node", &url, "trust", "advance", path(&told), "--witness", &witness];
    let ran = consign(advance).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("the set is the same since; wrote"), "{}", ran.stdout);
    let trust = std::fs::read_to_string(&told).expect("the trust file");
    let trust = Trust::from_json(&trust).expect("a trust file");
    let verified = passport::read(&passport().await, &trust).expect("it holds");
    assert_eq!(verified.checkpoint.witnessed.names, [NAME]);
    scene.drill.finish().await;
}
