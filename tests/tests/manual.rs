//! The pages of the manual that need no running network: each command in a block `sh` is what runs here,
//! in the directory of a party that `consign network init` made.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// First ports of the network: peers answer at the second range, nobody at the first.
const PORTS: [u16; 2] = [26_100, 27_100];

/// The scripts of a page, in order.
fn scripts(page: &str) -> Vec<&str> {
    let blocks = page.split("\n```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split_once("\n```").map(|(script, _)| script)).collect()
}

/// Where the programs lie: beside the test.
fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    let beside = own.parent().and_then(Path::parent).expect("a target directory").to_owned();
    let there = ["consign", "consignd"].iter().all(|name| beside.join(name).exists());
    assert!(there, "build first: cargo build --release --workspace --bins");
    beside
}

fn run(dir: &Path, script: &str) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    // The first command that fails ends it.
    command.args(["-euc", script]).current_dir(dir);
    command.env("PATH", format!("{}:{path}", programs().display()));
    for name in ["CONSIGN_NODE", "CONSIGN_TRUST", "CONSIGND", "CONSIGN_PASSPHRASE_FILE"] {
        command.env_remove(name);
    }
    command.output().expect("bash is installed")
}

fn succeeds(dir: &Path, script: &str) -> String {
    let ran = run(dir, script);
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{script}\n{out}{err}");
    out.into_owned()
}

/// The airline's directory of a new network.
fn home(dir: &Path, ports: [u16; 2]) -> PathBuf {
    let [rpc, p2p] = ports;
    let parties = ["forwarder", "airline", "handler", "consignee"].map(|p| format!(" --party {p}"));
    let script = format!(
        "consign network init --out net --base-port {rpc} --p2p-base-port {p2p}{}",
        parties.concat()
    );
    succeeds(dir, &script);
    let home = dir.join("net/airline");
    let passphrase = home.join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").expect("it can be written");
    fs::set_permissions(passphrase, fs::Permissions::from_mode(0o600)).expect("it is ours");
    home
}

#[test]
fn keys_are_looked_at_encrypted_and_decrypted_as_the_page_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = home(dir.path(), PORTS);
    let before = fs::read(home.join("keys/member.key")).expect("a key");
    let page = include_str!("../../docs/operating/keys.md");
    let said: Vec<String> = scripts(page).iter().map(|script| succeeds(&home, script)).collect();
    assert_eq!(said.len(), 5, "every block of the page ran");
    assert!(said[0].starts_with("purpose    consensus\npublic     "), "{}", said[0]);
    assert!(said[1].contains("private    under a passphrase"), "{}", said[1]);
    assert!(said[2].starts_with("-----BEGIN PUBLIC KEY-----"), "{}", said[2]);
    assert_eq!(fs::read(home.join("keys/member.key")).expect("a key"), before);
    // What the last block encrypted starts with the passphrase alone.
    let refused = run(&home, "consignd config check --config consignd.toml");
    assert_eq!(refused.status.code(), Some(7));
    let err = String::from_utf8_lossy(&refused.stderr);
    assert!(err.contains("it is encrypted, and there is no passphrase"), "{err}");
}

/// What the founders name stands in the genesis, whether one of them makes all keys or each its own; the configuration
/// holds as it is.
#[test]
fn a_network_is_closed_from_its_first_block_where_its_founders_say_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let flags = "--open-reading false --block-interval-ms 250 --contest-window-ms 86400000 \
                 --return-window-ms 172800000";
    let each = |what: fn(&str) -> String| {
        ["forwarder", "airline", "handler", "consignee"].map(what).concat()
    };
    let parties = each(|party| format!(" --party {party}"));
    let made = succeeds(dir.path(), &format!("consign network init --out net {flags}{parties}"));
    assert!(made.contains("\nreading holders of a token\n"), "{made}");
    let keys = each(|party| format!("consign node init --found --party {party} --out {party}\n"));
    let requests = each(|party| format!(" --request {party}/founding-request.json"));
    let found =
        format!("consign network found --origin a.example/b --out network {flags}{requests}");
    let founded = succeeds(dir.path(), &format!("{keys}{found}"));
    assert!(founded.contains("\nreading    holders of a token\n"), "{founded}");
    for genesis in ["net/genesis.cbor", "network/genesis.cbor"] {
        let said = succeeds(dir.path(), &format!("consign network inspect {genesis}"));
        let expected = "reading     holders of a token\n\
                        interval    250 ms between blocks when busy\n\
                        contest     86400000 ms that a spent basis contests the present one\n\
                        return      172800000 ms after a delivery for its taker to return\n";
        assert!(said.contains(expected), "{said}");
    }
    succeeds(dir.path(), "consignd config check --config net/airline/consignd.toml");
}

/// A request without addresses would take those of the node from the ledger: somebody says them, or nothing is made.
#[test]
fn new_keys_for_a_node_are_not_made_where_nobody_says_where_it_is_met() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = home(dir.path(), PORTS);
    fs::remove_file(home.join("keys/member.key")).expect("it is off the machine");
    let rekey = "consign node rekey --home . --party airline --node http://127.0.0.1:9";
    let refused = run(&home, rekey);
    let err = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{err}");
    let why = "error[node_unreachable]: nobody says where the node of airline is met: ";
    assert!(err.starts_with(why), "{err}");
    let help = "help: name its addresses with --announce, or with --node a node that says them\n";
    assert!(err.ends_with(help), "{err}");
    assert!(!home.join("keys.next").exists(), "nothing is in the way of the next attempt");

    let address = "/ip4/192.0.2.2/tcp/9201";
    succeeds(&home, &format!("{rekey} --announce {address}"));
    let request = fs::read_to_string(home.join("rekey-request.json")).expect("the request");
    assert!(
        request.contains(&format!("\"addresses\": [\n      \"{address}\"\n    ]")),
        "{request}"
    );
    assert!(!request.contains("memberKey"), "{request}");
}

#[test]
fn the_doctor_is_asked_as_the_page_says() {
    let dir = tempfile::tempdir().expect("a directory");
    // Four ports in a row for the peers, held as long as the test runs.
    let listen = |first: u16| {
        let all = (0..4).map(|i| TcpListener::bind(("127.0.0.1", first + i)));
        all.collect::<Result<Vec<_>, _>>().ok().map(|all| (first, all))
    };
    let (p2p, mut peers) = (27_104..).step_by(8).find_map(listen).expect("four free ports");
    let (rpc, _) = (26_104..).step_by(8).find_map(listen).expect("four free ports");
    // The airline is the second party: its own port is free.
    drop(peers.remove(1));
    let home = home(dir.path(), [rpc, p2p]);
    let page = include_str!("../../docs/operating/doctor.md");
    let blocks = scripts(page);
    let [script] = blocks[..] else { panic!("the page has one block: {blocks:?}") };
    let said = succeeds(&home, script);
    assert!(
        said.contains(
            "PASS  quorum   4 validators by the genesis, 3 decide, 1 may fail; 4 reached"
        ),
        "{said}"
    );
    assert!(said.contains("\"ok\": true"), "{said}");

    fs::set_permissions(home.join("keys/log.key"), fs::Permissions::from_mode(0o644))
        .expect("ours");
    let unwell = run(&home, "consign node doctor --config consignd.toml");
    assert_eq!(unwell.status.code(), Some(1));
    let err = String::from_utf8_lossy(&unwell.stderr);
    assert_eq!(
        err,
        "error[unwell]: a check of consignd.toml fails\nhelp: do what the lines with FAIL say\n"
    );
}
