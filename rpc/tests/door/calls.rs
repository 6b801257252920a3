//! Calls: by name, over HTTP, with the errors of the table.

use std::collections::BTreeMap;

use consign_rpc::client::Client;
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::methods::{GetGenesis, ListRequests};
use consign_rpc::page::{Cursor, Order, PageLimit};
use consign_rpc::params::{
    GetDevice, GetDeviceHistory, GetEvidence, GetProposal, GetSets, ListDevices, ListProposals,
    SubmitEvidence, SubmitRequest, Wait,
};
use consign_rpc::server::ServerLimits;
use consign_rpc::views::{Base64, BatchItem, DeviceState, EventStatus, SetsView};
use consign_types::cose_receipt::Algorithm;
use serde_json::{Value, json};

use crate::fake::{Door, event_that_fails_with, within};
use crate::{raw, samples};

fn limit(entries: u64) -> PageLimit {
    PageLimit::new(entries).expect("1 to 1000")
}

/// Through the client, so that every answer also becomes its type again.
#[tokio::test]
async fn every_call_answers_what_the_node_said() {
    let door = Door::open(ServerLimits::default()).await;
    let client = door.client();
    let asked = async {
        let (event, unit) = (samples::event(), samples::unit());
        assert_eq!(client.event_status(event).await, Ok(EventStatus::Unknown));
        assert_eq!(client.event(event, false).await, Ok(samples::event_view()));
        let proof = client.event(event, true).await.expect("known").proof;
        assert_eq!(proof, Some(samples::inclusion(4, 7)));
        assert_eq!(client.unit(unit.clone(), None).await, Ok(samples::unit_view(unit.clone(), 9)));
        assert_eq!(client.unit(unit.clone(), Some(5)).await, Ok(samples::unit_view(unit, 5)));
        assert_eq!(client.checkpoint(Some(6)).await, Ok(samples::checkpoint(6)));
        assert_eq!(client.leaf_inclusion(2, Some(3)).await, Ok(samples::inclusion(2, 3)));
        assert_eq!(client.event_inclusion(event, None).await, Ok(samples::inclusion(4, 7)));
        assert_eq!(client.consistency(3, 7).await, Ok(samples::consistency(3, 7)));
        assert_eq!(client.passport(samples::unit(), Some(9)).await, Ok(samples::passport(9)));
        let receipt = client.event_receipt(event, Algorithm::Ed25519).await;
        assert_eq!(receipt, Ok(samples::receipt(4)));
        let receipt = client.event_receipt(event, Algorithm::Es256).await;
        assert_eq!(receipt, Ok(samples::receipt(5)));
        let proposal_id = samples::proposal().proposal_id;
        assert_eq!(client.call(&GetProposal { proposal_id }).await, Ok(samples::proposal()));
        let page = client.call(&ListProposals::default()).await.expect("a page");
        assert_eq!(page.data, [samples::proposal()]);
        let sets = client.call(&GetSets { since_height: 6 }).await;
        assert_eq!(sets, Ok(SetsView { height: 7, links: vec![Base64(vec![1, 2, 3])] }));
        assert_eq!(client.call(&GetGenesis::default()).await, Ok(samples::genesis()));
        let request = samples::join_request();
        let asked = SubmitRequest { invite: "handler".to_owned(), request };
        assert_eq!(client.call(&asked).await, Ok(samples::request()));
        let requests = client.call(&ListRequests::default()).await.expect("a list").requests;
        assert_eq!(requests, [samples::request()]);
        let evidence = Base64(vec![1, 2, 3]);
        let kept = client.call(&SubmitEvidence { evidence }).await;
        assert_eq!(kept, Ok(samples::evidence()));
        let evidence_id = Some(samples::evidence().evidence_id);
        let one = client.call(&GetEvidence { evidence_id, ..Default::default() }).await;
        assert_eq!(one.expect("a page").data, [samples::evidence()]);
        let device_id = samples::device().device;
        let device = client.call(&GetDevice { device_id: device_id.clone() }).await;
        assert_eq!(device, Ok(samples::device()));
        let list = async |party: &str, state| {
            let party = Some(party.parse().expect("a party"));
            let list = ListDevices { party, state, ..ListDevices::default() };
            client.call(&list).await.expect("a page").data
        };
        assert_eq!(list("handler", Some(DeviceState::Revoked)).await, [samples::device()]);
        assert_eq!(list("handler", None).await, [samples::device()]);
        assert_eq!(list("handler", Some(DeviceState::Active)).await, []);
        assert_eq!(list("airline", None).await, []);
        let history = GetDeviceHistory { device_id, cursor: None, limit: limit(2) };
        assert_eq!(client.call(&history).await.expect("a page").data, [samples::event_view()]);
        assert_eq!(client.status().await, Ok(samples::status(0)));
        assert_eq!(client.block(5).await, Ok(samples::block(5)));
        let blocks = client.blocks(None, limit(2), Order::Desc).await.expect("blocks").data;
        assert_eq!(blocks, [samples::header(1), samples::header(0)]);
        assert_eq!(client.members().await, Ok(samples::members()));
    };
    within(asked).await;
}

