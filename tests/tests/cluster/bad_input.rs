//! Bad input, through JSON-RPC and through the command line: each has its stable code and its sentence,
//! and nothing of it comes into the log.

use std::fmt::Write as _;
use std::path::Path;

use consign_rpc::client::Client;
use consign_rpc::params::Wait;
use consign_rpc::views::EventStatus;
use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, consign};
use consign_tests::drill::device::Device;
use consign_tests::drill::http;
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{Action, Kind, Reason, SignedEvent};
use consign_types::limits::{EVENT_BYTES_MAX_NESTED, RPC_BODY_BYTES_MAX};
use serde_json::{Value, json};

const UNIT: &str = "trk/forwarder/BAD-1";
const ATTEMPT: Action = Action::Attempt { reason: Reason::NobodyThere };

/// A network with a unit that the forwarder holds, and two devices that may sign attempts to deliver it.
struct Scene {
    drill: Drill,
    /// Of the forwarder, who holds the unit. Number 1 is used.
    desk: Device,
    /// Of the airline, who does not. No number is used.
    ramp: Device,
}

impl Scene {
    async fn set() -> Self {
        let mut drill = Drill::start().await;
        let [forwarder, airline] = [0, 1].map(|at| drill.parties()[at].clone());
        let desk = drill.enrol(&forwarder, "desk", &[Kind::Register, Kind::Attempt]).await;
        let ramp = drill.enrol(&airline, "ramp", &[Kind::Attempt]).await;
        drill.prove(&forwarder, &desk.signs(1, UNIT, Action::Register)).await;
        Self { drill, desk, ramp }
    }

    fn client(&self) -> Client {
        self.drill.client(&self.drill.parties()[0])
    }

    fn url(&self) -> &str {
        &self.drill.home(&self.drill.parties()[0]).url
    }

    /// What a device might send by mistake or malice, each with a name.
    fn bad_events(&self) -> Vec<(&'static str, Vec<u8>)> {
        let good = self.desk.signs(2, UNIT, ATTEMPT);
        let good = good.bytes();
        let foreign =
            Device { network: NetworkId(Digest::of(&[b"elsewhere"])), ..self.desk.clone() };
        let mut forged = self.desk.clone();
        forged.keyed.key = self.ramp.keyed.key.clone();
        let (offer, acceptance) =
            (self.desk.signs(3, UNIT, ATTEMPT), self.ramp.signs(1, UNIT, ATTEMPT));
        let mut flipped = good.to_vec();
        *flipped.last_mut().expect("an event") ^= 1;
        let signed = |event: SignedEvent| event.bytes().to_vec();
        Vec::from([
            ("nothing", Vec::new()),
            ("truncated", good[..good.len() - 1].to_vec()),
            ("with a byte more", [good, &[0]].concat()),
            ("bit flipped in the signature", flipped),
            ("oversized", vec![0; EVENT_BYTES_MAX_NESTED + 1]),
            ("deeply nested", [0x81].repeat(10_000)),
            ("other events inside", signed(self.desk.signs(4, UNIT, nested(offer, acceptance)))),
            ("not canonical: a tag too long", [&[0xd8, 18], &good[1..]].concat()),
            ("foreign network", signed(foreign.signs(2, UNIT, ATTEMPT))),
            ("another device's key", signed(forged.signs(2, UNIT, ATTEMPT))),
            ("a number that is used", signed(self.desk.signs(1, UNIT, ATTEMPT))),
            ("a number far ahead", signed(self.desk.signs(1_000, UNIT, ATTEMPT))),
            ("wrong custodian", signed(self.ramp.signs(1, UNIT, ATTEMPT))),
            ("a kind not enrolled", signed(self.ramp.signs(2, UNIT, Action::Arrive))),
        ])
    }
}

fn nested(offer: SignedEvent, acceptance: SignedEvent) -> Action {
    Action::Handover { offer: offer.into(), acceptance: acceptance.into() }
}

