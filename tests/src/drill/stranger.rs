//! A stranger: a sound `consignd` that believes to be one of us.
//!
//! Its genesis lists our validators, so it knows their addresses and their keys; only its own entry is
//! of keys that it made itself. It dials three of our nodes, and each meets a key that is not on its list.

use std::fs;

use consign_cli::devnet::home::{Devnet, NodeHome};
use consign_cli::devnet::process;
use consign_rpc::client::Client;
use consign_types::codec::Canonical as _;
use consign_types::genesis::Genesis;
use consign_types::validator::ValidatorSet;

use super::{Drill, STOP, consignd, free_ports};

/// The node of a stranger; it ends with this value.
pub struct Stranger {
    node: NodeHome,
    /// Removed last.
    _dir: tempfile::TempDir,
}

impl Stranger {
    /// Starts a stranger that poses as the last party of `drill`, whose own node is not dialled.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(drill: &Drill) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the stranger");
        let (ours, ports) = (&drill.devnet, free_ports());
        let theirs = Devnet::create(&dir.path().join("net"), ports).expect("keys of its own");
        let party = drill.parties().pop().expect("four parties");
        let node = theirs.node(&party).expect("the same parties").clone();

        let mut validators = ours.genesis().validators().validators().to_vec();
        let own = theirs.genesis().validators().validators().iter().find(|v| v.party == party);
        let posed = validators.iter_mut().find(|v| v.party == party).expect("a validator");
        posed.clone_from(own.expect("a validator there too"));
        let set = ValidatorSet::new(validators).expect("a set");
        let (origin, time) = (ours.genesis().origin(), ours.genesis().time());
        let (members, params) = (ours.genesis().members().to_vec(), *ours.genesis().params());
        let genesis = Genesis::new(origin, time, members, set, params).expect("a genesis");
        let home = theirs.layout().party(&party);
        fs::write(home.join("genesis.cbor"), genesis.to_bytes()).expect("it can be written");

        let mut config = fs::read_to_string(&node.config).expect("its configuration");
        let own = theirs.genesis().network().to_string();
        config = config.replace(&own, &genesis.network().to_string());
        for (index, _) in drill.parties().iter().enumerate().take(3) {
            let port = |base: u16| format!("/tcp/{}\"", usize::from(base) + index);
            config = config.replace(&port(ports.p2p), &port(drill.ports.p2p));
        }
        fs::write(&node.config, config).expect("it can be written");
        process::start(&consignd(), &node).expect("it starts");
        Self { node, _dir: dir }
    }

    /// A client of its node.
    ///
    /// # Panics
    /// When its address is none.
    pub fn client(&self) -> Client {
        Client::connect(&self.node.url).expect("an address")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("stranger: {}", process::log_tail(&self.node, 20));
        }
        let _ = process::kill(&self.node, STOP);
    }
}
