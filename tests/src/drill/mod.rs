//! Drills: four real nodes on loopback, a steady stream of signed events, faults, and a check at the end
//! that verifies every node's stored data from bytes alone.
//!
//! The rig polls for conditions with a deadline; it waits for time to pass only where the passing of time
//! is what is looked at ([`Drill::leave_alone`]).

pub mod command;
pub mod council;
pub mod device;
pub mod feed;
pub mod files;
pub mod forge;
pub mod http;
mod idle;
mod stranger;
pub mod twin;

pub use idle::Idle;
pub use stranger::Stranger;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use consign_cli::devnet::devices::DeviceBook;
use consign_cli::devnet::home::{Devnet, Founders, NodeHome};
use consign_cli::devnet::process;
use consign_cli::network::Ports;
use consign_node::check::{self, Summary};
use consign_node::config::Config;
use consign_rpc::client::Client;
use consign_rpc::params::Wait;
use consign_rpc::views::EventStatus;
use consign_types::digest::EventId;
use consign_types::event::{Action, Kind, SignedEvent};
use consign_types::party::PartyId;
use consign_types::signer_key::Algorithm;
use consign_types::witness::Witness;
use device::Device;
use rustix::process::{Signal, kill_process};

use crate::wait;

/// How long a condition may take on a busy machine of two cores.
pub const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
const STOP: Duration = Duration::from_secs(20);
const LABEL: &str = "drill";

/// Four nodes under drill.
pub struct Drill {
    devnet: Devnet,
    /// Nodes that came later.
    joined: Vec<NodeHome>,
    ports: Ports,
    consignd: PathBuf,
    /// As a device keeps them: until they are proven.
    accepted: BTreeMap<EventId, Vec<u8>>,
    proven: BTreeSet<EventId>,
    /// Removed last.
    _dir: tempfile::TempDir,
}

