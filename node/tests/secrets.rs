//! Nothing secret comes out: a real node with known keys and a known passphrase is run, used, attacked and
//! configured wrongly; everything that it says, at every level, is searched for them.
//!
//! Searched are the forms that a slip has: raw bytes, hexadecimal in both cases, base64 and base64url at
//! each alignment, and bytes as `Debug` lists them.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use consign_node::health::exchange;
use consign_types::digest::encode_hex;
use consign_types::key_file::{Fresh, seal};

use support::home::{CONFIG, lay_out, write_file};
use support::{Scribe, genesis_of, key};

const PASSPHRASE: &str = "canary: correct horse battery staple";
/// What else the configuration may hold by mistake.
const STRAY: &str = "canary-in-a-line-that-is-no-toml";

/// What must not be seen, each with its name and all its forms.
struct Canaries(Vec<(String, Vec<Vec<u8>>)>);

impl Canaries {
    fn new() -> Self {
        let purposes = ["consensus", "cosigner", "log", "network", "receipt"];
        let seeds = purposes.map(|purpose| {
            let seed = key(&format!("airline {purpose}")).to_seed();
            (purpose.to_owned(), forms(&*seed))
        });
        let texts = [("passphrase", PASSPHRASE), ("stray line", STRAY)];
        let texts = texts.map(|(name, text)| (name.to_owned(), forms(text.as_bytes())));
        Self(seeds.into_iter().chain(texts).collect())
    }

    /// Which of them `said` holds.
    fn seen_in(&self, said: &[u8]) -> Vec<&str> {
        let holds = |form: &Vec<u8>| said.windows(form.len()).any(|window| window == form);
        let seen = self.0.iter().filter(|(_, forms)| forms.iter().any(holds));
        seen.map(|(name, _)| name.as_str()).collect()
    }
}

fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = encode_hex(secret);
    let listed = format!("{secret:?}");
    let mut forms = vec![
        secret.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        listed.trim_matches(['[', ']']).as_bytes().to_vec(),
    ];
    // Inside of something longer a secret begins at any of three alignments: what is left of its
    // base64 there are the whole groups.
    for skip in 0..3 {
        let whole = &secret[skip..skip + (secret.len() - skip) / 3 * 3];
        forms.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        forms.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    forms
}

