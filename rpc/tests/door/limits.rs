//! Callers who ask too much, too long, too often or too slowly; and an honest one beside them.

use std::net::SocketAddr;
use std::sync::Arc;

use consign_rpc::errors::ErrorKind;
use consign_rpc::server::{Access, HeaderValue, ServerLimits};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::fake::{Door, within};
use crate::raw;
use crate::socket::Socket;

const AN_HOUR_MS: u64 = 3_600_000;

fn status_call() -> Value {
    raw::request(1, "chain_getStatus", &json!({}))
}

async fn open_and_send(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.expect("the server listens");
    stream.write_all(bytes).await.expect("sent");
    stream
}

/// Bodies that never end hold none of the places for requests, of which there is one.
#[tokio::test]
async fn dripping_bodies_do_not_block_an_honest_client() {
    let limits = ServerLimits {
        connections_max: 1,
        head_read_ms: AN_HOUR_MS,
        body_read_ms: AN_HOUR_MS,
        ..Default::default()
    };
    let door = Door::open(limits).await;
    let mut dripping = Vec::new();
    for _ in 0..8 {
        let begun = raw::head(1000) + "{";
        dripping.push(open_and_send(door.address, begun.as_bytes()).await);
        dripping.push(open_and_send(door.address, b"POST / HTTP/1.1\r\nhos").await);
    }
    within(door.client().status()).await.expect("the honest client is answered");
    drop(dripping);
}