impl Drill {
    /// Four nodes that are ready, each with a device of its party enrolled.
    ///
    /// # Panics
    /// When a node does not start.
    pub async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// The same, with a network that asks these witnesses.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(witnesses: Vec<Witness>) -> Self {
        let mut drill = Self::found(Founders { witnesses, ..Founders::default() }).await;
        for party in drill.parties() {
            drill.enrol(&party, LABEL, &[Kind::Register]).await;
        }
        drill
    }

    /// Four nodes of these parties that are ready, and no device.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn found(founders: Founders) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the drill");
        let ports = free_ports();
        let devnet =
            Devnet::create_with(&dir.path().join("net"), ports, founders).expect("a new network");
        let drill = Self {
            devnet,
            joined: Vec::new(),
            ports,
            consignd: consignd(),
            accepted: BTreeMap::new(),
            proven: BTreeSet::new(),
            _dir: dir,
        };
        for party in drill.parties() {
            drill.restart(&party);
        }
        for party in drill.parties() {
            drill.until(&format!("{party} is ready"), || drill.is_ready(&party)).await;
        }
        drill
    }

    /// The parties, in the order of their validators.
    pub fn parties(&self) -> Vec<PartyId> {
        self.devnet.nodes().iter().map(|node| node.party.clone()).collect()
    }

    /// The network and its directory.
    pub const fn devnet(&self) -> &Devnet {
        &self.devnet
    }

    /// Where the node of a party lives.
    ///
    /// # Panics
    /// When the party runs none here.
    pub fn home(&self, party: &PartyId) -> &NodeHome {
        let joined = self.joined.iter().find(|node| node.party == *party);
        joined.or_else(|| self.devnet.node(party).ok()).expect("a party of the network")
    }

    /// Enrols a new device of a party, and waits until that is proven.
    ///
    /// # Panics
    /// When it is not.
    pub async fn enrol(&mut self, party: &PartyId, label: &str, kinds: &[Kind]) -> Device {
        self.enrol_on(Algorithm::Ed25519, party, label, kinds).await
    }

    /// The same with a key of this algorithm.
    ///
    /// # Panics
    /// When that is not proven.
    pub async fn enrol_on(
        &mut self,
        algorithm: Algorithm,
        party: &PartyId,
        label: &str,
        kinds: &[Kind],
    ) -> Device {
        let network = self.devnet.genesis().network();
        let mut book = self.book(party);
        book.ensure_on(algorithm, label, kinds).expect("a device key");
        let enrolment = book.enrolment(network, label).expect("an enrolment");
        self.prove(party, &enrolment).await;
        Device { keyed: book.device(label).expect("the device"), network }
    }

    /// Brings an event to the node of `party`, and waits until it is proven there.
    ///
    /// # Panics
    /// When it is not.
    pub async fn prove(&mut self, party: &PartyId, event: &SignedEvent) {
        let client = self.client(party);
        let sent = client.submit_event(event.bytes(), Wait::Proven, Some(60_000)).await;
        let sent = sent.unwrap_or_else(|e| panic!("{party} refused an event: {e}"));
        assert!(sent.status.is_proven(), "{party} does not prove an event: {:?}", sent.status);
        self.note_proven(event);
    }

    /// Notes an event that something else brought to the log: it is looked for at the end.
    pub fn note_proven(&mut self, event: &SignedEvent) {
        self.accepted.insert(event.id(), event.bytes().to_vec());
        self.proven.insert(event.id());
    }

    /// Registers `count` units through each of `parties`, waiting only until they are accepted.
    ///
    /// # Panics
    /// When a node refuses one.
    pub async fn load(&mut self, parties: &[PartyId], count: usize) {
        for party in parties {
            let events = self.sign(party, count);
            let client = self.client(party);
            for chunk in events.chunks(100) {
                let bytes: Vec<_> = chunk.iter().map(SignedEvent::bytes).collect();
                let answers = client.submit_batch(&bytes, Wait::Accepted, None).await;
                for answer in answers.expect("an answer") {
                    answer.into_result().expect("it is accepted");
                }
            }
            self.accepted.extend(events.iter().map(|event| (event.id(), event.bytes().to_vec())));
        }
    }

    /// Whether every accepted event is proven, as the node of `party` says; notes those that are. What the
    /// node does not know any more is sent again, as a device would.
    pub async fn all_proven(&mut self, party: &PartyId) -> bool {
        let client = self.client(party);
        for (id, bytes) in &self.accepted {
            if self.proven.contains(id) {
                continue;
            }
            match client.event_status(*id).await {
                Ok(status) if status.is_proven() => {
                    self.proven.insert(*id);
                }
                Ok(EventStatus::Unknown) => {
                    // Whether it is taken is seen the next time round.
                    let _ = client.submit_event(bytes, Wait::Accepted, None).await;
                    return false;
                }
                _ => return false,
            }
        }
        true
    }

    /// Waits until every accepted event is proven on the node of `party`.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn until_all_proven(&mut self, party: &PartyId) {
        let proven = async || self.all_proven(party).await.then_some(());
        let waited = wait::until(PATIENCE, POLL, proven).await;
        assert_eq!(waited, Some(()), "not everything is proven on {party} in time");
    }

    /// Kills a node with SIGKILL.
    ///
    /// # Panics
    /// When it was not running.
    pub fn kill(&self, party: &PartyId) {
        assert!(process::kill(self.home(party), STOP).expect("it can be killed"), "{party} ran");
    }

    /// Asks a node to stop, and waits until it has.
    ///
    /// # Panics
    /// When it was not running, or goes on.
    pub fn stop(&self, party: &PartyId) {
        assert!(process::stop(self.home(party), STOP).expect("it can be stopped"), "{party} ran");
    }

    /// Has a node read its certificates and tokens again.
    ///
    /// # Panics
    /// When it is not running.
    pub fn hang_up(&self, party: &PartyId) {
        let pid = process::running(self.home(party)).expect("it runs");
        kill_process(pid, Signal::HUP).expect("it can be told");
    }

    /// Starts a node that is down.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn restart(&self, party: &PartyId) {
        process::start(&self.consignd, self.home(party)).expect("it starts");
    }

    /// The committed height of a node; `None` where it does not answer.
    pub async fn height(&self, party: &PartyId) -> Option<u64> {
        self.client(party).status().await.ok().map(|status| status.height)
    }

    /// Why a node says that it is not ready; `None` where it is, or does not answer.
    pub async fn not_ready(&self, party: &PartyId) -> Option<String> {
        self.client(party).status().await.ok().and_then(|status| status.not_ready)
    }

    /// Whether a node answers and is ready.
    pub async fn is_ready(&self, party: &PartyId) -> bool {
        self.client(party).status().await.is_ok_and(|status| status.not_ready.is_none())
    }

    /// Waits for a condition.
    ///
    /// # Panics
    /// When it does not come true in time.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        let waited = wait::until(PATIENCE, POLL, async || holds().await.then_some(())).await;
        assert_eq!(waited, Some(()), "not in time: {what}");
    }

    /// A client of a node.
    ///
    /// # Panics
    /// When its address is none.
    pub fn client(&self, party: &PartyId) -> Client {
        Client::connect(&self.home(party).url).expect("an address")
    }

    /// Lets all nodes come to one height, stops them, and verifies everything that each has stored: the
    /// same chain everywhere, and in it, once, every event that was proven. Answers what all hold.
    ///
    /// # Panics
    /// When anything does not hold.
    pub async fn finish(mut self) -> Summary {
        let nodes: Vec<NodeHome> =
            self.devnet.nodes().iter().chain(&self.joined).cloned().collect();
        let parties: Vec<PartyId> = nodes.iter().map(|node| node.party.clone()).collect();
        for party in &parties {
            self.until_all_proven(&party.clone()).await;
        }
        let agreed = || async {
            let mut heights = Vec::new();
            for party in &parties {
                heights.push(self.height(party).await);
            }
            heights.iter().all(|height| height.is_some() && *height == heights[0])
        };
        self.until("all nodes are at one height", agreed).await;
        for node in &nodes {
            process::stop(node, STOP).expect("it stops");
        }
        let summaries: Vec<Summary> = nodes.iter().map(verified).collect();
        for (summary, party) in summaries.iter().zip(&parties) {
            let other = &summaries[0];
            assert_eq!(
                (summary.height, summary.block, summary.root, summary.map_root),
                (other.height, other.block, other.root, other.map_root),
                "{party} holds another chain"
            );
            assert_eq!(summary.events, other.events, "{party} holds other events");
        }
        let held = &summaries[0].events;
        let accepted: BTreeSet<EventId> = self.accepted.keys().copied().collect();
        assert_eq!(*held, accepted, "the log holds what was accepted, each once");
        assert!(self.proven.is_subset(held));
        summaries[0].clone()
    }

    fn sign(&self, party: &PartyId, count: usize) -> Vec<SignedEvent> {
        let mut book = self.book(party);
        let keyed = book.device(LABEL).expect("the device");
        let device = Device { keyed, network: self.devnet.genesis().network() };
        let register = |book: &mut DeviceBook| {
            let sequence = book.take_number(LABEL).expect("a number");
            device.signs(sequence, &format!("trk/{party}/DRILL-{sequence}"), Action::Register)
        };
        (0..count).map(|_| register(&mut book)).collect()
    }

    fn book(&self, party: &PartyId) -> DeviceBook {
        DeviceBook::open(self.devnet.layout(), party).expect("the party's devices")
    }
}

