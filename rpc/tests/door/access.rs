//! Who may ask what: every method and every plain route by every caller behind every gate.

use std::net::SocketAddr;
use std::sync::Arc;

use consign_rpc::client::{Client, Credentials};
use consign_rpc::errors::ErrorKind;
use consign_rpc::methods::{DISCOVER, METHODS, Method};
use consign_rpc::scope::Scope;
use consign_rpc::server::{Access, Gate, ServerLimits};
use consign_rpc::token::{Secret, Token};
use consign_types::time::Millis;
use jsonrpsee::core::client::{ClientT as _, Error as LibraryError, SubscriptionClientT as _};
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::http_client::{HeaderMap, HeaderValue};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};

use crate::document::parameters;
use crate::fake::{Door, within};
use crate::raw;

pub const NOW: Millis = Millis(1_800_000_000_000);

/// What each caller shows.
const CALLERS: [&str; 10] = [
    "nobody", "read", "submit", "metrics", "all", "ending", "ended", "unknown", "nonsense", "basic",
];

/// Of each pair of gates and each caller: what answers a method of scope public, read, submit, metrics.
#[rustfmt::skip]
const CELLS: &[(Gate, Gate, &str, [&str; 4])] = &[
    (Gate::Open, Gate::Open, "nobody", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Open, "read", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Open, "submit", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Open, "metrics", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Open, "all", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Open, "ending", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Open, "ended", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Open, Gate::Open, "unknown", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Open, Gate::Open, "nonsense", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Open, Gate::Open, "basic", ["ok", "ok", "ok", "ok"]),
    (Gate::Bearer, Gate::Open, "nobody", ["ok", "unauthenticated", "ok", "unauthenticated"]),
    (Gate::Bearer, Gate::Open, "read", ["ok", "ok", "ok", "scope_missing"]),
    (Gate::Bearer, Gate::Open, "submit", ["ok", "scope_missing", "ok", "scope_missing"]),
    (Gate::Bearer, Gate::Open, "metrics", ["ok", "scope_missing", "ok", "ok"]),
    (Gate::Bearer, Gate::Open, "all", ["ok", "ok", "ok", "ok"]),
    (Gate::Bearer, Gate::Open, "ending", ["ok", "ok", "ok", "ok"]),
    (Gate::Bearer, Gate::Open, "ended", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Bearer, Gate::Open, "unknown", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Bearer, Gate::Open, "nonsense", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Bearer, Gate::Open, "basic", ["ok", "unauthenticated", "ok", "unauthenticated"]),
    (Gate::Open, Gate::Bearer, "nobody", ["ok", "ok", "unauthenticated", "ok"]),
    (Gate::Open, Gate::Bearer, "read", ["ok", "ok", "scope_missing", "ok"]),
    (Gate::Open, Gate::Bearer, "submit", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Bearer, "metrics", ["ok", "ok", "scope_missing", "ok"]),
    (Gate::Open, Gate::Bearer, "all", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Bearer, "ending", ["ok", "ok", "ok", "ok"]),
    (Gate::Open, Gate::Bearer, "ended", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Open, Gate::Bearer, "unknown", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Open, Gate::Bearer, "nonsense", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Open, Gate::Bearer, "basic", ["ok", "ok", "unauthenticated", "ok"]),
    (Gate::Bearer, Gate::Bearer, "nobody", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Bearer, Gate::Bearer, "read", ["ok", "ok", "scope_missing", "scope_missing"]),
    (Gate::Bearer, Gate::Bearer, "submit", ["ok", "scope_missing", "ok", "scope_missing"]),
    (Gate::Bearer, Gate::Bearer, "metrics", ["ok", "scope_missing", "scope_missing", "ok"]),
    (Gate::Bearer, Gate::Bearer, "all", ["ok", "ok", "ok", "ok"]),
    (Gate::Bearer, Gate::Bearer, "ending", ["ok", "ok", "ok", "ok"]),
    (Gate::Bearer, Gate::Bearer, "ended", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Bearer, Gate::Bearer, "unknown", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Bearer, Gate::Bearer, "nonsense", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
    (Gate::Bearer, Gate::Bearer, "basic", ["ok", "unauthenticated", "unauthenticated", "unauthenticated"]),
];

/// The plain routes.
const ROUTES: [(&str, Scope); 8] = [
    ("/health/live", Scope::Public),
    ("/health/ready", Scope::Public),
    ("/openrpc.json", Scope::Public),
    ("/tlog/checkpoint", Scope::Public),
    ("/tlog/tile/0/000", Scope::Public),
    ("/tlog/tile/entries/000", Scope::Read),
    ("/tlog/tile/entries/000.p/7", Scope::Read),
    ("/metrics", Scope::Metrics),
];

pub fn secret(of: &str) -> Secret {
    let mut random = [0; 32];
    random[..of.len()].copy_from_slice(of.as_bytes());
    Secret::of(&random)
}

fn token(name: &str, scopes: &[Scope], until: Option<Millis>) -> Token {
    let (sha256, scopes) = (secret(name).digest(), scopes.to_vec());
    Token { name: name.to_owned(), sha256, scopes, until }
}

pub fn tokens() -> Vec<Token> {
    let all = &Scope::OF_TOKENS;
    vec![
        token("read", &[Scope::Read], None),
        token("submit", &[Scope::Submit], None),
        token("metrics", &[Scope::Metrics], None),
        token("all", all, None),
        token("ending", all, Some(Millis(NOW.0 + 1))),
        token("ended", all, Some(NOW)),
    ]
}

/// The header that a caller sends.
fn authorization(caller: &str) -> Option<String> {
    match caller {
        "nobody" => None,
        "nonsense" => Some("Bearer all".to_owned()),
        "basic" => Some("Basic dXNlcjpwYXNz".to_owned()),
        named => Some(format!("bearer {}", secret(named).reveal())),
    }
}

pub async fn open(access: Arc<Access>) -> Door {
    let limits = ServerLimits {
        requests_per_second_max: 1_000_000,
        requests_burst_max: 1_000_000,
        batch_max: 1_000,
        ..Default::default()
    };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    Door::open_for(anywhere, Arc::default(), limits, access).await
}

fn access(read: Gate, submit: Gate) -> Arc<Access> {
    Arc::new(Access::new(read, submit, tokens()).with_clock(|| NOW))
}

async fn post(door: &Door, caller: &str, body: &Value) -> raw::Answer {
    let body = body.to_string();
    let show = authorization(caller).map(|show| format!("authorization: {show}\r\n"));
    let head = raw::head(body.len()).replacen(
        "host: x\r\n",
        &format!("host: x\r\n{}", show.unwrap_or_default()),
        1,
    );
    within(raw::exchange(door.address, &[head.as_bytes(), body.as_bytes()].concat())).await
}

/// `ok`, or the kind by which it was refused. Over HTTP a subscription that is allowed is unsupported.
fn cell(answer: &Value) -> String {
    match answer.pointer("/error/data/kind").and_then(Value::as_str) {
        None | Some("unsupported") => "ok".to_owned(),
        Some(kind) => kind.to_owned(),
    }
}

/// What comes of a call of this scope, at the port: the operator's methods are answered to nobody.
pub fn expected<'a>(cells: &[&'a str; 4], scope: Scope) -> &'a str {
    match scope {
        Scope::Public => cells[0],
        Scope::Read => cells[1],
        Scope::Submit => cells[2],
        Scope::Metrics => cells[3],
        Scope::Admin => "unauthorised",
    }
}