#[tokio::test]
async fn a_body_or_head_that_does_not_come_in_time_is_given_up() {
    let limits = ServerLimits { head_read_ms: 20, body_read_ms: 20, ..Default::default() };
    let door = Door::open(limits).await;
    let begun = raw::head(1000) + "{";
    let mut body = open_and_send(door.address, begun.as_bytes()).await;
    let answer = within(raw::read_to_end(&mut body)).await;
    assert_eq!(answer.status(), 408);
    assert_eq!(answer.json()["error"]["data"]["kind"], "invalid_request");

    let mut head = open_and_send(door.address, b"POST / HTTP/1.1\r\nhos").await;
    within(raw::read_to_end(&mut head)).await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_announced_or_not() {
    let limits = ServerLimits { body_bytes_max: 100, ..Default::default() };
    let door = Door::open(limits).await;
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(200));
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let announced = raw::head(long.len()) + &long;
    for request in [announced, chunked] {
        let answer = within(raw::exchange(door.address, request.as_bytes())).await;
        assert_eq!(answer.status(), 413);
        let error = &answer.json()["error"];
        assert_eq!(error["code"], -32007);
        assert_eq!(error["data"]["kind"], "request_too_large");
    }
    let answer = within(raw::post(door.address, status_call().to_string().as_bytes())).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_batch_has_at_most_20_calls() {
    let limits = ServerLimits { requests_burst_max: 1_000, ..Default::default() };
    let door = Door::open(limits).await;
    let batch = |calls: usize| Value::from(vec![status_call(); calls]).to_string();
    let answer = within(raw::post(door.address, batch(20).as_bytes())).await.json();
    let results =
        answer.as_array().expect("answers").iter().filter(|one| one["result"].is_object());
    assert_eq!(results.count(), 20);
    let answer = within(raw::post(door.address, batch(21).as_bytes())).await.json();
    assert_eq!(answer["error"]["code"], -32010);
    assert_eq!(answer["error"]["data"]["kind"], "batch_too_large");
}

/// Each call of a batch counts, and each plain request; asking for health does not.
#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let limits =
        ServerLimits { requests_per_second_max: 1, requests_burst_max: 3, ..Default::default() };
    let door = Door::open(limits).await;
    let batch = Value::from(vec![status_call(); 5]).to_string();
    let answer = within(raw::post(door.address, batch.as_bytes())).await.json();
    let refused: Vec<&Value> =
        answer.as_array().expect("answers").iter().filter(|one| one["error"].is_object()).collect();
    // Time goes on meanwhile, so there may be one more that is let in on a very slow machine.
    assert!((1..=2).contains(&refused.len()), "{answer}");
    for error in refused {
        let data = &error["error"]["data"];
        assert_eq!(error["id"], 1);
        assert_eq!(error["error"]["code"], -32005);
        assert_eq!((&data["kind"], &data["retryable"]), (&json!("rate_limited"), &json!(true)));
        assert!((1..=1_001).contains(&data["retryAfterMs"].as_u64().expect("a time")), "{data}");
    }
    assert_eq!(within(raw::get(door.address, "/health/live")).await.status(), 200);
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_gets_them_back() {
    let limits = ServerLimits { sockets_per_address_max: 1, ..Default::default() };
    let door = Door::open(limits).await;
    let held = open_and_send(door.address, b"POST / HTTP/1.1\r\nhos").await;
    // The server counts a connection when it accepts it: the second is turned away once it has.
    within(async {
        while raw::get(door.address, "/health/live").await.status() != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(held);
    within(async {
        while raw::get(door.address, "/health/live").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A browser asks before a page of another origin calls, and keeps the answer from the page unless it is let in.
#[tokio::test]
async fn pages_of_the_origins_that_are_named_may_call_and_no_others() {
    let access =
        Access::default().with_origins(vec![HeaderValue::from_static("https://a.example")]);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let fake = Arc::default();
    let door = Door::open_for(anywhere, fake, ServerLimits::default(), Arc::new(access)).await;
    let body = status_call().to_string();
    for (origin, let_in) in [("https://a.example", true), ("https://b.example", false)] {
        let more = format!("host: x\r\norigin: {origin}\r\n");
        let asked = format!("OPTIONS / HTTP/1.1\r\nconnection: close\r\n{more}\r\n");
        let asked = within(raw::exchange(door.address, asked.as_bytes())).await;
        assert_eq!(asked.status(), if let_in { 204 } else { 405 });
        let allowed = asked.header("access-control-allow-headers");
        assert_eq!(allowed.is_some_and(|names| names.contains("authorization")), let_in);

        let call = (raw::head(body.len()) + &body).replace("host: x\r\n", &more);
        let answer = within(raw::exchange(door.address, call.as_bytes())).await;
        assert_eq!(answer.status(), 200);
        let named = answer.header("access-control-allow-origin");
        assert_eq!(named, let_in.then_some(origin));
    }
}

/// A browser opens a WebSocket for any page, and lets it read what comes: the door must look.
#[tokio::test]
async fn pages_of_other_origins_open_no_websocket() {
    let access =
        Access::default().with_origins(vec![HeaderValue::from_static("https://a.example")]);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let fake = Arc::default();
    let door = Door::open_for(anywhere, fake, ServerLimits::default(), Arc::new(access)).await;
    // The host is x: a name that is the node's own only because somebody says so.
    for origin in ["https://b.example", "http://x", "null"] {
        let shown = format!("origin: {origin}\r\n");
        let refused = Socket::ask_with(&door, None, &shown).await.err().expect("not named");
        assert!(refused.starts_with("HTTP/1.1 403"), "{origin}: {refused}");
    }
    let both = "origin: https://a.example\r\norigin: https://b.example\r\n";
    assert!(Socket::ask_with(&door, None, both).await.is_err());
    for headers in ["origin: https://a.example\r\n", ""] {
        let mut socket = Socket::ask_with(&door, None, headers).await.expect("named, or no page");
        socket.send(&status_call()).await;
        let answer = within(socket.find(|message| message["id"] == 1)).await;
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[tokio::test]
async fn malformed_json_is_a_parse_error() {
    let door = Door::open(ServerLimits::default()).await;
    for body in ["{", "[{", "{\"jsonrpc\":\"2.0\",", "nonsense", "\u{0}"] {
        let answer = within(raw::post(door.address, body.as_bytes())).await.json();
        assert_eq!(answer["error"]["code"], ErrorKind::ParseError.code(), "{body:?}: {answer}");
    }
    for body in ["{\"jsonrpc\":\"2.0\",\"id\":1}", "[]", "[1]"] {
        let answer = within(raw::post(door.address, body.as_bytes())).await.json();
        let error = answer.pointer("/error/code").or_else(|| answer.pointer("/0/error/code"));
        assert_eq!(error, Some(&json!(ErrorKind::InvalidRequest.code())), "{body:?}: {answer}");
    }
}

/// Whatever the bytes are, the next caller is answered.
#[tokio::test]
async fn no_bytes_bring_the_server_down() {
    let limits = ServerLimits { requests_burst_max: 1_000, ..Default::default() };
    let door = Door::open(limits).await;
    let honest = raw::request(1, "custody_getUnit", &json!({ "unitId": "x" })).to_string();
    let whole = [raw::head(honest.len()).as_bytes(), honest.as_bytes()].concat();
    let mut seed: u64 = 0x5eed;
    for round in 0..64 {
        let mut bytes = whole.clone();
        for _ in 0..4 {
            // xorshift64: the same bytes in every run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = usize::try_from(seed >> 8).expect("64 bits") % bytes.len();
            bytes[at] = seed as u8;
        }
        let deep = "[".repeat(10_000);
        let mut stream = open_and_send(door.address, &bytes).await;
        stream.shutdown().await.ok();
        within(raw::read_to_end(&mut stream)).await;
        if round == 0 {
            within(raw::post(door.address, deep.as_bytes())).await;
        }
    }
    within(door.client().status()).await.expect("it still answers");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stops_although_callers_hang_on() {
    let limits = ServerLimits {
        head_read_ms: AN_HOUR_MS,
        body_read_ms: AN_HOUR_MS,
        drain_ms: 20,
        ..Default::default()
    };
    let door = Door::open(limits).await;
    let begun = raw::head(1000) + "{";
    let hanging = open_and_send(door.address, begun.as_bytes()).await;
    within(door.client().status()).await.expect("it answers");
    within(door.close()).await;
    drop(hanging);
}
