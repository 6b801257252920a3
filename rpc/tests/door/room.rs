//! Whoever takes every place of one kind: others are answered, and who does nothing makes room.

use std::sync::atomic::Ordering;

use consign_rpc::errors::ErrorKind;
use consign_rpc::params::Wait;
use consign_rpc::server::ServerLimits;
use consign_rpc::views::{Base64, EventStatus};
use serde_json::{Value, json};

use crate::fake::{Door, within};
use crate::socket::Socket;
use crate::{raw, samples};

const AN_HOUR_MS: u64 = 3_600_000;

fn subscribe() -> Value {
    raw::request(1, "chain_subscribeBlocks", &json!({}))
}

/// A WebSocket that feeds a subscription.
async fn listener(door: &Door) -> Socket {
    let mut socket = Socket::open(door, None).await;
    socket.send(&subscribe()).await;
    within(socket.find(|message| message["params"]["result"]["type"] == "open")).await;
    socket
}

#[tokio::test]
async fn websockets_take_none_of_the_places_of_calls() {
    let limits = ServerLimits { websockets_max: 2, connections_max: 1, ..Default::default() };
    let door = Door::open(limits).await;
    let listeners = [listener(&door).await, listener(&door).await];
    let refused = Socket::ask(&door, None).await.err().expect("two are as many as there may be");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    within(door.client().status()).await.expect("a call is answered");
    drop(listeners);
}

#[tokio::test]
async fn an_address_has_so_many_websockets() {
    let limits = ServerLimits { websockets_per_address_max: 1, ..Default::default() };
    let door = Door::open(limits).await;
    let held = Socket::open(&door, None).await;
    let refused = Socket::ask(&door, None).await.err().expect("one is as many as there may be");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    within(door.client().status()).await.expect("a call is answered");
    drop(held);
}

/// The first is told goodbye although it answers pings: the second has something to ask.
#[tokio::test]
async fn a_websocket_that_does_nothing_makes_room() {
    let limits = ServerLimits {
        websockets_max: 1,
        websocket_idle_ms: AN_HOUR_MS,
        // Who answers no ping is not what this is about.
        write_stall_ms: AN_HOUR_MS,
        ..Default::default()
    };
    let door = Door::open(limits).await;
    let idle = Socket::open(&door, None).await;
    let busy = listener(&door).await;
    within(idle.closed()).await;
    drop(busy);
}

#[tokio::test]
async fn a_websocket_without_a_subscription_is_closed_and_one_with_a_subscription_stays() {
    let limits =
        ServerLimits { websocket_idle_ms: 20, write_stall_ms: AN_HOUR_MS, ..Default::default() };
    let door = Door::open(limits).await;
    let mut busy = listener(&door).await;
    within(Socket::open(&door, None).await.closed()).await;
    door.fake.height.send_replace(1);
    within(busy.find(|message| message["params"]["result"]["type"] == "item")).await;
}

/// Whoever waits for an event to become final, which it never does, holds the one place for calls.
#[tokio::test]
async fn a_submission_that_only_waits_makes_room() {
    let limits = ServerLimits { connections_max: 1, ..Default::default() };
    let door = Door::open(limits).await;
    door.fake.nothing_becomes_final.store(true, Ordering::Relaxed);
    let (waits, asks) = (door.client(), door.client());
    let event = samples::signed(1);
    let waiting = waits.submit_event(event.bytes(), Wait::Proven, Some(60_000));
    let asking = async {
        let mut count = door.fake.waiting.subscribe();
        within(count.wait_for(|count| *count == 1)).await.expect("it waits");
        within(asks.status()).await
    };
    let (waited, asked) = tokio::join!(within(waiting), asking);
    asked.expect("a call is answered");
    assert_eq!(waited.expect("told how far it came").status, EventStatus::Accepted);
}

#[tokio::test]
async fn an_address_has_so_many_calls_under_way() {
    let limits = ServerLimits { connections_per_address_max: 1, ..Default::default() };
    let door = Door::open(limits).await;
    door.fake.nothing_becomes_final.store(true, Ordering::Relaxed);
    let client = door.client();
    let event = samples::signed(1);
    let waiting = client.submit_event(event.bytes(), Wait::Proven, Some(60_000));
    let asking = async {
        let mut count = door.fake.waiting.subscribe();
        within(count.wait_for(|count| *count == 1)).await.expect("it waits");
        within(door.client().status()).await
    };
    tokio::select! {
        waited = waiting => panic!("it should wait: {waited:?}"),
        asked = asking => assert_eq!(asked.expect_err("one too many").kind, ErrorKind::Busy),
    }
}

/// The clock hardly matters: of what a bucket holds, less than a hundredth comes back while this runs.
#[tokio::test]
async fn each_envelope_counts() {
    let limits =
        ServerLimits { requests_per_second_max: 1, requests_burst_max: 100, ..Default::default() };
    let door = Door::open(limits).await;
    let batch = json!({ "envelopes": vec!["none"; 90] });
    let first = within(raw::call(door.address, "custody_submitBatch", batch.clone())).await;
    assert_eq!(first["result"].as_array().map(Vec::len), Some(90), "{first}");
    let second = within(raw::call(door.address, "custody_submitBatch", batch)).await;
    assert_eq!(second["error"]["data"]["kind"], "rate_limited", "{second}");
    within(door.client().status()).await.expect("there is enough for one call");
}

#[tokio::test]
async fn an_envelope_whose_signature_does_not_hold_counts_twenty_times() {
    let limits = ServerLimits {
        requests_per_second_max: 1,
        requests_burst_max: 20_000,
        ..Default::default()
    };
    let door = Door::open(limits).await;
    door.fake.forged.store(2_000, Ordering::Relaxed);
    let envelope = json!({ "envelope": Base64(samples::signed(1).bytes().to_vec()) });
    let first = within(raw::call(door.address, "custody_submitEvent", envelope)).await;
    assert!(first["result"].is_object(), "{first}");
    let refused = within(raw::call(door.address, "chain_getStatus", json!({}))).await;
    let error = &refused["error"]["data"];
    assert_eq!(error["kind"], "rate_limited", "{refused}");
    // 1 + 19 x 2,000 + 1 of 20,000 are there, at one a second.
    let wait = error["retryAfterMs"].as_u64().expect("a time");
    assert!((17_000_000..=18_002_001).contains(&wait), "{wait}");
}

/// A file has up to as many signatures as a set has validators.
#[tokio::test]
async fn a_file_of_evidence_counts_twenty_times() {
    let limits =
        ServerLimits { requests_per_second_max: 1, requests_burst_max: 45, ..Default::default() };
    let door = Door::open(limits).await;
    let file = json!({ "evidence": Base64(b"a file".to_vec()) });
    let hand_in = || raw::call(door.address, "audit_submitEvidence", file.clone());
    for _ in 0..2 {
        let kept = within(hand_in()).await;
        assert_eq!(kept["result"]["bytes"], 6, "{kept}");
    }
    let refused = within(hand_in()).await;
    assert_eq!(refused["error"]["data"]["kind"], "rate_limited", "{refused}");
}