#[tokio::test]
async fn pages_follow_each_other_and_a_foreign_cursor_is_stale() {
    let door = Door::open(ServerLimits::default()).await;
    let client = door.client();
    let (mut cursor, mut sizes) = (None, Vec::new());
    loop {
        let page = within(client.history(samples::unit(), cursor, limit(2))).await.expect("a page");
        sizes.push(page.data.len());
        cursor = page.next_cursor;
        if !page.has_next_page {
            break;
        }
    }
    assert_eq!(sizes, [2, 1]);
    let foreign = Some(Cursor::at("block", 1));
    let error =
        within(client.history(samples::unit(), foreign, limit(2))).await.expect_err("stale");
    assert_eq!((error.kind, error.code, error.retryable), (ErrorKind::StaleCursor, -32040, false));
}

#[tokio::test]
async fn an_event_is_taken_once_and_then_a_duplicate() {
    let door = Door::open(ServerLimits::default()).await;
    let client = door.client();
    let bytes = samples::signed(1).bytes().to_vec();
    let first = within(client.submit_event(&bytes, Wait::Accepted, None)).await.expect("taken");
    assert_eq!((first.status, first.duplicate), (EventStatus::Accepted, false));
    let again = within(client.submit_event(&bytes, Wait::Proven, Some(5))).await.expect("known");
    assert_eq!((again.status, again.duplicate), (samples::proven(), true));
    assert_eq!(again.event_id.0, samples::event());

    let error =
        within(client.submit_event(b"no event", Wait::None, None)).await.expect_err("bytes");
    assert_eq!((error.kind, error.rule()), (ErrorKind::Rejected, Some("malformed_event")));
}

#[tokio::test]
async fn a_batch_answers_each_envelope_in_its_place() {
    let door = Door::open(ServerLimits::default()).await;
    let base64 = |n| consign_rpc::views::Base64(samples::signed(n).bytes().to_vec()).to_string();
    let envelopes = json!(["%", base64(1), "AAAA", base64(2), "AA"]);
    let params = json!({ "envelopes": envelopes });
    let answer = within(raw::call(door.address, "custody_submitBatch", params)).await;
    let items: Vec<BatchItem> = serde_json::from_value(answer["result"].clone()).expect("items");
    let told: Vec<Result<_, String>> = items
        .into_iter()
        .map(|item| {
            let result = item.into_result();
            result
                .map(|taken| taken.event_id.0)
                .map_err(|error| error.code.unwrap_or_default().into())
        })
        .collect();
    let malformed = || Err("malformed_event".to_owned());
    let [first, second] = [1, 2].map(|n| Ok(samples::signed(n).id()));
    assert_eq!(told, [malformed(), first, malformed(), second, malformed()]);

    for count in [0, 101] {
        let envelopes: Vec<Vec<u8>> = vec![vec![]; count];
        let error = within(door.client().submit_batch(&envelopes, Wait::None, None)).await;
        let answer = error.expect_err("1 to 100").answer.expect("the node said so");
        assert_eq!(answer.kind, ErrorKind::InvalidParams);
        assert_eq!(answer.field.as_deref(), Some("envelopes"));
    }
}

/// The contract: a kind, its number and its advice. Whoever changes a line here breaks somebody.
#[test]
fn kinds_and_numbers_never_change() {
    let table: BTreeMap<&str, (i32, bool)> = ErrorKind::ALL
        .iter()
        .filter(|kind| kind.is_sent())
        .map(|kind| (kind.as_str(), (kind.code(), kind.retryable())))
        .collect();
    assert_eq!(table.len(), ErrorKind::ALL.iter().filter(|kind| kind.is_sent()).count());
    let numbers: std::collections::BTreeSet<i32> = table.values().map(|(code, _)| *code).collect();
    assert_eq!(numbers.len(), table.len(), "each number stands for one kind");
    insta::assert_json_snapshot!(table);
}

