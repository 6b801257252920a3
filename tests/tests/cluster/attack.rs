//! The door under attack: whatever strangers do at it, an honest client is answered, each time, and commits go on.
//!
//! The attackers come from other addresses of the loopback than the honest client. How long the honest client waited
//! is printed, not asserted: that is a measurement, and good for the machine it was made on.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use consign_rpc::params::Wait;
use consign_rpc::views::Base64;
use consign_tests::drill::Drill;
use consign_types::event::{Action, Kind};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// What the honest client asks under each attack.
const HONEST_CALLS: usize = 100;

/// Begins an attack.
type Attack = Box<dyn Fn(&mut JoinSet<()>)>;

/// Connects from one of the attackers' addresses.
async fn connect(to: SocketAddr, from: usize) -> std::io::Result<TcpStream> {
    let address = Ipv4Addr::new(127, 0, 1, u8::try_from(from % 200).unwrap_or(0) + 1);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddrV4::new(address, 0).into())?;
    socket.connect(to).await
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}

/// Says one byte of a body that never ends, again and again, for as long as it is listened to.
async fn drip(to: SocketAddr, from: usize) {
    let Ok(mut stream) = connect(to, from).await else { return };
    if stream.write_all(head("/", 100_000).as_bytes()).await.is_err() {
        return;
    }
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    loop {
        pace.tick().await;
        if stream.write_all(b" ").await.is_err() {
            return;
        }
    }
}

/// Holds a connection open and says nothing.
async fn hold(to: SocketAddr, from: usize) {
    let Ok(mut stream) = connect(to, from).await else { return };
    let mut nothing = [0; 1];
    while stream.read(&mut nothing).await.is_ok_and(|bytes| bytes > 0) {}
}

/// Sends one body again and again, on a new connection each time, and reads what comes back.
async fn hammer(to: SocketAddr, from: usize, body: Vec<u8>) {
    loop {
        let Ok(mut stream) = connect(to, from).await else { continue };
        let sent = async {
            stream.write_all(head("/", body.len()).as_bytes()).await?;
            stream.write_all(&body).await
        };
        // Who is refused early is cut off while it still sends.
        let _ = sent.await;
        let _ = stream.read(&mut [0; 4096]).await;
    }
}

/// Subscribes to everything, and never reads.
async fn listen_to_nothing(to: SocketAddr, from: usize) {
    let Ok(mut stream) = connect(to, from).await else { return };
    let shake = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let asked = br#"{"jsonrpc":"2.0","id":1,"method":"custody_subscribeEvents","params":{}}"#;
    let mut frame = vec![0x81, 0x80 | asked.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(asked);
    if stream.write_all(shake.as_bytes()).await.is_ok() {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(&frame).await;
    }
    std::future::pending::<()>().await;
}

fn batch_of(calls: usize) -> Vec<u8> {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"chain_getStatus","params":{}}"#;
    format!("[{}]", vec![call; calls].join(",")).into_bytes()
}

fn nested(levels: usize) -> Vec<u8> {
    let open = r#"{"jsonrpc":"2.0","id":1,"method":"chain_getStatus","params":"#.to_owned();
    (open + &"[".repeat(levels)).into_bytes()
}

/// Asks as an honest client does, one call after the other. Answers how long the slowest but one of a hundred took.
async fn honest_calls(drill: &mut Drill, attack: &str, round: u64) -> Duration {
    let party = drill.parties()[0].clone();
    let client = drill.client(&party);
    let mut took = Vec::new();
    for call in 0..HONEST_CALLS {
        let asked = Instant::now();
        let answer = client.status().await;
        took.push(asked.elapsed());
        assert!(answer.is_ok(), "under {attack}, call {call}: {answer:?}");
    }
    let before = drill.height(&party).await.expect("a height");
    drill.load(std::slice::from_ref(&party), 5).await;
    drill.until_all_proven(&party).await;
    let after = drill.height(&party).await.expect("a height");
    assert!(after > before, "under {attack} nothing was committed (round {round})");
    took.sort_unstable();
    took[HONEST_CALLS * 99 / 100 - 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_client_is_answered_and_commits_go_on_whatever_others_do_at_the_door() {
    let mut drill = Drill::start().await;
    let party = drill.parties()[0].clone();
    let desk = drill.enrol(&party, "desk", &[Kind::Register]).await;
    let event = desk.signs(1, &format!("trk/{party}/ATTACK-1"), Action::Register);
    drill.prove(&party, &event).await;
    let url = drill.home(&party).url.clone();
    let to: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
    // The node has as many as this process, and needs some for its store.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let many = usize::try_from(files / 2).unwrap_or(usize::MAX).min(10_000);
    let again = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"custody_submitEvent","params":{{"envelope":"{}"}}}}"#,
        Base64(event.bytes().to_vec())
    );

    let by = |count: usize, attacker: Vec<u8>| -> Attack {
        Box::new(move |at| {
            (0..count).for_each(|from| drop(at.spawn(hammer(to, from, attacker.clone()))));
        })
    };
    let attacks: Vec<(&str, Attack)> = vec![
        (
            "1,000 connections that drip their bodies",
            Box::new(move |at| (0..1_000).for_each(|from| drop(at.spawn(drip(to, from))))),
        ),
        (
            "connections beyond every limit",
            Box::new(move |at| (0..many).for_each(|from| drop(at.spawn(hold(to, from))))),
        ),
        ("batches of 10,000", by(8, batch_of(10_000))),
        ("bodies of 10 MiB", by(8, vec![b' '; 10 << 20])),
        ("JSON of 100,000 levels", by(8, nested(100_000))),
        (
            "200 subscribers that read nothing",
            Box::new(move |at| {
                (0..200).for_each(|from| drop(at.spawn(listen_to_nothing(to, from))));
            }),
        ),
        ("one event again and again", by(16, again.into_bytes())),
    ];
    let calm = honest_calls(&mut drill, "no attack", 0).await;
    println!("p99 of {HONEST_CALLS} calls without an attack: {} ms", calm.as_millis());
    for (round, (attack, begin)) in (1..).zip(&attacks) {
        let mut attackers = JoinSet::new();
        begin(&mut attackers);
        let p99 = honest_calls(&mut drill, attack, round).await;
        println!("p99 of {HONEST_CALLS} calls under {attack}: {} ms", p99.as_millis());
        attackers.shutdown().await;
    }
    let last = desk.signs(2, &format!("trk/{party}/ATTACK-2"), Action::Register);
    let client = drill.client(&party);
    let sent = client.submit_event(last.bytes(), Wait::Proven, Some(60_000)).await;
    assert!(sent.expect("an answer").status.is_proven());
    drill.note_proven(&last);
    drill.finish().await;
}
