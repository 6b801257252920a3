//! One validator's key in two places, or set back in time; and everything that was ever signed with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use consign_cli::devnet::home::NodeHome;
use consign_cli::devnet::process;
use consign_node::config::Config;
use consign_rpc::client::Client;
use consign_rpc::params::GetEvidence;
use consign_types::party::PartyId;
use serde_json::Value;

use super::{Drill, PATIENCE, POLL, STOP, consignd, free_ports};
use crate::wait;

/// What was signed: by height, round and step, the digests of the messages.
pub type Signed = BTreeMap<(u64, u64, String), BTreeSet<String>>;

impl Drill {
    /// Has the node of `party`, which must be down, log each proposal and vote that it sends.
    ///
    /// # Panics
    /// When its configuration cannot be written.
    pub fn record_votes(&self, party: &PartyId) {
        let path = &self.home(party).config;
        let mut config = fs::read_to_string(path).expect("its configuration");
        config
            .push_str("\n[log]\nlevel = \"info,consign_node::driver=debug\"\nformat = \"json\"\n");
        fs::write(path, config).expect("it can be written");
        fs::write(&self.home(party).log, "").expect("a log that begins here");
    }

    /// The data directory of the node of `party`.
    ///
    /// # Panics
    /// When its configuration cannot be read.
    pub fn data(&self, party: &PartyId) -> PathBuf {
        Config::load(&self.home(party).config).expect("its configuration").data_dir
    }

    /// What the node of `party` says of its own doubt; `None` where it has none, or does not answer.
    pub async fn quarantine(&self, party: &PartyId) -> Option<String> {
        self.client(party).status().await.ok().and_then(|status| status.quarantine)
    }

    /// Waits until the node of `party` says why it does not sign.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn until_quarantined(&self, party: &PartyId) -> String {
        let what = format!("{party} is in quarantine");
        self.until(&what, || async { self.quarantine(party).await.is_some() }).await;
        self.quarantine(party).await.unwrap_or_default()
    }

    /// Waits until the node of `party` signs, without anything being brought to it.
    ///
    /// # Panics
    /// When it does not in time; says what the node says of itself.
    pub async fn until_signing(&self, party: &PartyId, what: &str) {
        let votes = async || self.votes(party).await.then_some(());
        if wait::until(PATIENCE, POLL, votes).await.is_none() {
            let status = self.client(party).status().await;
            panic!("not in time: {what}; it says {status:?}");
        }
    }

    /// Whether any node knows evidence against anybody.
    ///
    /// # Panics
    /// When one does not answer.
    pub async fn evidence_count(&self) -> usize {
        let mut count = 0;
        for party in self.parties() {
            let page = self.client(&party).call(&GetEvidence::default()).await;
            count += page.expect("a page").data.len();
        }
        count
    }

    /// Whether the node of `party` signs, as it says itself: it counts itself among those that vote.
    pub async fn votes(&self, party: &PartyId) -> bool {
        let status = self.client(party).status().await;
        status.is_ok_and(|status| status.not_ready.is_none() && status.validators.voting)
    }
}

/// Everything that a node signed in all its lives, by its log.
///
/// # Panics
/// When the log cannot be read.
pub fn signed(log: &Path) -> Signed {
    let text = fs::read_to_string(log).expect("a log");
    let mut signed = Signed::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        if line["code"] != "consensus.said" {
            continue;
        }
        let number = |name: &str| line[name].as_u64().expect("a number");
        let word = |name: &str| line[name].as_str().expect("a word").to_owned();
        let place = (number("height"), number("round"), word("step"));
        signed.entry(place).or_default().insert(word("digest"));
    }
    signed
}

/// A second process with the key and the data of a party's node.
pub struct Twin {
    node: NodeHome,
    /// Removed last.
    _dir: tempfile::TempDir,
}

impl Twin {
    /// Copies the node of `party`, which must be down, to ports of its own. It is not started.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn of(drill: &Drill, party: &PartyId) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the twin");
        let original = drill.home(party);
        let home = original.config.parent().expect("the party's directory");
        copy_dir(home, dir.path());
        let config = dir.path().join("consignd.toml");
        let place =
            drill.parties().iter().position(|other| other == party).expect("a party") as u16;
        let ports = free_ports();
        let text = fs::read_to_string(&config).expect("its configuration");
        let rpc = (drill.ports.rpc + place).to_string();
        let p2p = format!("/tcp/{}\"", drill.ports.p2p + place);
        let text = text.replace(&rpc, &ports.rpc.to_string());
        let text = text.replace(&p2p, &format!("/tcp/{}\"", ports.p2p));
        fs::write(&config, text).expect("it can be written");
        let node = NodeHome {
            party: party.clone(),
            url: original.url.replace(&rpc, &ports.rpc.to_string()),
            config,
            log: dir.path().join("twin.log"),
            pid: dir.path().join("twin.pid"),
        };
        Self { node, _dir: dir }
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self) {
        process::start(&consignd(), &self.node).expect("it starts");
    }

    /// Stops it.
    ///
    /// # Panics
    /// When it was not running, or goes on.
    pub fn stop(&self) {
        assert!(process::stop(&self.node, STOP).expect("it can be stopped"), "the twin ran");
    }

    /// Where it lives.
    pub const fn home(&self) -> &NodeHome {
        &self.node
    }

    /// What it says of its own doubt; `None` where it has none, or does not answer.
    pub async fn quarantine(&self) -> Option<String> {
        let client = Client::connect(&self.node.url).expect("an address");
        client.status().await.ok().and_then(|status| status.quarantine)
    }

    /// Whether it signs.
    pub async fn votes(&self) -> bool {
        let client = Client::connect(&self.node.url).expect("an address");
        let status = client.status().await;
        status.is_ok_and(|status| status.not_ready.is_none() && status.validators.voting)
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the twin: {}", process::log_tail(&self.node, 20));
        }
        let _ = process::kill(&self.node, STOP);
    }
}

/// Copies what is under `from` to `to`.
///
/// # Panics
/// When something cannot be copied.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    fs::set_permissions(to, fs::metadata(from).expect("it is there").permissions())
        .expect("its mode");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("it can be copied");
        }
    }
}
