//! JSON-RPC clients that others wrote, over HTTP and WebSocket: each understands every kind of answer, alone and in
//! a batch, and all of them hear the same.

use std::collections::BTreeMap;

use consign_tests::drill::Drill;
use consign_types::event::{Action, Kind};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::base64;
use crate::tools::{ask, node_script, python};

#[derive(Debug, Deserialize)]
struct Heard {
    http: Answers,
    ws: Answers,
}

#[derive(Debug, Deserialize)]
struct Answers {
    alone: BTreeMap<String, Value>,
    batch: BTreeMap<String, Value>,
    /// Whose ids a batch of a notification and a call was answered with.
    answered: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_others_hear_the_same_over_http_and_websocket_alone_and_in_a_batch() {
    let mut drill = Drill::start().await;
    let party = drill.parties()[0].clone();
    let desk = drill.enrol(&party, "desk", &[Kind::Register]).await;
    let event = desk.signs(1, &format!("trk/{party}/RPC-1"), Action::Register);
    drill.prove(&party, &event).await;
    let id = event.id().to_string();
    let known = json!({ "envelope": base64(event.bytes()) });
    let calls = json!([
        { "name": "members", "method": "chain_getMembers", "params": {} },
        { "name": "event", "method": "custody_getEvent", "params": { "eventId": id } },
        { "name": "again", "method": "custody_submitEvent", "params": known },
        { "name": "no event", "method": "custody_submitEvent", "params": { "envelope": "AAAA" } },
        { "name": "no method", "method": "chain_getWeather", "params": {} },
        { "name": "no parameter", "method": "custody_getEvent", "params": {} },
        { "name": "no unit", "method": "custody_getUnit", "params": { "unitId": "trk/airline/NONE" } },
    ]);
    let url = drill.home(&party).url.clone();
    let input = json!({ "http": url, "ws": url.replace("http", "ws"), "calls": calls });
    let tools =
        [("jsonrpcclient", python("rpc.py", &[])), ("jayson", node_script("rpc.cjs", "jayson"))];
    let mut heard = Vec::new();
    for (name, command) in tools {
        let Some(command) = command else { continue };
        let found: Heard = ask(command, &input).await;
        for (over, answers) in [("HTTP", found.http), ("WebSocket", found.ws)] {
            let what = format!("{name} over {over}");
            assert_eq!(
                answers.answered,
                ["a text for an id"],
                "{what}: a notification is answered"
            );
            assert_eq!(answers.alone, answers.batch, "{what}");
            heard.push((what, answers.alone));
        }
    }
    for (what, answers) in &heard {
        assert_eq!(answers, &heard[0].1, "{what} hears something else than {}", heard[0].0);
        let kind = |name: &str| {
            let error = &answers[name]["error"];
            (error["code"].clone(), error["data"]["kind"].clone())
        };
        assert_eq!(answers["members"]["result"]["members"][0]["party"], "airline", "{answers:#?}");
        assert_eq!(answers["event"]["result"]["eventId"], id, "{what}");
        assert_eq!(answers["again"]["result"]["duplicate"], true, "{what}");
        assert_eq!(kind("no event"), (json!(-32003), json!("rejected")), "{what}");
        assert_eq!(kind("no method"), (json!(-32601), json!("method_not_found")), "{what}");
        assert_eq!(kind("no parameter"), (json!(-32602), json!("invalid_params")), "{what}");
        assert_eq!(kind("no unit"), (json!(-32001), json!("not_found")), "{what}");
    }
    drill.finish().await;
}
