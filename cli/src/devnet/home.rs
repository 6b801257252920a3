//! The directory of a development network: what lies where, and that it is ours.
//!
//! A marker file says that the directory was made by `consign devnet`; nothing without one is ever
//! started, stopped or removed. The directory comes to be in one step (built beside, then renamed),
//! so an interrupted start leaves no half network behind.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use consign_types::genesis::{Genesis, Params};
use consign_types::party::PartyId;
use consign_types::witness::Witness;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::instant;
use crate::network::{self, Layout, Ports, Spec};
use crate::replay::plan::Role;
use crate::replay::sign::party;

const MARKER: &str = ".consign-devnet";
const FORMAT: &str = "consign-devnet-v1";
const ORIGIN: &str = "devnet.example/consign";

/// A development network on this machine.
#[derive(Debug)]
pub struct Devnet {
    layout: Layout,
    genesis: Genesis,
    nodes: Vec<NodeHome>,
}

/// One party's node.
#[derive(Clone, Debug)]
pub struct NodeHome {
    /// Whose.
    pub party: PartyId,
    /// Where it answers JSON-RPC.
    pub url: String,
    /// Its configuration, absolute.
    pub config: PathBuf,
    /// What it writes.
    pub log: PathBuf,
    /// The process that runs it.
    pub pid: PathBuf,
}

/// Who is in a network from its beginning.
#[derive(Clone, Debug)]
pub struct Founders {
    /// Each with a validator, in the order of their ports.
    pub parties: Vec<PartyId>,
    /// Those of them whose devices act as an authority.
    pub authorities: Vec<PartyId>,
    /// Outsiders that cosign.
    pub witnesses: Vec<Witness>,
}

impl Default for Founders {
    fn default() -> Self {
        let (parties, authorities) = (Role::ALL.map(party).to_vec(), vec![party(Role::Handler)]);
        Self { parties, authorities, witnesses: Vec::new() }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Marker {
    format: String,
    base_port: u16,
    p2p_base_port: u16,
    parties: Vec<String>,
}

impl Devnet {
    /// Makes a network of the four parties in `root`, which does not exist yet.
    ///
    /// # Errors
    /// When a port is taken or a file cannot be written.
    pub fn create(root: &Path, ports: Ports) -> Result<Self, Failure> {
        Self::create_with(root, ports, Founders::default())
    }

    /// The same of these parties.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_with(root: &Path, ports: Ports, founders: Founders) -> Result<Self, Failure> {
        let partial = partial(root)?;
        let Founders { parties, authorities, witnesses } = founders;
        let spec = Spec {
            origin: ORIGIN.to_owned(),
            authorities,
            parties: parties.clone(),
            ports,
            time: instant::now(),
            params: Params::default(),
            witnesses,
        };
        let made = network::init(&partial, &spec).and_then(|_| {
            let marker = Marker {
                format: FORMAT.to_owned(),
                base_port: ports.rpc,
                p2p_base_port: ports.p2p,
                parties: parties.iter().map(ToString::to_string).collect(),
            };
            let text = serde_json::to_string_pretty(&marker).unwrap_or_default();
            let path = partial.join(MARKER);
            fs::write(&path, text).map_err(|e| Failure::file("write", &path, e))?;
            fs::rename(&partial, root).map_err(|e| Failure::file("rename", &partial, e))
        });
        if let Err(failure) = made {
            // It is ours: named by this process, made a moment ago.
            let _ = fs::remove_dir_all(&partial);
            return Err(failure);
        }
        Self::open(root)
    }

    /// The network in `root`.
    ///
    /// # Errors
    /// When there is none, or none that `consign devnet` made.
    pub fn open(root: &Path) -> Result<Self, Failure> {
        let none = || {
            let message = format!("{} holds no development network", root.display());
            Failure::usage(
                "no_devnet",
                message,
                "start one with `consign devnet up`, or name it with --dir",
            )
        };
        let text = fs::read_to_string(root.join(MARKER)).map_err(|_| none())?;
        let marker: Marker = serde_json::from_str(&text).map_err(|_| none())?;
        if marker.format != FORMAT {
            return Err(none());
        }
        let root = fs::canonicalize(root).map_err(|e| Failure::file("find", root, e))?;
        let layout = Layout::new(root);
        let genesis = network::read_genesis(&layout.genesis())?;
        let node = |(name, port): (&String, u16)| -> Result<NodeHome, Failure> {
            let party: PartyId = name.parse().map_err(|_| none())?;
            let home = layout.party(&party);
            Ok(NodeHome {
                url: format!("http://127.0.0.1:{port}"),
                config: layout.config(&party),
                log: home.join("consignd.log"),
                pid: home.join("consignd.pid"),
                party,
            })
        };
        let nodes =
            marker.parties.iter().zip(marker.base_port..).map(node).collect::<Result<_, _>>()?;
        Ok(Self { layout, genesis, nodes })
    }

    /// Whether `root` holds a network that `consign devnet` made.
    pub fn exists(root: &Path) -> bool {
        root.join(MARKER).is_file()
    }

    /// Removes the network and everything that it recorded.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(self) -> Result<(), Failure> {
        let root = self.layout.root();
        // The marker goes last: an interrupted removal can be taken up again.
        let entries = fs::read_dir(root).map_err(|e| Failure::file("read", root, e))?;
        for entry in entries.flatten().filter(|entry| entry.file_name() != MARKER) {
            let path = entry.path();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let gone = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(|e| Failure::file("remove", &path, e))?;
        }
        fs::remove_dir_all(root).map_err(|e| Failure::file("remove", root, e))
    }

