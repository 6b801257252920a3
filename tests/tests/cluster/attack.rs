//! The door under attack: whatever strangers do at it, an honest client is answered, each time, and commits go on.
//!
//! The attackers come from other addresses of the loopback than the honest client. How long the honest client waited
//! is printed, not asserted: that is a measurement, and good for the machine it was made on.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::time::{Duration, Instant};

use consign_rpc::page::Cursor;
use consign_rpc::params::Wait;
use consign_rpc::server::ServerLimits;
use consign_rpc::views::Base64;
use consign_tests::drill::device::Device;
use consign_tests::drill::{Drill, PATIENCE};
use consign_types::event::{Action, Kind, SignedEvent};
use consign_types::limits::SUBMIT_BATCH_MAX;
use consign_types::party::{PartyId, SignerId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Interval;

/// What the honest client asks under each attack, of each kind.
const HONEST_CALLS: usize = 100;

/// Addresses of the attackers, unless an attack does with fewer.
const ADDRESSES: usize = 200;

/// What attackers keep of what is sent to them: so little that the sender is soon the one who keeps it.
const RECEIVE_BYTES: u32 = 4096;

/// What one attacker does, who is the `from`th, until it is stopped.
type Act = Box<dyn Fn(usize, InPlace) -> Pin<Box<dyn Future<Output = ()> + Send>>>;

struct Attack {
    name: &'static str,
    attackers: usize,
    act: Act,
}

impl Attack {
    fn by<F>(
        attackers: usize,
        name: &'static str,
        act: impl Fn(usize, InPlace) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name, attackers, act: Box::new(move |from, placed| Box::pin(act(from, placed))) }
    }

    /// Begins, and is done once every attacker has done what it does for the first time.
    async fn begin(&self) -> JoinSet<()> {
        let (placed, mut places) = watch::channel(0);
        let mut attackers = JoinSet::new();
        for from in 0..self.attackers {
            attackers.spawn((self.act)(from, InPlace(placed.clone())));
        }
        let all = places.wait_for(|placed| *placed == self.attackers);
        let all = tokio::time::timeout(PATIENCE, all).await;
        all.unwrap_or_else(|_| panic!("{} never began", self.name)).expect("somebody counts");
        attackers
    }
}

/// Dropped once an attacker is where it wants to be, or has failed to get there.
struct InPlace(watch::Sender<usize>);

impl Drop for InPlace {
    fn drop(&mut self) {
        self.0.send_modify(|placed| *placed += 1);
    }
}

/// Connects from one of the attackers' addresses.
async fn connect(to: SocketAddr, from: usize) -> std::io::Result<TcpStream> {
    let address = Ipv4Addr::new(127, 0, 1, u8::try_from(from % ADDRESSES).unwrap_or(0) + 1);
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.bind(SocketAddrV4::new(address, 0).into())?;
    socket.connect(to).await
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}

fn pace() -> Interval {
    tokio::time::interval(Duration::from_millis(200))
}

/// Says one byte of a body that never ends, again and again, for as long as it is listened to.
async fn drip(to: SocketAddr, from: usize, placed: InPlace) {
    let Ok(mut stream) = connect(to, from).await else { return };
    if stream.write_all(head("/", 100_000).as_bytes()).await.is_err() {
        return;
    }
    drop(placed);
    let mut pace = pace();
    loop {
        pace.tick().await;
        if stream.write_all(b" ").await.is_err() {
            return;
        }
    }
}

/// Holds a connection open and says nothing.
async fn hold(to: SocketAddr, from: usize, placed: InPlace) {
    let Ok(mut stream) = connect(to, from).await else { return };
    drop(placed);
    let mut nothing = [0; 1];
    while stream.read(&mut nothing).await.is_ok_and(|bytes| bytes > 0) {}
}

/// Sends one body and reads some of what comes back.
async fn post(to: SocketAddr, from: usize, body: &[u8]) {
    let Ok(mut stream) = connect(to, from).await else { return };
    let sent = async {
        stream.write_all(head("/", body.len()).as_bytes()).await?;
        stream.write_all(body).await
    };
    // Who is refused early is cut off while it still sends.
    let _ = sent.await;
    let _ = stream.read(&mut [0; 4096]).await;
}

/// Sends one body again and again, on a new connection each time.
async fn hammer(to: SocketAddr, from: usize, body: Vec<u8>, placed: InPlace) {
    post(to, from, &body).await;
    drop(placed);
    loop {
        post(to, from, &body).await;
    }
}

/// Sends a body whose answer is long in coming, and again once it has come.
async fn wait(to: SocketAddr, from: usize, body: Vec<u8>, placed: InPlace) {
    drop(placed);
    let mut pace = pace();
    loop {
        pace.tick().await;
        post(to, from, &body).await;
    }
}

