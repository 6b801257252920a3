//! `consignd doctor` with the real program: a node that is well, and each way to be unwell produced for
//! real. How measured values are judged stands beside the judges.

mod support;

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use support::genesis;
use support::home::{CONFIG, lay_out};

/// The airline's home, and peers that answer as long as this is held.
struct Scene {
    dir: tempfile::TempDir,
    peers: Vec<TcpListener>,
    rpc: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Scene {
    fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let peers: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |i: usize| peers[i].local_addr().unwrap().port();
        let rpc = free_port();
        let config = CONFIG
            .replace("/dns4/customs.example/tcp/9201", &format!("/ip4/127.0.0.1/tcp/{}", port(0)))
            .replace("/ip4/192.0.2.7/tcp/9201", &format!("/ip4/127.0.0.1/tcp/{}", port(1)))
            .replace("127.0.0.1/tcp/9201", &format!("127.0.0.1/tcp/{}", free_port()))
            .replace("udp/9201", &format!("udp/{}", free_udp_port()))
            .replace("127.0.0.1:9301", &format!("127.0.0.1:{rpc}"));
        lay_out(dir.path(), &genesis(), &config);
        fs::set_permissions(dir.path().join("keys"), fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir, peers, rpc }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The doctor's exit code, and its verdicts and sentences of these checks.
    fn doctor(&self, checks: &[&str]) -> (i32, Vec<(String, String)>) {
        let output = self.consignd(&["doctor", "--output", "json", "--fsyncs", "10"]).output();
        let output = output.unwrap();
        let report: Json = serde_json::from_slice(&output.stdout).unwrap();
        let code = output.status.code().unwrap();
        assert_eq!(report["ok"], code == 0, "{report:#}");
        let here = format!("{}/", self.path().display());
        let line = |check: &Json| {
            let said = format!(
                "{}; {}",
                check["said"].as_str().unwrap(),
                check["mend"].as_str().unwrap_or("-")
            );
            (check["verdict"].as_str().unwrap().to_owned(), said.replace(&here, ""))
        };
        let all = report["checks"].as_array().unwrap().iter();
        let named = all.filter(|check| checks.contains(&check["check"].as_str().unwrap()));
        (code, named.map(line).collect())
    }

    fn consignd(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consignd"));
        command.args(words).arg("--config").arg(self.path().join("consignd.toml"));
        command
    }
}

fn line(verdict: &str, said: impl Into<String>) -> (String, String) {
    (verdict.to_owned(), said.into())
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Three of four nodes are there, so that one thing is said of the quorum and nothing fails.
#[test]
fn a_node_that_is_well_passes() {
    let scene = Scene::set();
    let (code, said) = scene.doctor(&["config", "keys", "data", "quorum", "peers"]);
    let port = |i: usize| scene.peers[i].local_addr().unwrap().port();
    assert_eq!(
        said,
        [
            line(
                "PASS",
                format!("consignd.toml starts airline of network {}; -", genesis().network())
            ),
            line("PASS", "keys has mode 0700; -"),
            line("PASS", "keys/consensus.key has mode 0600; -"),
            line("PASS", "keys/cosigner.key has mode 0600; -"),
            line("PASS", "keys/log.key has mode 0600; -"),
            line("PASS", "keys/network.key has mode 0600; -"),
            line("PASS", "receipt.key has mode 0600; -"),
            line("PASS", "data is not there yet; the start makes it; -"),
            line("PASS", format!("customs answers at /ip4/127.0.0.1/tcp/{}; -", port(0))),
            line("PASS", format!("forwarder answers at /ip4/127.0.0.1/tcp/{}; -", port(1))),
            line(
                "WARN",
                "4 validators by the genesis, 3 decide, 1 may fail; 3 reached, this one included; one more that \
                 fails stops the network: mend the peers above"
            ),
        ]
    );
    let (_, ports) = scene.doctor(&["ports"]);
    assert!(ports.len() == 3 && ports.iter().all(|(verdict, _)| verdict == "PASS"), "{ports:?}");
    let (_, disk) = scene.doctor(&["disk", "fsync", "clock"]);
    assert_eq!(disk.len(), 3, "{disk:?}");
    assert_eq!(code, 0);
    // Nothing is left behind.
    assert!(!scene.path().join("data").exists());
    let left = fs::read_dir(scene.path()).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().contains("doctor")));
}

