//! Plain HTTP: health, metrics, the document, and the log as files.

use consign_rpc::server::ServerLimits;
use serde_json::json;

use crate::fake::{Door, within};
use crate::raw;

#[tokio::test]
async fn tiles_are_kept_for_ever_and_checkpoints_are_not() {
    let door = Door::open(ServerLimits::default()).await;
    let tile = within(raw::get(door.address, "/tlog/tile/0/000")).await;
    assert_eq!((tile.status(), tile.body.as_str()), (200, "a tile"));
    assert_eq!(tile.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(tile.header("content-type"), Some("application/octet-stream"));
    assert_eq!(tile.header("access-control-allow-origin"), Some("*"));

    let checkpoint = within(raw::get(door.address, "/tlog/checkpoint")).await;
    assert_eq!((checkpoint.status(), checkpoint.body.as_str()), (200, "a note"));
    assert_eq!(checkpoint.header("cache-control"), Some("no-cache"));
    assert_eq!(checkpoint.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn what_is_not_there_is_not_kept() {
    let door = Door::open(ServerLimits::default()).await;
    let long = format!("/tlog/{}", "0".repeat(200));
    for path in ["/tlog/tile/0/001", "/tlog/../secret", "/tlog/tile//000", "/tlog/%2e%2e/x", &long]
    {
        let answer = within(raw::get(door.address, path)).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    assert_eq!(within(raw::get(door.address, "/elsewhere")).await.status(), 404);
    let answer = within(raw::get(door.address, "/")).await;
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("post")));
}

#[tokio::test]
async fn readiness_tells_its_reason() {
    let door = Door::open(ServerLimits::default()).await;
    let ready = within(raw::get(door.address, "/health/ready")).await;
    assert_eq!((ready.status(), ready.json()), (200, json!({ "ready": true })));
    *door.fake.ready.lock().expect("no panic") = Err("2 of 4 validators answer".to_owned());
    let answer = within(raw::get(door.address, "/health/ready")).await;
    let expected = json!({ "ready": false, "reason": "2 of 4 validators answer" });
    assert_eq!((answer.status(), answer.json()), (503, expected));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let live = within(raw::get(door.address, "/health/live")).await;
    assert_eq!((live.status(), live.json()), (200, json!({ "live": true })));
}

#[tokio::test]
async fn metrics_are_text_and_no_page_of_another_origin_reads_them() {
    let door = Door::open(ServerLimits::default()).await;
    let answer = within(raw::get(door.address, "/metrics")).await;
    assert_eq!((answer.status(), answer.body.as_str()), (200, "# EOF\n"));
    assert!(answer.header("content-type").is_some_and(|kind| kind.contains("openmetrics")));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
