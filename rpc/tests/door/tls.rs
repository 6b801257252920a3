//! The door over TLS: real certificates, made here, by authorities of which one is the right one.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use consign_rpc::client::{Client, Credentials};
use consign_rpc::errors::ErrorKind;
use consign_rpc::server::{Access, Gate, ServerLimits};
use consign_rpc::tls::{self, Chain, Key};
use jsonrpsee::http_client::{HeaderMap, HeaderValue};
use jsonrpsee::ws_client::WsClientBuilder;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::access::{NOW, expected, methods, open, over_websocket, secret, tokens};
use crate::document::parameters;
use crate::fake::{Door, within};
use crate::raw;

/// A certificate and its key, in PEM.
struct Pem {
    chain: String,
    key: String,
}

/// Two authorities, and what they signed.
struct Paper {
    authority: String,
    server: Pem,
    caller: Pem,
    expired: Pem,
    stranger: Pem,
    other_authority: String,
}

struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("signed");
        Self { certificate, key }
    }

    fn sign(&self, name: &str, until: Option<i32>) -> Pem {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if let Some(year) = until {
            params.not_before = date_time_ymd(year - 1, 1, 1);
            params.not_after = date_time_ymd(year, 1, 1);
        }
        let signed = params.signed_by(&key, &self.certificate, &self.key).expect("signed");
        Pem { chain: signed.pem(), key: key.serialize_pem() }
    }
}

fn paper() -> &'static Paper {
    static PAPER: OnceLock<Paper> = OnceLock::new();
    PAPER.get_or_init(|| {
        let [right, other] = ["right", "other"].map(Authority::new);
        Paper {
            server: right.sign("127.0.0.1", None),
            caller: right.sign("portal", None),
            expired: right.sign("portal", Some(2020)),
            stranger: other.sign("portal", None),
            authority: right.certificate.pem(),
            other_authority: other.certificate.pem(),
        }
    })
}

fn chain(pem: &str) -> Chain {
    Chain::from_pem(pem.as_bytes()).expect("certificates")
}

fn own(pem: &Pem) -> (Chain, Key) {
    (chain(&pem.chain), Key::from_pem(pem.key.as_bytes()).expect("a key"))
}

fn server() -> tls::Server {
    let (chain_of, key) = own(&paper().server);
    tls::Server::new(chain_of, key, Some(&chain(&paper().authority))).expect("they fit")
}

/// Believes the right authority, and shows what it is given.
fn client(shown: Option<&Pem>) -> tls::Client {
    tls::Client::new(Some(&chain(&paper().authority)), shown.map(own)).expect("they fit")
}

fn access(read: Gate, submit: Gate) -> Arc<Access> {
    Arc::new(Access::new(read, submit, tokens()).with_tls(server()).with_clock(|| NOW))
}

fn asking(door: &Door, shown: Option<&Pem>) -> Client {
    let credentials = Credentials { token: None, tls: Some(client(shown)) };
    Client::connect_with(&url(door), credentials).expect("an address")
}

fn url(door: &Door) -> String {
    format!("https://{}", door.address)
}

#[tokio::test]
async fn calls_and_feeds_go_over_tls() {
    let door = open(access(Gate::Open, Gate::Open)).await;
    let client = asking(&door, None);
    within(client.status()).await.expect("it answers");
    let mut feed = client.follow_blocks(None);
    within(feed.open()).await.expect("it opens");
    door.fake.height.send_replace(1);
    let item = within(feed.next()).await.expect("a block").expect("not the end");
    assert_eq!(item.value.height, 0);
}