/// The search itself finds each form: what it does not find was not said.
#[test]
fn every_form_of_every_secret_would_be_found() {
    let canaries = Canaries::new();
    let seed = key("airline log").to_seed();
    for said in [
        seed.to_vec(),
        encode_hex(&*seed).into_bytes(),
        encode_hex(&*seed).to_uppercase().into_bytes(),
        format!("seed: {:?}", &*seed).into_bytes(),
        STANDARD.encode(*seed).into_bytes(),
        STANDARD.encode([&[1], &seed[..], &[2]].concat()).into_bytes(),
        URL_SAFE_NO_PAD.encode([&[1, 2], &seed[..]].concat()).into_bytes(),
    ] {
        assert_eq!(canaries.seen_in(&said), ["log"], "{}", String::from_utf8_lossy(&said));
    }
    assert!(canaries.seen_in(key("airline log").public().to_string().as_bytes()).is_empty());
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn consignd(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consignd"));
    command
        .args(words)
        .arg("--config")
        .arg(dir.join("consignd.toml"))
        .env("RUST_BACKTRACE", "full");
    command
}

/// All that a command says.
fn said(dir: &Path, words: &[&str]) -> Vec<u8> {
    let output = consignd(dir, words).output().unwrap();
    [output.stdout, output.stderr].concat()
}

/// The airline alone, which decides by itself and so signs everything that a node signs; its log key is
/// under the passphrase.
fn home(dir: &Path, rpc: u16, p2p: u16) -> String {
    let genesis = genesis_of("test.example/secrets", 1);
    let (own, peers) = CONFIG.split_once("[[p2p.peer]]").unwrap();
    let (_, log) = peers.split_once("[log]").unwrap();
    let config = format!("{own}[log]{log}")
        .replace("validators = false", "validators = true")
        .replace("  \"/ip4/127.0.0.1/udp/9201/quic-v1\",\n", "")
        .replace("tcp/9201", &format!("tcp/{p2p}"))
        .replace("127.0.0.1:9301", &format!("127.0.0.1:{rpc}"))
        .replace("[rpc]", "passphrase_file = \"passphrase\"\n[rpc]")
        .replace("info,libp2p=warn", "trace,arc_malachitebft=trace")
        .replace("\"text\"", "\"json\"")
        .replace("NETWORK", &genesis.network().to_string());
    lay_out(dir, &genesis, &config);
    let fresh = Fresh { salt: [1; 16], iv: [2; 16] };
    let sealed = seal("log", &key("airline log").to_seed(), PASSPHRASE.as_bytes(), fresh).unwrap();
    write_file(&dir.join("keys/log.key"), &sealed, 0o600);
    write_file(&dir.join("passphrase"), &format!("{PASSPHRASE}\n"), 0o600);
    consign_node::keys::private_dir(&dir.join("data")).unwrap();
    fs::write(dir.join("data/new-consensus-key"), "").unwrap();
    config
}

/// A process that ends with the test, and what it says meanwhile.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_node_that_is_used_and_attacked_says_no_secret() {
    let canaries = Canaries::new();
    let dir = tempfile::tempdir().unwrap();
    let (rpc, p2p) = (free_port(), free_port());
    home(dir.path(), rpc, p2p);
    let mut node = consignd(dir.path(), &["run"]);
    let node = node.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut node = Running(node);
    let log = Arc::new(Mutex::new(Vec::new()));
    let (started, start) = std::sync::mpsc::channel();
    let reader = thread::spawn({
        let (log, from) = (Arc::clone(&log), node.0.stderr.take().unwrap());
        move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                if line.windows(12).any(|w| w == b"node.started") {
                    let _ = started.send(());
                }
                log.lock().unwrap().extend(line);
            }
        }
    });
    let at = SocketAddr::from(([127, 0, 0, 1], rpc));
    start.recv_timeout(support::wait::DEADLINE).expect("it starts");

    let post = |body: &str| {
        let head =
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close";
        exchange(at, None, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    };
    let call = |method: &str, params: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        post(&body).map_or_else(|why| why, |(_, body)| body)
    };
    let event = Scribe::new(&genesis_of("test.example/secrets", 1)).enrol("airline.dock1");
    let envelope = STANDARD.encode(event.bytes());
    let proven = call(
        "custody_submitEvent",
        &format!(r#"{{"envelope":"{envelope}","wait":"proven","timeoutMs":2500}}"#),
    );
    assert!(proven.contains("result"), "the node signs block, vote and checkpoint: {proven}");

    let mut everything = vec![("an event proven", proven.into_bytes())];
    for (method, params) in [
        ("chain_getStatus", "{}"),
        ("chain_getMembers", "{}"),
        ("rpc.discover", "{}"),
        ("custody_submitEvent", r#"{"envelope":"AAAA"}"#),
        ("chain_getBlock", r#"{"height":"seven"}"#),
        ("admin_keys", "{}"),
    ] {
        everything.push((method, call(method, params).into_bytes()));
    }
    everything.push(("no JSON", post("{").map_or_else(|why| why, |(_, b)| b).into_bytes()));
    for path in
        ["/metrics", "/health/ready", "/tlog/checkpoint", "/keys/log.key", "/../keys/log.key"]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let (_, body) = exchange(at, None, &request).unwrap();
        everything.push((path, body.into_bytes()));
    }
    // Somebody who is no node, at the door for nodes.
    let mut stranger = TcpStream::connect(("127.0.0.1", p2p)).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let _ = stranger.read_to_end(&mut heard);
    everything.push(("the p2p port", heard));

    let url = format!("http://127.0.0.1:{rpc}");
    for words in [
        &["config", "show"][..],
        &["config", "show", "--output", "json"],
        &["config", "check"],
        &["doctor", "--fsyncs", "1", "--peer-rpc", &url],
        &["doctor", "--fsyncs", "1", "--output", "json"],
        &["run"],
    ] {
        everything.push((words[0], said(dir.path(), words)));
    }
    node.0.kill().unwrap();
    reader.join().unwrap();
    let mut out = Vec::new();
    node.0.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    let log = log.lock().unwrap().clone();
    assert!(log.windows(7).any(|w| w == b"\"TRACE\""), "the log is at its loudest");
    everything.extend([("standard output", out), ("the log", log)]);
    everything.push(("check", said(dir.path(), &["check"])));
    for (what, said) in &everything {
        assert_eq!(canaries.seen_in(said), Vec::<&str>::new(), "{what}");
    }
}

/// Each mistake around keys and passphrases that a person makes, and what is said of it.
#[test]
fn mistakes_with_keys_show_no_secret() {
    let canaries = Canaries::new();
    let dir = tempfile::tempdir().unwrap();
    let config = home(dir.path(), free_port(), free_port());
    let at = |name: &str| dir.path().join(name);
    let hex = encode_hex(&*key("airline consensus").to_seed());
    let mistakes: [(&str, &str, String, u32); 6] = [
        ("a wrong passphrase", "passphrase", format!("{PASSPHRASE}!\n"), 0o600),
        ("two lines of passphrase", "passphrase", format!("{PASSPHRASE}\n{PASSPHRASE}\n"), 0o600),
        ("a passphrase for all to see", "passphrase", format!("{PASSPHRASE}\n"), 0o644),
        (
            "a key for something else",
            "keys/network.key",
            format!("consign-key-v1 log {hex}\n"),
            0o600,
        ),
        ("a key without its form", "keys/network.key", hex.clone(), 0o600),
        (
            "a key for all to see",
            "keys/network.key",
            format!("consign-key-v1 network {hex}\n"),
            0o644,
        ),
    ];
    for (mistake, file, text, mode) in mistakes {
        let before = fs::read_to_string(at(file)).unwrap();
        write_file(&at(file), &text, mode);
        check_refused(&canaries, dir.path(), mistake);
        write_file(&at(file), &before, 0o600);
    }
    for (mistake, line) in [
        ("a passphrase in the configuration", format!("passphrase = \"{PASSPHRASE}\"")),
        ("a key in the configuration", format!("consensus_key = \"{hex}\"")),
        ("a line that is no TOML", format!("keys_dir = {STRAY}")),
    ] {
        fs::write(at("consignd.toml"), config.replace("[rpc]", &format!("{line}\n[rpc]"))).unwrap();
        check_refused(&canaries, dir.path(), mistake);
    }
}

fn check_refused(canaries: &Canaries, dir: &Path, mistake: &str) {
    for words in [
        &["run"][..],
        &["config", "check"],
        &["config", "check", "--output", "json"],
        &["doctor", "--fsyncs", "1"],
    ] {
        let output = consignd(dir, words).output().unwrap();
        assert!(!output.status.success(), "{mistake}: {words:?}");
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(canaries.seen_in(&said), Vec::<&str>::new(), "{mistake}: {words:?}");
    }
}

/// What `Debug` shows of whatever holds a secret.
#[test]
fn debug_of_keys_and_configuration_shows_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    home(dir.path(), free_port(), free_port());
    let config = consign_node::config::Config::load(&dir.path().join("consignd.toml")).unwrap();
    let passphrase = consign_node::keys::Passphrase::read(&dir.path().join("passphrase")).unwrap();
    let shown = format!("{config:?} {config:#?} {passphrase:?} {passphrase:#?}");
    assert!(shown.contains("consensus"), "{shown}");
    assert_eq!(Canaries::new().seen_in(shown.as_bytes()), Vec::<&str>::new());
}
