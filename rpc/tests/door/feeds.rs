//! Feeds: over WebSocket, resumed from a cursor, and cut off rather than buffered.

use std::sync::Arc;
use std::time::Duration;

use consign_rpc::errors::ErrorKind;
use consign_rpc::page::Cursor;
use consign_rpc::server::ServerLimits;
use consign_rpc::views::EventStatus;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::fake::{Door, event_that_fails_with, within};
use crate::{raw, samples};

async fn heights(
    feed: &mut consign_rpc::client::Follow<consign_rpc::params::SubscribeBlocks>,
    count: usize,
) -> Vec<u64> {
    let mut told = Vec::new();
    while told.len() < count {
        told.push(within(feed.next()).await.expect("told").expect("not ended").value.height);
    }
    told
}

#[tokio::test]
async fn a_feed_begins_where_it_is_told_to() {
    let door = Door::open(ServerLimits::default()).await;
    door.fake.height.send_replace(5);
    let client = door.client();
    let mut all = client.follow_blocks(Some(Cursor::start()));
    assert_eq!(heights(&mut all, 5).await, [0, 1, 2, 3, 4]);
    let mut rest = client.follow_blocks(Some(Cursor::at("block", 3)));
    assert_eq!(heights(&mut rest, 2).await, [3, 4]);

    let mut new = client.follow_blocks(None);
    within(new.open()).await.expect("it opens");
    assert_eq!(new.cursor(), Some(Cursor::at("block", 5)));
    door.fake.height.send_replace(6);
    assert_eq!(heights(&mut new, 1).await, [5]);
    assert_eq!(heights(&mut all, 1).await, [5]);
}

/// The server goes away in the middle and comes back: no block is missed, none comes twice.
#[tokio::test]
async fn a_feed_outlives_its_server() {
    let door = Door::open(ServerLimits::default()).await;
    let (address, fake) = (door.address, Arc::clone(&door.fake));
    fake.height.send_replace(3);
    let mut feed = door.client().follow_blocks(Some(Cursor::start()));
    assert_eq!(heights(&mut feed, 2).await, [0, 1]);

    within(door.close()).await;
    fake.height.send_replace(6);
    let door = Door::open_at(address, fake, ServerLimits::default()).await;
    assert_eq!(heights(&mut feed, 4).await, [2, 3, 4, 5]);
    within(door.close()).await;
}

/// The node's feed on a unit breaks off after each item.
#[tokio::test]
async fn a_feed_that_lags_is_resumed_from_its_cursor() {
    let door = Door::open(ServerLimits::default()).await;
    let mut feed = door.client().follow_unit(samples::unit(), None);
    for next in 1..=3 {
        let item = within(feed.next()).await.expect("told").expect("not ended");
        assert_eq!(item.cursor, Cursor::at("unit", next));
    }
}

#[tokio::test]
async fn a_status_is_followed_to_its_end() {
    let door = Door::open(ServerLimits::default()).await;
    let mut feed = door.client().follow_status(samples::event());
    let mut told = Vec::new();
    while let Some(item) = within(feed.next()).await.expect("told") {
        told.push(item.value);
    }
    assert_eq!(told, [EventStatus::Accepted, samples::committed(), samples::proven()]);
    assert_eq!(within(feed.next()).await, Ok(None));
}

#[tokio::test]
async fn a_feed_that_the_node_refuses_is_not_tried_again() {
    let door = Door::open(ServerLimits::default()).await;
    let client = door.client();
    let error = within(client.follow_blocks(Some(Cursor::at("event", 1))).next()).await;
    let error = error.expect_err("a cursor of another feed");
    assert_eq!(error.kind, ErrorKind::StaleCursor);
    assert_eq!(error.answer.and_then(|answer| answer.field).as_deref(), Some("fromCursor"));

    let event = event_that_fails_with(ErrorKind::NotFound);
    let error = within(client.follow_status(event).next()).await.expect_err("no such event");
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_feed_whose_node_is_gone_says_so_when_its_patience_is_over() {
    let door = Door::open(ServerLimits::default()).await;
    let client = door.client();
    within(door.close()).await;
    let mut feed = client.follow_blocks(None).with_patience(Duration::ZERO);
    assert_eq!(within(feed.next()).await.expect_err("gone").kind, ErrorKind::Unreachable);
}

#[tokio::test]
async fn subscriptions_on_one_connection_are_counted() {
    let limits = ServerLimits { subscriptions_per_connection_max: 2, ..Default::default() };
    let door = Door::open(limits).await;
    let mut socket = Socket::open(&door, None).await;
    for id in 1..=3 {
        socket.send(&raw::request(id, "chain_subscribeBlocks", &json!({}))).await;
    }
    let refused = within(socket.find(|message| message["error"].is_object())).await;
    assert_eq!(refused["error"]["code"], ErrorKind::TooManySubscriptions.code());
}

/// A subscriber that does not read: its source is let go while it sleeps, an honest one is served
/// meanwhile, and when it wakes it is told where to resume.
#[tokio::test]
async fn a_slow_subscriber_is_cut_off_and_told_where_to_resume() {
    let limits =
        ServerLimits { feed_stall_ms: 20, write_stall_ms: 3_600_000, ..Default::default() };
    let door = Door::open(limits).await;
    let mut slow = Socket::open(&door, Some(4096)).await;
    slow.send(&raw::request(1, "custody_subscribeEvents", &json!({}))).await;
    within(door.fake.gone.subscribe().wait_for(|count| *count > 0)).await.expect("cut off");
    within(door.client().status()).await.expect("an honest client is answered");

    let (mut last, lagged) = (0, |message: &Value| message["params"]["result"]["type"] == "lagged");
    let notice = within(slow.find(|message| {
        let result = &message["params"]["result"];
        if result["type"] == "item" {
            last =
                result["cursor"].as_str().and_then(|c| c["event.".len()..].parse().ok()).unwrap();
        }
        lagged(message)
    }))
    .await;
    // Every item before the end came; the cursor is that of the last of them.
    let resumes = Cursor::at("event", last);
    assert_eq!(notice["params"]["result"]["lastCursor"], resumes.as_str());
}

/// A WebSocket by hand, which reads only when it is told to.
struct Socket(TcpStream);

impl Socket {
    async fn open(door: &Door, receive_bytes: Option<u32>) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes).expect("a small buffer");
        }
        let mut stream = socket.connect(door.address).await.expect("the server listens");
        let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.expect("an answer"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    /// One text frame, masked with zeros (RFC 6455, 5.2).
    async fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let length = u8::try_from(text.len()).ok().filter(|n| *n < 126).expect("a short message");
        let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.0.write_all(&frame).await.expect("sent");
    }

    /// The next text frame.
    async fn receive(&mut self) -> Value {
        loop {
            let [kind, short] =
                [self.0.read_u8().await, self.0.read_u8().await].map(|b| b.expect("open"));
            let length = match short {
                126 => u64::from(self.0.read_u16().await.expect("open")),
                127 => self.0.read_u64().await.expect("open"),
                short => u64::from(short),
            };
            let mut bytes = vec![0; usize::try_from(length).expect("a length")];
            self.0.read_exact(&mut bytes).await.expect("open");
            // Pings are passed over: this client keeps to no rule.
            if kind == 0x81 {
                return serde_json::from_slice(&bytes).expect("JSON");
            }
        }
    }

    /// The first message that fits.
    async fn find(&mut self, mut fits: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let message = self.receive().await;
            if fits(&message) {
                return message;
            }
        }
    }
}