pub fn methods() -> Vec<(&'static str, Scope)> {
    METHODS.iter().map(|m| (m.name, m.scope)).chain([(DISCOVER, Scope::Public)]).collect()
}

/// The scope of each method: a change here is a change of who may do what.
#[test]
fn each_method_has_its_scope() {
    let table: Vec<String> = METHODS.iter().map(|m| format!("{:7} {}", m.scope, m.name)).collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn every_pair_of_gates_and_every_caller_has_its_row() {
    for read in [Gate::Open, Gate::Bearer] {
        for submit in [Gate::Open, Gate::Bearer] {
            for caller in CALLERS {
                let rows =
                    CELLS.iter().filter(|row| (row.0, row.1, row.2) == (read, submit, caller));
                assert_eq!(rows.count(), 1, "{read:?} {submit:?} {caller}");
            }
        }
    }
}

/// Each by itself, and all in one batch, whose entries are judged one by one.
#[tokio::test]
async fn every_method_over_http_is_answered_as_its_cell_says() {
    let params = parameters();
    for (read, submit, caller, cells) in CELLS {
        let door = open(access(*read, *submit)).await;
        let expected: Vec<(&str, &str)> =
            methods().into_iter().map(|(name, scope)| (name, expected(cells, scope))).collect();
        let mut alone = Vec::new();
        for (name, _) in &expected {
            let request = raw::request(1, name, &params[name]);
            alone.push((*name, cell(&post(&door, caller, &request).await.json())));
        }
        let alone: Vec<_> = alone.iter().map(|(name, cell)| (*name, cell.as_str())).collect();
        assert_eq!(alone, expected, "{read:?} {submit:?} {caller}");

        let batch = expected.iter().zip(0..);
        let batch = batch.map(|((name, _), id)| raw::request(id, name, &params[name])).collect();
        let answers = post(&door, caller, &Value::Array(batch)).await.json();
        let mut answers = answers.as_array().expect("answers").clone();
        answers.sort_by_key(|answer| answer["id"].as_u64());
        let together: Vec<String> = answers.iter().map(cell).collect();
        let expected: Vec<&str> = expected.iter().map(|(_, cell)| *cell).collect();
        assert_eq!(together, expected, "{read:?} {submit:?} {caller}, in a batch");
    }
}

async fn websocket(door: &Door, caller: &str) -> Result<WsClient, LibraryError> {
    let mut headers = HeaderMap::new();
    if let Some(show) = authorization(caller) {
        headers.insert("authorization", HeaderValue::from_str(&show).expect("ASCII"));
    }
    let address = format!("ws://{}", door.address);
    within(WsClientBuilder::default().set_headers(headers).build(address)).await
}

pub async fn over_websocket(client: &WsClient, name: &str, params: &Value) -> String {
    let mut by_name = ObjectParams::new();
    for (key, value) in params.as_object().expect("by name") {
        by_name.insert(key, value).expect("JSON");
    }
    let failed = match Method::find(name).and_then(|method| method.feed) {
        Some(feed) => {
            let unsubscribe = feed.unsubscribe;
            within(client.subscribe::<Value, _>(name, by_name, unsubscribe)).await.err()
        }
        None => within(client.request::<Value, _>(name, by_name)).await.err(),
    };
    match failed {
        None => "ok".to_owned(),
        Some(LibraryError::Call(error)) => {
            cell(&json!({ "error": serde_json::to_value(error).expect("JSON") }))
        }
        Some(other) => panic!("{name}: {other}"),
    }
}

/// A token that does not hold opens no WebSocket; on one that is open each call is judged.
#[tokio::test]
async fn every_method_over_a_websocket_is_answered_as_its_cell_says() {
    let params = parameters();
    for (read, submit, caller, cells) in CELLS {
        let door = open(access(*read, *submit)).await;
        let client = match websocket(&door, caller).await {
            Ok(client) => client,
            Err(error) => {
                assert!(["ended", "unknown", "nonsense"].contains(caller), "{caller}: {error}");
                assert!(format!("{error:?}").contains("401"), "{caller}: {error:?}");
                continue;
            }
        };
        for (name, scope) in methods() {
            let found = over_websocket(&client, name, &params[name]).await;
            assert_eq!(found, expected(cells, scope), "{read:?} {submit:?} {caller}: {name}");
        }
    }
}

#[tokio::test]
async fn every_plain_route_is_answered_as_its_cell_says() {
    for (read, submit, caller, cells) in CELLS {
        let door = open(access(*read, *submit)).await;
        for (path, scope) in ROUTES {
            let show = authorization(caller).map(|show| format!("authorization: {show}\r\n"));
            let show = show.unwrap_or_default();
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: x\r\n{show}connection: close\r\n\r\n");
            let answer = within(raw::exchange(door.address, request.as_bytes())).await;
            let (found, challenge) = match answer.status() {
                401 => ("unauthenticated", Some("bearer realm=\"consign\"")),
                403 => ("scope_missing", None),
                _ => ("ok", None),
            };
            assert_eq!(found, expected(cells, scope), "{read:?} {submit:?} {caller}: {path}");
            assert_eq!(answer.header("www-authenticate"), challenge, "{path}");
            if found != "ok" {
                assert_eq!(answer.json()["error"]["data"]["kind"], found, "{path}");
            }
        }
    }
}

/// What few may read is kept by no cache that serves many.
#[tokio::test]
async fn entries_are_private_where_reading_is_not_open() {
    let path = "/tlog/tile/entries/000";
    for (read, caching) in [(Gate::Open, "public"), (Gate::Bearer, "private")] {
        let door = open(access(read, Gate::Open)).await;
        let show = secret("all");
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            show.reveal()
        );
        let answer = within(raw::exchange(door.address, request.as_bytes())).await;
        assert_eq!(answer.status(), 200);
        let found = answer.header("cache-control").expect("a header").to_owned();
        assert_eq!(found, format!("{caching}, max-age=31536000, immutable"));
    }
}

