//! Who may depend on whom, and that every crate takes part in the workspace's lints.
//!
//! Development dependencies are free: a test may look over the wall.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{assert_none, run};

/// Each room and the rooms that it may depend on. There are no other edges.
const ROOMS: [(&str, &[&str]); 8] = [
    ("consign-types", &[]),
    ("consign-ledger", &["consign-types"]),
    ("consign-consensus", &["consign-types"]),
    ("consign-rpc", &["consign-types"]),
    ("consign-node", &["consign-types", "consign-ledger", "consign-consensus", "consign-rpc"]),
    ("consign-cli", &["consign-types", "consign-ledger", "consign-rpc"]),
    ("consign-fuzz", &["consign-types", "consign-ledger", "consign-rpc"]),
    (
        "consign-tests",
        &[
            "consign-types",
            "consign-ledger",
            "consign-consensus",
            "consign-rpc",
            "consign-node",
            "consign-cli",
        ],
    ),
];

#[test]
fn every_crate_of_the_workspace_is_a_room_of_the_table() {
    let graph = Graph::read();
    let crates: BTreeSet<_> = graph.members().map(|(_, name)| name).collect();
    let rooms: BTreeSet<_> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(crates, rooms);
}

#[test]
fn a_room_depends_only_on_the_rooms_it_may() {
    let graph = Graph::read();
    let allowed: BTreeMap<_, _> = ROOMS.into_iter().collect();
    let mut findings = Vec::new();
    for (package, room) in graph.members() {
        for dependency in shipped_dependencies(package) {
            let name = text(&dependency["name"]);
            let is_room = allowed.contains_key(name);
            if is_room && !allowed.get(room).is_some_and(|rooms| rooms.contains(&name)) {
                findings.push(format!("{room} depends on {name}"));
            }
        }
    }
    assert_none(&findings, "an edge that the table of rooms does not allow");
}

#[test]
fn the_command_links_neither_store_nor_network_nor_node() {
    let graph = Graph::read();
    let linked = graph.linked_by("consign-cli");
    assert!(linked.contains("consign-types"), "the walk went nowhere: {linked:?}");
    let findings: Vec<_> = linked
        .iter()
        .filter(|name| {
            ["rocksdb", "librocksdb-sys", "consign-node"].contains(name)
                || name.starts_with("libp2p")
        })
        .map(|name| format!("consign-cli links {name}"))
        .collect();
    assert_none(&findings, "the command must build as a small static program");
}

#[test]
fn the_command_takes_only_the_client_of_rpc() {
    let graph = Graph::read();
    let (package, _) = graph
        .members()
        .find(|(_, name)| *name == "consign-cli")
        .expect("the command is a member of the workspace");
    let rpc = shipped_dependencies(package)
        .find(|dependency| dependency["name"] == "consign-rpc")
        .expect("the command speaks to nodes");
    assert_eq!(rpc["uses_default_features"], false);
    assert_eq!(rpc["features"], serde_json::json!(["client"]));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let graph = Graph::read();
    let mut findings = Vec::new();
    for (package, room) in graph.members() {
        let manifest = Path::new(text(&package["manifest_path"]));
        let manifest = std::fs::read_to_string(manifest).expect("cargo has just read it");
        let mut lines = manifest.lines().skip_while(|line| line.trim() != "[lints]").skip(1);
        if lines.next().is_none_or(|line| line.replace(' ', "") != "workspace=true") {
            findings.push(format!("{room}: no `[lints]` section with `workspace = true`"));
        }
    }
    assert_none(&findings, "lints are chosen once, for all crates");
}

/// What cargo resolved for this machine, from the lock file and without a network.
struct Graph(Value);

impl Graph {
    fn read() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let metadata = run(Command::new(cargo).args([
            "metadata",
            "--format-version=1",
            "--offline",
            "--locked",
            "--filter-platform",
            &host(),
        ]));
        Self(serde_json::from_str(&metadata).expect("cargo writes JSON"))
    }

    /// The crates of the workspace, with their names.
    fn members(&self) -> impl Iterator<Item = (&Value, &str)> {
        let ids = array(&self.0["workspace_members"]);
        array(&self.0["packages"])
            .iter()
            .filter(|package| ids.contains(&package["id"]))
            .map(|package| (package, text(&package["name"])))
    }

    /// Names of all packages whose code ends up in what `name` builds: normal dependencies, all the way.
    fn linked_by(&self, name: &str) -> BTreeSet<&str> {
        let names: BTreeMap<_, _> = array(&self.0["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let nodes: BTreeMap<_, _> = array(&self.0["resolve"]["nodes"])
            .iter()
            .map(|node| (text(&node["id"]), array(&node["deps"])))
            .collect();

        let mut open: Vec<_> =
            names.iter().filter(|(_, own)| **own == name).map(|(id, _)| *id).collect();
        let mut seen: BTreeSet<_> = open.iter().copied().collect();
        while let Some(id) = open.pop() {
            for edge in nodes[id] {
                let is_normal = array(&edge["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
                let to = text(&edge["pkg"]);
                if is_normal && seen.insert(to) {
                    open.push(to);
                }
            }
        }
        seen.into_iter().map(|id| names[id]).collect()
    }
}

/// The dependencies that a package declares for what it ships: not those of its tests.
fn shipped_dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    array(&package["dependencies"]).iter().filter(|dependency| dependency["kind"] != "dev")
}

/// The target that the compiler builds for when nobody says another.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = run(Command::new(rustc).arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo's documented format has a string here")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("cargo's documented format has a list here")
}