/// Opens a WebSocket, where it may.
async fn upgrade(to: SocketAddr, from: usize) -> Option<TcpStream> {
    let mut stream = connect(to, from).await.ok()?;
    let shake = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(shake.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    head.starts_with(b"HTTP/1.1 101").then_some(stream)
}

/// One text frame, masked with zeros (RFC 6455, 5.2).
fn frame(text: &str) -> Vec<u8> {
    let [high, low] = u16::try_from(text.len()).expect("a short message").to_be_bytes();
    [&[0x81, 0x80 | 126, high, low, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Subscribes to everything from the first event on, twice, and never reads.
async fn listen_to_nothing(to: SocketAddr, from: usize, placed: InPlace) {
    let Some(mut stream) = upgrade(to, from).await else { return };
    let params = json!({ "fromCursor": Cursor::start() });
    let method = "custody_subscribeEvents";
    let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let asked = frame(&asked.to_string()).repeat(2);
    let _ = stream.write_all(&asked).await;
    drop(placed);
    std::future::pending::<()>().await;
}

/// Holds WebSockets open that ask nothing, one after the other: answers each ping, and comes again once it is sent
/// away.
async fn occupy(to: SocketAddr, from: usize, placed: InPlace) {
    let mut placed = Some(placed);
    let mut pace = pace();
    loop {
        pace.tick().await;
        let stream = upgrade(to, from).await;
        drop(placed.take());
        let Some(mut stream) = stream else { continue };
        // A ping is empty, and so is the pong that answers it.
        let mut ping = [0; 2];
        while stream.read_exact(&mut ping).await.is_ok() && ping == [0x89, 0] {
            if stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.is_err() {
                break;
            }
        }
    }
}

fn call(method: &str, params: &serde_json::Value) -> Vec<u8> {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    call.to_string().into_bytes()
}

fn batch_of(calls: usize) -> Vec<u8> {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"chain_getStatus","params":{}}"#;
    format!("[{}]", vec![call; calls].join(",")).into_bytes()
}

fn nested(levels: usize) -> Vec<u8> {
    let open = r#"{"jsonrpc":"2.0","id":1,"method":"chain_getStatus","params":"#.to_owned();
    (open + &"[".repeat(levels)).into_bytes()
}

/// A batch of events that a known device has not signed, although they say so.
fn forged(desk: &Device, party: &PartyId) -> Vec<u8> {
    let forged = (0..SUBMIT_BATCH_MAX as u64).map(|number| {
        let unit = format!("trk/{party}/FORGED-{number}");
        let mut bytes = desk.signs(1_000_000 + number, &unit, Action::Register).bytes().to_vec();
        *bytes.last_mut().expect("an event") ^= 1;
        Base64(bytes)
    });
    call("custody_submitBatch", &json!({ "envelopes": forged.collect::<Vec<_>>() }))
}

/// An event of a device whose enrolment never comes, and a call that waits for it.
fn never_final(desk: &Device, party: &PartyId) -> Vec<u8> {
    let mut ghost = desk.clone();
    ghost.keyed.id = SignerId::device(party.clone(), "ghost").expect("a label");
    let event = ghost.signs(1, &format!("trk/{party}/GHOST"), Action::Register);
    let envelope = Base64(event.bytes().to_vec());
    let params = json!({ "envelope": envelope, "wait": "proven", "timeoutMs": 60_000 });
    call("custody_submitEvent", &params)
}

/// An honest client, which asks one thing after the other.
struct Honest {
    desk: Device,
    party: PartyId,
    next: u64,
}

/// How long it waited, each time.
#[derive(Default)]
struct Waited {
    status: Vec<Duration>,
    unit: Vec<Duration>,
    submit: Vec<Duration>,
}

impl Waited {
    /// How long the slowest but one of a hundred took, in milliseconds.
    fn p99s(mut self) -> String {
        let p99 = |took: &mut Vec<Duration>| {
            took.sort_unstable();
            took[took.len() * 99 / 100 - 1].as_millis()
        };
        let [status, unit, submit] = [&mut self.status, &mut self.unit, &mut self.submit].map(p99);
        format!("status {status} ms, unit {unit} ms, submit {submit} ms")
    }
}

impl Honest {
    fn event(&mut self) -> SignedEvent {
        self.next += 1;
        let unit = format!("trk/{}/ATTACK-{}", self.party, self.next);
        self.desk.signs(self.next, &unit, Action::Register)
    }

    /// Reads and submits, and sees that what it submitted is committed.
    async fn calls(&mut self, drill: &mut Drill, attack: &str) -> Waited {
        let client = drill.client(&self.party);
        let unit = format!("trk/{}/ATTACK-1", self.party).parse().expect("a unit");
        let before = drill.height(&self.party).await.expect("a height");
        let mut waited = Waited::default();
        for call in 0..HONEST_CALLS {
            let asked = Instant::now();
            let answer = client.status().await;
            waited.status.push(asked.elapsed());
            assert!(answer.is_ok(), "under {attack}, call {call}: {answer:?}");

            let asked = Instant::now();
            let answer = client.unit(Clone::clone(&unit), None).await;
            waited.unit.push(asked.elapsed());
            assert!(answer.is_ok(), "under {attack}, call {call}: {answer:?}");

            let event = self.event();
            let asked = Instant::now();
            let answer = client.submit_event(event.bytes(), Wait::Accepted, None).await;
            waited.submit.push(asked.elapsed());
            assert!(answer.is_ok(), "under {attack}, call {call}: {answer:?}");
            drill.note_proven(&event);
        }
        // What comes last is in no block before those that came first.
        drill.load(std::slice::from_ref(&self.party), 5).await;
        drill.until_all_proven(&self.party).await;
        let after = drill.height(&self.party).await.expect("a height");
        assert!(after > before, "under {attack} nothing was committed");
        waited
    }
}

/// As many open files as this process, and so each node that it starts, may have.
fn raise_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit everybody may");
    usize::try_from(limit.maximum.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

fn attacks(to: SocketAddr, desk: &Device, party: &PartyId, known: &SignedEvent) -> Vec<Attack> {
    let limits = ServerLimits::default();
    // The node has as many files as this process, and needs some for its store.
    let many = (raise_files() / 2).min(10_000);
    assert!(many > 2 * limits.sockets_max, "{many} connections are too few to be beyond a limit");
    let again = call("custody_submitEvent", &json!({ "envelope": Base64(known.bytes().to_vec()) }));
    let hammers = |count: usize, name: &'static str, body: Vec<u8>| {
        Attack::by(count, name, move |from, placed| hammer(to, from, body.clone(), placed))
    };
    let (from_one, waiting) = (forged(desk, party), never_final(desk, party));
    vec![
        Attack::by(1_000, "1,000 connections that drip their bodies", move |from, placed| {
            drip(to, from, placed)
        }),
        Attack::by(many, "connections beyond every limit", move |from, placed| {
            hold(to, from, placed)
        }),
        hammers(8, "batches of 10,000", batch_of(10_000)),
        hammers(8, "bodies of 10 MiB", vec![b' '; 10 << 20]),
        hammers(8, "JSON of 100,000 levels", nested(100_000)),
        Attack::by(200, "200 subscribers that read nothing", move |from, placed| {
            listen_to_nothing(to, from, placed)
        }),
        Attack::by(
            2 * limits.sockets_per_address_max,
            "two addresses' WebSockets that answer pings",
            move |from, placed| occupy(to, from % 2, placed),
        ),
        Attack::by(
            2 * limits.websockets_max,
            "WebSockets beyond every limit",
            move |from, placed| occupy(to, from, placed),
        ),
        Attack::by(
            2 * limits.sockets_per_address_max,
            "two addresses' submissions that wait for ever",
            move |from, placed| wait(to, from % 2, waiting.clone(), placed),
        ),
        hammers(16, "one event again and again", again),
        Attack::by(16, "one address's batches of forged events", move |_, placed| {
            hammer(to, 0, from_one.clone(), placed)
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_client_is_answered_and_commits_go_on_whatever_others_do_at_the_door() {
    // Before any node starts, which then may have as many.
    raise_files();
    let mut drill = Drill::start().await;
    let party = drill.parties()[0].clone();
    let desk = drill.enrol(&party, "desk", &[Kind::Register]).await;
    let mut honest = Honest { desk: desk.clone(), party: party.clone(), next: 0 };
    let known = honest.event();
    drill.prove(&party, &known).await;
    let url = drill.home(&party).url.clone();
    let to: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");

    let calm = honest.calls(&mut drill, "no attack").await;
    println!("p99 of {HONEST_CALLS} calls without an attack: {}", calm.p99s());
    for attack in attacks(to, &desk, &party, &known) {
        let mut attackers = attack.begin().await;
        let waited = honest.calls(&mut drill, attack.name).await;
        println!("p99 of {HONEST_CALLS} calls under {}: {}", attack.name, waited.p99s());
        attackers.shutdown().await;
    }
    let last = honest.event();
    drill.prove(&party, &last).await;
    drill.finish().await;
}