#[test]
fn a_key_that_others_may_read_fails() {
    let scene = Scene::set();
    let path = scene.path().join("keys/log.key");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = scene.doctor(&["config", "keys"]);
    assert_eq!(code, 1);
    let failed: Vec<_> = said.into_iter().filter(|(verdict, _)| verdict == "FAIL").collect();
    assert_eq!(
        failed,
        [
            line(
                "FAIL",
                "consignd.toml:8: key file keys/log.key has mode 0644; nobody else may read it; chmod \
                 600 keys/log.key"
            ),
            line("FAIL", "keys/log.key has mode 0644; chmod 600 keys/log.key"),
        ]
    );
}

#[test]
fn a_port_that_another_program_has_fails() {
    let scene = Scene::set();
    let _other = TcpListener::bind(("127.0.0.1", scene.rpc)).unwrap();
    let (code, said) = scene.doctor(&["ports"]);
    assert_eq!(code, 1);
    assert_eq!(
        said[0],
        line(
            "FAIL",
            format!(
                "rpc.listen 127.0.0.1:{} is in use by something else than this node; stop what uses it \
                 (ss -lntup), or choose another port",
                scene.rpc
            )
        )
    );
}

#[test]
fn a_genesis_that_is_not_there_fails_and_the_rest_is_looked_at() {
    let scene = Scene::set();
    fs::remove_file(scene.path().join("genesis.cbor")).unwrap();
    let (code, said) = scene.doctor(&["config", "data"]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        [
            line(
                "FAIL",
                "consignd.toml:2: cannot read genesis.cbor: No such file or directory (os error 2); \
                 name the file that the network's founder gave you"
            ),
            line("PASS", "data is not there yet; the start makes it; -"),
        ]
    );
}

/// Nobody is there but this node.
#[test]
fn a_quorum_that_cannot_be_reached_fails() {
    let mut scene = Scene::set();
    scene.peers.clear();
    let (code, said) = scene.doctor(&["quorum"]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        [line(
            "FAIL",
            "4 validators by the genesis, 3 decide, 1 may fail; 1 reached, this one included; without a \
             quorum nothing is decided: mend the peers above"
        )]
    );
}

#[test]
fn a_data_directory_that_others_may_change_fails() {
    let scene = Scene::set();
    let data = scene.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, said) = scene.doctor(&["data"]);
    assert_eq!((code, said), (1, vec![line("FAIL", "data has mode 0777; chmod 700 data")]));
}

/// The ports of a node that runs are its own, and the doctor asks it how it is.
#[test]
fn the_ports_of_a_node_that_runs_are_its_own() {
    use std::io::{BufRead as _, BufReader};
    let scene = Scene::set();
    let mut node = scene.consignd(&["run"]);
    let node = node.arg("--set").arg("log.format=json").stderr(Stdio::piped()).spawn().unwrap();
    let mut node = Running(node);
    let log = BufReader::new(node.0.stderr.take().unwrap());
    // It says that it has started, and says a little later that it listens; the RPC port is bound first.
    let mut lines = log.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("node.started")), "it started");
    let url = format!("http://127.0.0.1:{}", scene.rpc);
    let output = scene.consignd(&["doctor", "--peer-rpc", &url, "--fsyncs", "1"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let rpc = format!("PASS  ports    rpc.listen 127.0.0.1:{} is in use by this node", scene.rpc);
    let version = env!("CARGO_PKG_VERSION");
    let version = format!("PASS  version  airline runs {version}, this is {version}");
    for wanted in [rpc.as_str(), version.as_str(), "node     it runs"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
}
