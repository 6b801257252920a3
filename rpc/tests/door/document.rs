//! The document against the server: what is described is served, and what is served is described.

use std::collections::{BTreeMap, BTreeSet};

use consign_rpc::methods::{DISCOVER, METHODS};
use consign_rpc::openrpc::OPENRPC;
use consign_rpc::server::ServerLimits;
use consign_rpc::views::Base64;
use serde_json::{Value, json};

use crate::fake::{Door, within};
use crate::{raw, samples};

/// Parameters with which each method succeeds: every one that it has.
pub fn parameters() -> BTreeMap<&'static str, Value> {
    let (unit, event) = (samples::unit().to_string(), samples::event().to_string());
    let envelope = Base64(samples::signed(1).bytes().to_vec()).to_string();
    BTreeMap::from([
        ("custody_submitEvent", json!({ "envelope": envelope, "wait": "proven", "timeoutMs": 5 })),
        ("custody_submitBatch", json!({ "envelopes": [envelope], "wait": "none", "timeoutMs": 5 })),
        ("custody_getEventStatus", json!({ "eventId": event })),
        ("custody_getEvent", json!({ "eventId": event, "withProof": true })),
        ("custody_getUnit", json!({ "unitId": unit, "atHeight": 3 })),
        ("custody_getHistory", json!({ "unitId": unit, "cursor": "start", "limit": 2 })),
        ("custody_getPassport", json!({ "unitId": unit, "sinceHeight": 3 })),
        ("proof_getCheckpoint", json!({ "size": 7 })),
        // `index` and `eventId` exclude each other; the second is tried below.
        ("proof_getInclusion", json!({ "index": 4, "size": 7 })),
        ("proof_getReceipt", json!({ "index": 4, "alg": "es256" })),
        ("proof_getConsistency", json!({ "from": 3, "to": 7 })),
        ("gov_get", json!({ "proposalId": samples::proposal().proposal_id.to_string() })),
        ("gov_list", json!({ "cursor": "start", "limit": 2 })),
        ("proof_getSets", json!({ "sinceHeight": 3 })),
        ("audit_submitEvidence", json!({ "evidence": "AQID" })),
        // `evidenceId` wants no cursor; a fake does not mind.
        (
            "audit_getEvidence",
            json!({ "evidenceId": samples::evidence().evidence_id.to_string(), "cursor": "start", "limit": 2 }),
        ),
        ("device_get", json!({ "deviceId": "handler.dock7" })),
        (
            "device_list",
            json!({ "party": "handler", "state": "revoked", "cursor": "start", "limit": 2 }),
        ),
        ("device_history", json!({ "deviceId": "handler", "cursor": "start", "limit": 2 })),
        ("chain_getStatus", json!({})),
        ("chain_getBlock", json!({ "height": 3 })),
        ("chain_getBlocks", json!({ "cursor": "start", "limit": 2, "order": "desc" })),
        ("chain_getMembers", json!({})),
        ("chain_getGenesis", json!({})),
        ("gov_submitRequest", json!({ "invite": "handler", "request": samples::join_request() })),
        ("gov_listRequests", json!({})),
        ("admin_listTokens", json!({})),
        ("admin_reloadTokens", json!({})),
        ("chain_subscribeBlocks", json!({ "fromCursor": "start" })),
        (
            "custody_subscribeEvents",
            json!({
                "filter": { "stage": "proven", "kinds": ["arrive"], "party": "handler", "device": "handler.dock7" },
                "fromCursor": "start",
            }),
        ),
        ("custody_subscribeUnit", json!({ "unitId": unit, "fromCursor": "start" })),
        ("custody_subscribeStatus", json!({ "eventId": event, "fromCursor": "start" })),
        (DISCOVER, json!({})),
    ])
}

fn described() -> BTreeMap<String, Value> {
    let document: Value = serde_json::from_str(OPENRPC).expect("the document is JSON");
    let methods = document["methods"].as_array().expect("methods").clone();
    methods
        .into_iter()
        .map(|method| (method["name"].as_str().expect("a name").to_owned(), method))
        .collect()
}

#[tokio::test]
async fn every_method_of_the_document_answers_with_all_of_its_parameters() {
    let door = Door::open(ServerLimits::default()).await;
    let described = described();
    let tried = parameters();
    let names: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    assert_eq!(names, tried.keys().copied().collect::<BTreeSet<_>>());

    for (name, method) in &described {
        let params = &tried[name.as_str()];
        let mut known: BTreeSet<&str> = method["params"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|p| p["name"].as_str())
            .collect();
        if ["proof_getInclusion", "proof_getReceipt"].contains(&name.as_str()) {
            assert!(known.remove("eventId"));
        }
        let used: BTreeSet<&str> =
            params.as_object().expect("by name").keys().map(String::as_str).collect();
        assert_eq!(known, used, "{name}");

        let answer = within(raw::call(door.address, name, params.clone())).await;
        if method["x-subscription"].is_object() {
            // Over HTTP the parameters are not even read; the tests of feeds subscribe.
            assert_eq!(answer["error"]["data"]["kind"], "unsupported", "{name}: {answer}");
        } else if method["x-scope"] == "admin" {
            // Answered on the operator's own socket.
            assert_eq!(answer["error"]["data"]["kind"], "unauthorised", "{name}: {answer}");
        } else {
            assert!(answer.get("result").is_some(), "{name}: {answer}");
        }
    }
    for method in ["proof_getInclusion", "proof_getReceipt"] {
        let by_event = json!({ "eventId": samples::event().to_string() });
        let answer = within(raw::call(door.address, method, by_event)).await;
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[test]
fn the_document_describes_the_table_and_discovery_and_nothing_else() {
    let table: BTreeSet<&str> =
        METHODS.iter().map(|method| method.name).chain([DISCOVER]).collect();
    assert_eq!(table, described().keys().map(String::as_str).collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn discovery_and_the_file_are_the_document() {
    let door = Door::open(ServerLimits::default()).await;
    let document: Value = serde_json::from_str(OPENRPC).expect("the document is JSON");
    let discovered = within(raw::call(door.address, DISCOVER, json!({}))).await;
    assert_eq!(discovered["result"], document);
    assert_eq!(within(raw::get(door.address, "/openrpc.json")).await.json(), document);
}