    /// Keeps other `consign` processes from changing this network until the answer is dropped.
    ///
    /// # Errors
    /// When another one is at it.
    pub fn lock(&self) -> Result<fs::File, Failure> {
        let path = self.layout.root().join(MARKER);
        let file = fs::File::open(&path).map_err(|e| Failure::file("open", &path, e))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let message = format!("another consign works on {}", self.layout.root().display());
            Failure::new(Exit::Operational, "devnet_busy", message, "wait until it is done")
        })?;
        Ok(file)
    }

    /// Where the files lie.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the network began with.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The nodes, in the order of their ports.
    pub fn nodes(&self) -> &[NodeHome] {
        &self.nodes
    }

    /// The node of `party`.
    ///
    /// # Errors
    /// When the party runs none here.
    pub fn node(&self, party: &PartyId) -> Result<&NodeHome, Failure> {
        self.nodes.iter().find(|node| node.party == *party).ok_or_else(|| {
            let names: Vec<&str> = self.nodes.iter().map(|node| node.party.as_str()).collect();
            let message = format!("{party} runs no node here");
            Failure::usage("unknown_party", message, format!("one of: {}", names.join(", ")))
        })
    }
}

/// Refuses ports that something else listens on: a node that cannot bind tells less.
///
/// # Errors
/// Which port is taken.
pub fn ports_are_free(ports: Ports) -> Result<(), Failure> {
    for base in [ports.rpc, ports.p2p] {
        for port in (base..).take(Role::ALL.len()) {
            TcpListener::bind(("127.0.0.1", port)).map_err(|e| {
                let message = format!("port {port} cannot be used: {e}");
                let help = "choose another --base-port, or stop what listens there";
                Failure::operational("port_taken", message, help)
            })?;
        }
    }
    Ok(())
}

fn partial(root: &Path) -> Result<PathBuf, Failure> {
    let name = root.file_name().ok_or_else(|| {
        let message = format!("{} names no directory", root.display());
        Failure::usage("bad_directory", message, "name one with --dir")
    })?;
    if root.exists() {
        let message = format!("{} exists and holds no development network", root.display());
        let help = "choose another --dir, or remove this one yourself";
        return Err(Failure::new(Exit::Refused, "directory_not_empty", message, help));
    }
    let hidden = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
    Ok(root.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { rpc: 9101, p2p: 9201 };

    #[test]
    fn a_network_is_made_once_opened_again_and_removed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("devnet");
        let made = Devnet::create(&root, PORTS).unwrap();
        assert_eq!(made.nodes().len(), 4);
        assert_eq!(made.nodes()[3].url, "http://127.0.0.1:9104");
        let opened = Devnet::open(&root).unwrap();
        assert_eq!(opened.genesis().network(), made.genesis().network());
        opened.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_without_our_marker_is_neither_taken_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), b"x").unwrap();
        assert_eq!(Devnet::create(dir.path(), PORTS).unwrap_err().code, "directory_not_empty");
        assert_eq!(Devnet::open(dir.path()).unwrap_err().code, "no_devnet");
        assert!(dir.path().join("precious").exists());
    }

    #[test]
    fn one_command_at_a_time_changes_a_network() {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::create(&dir.path().join("devnet"), PORTS).unwrap();
        let held = devnet.lock().unwrap();
        assert_eq!(devnet.lock().unwrap_err().code, "devnet_busy");
        drop(held);
        devnet.lock().unwrap();
    }
}