/// Nobody is answered in the clear, and a client believes its own authority alone.
#[tokio::test]
async fn who_speaks_in_the_clear_or_believes_another_authority_gets_nothing() {
    let door = open(access(Gate::Open, Gate::Open)).await;
    let mut stream = TcpStream::connect(door.address).await.expect("it listens");
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");

    let other = tls::Client::new(Some(&chain(&paper().other_authority)), None).expect("one");
    let pinned_wrong = tls::Client::pinned(&chain(&paper().caller.chain)).expect("one");
    for tls in [other, pinned_wrong] {
        let credentials = Credentials { token: None, tls: Some(tls) };
        let client = Client::connect_with(&url(&door), credentials).expect("an address");
        let error = within(client.status()).await.expect_err("it is not believed");
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    }
    let pinned = tls::Client::pinned(&chain(&paper().server.chain)).expect("one");
    let credentials = Credentials { token: None, tls: Some(pinned) };
    let client = Client::connect_with(&url(&door), credentials).expect("an address");
    within(client.status()).await.expect("this one is");
}

/// The next caller is shown another certificate; who is connected already stays so.
#[tokio::test]
async fn a_certificate_is_changed_under_callers_that_stay() {
    let access = access(Gate::Open, Gate::Open);
    let door = open(Arc::clone(&access)).await;
    let before = asking(&door, None);
    let mut feed = before.follow_blocks(None);
    within(feed.open()).await.expect("it opens");

    let (chain_of, key) = own(&paper().caller);
    access.replace_tls(tls::Server::new(chain_of, key, None).expect("they fit"));
    let pinned = |pem: &Pem| {
        let tls = tls::Client::pinned(&chain(&pem.chain)).expect("one");
        let credentials = Credentials { token: None, tls: Some(tls) };
        Client::connect_with(&url(&door), credentials).expect("an address")
    };
    within(pinned(&paper().caller).status()).await.expect("the other one is shown");
    let gone = within(pinned(&paper().server).status()).await.expect_err("not the first");
    assert_eq!(gone.kind, ErrorKind::Unreachable, "{gone}");
    door.fake.height.send_replace(1);
    let item = within(feed.next()).await.expect("a block").expect("not the end");
    assert_eq!(item.value.height, 0);
}

/// A certificate by another authority, or one that has expired, ends the handshake: it is not as if none
/// had been shown.
#[tokio::test]
async fn a_certificate_that_does_not_hold_does_not_get_in() {
    let door = open(access(Gate::Open, Gate::Open)).await;
    for shown in [&paper().stranger, &paper().expired] {
        let error = within(asking(&door, Some(shown)).status()).await.expect_err("no way in");
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    }
    within(asking(&door, Some(&paper().caller)).status()).await.expect("this one holds");
}

/// Reading, submitting, whether a certificate is shown, the token, and what comes of each call.
type Row = (Gate, Gate, bool, Option<&'static str>, [&'static str; 4]);

/// Gates, whether a certificate is shown, whose token; what answers public, read, submit, metrics.
#[rustfmt::skip]
const CELLS: &[Row] = &[
    (Gate::Mtls, Gate::Open, false, None, ["ok", "unauthenticated", "ok", "unauthenticated"]),
    (Gate::Mtls, Gate::Open, false, Some("all"), ["ok", "unauthenticated", "ok", "unauthenticated"]),
    (Gate::Mtls, Gate::Open, true, None, ["ok", "ok", "ok", "ok"]),
    (Gate::Mtls, Gate::Open, true, Some("submit"), ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Mtls, false, None, ["ok", "ok", "unauthenticated", "ok"]),
    (Gate::Open, Gate::Mtls, false, Some("all"), ["ok", "ok", "unauthenticated", "ok"]),
    (Gate::Open, Gate::Mtls, true, None, ["ok", "ok", "ok", "ok"]),
    (Gate::Mtls, Gate::Mtls, false, Some("all"), ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Mtls, Gate::Mtls, true, None, ["ok", "ok", "ok", "ok"]),
    (Gate::Bearer, Gate::Mtls, true, None, ["ok", "unauthenticated", "ok", "unauthenticated"]),
    (Gate::Bearer, Gate::Mtls, true, Some("read"), ["ok", "ok", "ok", "scope_missing"]),
    (Gate::Bearer, Gate::Mtls, false, Some("all"), ["ok", "ok", "unauthenticated", "ok"]),
    (Gate::Mtls, Gate::Bearer, true, None, ["ok", "ok", "unauthenticated", "ok"]),
    (Gate::Mtls, Gate::Bearer, false, Some("submit"), ["ok", "unauthenticated", "ok", "unauthenticated"]),
];