#[tokio::test]
async fn every_error_arrives_as_the_kind_it_was() {
    let door = Door::open(ServerLimits::default()).await;
    let client = door.client();
    for kind in ErrorKind::ALL.iter().copied().filter(|kind| kind.is_sent()) {
        let event = event_that_fails_with(kind);
        let params = json!({ "eventId": event.to_string() });
        let sent = within(raw::call(door.address, "custody_getEventStatus", params)).await;
        let expected = json!({
            "code": kind.code(),
            "message": format!("this is {kind}"),
            "data": {
                "kind": kind.as_str(),
                "retryable": kind.retryable(),
                "eventId": event.to_string(),
                "help": kind.help(),
            },
        });
        assert_eq!(sent["error"], expected);

        let error = within(client.event_status(event)).await.expect_err("it fails");
        assert_eq!((error.kind, error.code, error.help.as_str()), (kind, kind.code(), kind.help()));
        assert_eq!(error.answer.and_then(|answer| answer.event_id), Some(event));
    }
}

#[test]
fn an_error_of_a_newer_server_keeps_its_number_and_advice() {
    let text = r#"{"code":-32024,"message":"m","data":{"kind":"new","retryable":true,"help":"h"}}"#;
    let error: RpcError = serde_json::from_str(text).expect("an error");
    assert_eq!((error.kind, error.retryable), (ErrorKind::RuleViolation, true));
    assert_eq!(&*error.help, "h");
    let foreign: RpcError =
        serde_json::from_str(r#"{"code":7,"message":"m","data":"x"}"#).expect("");
    assert_eq!(foreign.kind, ErrorKind::Internal);
}

#[tokio::test]
async fn what_is_no_call_gets_its_own_error() {
    let door = Door::open(ServerLimits::default()).await;
    let unit = samples::unit().to_string();
    let cases: [(&str, Value, &str, Option<&str>); 11] = [
        ("custody_nothing", json!({}), "method_not_found", None),
        ("custody_getUnit", json!([unit]), "invalid_params", Some("params")),
        ("custody_getUnit", json!({}), "invalid_params", Some("unitId")),
        ("custody_getUnit", json!({"unitId": 7}), "invalid_params", Some("unitId")),
        ("custody_getUnit", json!({"unitId": unit, "at": 1}), "invalid_params", Some("at")),
        (
            "custody_getHistory",
            json!({"unitId": unit, "limit": 1001}),
            "invalid_params",
            Some("limit"),
        ),
        ("proof_getInclusion", json!({}), "invalid_params", Some("index")),
        ("proof_getReceipt", json!({}), "invalid_params", Some("index")),
        ("proof_getReceipt", json!({ "index": 4, "alg": "rs256" }), "invalid_params", Some("alg")),
        ("proof_getConsistency", json!({"from": 2, "to": 1}), "invalid_params", Some("from")),
        ("chain_subscribeBlocks", json!({}), "unsupported", None),
    ];
    for (method, params, kind, field) in cases {
        let answer = within(raw::call(door.address, method, params.clone())).await;
        let data = &answer["error"]["data"];
        assert_eq!(data["kind"], kind, "{method} {params}: {answer}");
        assert_eq!(data["field"].as_str(), field, "{method} {params}: {answer}");
    }
}

#[tokio::test]
async fn who_is_not_there_cannot_be_reached() {
    let door = Door::open(ServerLimits::default()).await;
    let client = door.client();
    within(client.status()).await.expect("it is there");
    within(door.close()).await;
    let error = within(client.status()).await.expect_err("it is gone");
    assert_eq!((error.kind, error.retryable), (ErrorKind::Unreachable, true));
    assert!(Client::connect("no address").is_err());
}

/// What stands in `chain_getStatus` for the operator to read.
#[test]
fn fault_bounds_are_told_in_words() {
    let told = [1, 3, 4, 7].map(|count| samples::validators(count).sentence);
    insta::assert_snapshot!(told.join("\n"), @r"
    1 validator: for development; it may not fail
    3 validators: 3 must agree; none may be faulty
    4 validators: 3 must agree; 1 may be faulty
    7 validators: 5 must agree; 2 may be faulty
    ");
}

/// The JSON that others build on: names, nesting, and how a state is told.
#[test]
fn views_have_a_stable_form() {
    insta::assert_json_snapshot!("event", samples::event_view());
    insta::assert_json_snapshot!("unit", samples::unit_view(samples::unit(), 9));
    insta::assert_json_snapshot!("status", samples::status(3));
}