/// One line for each, as a table that a reader can hold against `docs/spec/errors.md`.
#[tokio::test(flavor = "multi_thread")]
async fn each_bad_event_is_refused_with_its_code_and_sentence() {
    let scene = Scene::set().await;
    let client = scene.client();
    let mut table = String::new();
    for (name, bytes) in scene.bad_events() {
        let error = client.submit_event(&bytes, Wait::Proven, Some(2_000)).await;
        let line = match error {
            Err(e) => {
                let (kind, rule) = (e.kind, e.rule().unwrap_or("-"));
                let again = if e.retryable { ", retryable" } else { "" };
                format!("{kind} {} {rule}{again}: {}", e.code, e.message)
            }
            Ok(taken) => format!("TAKEN: {:?}", taken.status),
        };
        writeln!(table, "{name}\n    {line}").expect("a string");
    }
    insta::assert_snapshot!(table, @r#"
    nothing
        rejected -32003 malformed_event: malformed event: end of input bytes
    truncated
        rejected -32003 malformed_event: malformed event: end of input bytes
    with a byte more
        rejected -32003 malformed_event: event is not in its one canonical encoding
    bit flipped in the signature
        bad_signature -32020 -: the signature of forwarder.desk does not match the event's bytes
    oversized
        rejected -32003 malformed_event: event has 49153 bytes, more than the 49152 allowed
    deeply nested
        rejected -32003 malformed_event: malformed event: unexpected type array at position 0: expected tag
    other events inside
        rejected -32003 malformed_event: malformed event payload: the inner event is not of kind offer
    not canonical: a tag too long
        rejected -32003 malformed_event: event is not in its one canonical encoding
    foreign network
        rule_violation -32024 foreign_network: the event is for another network
    another device's key
        unknown_device -32021 -: no key of forwarder.desk with the key id in the event is known here
    a number that is used
        seq_conflict -32023 sequence_used: sequence number 1 of forwarder.desk was used or closed before
    a number far ahead
        rule_violation -32024 sequence_gap, retryable: sequence number 1000 of forwarder.desk is too far above 1: send the missing ones first, or raise the floor
    wrong custodian
        rule_violation -32024 not_custodian: unit trk/forwarder/BAD-1 is held by forwarder, not by airline
    a kind not enrolled
        rule_violation -32024 kind_not_enrolled: airline.ramp is not enrolled for events of kind arrive
    "#);
    scene.drill.finish().await;
}

/// The same bytes again are no error: a device that did not hear the answer sends again.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_again_is_a_duplicate_on_every_node() {
    let mut scene = Scene::set().await;
    let event = scene.desk.signs(2, UNIT, ATTEMPT);
    let parties = scene.drill.parties();
    scene.drill.prove(&parties[0], &event).await;
    for party in &parties {
        let client = scene.drill.client(party);
        let again = client.submit_event(event.bytes(), Wait::Proven, None).await.expect("no error");
        assert!(again.duplicate, "{party} knew it");
        assert_eq!(again.event_id.0, event.id());
        assert!(again.status.is_proven());
    }
    let held = scene.drill.finish().await;
    assert!(held.events.contains(&event.id()));
}