#[tokio::test]
async fn every_method_asks_for_a_certificate_as_its_cell_says() {
    let params = parameters();
    for (read, submit, certified, token, cells) in CELLS {
        let door = open(access(*read, *submit)).await;
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let show = format!("Bearer {}", secret(token).reveal());
            headers.insert("authorization", HeaderValue::from_str(&show).expect("ASCII"));
        }
        let shown = certified.then_some(&paper().caller);
        let builder = WsClientBuilder::default().set_headers(headers.clone());
        let builder = builder.with_custom_cert_store(client(shown).config().clone());
        let socket = within(builder.build(format!("wss://{}", door.address))).await;
        let socket = socket.expect("it opens");
        for (name, scope) in methods() {
            let found = over_websocket(&socket, name, &params[name]).await;
            assert_eq!(
                found,
                expected(cells, scope),
                "{read:?} {submit:?} {certified} {token:?} {name}"
            );
        }
    }
}

/// Whoever connects and does not shake hands is let go; the others are answered meanwhile.
#[tokio::test]
async fn a_handshake_that_does_not_come_in_time_is_given_up() {
    let limits = ServerLimits { head_read_ms: 20, ..Default::default() };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let access = access(Gate::Open, Gate::Open);
    let door = Door::open_for(anywhere, Arc::default(), limits, access).await;
    for begun in [&b""[..], b"\x16\x03\x01"] {
        let mut stream = TcpStream::connect(door.address).await.expect("it listens");
        stream.write_all(begun).await.expect("sent");
        within(raw::read_to_end(&mut stream)).await;
    }
}

#[test]
fn what_is_no_certificate_or_not_of_this_key_is_refused() {
    let said =
        |result: Result<tls::Server, tls::TlsError>| result.expect_err("refused").to_string();
    assert!(Chain::from_pem(b"canary").is_err());
    assert!(Chain::from_pem(paper().server.key.as_bytes()).is_err());
    assert!(Key::from_pem(paper().server.chain.as_bytes()).is_err());
    let (chain_of, _) = own(&paper().server);
    let (_, key) = own(&paper().caller);
    assert_eq!(said(tls::Server::new(chain_of, key, None)), "it cannot be used");
    let (_, key) = own(&paper().caller);
    assert_eq!(format!("{key:?} {:?}", server()), "Key(..) Server(..)");
}

/// Another implementation of TLS finds the same door, where there is one to try.
#[tokio::test]
async fn curl_is_answered_with_its_certificate_and_turned_away_without() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("no curl here");
        return;
    }
    let door = open(access(Gate::Mtls, Gate::Open)).await;
    let dir = std::env::temp_dir().join(format!("consign-door-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let files = [
        ("ca.pem", &paper().authority),
        ("cert.pem", &paper().caller.chain),
        ("key.pem", &paper().caller.key),
    ];
    for (name, text) in files {
        std::fs::write(dir.join(name), text).expect("written");
    }
    let curl = async |path: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.current_dir(&dir).args([
            "-s",
            "-o",
            "out",
            "-w",
            "%{http_code}",
            "--cacert",
            "ca.pem",
        ]);
        command.args(more).arg(format!("{}{path}", url(&door)));
        let ran = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
        String::from_utf8(within(ran).await.expect("no panic").stdout).expect("digits")
    };
    let with = ["--cert", "cert.pem", "--key", "key.pem"];
    assert_eq!(curl("/health/live", &[]).await, "200");
    assert_eq!(curl("/metrics", &[]).await, "401");
    assert_eq!(curl("/metrics", &with).await, "200");
    assert_eq!(curl("/health/live", &["--tls-max", "1.2"]).await, "000");
    std::fs::remove_dir_all(&dir).expect("removed");
}