/// The token is looked up again at each call and before each notice: an open connection is no way around.
#[tokio::test]
async fn a_token_that_is_taken_away_ends_feeds_and_calls_on_open_connections() {
    let access = access(Gate::Bearer, Gate::Open);
    let door = open(access.clone()).await;
    let credentials = Credentials { token: Some(secret("read")), tls: None };
    let client = Client::connect_with(&door.url(), credentials).expect("an address");
    let mut feed = client.follow_blocks(None);
    within(feed.open()).await.expect("the feed opens");
    door.fake.height.send_replace(1);
    let item = within(feed.next()).await.expect("a block").expect("not the end");
    assert_eq!(item.value.height, 0);
    let websocket = websocket(&door, "read").await.expect("it opens");
    let call = async || over_websocket(&websocket, "chain_getMembers", &json!({})).await;
    assert_eq!(call().await, "ok");

    access.replace_tokens(vec![]);
    door.fake.height.send_replace(2);
    let ended = within(feed.next()).await.expect_err("nobody may read");
    assert_eq!(ended.kind, ErrorKind::Unauthenticated);
    assert_eq!(call().await, "unauthenticated");
    let refused = within(client.members()).await.expect_err("nobody may read");
    assert_eq!(refused.kind, ErrorKind::Unauthenticated);
    assert_eq!(refused.message, "this node knows no such token");

    // Given back, the feed goes on where it stood.
    access.replace_tokens(tokens());
    let item = within(feed.next()).await.expect("a block").expect("not the end");
    assert_eq!(item.value.height, 1);
}