/// One bit of each byte of a good event. None is taken; what names a signer that nobody knows waits for
/// its enrolment, and is refused when that does not come.
#[tokio::test(flavor = "multi_thread")]
async fn no_event_with_a_flipped_bit_comes_into_the_log() {
    let scene = Scene::set().await;
    let client = scene.client();
    let good = scene.desk.signs(2, UNIT, ATTEMPT);
    let flip = |at: usize| {
        let mut bytes = good.bytes().to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    let all: Vec<Vec<u8>> = (0..good.bytes().len()).map(flip).collect();
    let mut waiting = Vec::new();
    for (chunk, sent) in all.chunks(100).enumerate() {
        let answers = client.submit_batch(sent, Wait::Accepted, None).await.expect("answers");
        for (at, answer) in answers.into_iter().enumerate() {
            match answer.into_result() {
                Err(e) => assert!(
                    ["rejected", "bad_signature", "unknown_device"].contains(&e.kind.as_str()),
                    "byte {}: {e:?}",
                    chunk * 100 + at
                ),
                Ok(taken) => waiting.push(taken.event_id.0),
            }
        }
    }
    assert!(!waiting.is_empty(), "a flipped name is a name that nobody enrolled");
    for id in waiting {
        refused_as_unknown(&scene.drill, &client, id).await;
    }
    scene.drill.finish().await;
}

async fn refused_as_unknown(drill: &Drill, client: &Client, id: EventId) {
    let left = || async { !matches!(client.event_status(id).await, Ok(EventStatus::Accepted)) };
    drill.until("it has waited long enough", left).await;
    match client.event_status(id).await.expect("a status") {
        EventStatus::Refused { code, message, retryable } => {
            assert_eq!((code.as_str(), retryable), ("unknown_device", true), "{message}");
            let begin = "no key of ";
            let end = " with the key id in the event is known here";
            assert!(message.starts_with(begin) && message.ends_with(end), "{message}");
        }
        status => panic!("{status:?}"),
    }
}

/// What is wrong before any event is seen.
#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_is_refused_with_its_code_and_sentence() {
    let scene = Scene::set().await;
    let call = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#).into_bytes()
    };
    let submit = |params: &str| call("custody_submitEvent", params);
    let deep = format!(r#"{{"envelope":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let many = format!(r#"{{"envelopes":[{}]}}"#, vec![r#""""#; 101].join(","));
    let status = String::from_utf8(call("chain_getStatus", "{}")).expect("text");
    let bodies = [
        ("not JSON", b"{\"jsonrpc\":".to_vec()),
        ("not UTF-8", [0xff; 40].to_vec()),
        ("no call", b"{\"hello\":1}".to_vec()),
        ("an unknown method", call("custody_giveMe", "{}")),
        ("an unknown parameter", submit(r#"{"envelope":"","wait_for":"proven"}"#)),
        ("parameters by position", submit(r#"[""]"#)),
        ("a missing parameter", submit("{}")),
        ("not base64", submit(r#"{"envelope":"%%%"}"#)),
        ("another type", submit(r#"{"envelope":17}"#)),
        ("deeply nested", submit(&deep)),
        ("too many events", call("custody_submitBatch", &many)),
        ("too many calls", format!("[{}]", vec![status.as_str(); 21].join(",")).into_bytes()),
        ("oversized", vec![b' '; RPC_BODY_BYTES_MAX + 1]),
        ("not an id", call("custody_getEventStatus", r#"{"eventId":"xyz"}"#)),
        ("not a unit", call("custody_getUnit", r#"{"unitId":"00/952132100000000012"}"#)),
        ("a unit nobody knows", call("custody_getUnit", r#"{"unitId":"trk/forwarder/NONE"}"#)),
    ];
    let mut table = String::new();
    for (name, body) in bodies {
        let answer = http::post(scene.url(), &body).await;
        let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let error = &json["error"];
        let kind = error["data"]["kind"].as_str().unwrap_or("NO KIND");
        let (code, message) = (&error["code"], error["message"].as_str().unwrap_or_default());
        let status = answer.status;
        writeln!(table, "{name}\n    {status} {kind} {code}: {message}").expect("a string");
    }
    insta::assert_snapshot!(table, @r#"
    not JSON
        200 NO KIND -32700: Parse error
    not UTF-8
        400 NO KIND -32700: Parse error
    no call
        200 NO KIND -32700: Parse error
    an unknown method
        200 method_not_found -32601: there is no method "custody_giveMe"
    an unknown parameter
        200 invalid_params -32602: unknown field `wait_for`, expected one of `envelope`, `wait`, `timeoutMs`
    parameters by position
        200 invalid_params -32602: parameters are taken by name, in an object, not by position
    a missing parameter
        200 invalid_params -32602: missing field `envelope`
    not base64
        200 invalid_params -32602: envelope: not standard base64 with padding: Invalid symbol 37, offset 0.
    another type
        200 invalid_params -32602: envelope: invalid type: integer `17`, expected a string
    deeply nested
        200 invalid_params -32602: params: invalid type: sequence, expected a string
    too many events
        200 invalid_params -32602: 101 envelopes; 1 to 100 are taken at once
    too many calls
        200 batch_too_large -32010: a batch of 21 calls; at most 20 are taken
    oversized
        413 request_too_large -32007: a body has at most 2097152 bytes
    not an id
        200 invalid_params -32602: eventId: expected 64 lower-case hexadecimal digits
    not a unit
        200 invalid_params -32602: unitId: "952132100000000012" ends in check digit 2, it should be 4
    a unit nobody knows
        200 not_found -32001: trk/forwarder/NONE is not registered
    "#);
    scene.drill.finish().await;
}

/// The command line says the same words, and its exit codes are those of the table in `--help`.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_why_an_event_is_refused() {
    let scene = Scene::set().await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("event.cbor");
    let mut told = String::new();
    for (name, bytes) in scene.bad_events() {
        std::fs::write(&file, bytes).expect("it can be written");
        let ran = submit(scene.url(), &file).await;
        let stderr = ran.stderr.replace(file.to_str().expect("a plain path"), "FILE");
        assert_eq!(ran.stdout, "", "{name}: data is for what was done");
        writeln!(told, "{name}: exit {}\n{}", ran.code, indented(&stderr)).expect("a string");
    }
    insta::assert_snapshot!("the_command_line_says_why", told);
    scene.drill.finish().await;
}

async fn submit(url: &str, file: &Path) -> Ran {
    let file = file.to_str().expect("a plain path");
    consign(["--quiet", "--node", url, "event", "submit", file, "--wait", "proven"]).await
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Cursors are texts: whoever writes one by hand asks for places that no list has.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_beyond_every_end_is_answered() {
    let scene = Scene::set().await;
    let ask = async |method: &str, params: Value| -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = http::post(scene.url(), call.to_string().as_bytes()).await;
        serde_json::from_slice(&answer.body).expect("JSON")
    };
    // Those that ascend have nothing there; those that descend begin at their end.
    let lists = [
        ("chain_getBlocks", json!({ "order": "asc" }), None),
        ("custody_getHistory", json!({ "unitId": UNIT }), None),
        ("device_list", json!({}), None),
        ("device_history", json!({ "deviceId": "forwarder.desk" }), None),
        ("chain_getBlocks", json!({ "order": "desc" }), Some("blocks-desc")),
        ("gov_list", json!({}), Some("proposals")),
        ("audit_getEvidence", json!({}), Some("evidence")),
    ];
    for (method, params, descends_as) in lists {
        let fresh = ask(method, params.clone()).await;
        let list = descends_as.map(str::to_owned).unwrap_or_else(|| {
            let cursor = fresh["result"]["nextCursor"].as_str().expect("where it goes on");
            cursor.rsplit_once('.').expect("a list and a place").0.to_owned()
        });
        let mut params = params;
        params["cursor"] = json!(format!("{list}.{}", u64::MAX));
        let far = ask(method, params.clone()).await;
        if descends_as.is_some() {
            assert_eq!(far, fresh, "{method}");
        } else {
            let nothing =
                json!({ "data": [], "nextCursor": params["cursor"], "hasNextPage": false });
            assert_eq!(far["result"], nothing, "{method}: {far}");
        }
    }
    scene.drill.finish().await;
}