impl Drop for Drill {
    /// A drill that fails leaves no process behind.
    fn drop(&mut self) {
        for node in self.devnet.nodes().iter().chain(&self.joined) {
            if std::thread::panicking() {
                eprintln!("{}: {}", node.party, process::log_tail(node, 20));
            }
            let _ = process::kill(node, STOP);
        }
    }
}

fn verified(node: &NodeHome) -> Summary {
    let config = Config::load(&node.config).expect("the node's configuration");
    check::stored(&config, &mut |_| {}).unwrap_or_else(|e| panic!("{}: {e}", node.party))
}

fn consignd() -> PathBuf {
    built("consignd")
}

/// A program beside the test: `target/release/deps/<test>` and `target/release/<name>`.
///
/// # Panics
/// When it was not built.
pub fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    let beside = own.parent().and_then(|deps| deps.parent()).expect("a target directory");
    let program = beside.join(name);
    assert!(program.exists(), "build first: cargo build --release --workspace --bins");
    program
}

/// Two ranges of four ports that nobody listens on.
fn free_ports() -> Ports {
    let range = |from: u16| {
        (0..200).map(|i| from + i * 8).find(|first| {
            let all = (0..4).map(|i| TcpListener::bind(("127.0.0.1", first + i)));
            all.collect::<Result<Vec<_>, _>>().is_ok()
        })
    };
    let rpc = range(20_100).expect("four free ports");
    Ports { rpc, p2p: range(24_100).expect("four free ports") }
}
