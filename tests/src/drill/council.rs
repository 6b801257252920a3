//! Members at work: nodes that join, proposals and votes, all by the commands that people use.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use consign_cli::devnet::home::NodeHome;
use consign_cli::devnet::process;
use consign_cli::join::{self, Listen};
use consign_cli::keys::Purpose;
use consign_cli::network::Peer;
use consign_rpc::page::PageLimit;
use consign_rpc::params::{GetDeviceHistory, GetProposal};
use consign_types::digest::EventId;
use consign_types::event::SignedEvent;
use consign_types::party::{PartyId, SignerId};

use super::Drill;
use super::command::{Ran, consign};

impl Drill {
    /// Makes and starts the node of a party that is no member yet. Answers its request to join.
    ///
    /// # Panics
    /// When it does not start.
    pub fn join(&mut self, party: &PartyId) -> PathBuf {
        let home = self.devnet.layout().party(party);
        let [rpc, p2p] = two_ports();
        let listen = Listen {
            rpc: format!("127.0.0.1:{rpc}"),
            p2p: format!("/ip4/127.0.0.1/tcp/{p2p}"),
            announce: Vec::new(),
        };
        let ports = self.ports;
        let peers = self.devnet.nodes().iter().zip(ports.p2p..).map(|(node, port)| Peer {
            party: node.party.clone(),
            addresses: vec![format!("/ip4/127.0.0.1/tcp/{port}")],
        });
        let peers: Vec<Peer> = peers.collect();
        let request = join::init(&home, self.devnet.genesis(), party, &listen, &peers);
        self.adopt(party, &format!("http://{}", listen.rpc));
        request.expect("a new node")
    }

    /// Starts the node that somebody made in the directory of `party`, and takes it into the drill.
    ///
    /// # Panics
    /// When it does not start.
    pub fn adopt(&mut self, party: &PartyId, url: &str) {
        let home = self.devnet.layout().party(party);
        self.joined.push(NodeHome {
            url: url.to_owned(),
            config: home.join("consignd.toml"),
            log: home.join("consignd.log"),
            pid: home.join("consignd.pid"),
            party: party.clone(),
        });
        process::start(&self.consignd, self.home(party)).expect("it starts");
    }

    /// The port at which the first party's node meets others; those of the next ones follow.
    pub const fn p2p_port(&self) -> u16 {
        self.ports.p2p
    }

    /// Takes what these members signed by hand for what this drill brought.
    ///
    /// # Panics
    /// When a node does not answer.
    pub async fn note_members(&mut self, parties: &[PartyId]) {
        let client = self.client(&self.parties()[0]);
        for party in parties {
            let device_id = SignerId::member(party.clone()).into();
            let call = GetDeviceHistory { device_id, cursor: None, limit: PageLimit::default() };
            for view in client.call(&call).await.expect("a history").data {
                self.note_proven(&SignedEvent::decode(&view.envelope.0).expect("an event"));
            }
        }
    }

    /// Runs `consign gov ARGUMENTS` as the member `by`, asking its own node, and notes the event.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn gov(&mut self, by: &PartyId, arguments: &[&str]) -> String {
        let key = self.devnet.layout().key(by, Purpose::Member);
        let url = self.home(by).url.clone();
        let own = ["--as", by.as_str(), "--key", text(&key), "--wait", "proven"];
        let arguments = ["--node", &url, "gov"].into_iter().chain(arguments.iter().copied());
        let ran = consign(arguments.chain(own)).await;
        assert_eq!(ran.code, 0, "{by}: {}{}", ran.stdout, ran.stderr);
        let id: EventId =
            ran.stdout.lines().next().and_then(|line| line.parse().ok()).expect("an id");
        let view = self.client(by).event(id, false).await.expect("the event");
        self.note_proven(&SignedEvent::decode(&view.envelope.0).expect("an event"));
        ran.stdout
    }

    /// Runs `consign gov ARGUMENTS` as the member `by`, which is to be refused.
    pub async fn refused_gov(&self, by: &PartyId, arguments: &[&str]) -> Ran {
        let key = self.devnet.layout().key(by, Purpose::Member);
        let url = self.home(by).url.clone();
        let own = ["--as", by.as_str(), "--key", text(&key)];
        let arguments = ["--node", &url, "gov"].into_iter().chain(arguments.iter().copied());
        consign(arguments.chain(own)).await
    }

    /// Stops the node of a party that joined; it is no part of the drill any more.
    ///
    /// # Panics
    /// When it was not running.
    pub fn leave(&mut self, party: &PartyId) {
        self.stop(party);
        self.joined.retain(|node| node.party != *party);
    }

    /// The first of `members` proposes, the others approve until it is decided. Answers the last of what
    /// was said.
    ///
    /// # Panics
    /// When it is refused, or nobody is left to approve.
    pub async fn decide(&mut self, members: &[PartyId], change: &[&str]) -> String {
        let propose: Vec<&str> = ["propose"].into_iter().chain(change.iter().copied()).collect();
        let (first, others) = members.split_first().expect("a member");
        let mut said = self.gov(first, &propose).await;
        let id = field(&said, "event").to_owned();
        let mut others = others.iter();
        while field(&said, "stage").starts_with("open") {
            let by = others.next().unwrap_or_else(|| panic!("not decided: {said}"));
            // Another member's node may be a block behind the one that proved it.
            let client = self.client(by);
            let call = GetProposal { proposal_id: id.parse().expect("an event id") };
            let known = || async { client.call(&call).await.is_ok() };
            self.until("the proposal is known", known).await;
            said = self.gov(by, &["approve", &id]).await;
        }
        said
    }
}

/// A field of a proposal as `consign gov show` prints it.
///
/// # Panics
/// When there is none.
pub fn field<'a>(said: &'a str, name: &str) -> &'a str {
    let line = said.lines().find_map(|line| line.strip_prefix(&format!("{name:<9} ")));
    line.unwrap_or_else(|| panic!("no {name} in {said}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Ports that nobody listens on, outside of what the system gives to whoever connects.
///
/// # Panics
/// When all are taken.
pub fn two_ports() -> [u16; 2] {
    let free = |from: u16| {
        let mut ports = from..from + 2_000;
        ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
    };
    [free(28_100), free(30_200)]
}
