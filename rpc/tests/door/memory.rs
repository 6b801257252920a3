//! Callers whose requests hold memory while they wait: all of them together are bounded, and each address.

use std::sync::atomic::Ordering;

use consign_rpc::server::ServerLimits;
use consign_rpc::views::Base64;
use serde_json::{Value, json};

use crate::fake::{Door, within};
use crate::socket::Socket;
use crate::{raw, samples};

/// A door whose node never makes anything final, with so much memory for bodies.
async fn door(bodies_bytes_max: usize) -> Door {
    door_with(bodies_bytes_max, bodies_bytes_max).await
}

/// The same, and so much of it for each address.
async fn door_with(bodies_bytes_max: usize, bodies_bytes_per_address_max: usize) -> Door {
    let limits =
        ServerLimits { bodies_bytes_max, bodies_bytes_per_address_max, ..Default::default() };
    let door = Door::open(limits).await;
    door.fake.nothing_becomes_final.store(true, Ordering::Relaxed);
    door
}

/// A submission that waits for what never comes.
fn waiting(id: u64) -> Value {
    let envelope = Base64(samples::signed(1).bytes().to_vec());
    let params = json!({ "envelope": envelope, "wait": "proven", "timeoutMs": 60_000 });
    raw::request(id, "custody_submitEvent", &params)
}

fn asking(id: u64) -> Value {
    raw::request(id, "chain_getStatus", &json!({}))
}

/// The same request in so many bytes.
fn padded(request: &Value, bytes: usize) -> String {
    let mut request = request.to_string();
    request.extend(std::iter::repeat_n(' ', bytes.saturating_sub(request.len())));
    request
}

async fn have_waited(door: &Door, submissions: u64) {
    let mut count = door.fake.waiting.subscribe();
    within(count.wait_for(|count| *count == submissions)).await.expect("they wait");
}

/// It holds most of what there is for everybody, or for its address.
#[tokio::test]
async fn a_submission_that_only_waits_gives_up_its_memory() {
    for (all, share) in [(100_000, 200_000), (200_000, 100_000)] {
        let door = door_with(all, share).await;
        let address = door.address;
        let body = padded(&waiting(1), 80_000);
        let waits = tokio::spawn(async move { raw::post(address, body.as_bytes()).await });
        have_waited(&door, 1).await;
        let answer = within(raw::post(address, padded(&asking(2), 40_000).as_bytes())).await;
        assert_eq!(answer.json()["result"]["party"], "handler", "{answer:?}");
        let waited = within(waits).await.expect("no panic").json();
        assert_eq!(waited["result"]["status"]["state"], "accepted", "{waited}");
    }
}

#[tokio::test]
async fn a_websocket_has_so_many_calls_under_way() {
    let door = door(64 * 1024 * 1024).await;
    let mut socket = Socket::open(&door, None).await;
    for id in 1..=32 {
        socket.send(&waiting(id)).await;
    }
    have_waited(&door, 32).await;
    socket.send(&asking(33)).await;
    let refused = within(socket.find(|message| message["id"] == 33)).await;
    assert_eq!(refused["error"]["data"]["kind"], "busy", "{refused}");
}

#[tokio::test]
async fn a_large_message_that_only_waits_gives_up_its_memory() {
    let door = door(100_000).await;
    let mut socket = Socket::open(&door, None).await;
    socket.send_text(&padded(&waiting(1), 80_000)).await;
    have_waited(&door, 1).await;
    let answer = within(raw::post(door.address, padded(&asking(2), 40_000).as_bytes())).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let waited = within(socket.find(|message| message["id"] == 1)).await;
    assert_eq!(waited["result"]["status"]["state"], "accepted", "{waited}");
}

/// Blanks count: the library keeps them as long as the rest.
#[tokio::test]
async fn a_message_for_which_there_is_no_memory_is_refused() {
    let door = door(60_000).await;
    let mut socket = Socket::open(&door, None).await;
    socket.send_text(&padded(&asking(1), 80_000)).await;
    let refused = within(socket.find(|message| message["id"] == 1)).await;
    assert_eq!(refused["error"]["data"]["kind"], "busy", "{refused}");
    socket.send(&asking(2)).await;
    let answer = within(socket.find(|message| message["id"] == 2)).await;
    assert!(answer["result"].is_object(), "{answer}");
}

/// What it holds it gives back: many large messages, one after the other, find their memory.
#[tokio::test]
async fn an_answered_message_holds_nothing() {
    let door = door(100_000).await;
    let mut socket = Socket::open(&door, None).await;
    for id in 1..=16 {
        socket.send_text(&padded(&asking(id), 80_000)).await;
        let answer = within(socket.find(|message| message["id"] == id)).await;
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[tokio::test]
async fn subscriptions_are_no_calls_under_way() {
    let door = door(100_000).await;
    let mut socket = Socket::open(&door, None).await;
    for id in 1..=32 {
        socket.send(&raw::request(id, "chain_subscribeBlocks", &json!({}))).await;
        within(socket.find(|message| message["params"]["result"]["type"] == "open")).await;
    }
    socket.send(&asking(33)).await;
    let answer = within(socket.find(|message| message["id"] == 33)).await;
    assert!(answer["result"].is_object(), "{answer}");
}

/// A batch is one message, whatever is in it: calls that wait, a notification, and what is no call.
#[tokio::test]
async fn a_batch_is_one_message() {
    let door = door(100_000).await;
    let mut socket = Socket::open(&door, None).await;
    let notification = json!({ "jsonrpc": "2.0", "method": "chain_getStatus" });
    let batch = json!([waiting(1), notification, asking(2), 3]);
    for waited in 1..=40 {
        socket.send_text(&padded(&batch, 80_000)).await;
        have_waited(&door, waited).await;
        // Who needs the memory has the first call of the batch answered.
        let body = padded(&asking(9), 40_000);
        let answer = within(raw::post(door.address, body.as_bytes())).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let answers = within(socket.find(Value::is_array)).await;
        assert_eq!(answers[0]["result"]["status"]["state"], "accepted", "{answers}");
        assert!(answers[1]["result"].is_object(), "{answers}");
        assert!(answers[2]["error"].is_object(), "{answers}");
    }
}