/// Two tokens in one request are none.
#[tokio::test]
async fn what_is_refused_is_said_with_its_mend() {
    let door = open(access(Gate::Bearer, Gate::Bearer)).await;
    let call = raw::request(1, "chain_getMembers", &json!({}));
    let said = async |caller: &str| {
        let error = post(&door, caller, &call).await.json()["error"].clone();
        (error["code"].clone(), error["message"].as_str().expect("a sentence").to_owned())
    };
    let rows = [
        ("nobody", -32017, "chain_getMembers needs a token with the scope read"),
        ("nonsense", -32017, "what was shown is no token"),
        ("unknown", -32017, "this node knows no such token"),
        ("ended", -32017, "the token \"ended\" ended at 2027-01-15T08:00:00.000Z"),
        ("submit", -32018, "chain_getMembers needs the scope read, which \"submit\" has not"),
    ];
    for (caller, code, message) in rows {
        assert_eq!(said(caller).await, (json!(code), message.to_owned()), "{caller}");
    }
    let both = ["read", "all"].map(|name| format!("Bearer {}\r\n", secret(name).reveal()));
    let show = format!("host: x\r\nauthorization: {}authorization: {}", both[0], both[1]);
    let body = call.to_string();
    let request = raw::head(body.len()).replacen("host: x\r\n", &show, 1) + &body;
    let answer = within(raw::exchange(door.address, request.as_bytes())).await.json();
    assert_eq!(cell(&answer), "unauthenticated");
}
