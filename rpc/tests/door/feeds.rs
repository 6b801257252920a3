//! Feeds: over WebSocket, resumed from a cursor, and cut off rather than buffered.

use std::sync::Arc;
use std::time::Duration;

use consign_rpc::errors::ErrorKind;
use consign_rpc::page::Cursor;
use consign_rpc::server::ServerLimits;
use consign_rpc::views::EventStatus;
use serde_json::{Value, json};

use crate::fake::{Door, event_that_fails_with, within};
use crate::socket::Socket;
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
