//! The operator's Unix socket: everything is answered there, and the operator's methods nowhere else.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use consign_rpc::methods::METHODS;
use consign_rpc::scope::Scope;
use consign_rpc::server::{Access, Doors, Gate, ServerLimits, serve};
use consign_rpc::views::Base64;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::oneshot;

use crate::document::parameters;
use crate::fake::{Fake, within};
use crate::{raw, samples};

async fn ask(socket: &Path, request: &Value) -> Value {
    let body = request.to_string();
    let mut stream = UnixStream::connect(socket).await.expect("it listens");
    let bytes = [raw::head(body.len()).as_bytes(), body.as_bytes()].concat();
    stream.write_all(&bytes).await.expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect("JSON")
}

/// Where reading and submitting need tokens, and who asks has none.
#[tokio::test]
async fn every_method_is_answered_on_the_own_socket_without_any_token() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("admin.sock");
    let port = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let own = Some(UnixListener::bind(&path).expect("a socket"));
    let (stop, stopped) = oneshot::channel::<()>();
    let access = Arc::new(Access::new(Gate::Bearer, Gate::Bearer, Vec::new()));
    let shutdown = async {
        let _ = stopped.await;
    };
    let limits = ServerLimits { requests_burst_max: 1_000, ..ServerLimits::default() };
    let doors = Doors { port, own };
    let task = tokio::spawn(serve(doors, Arc::<Fake>::default(), limits, access, shutdown));
    let params = parameters();
    for method in METHODS.iter().filter(|method| method.feed.is_none()) {
        let answer = within(ask(&path, &raw::request(1, method.name, &params[method.name]))).await;
        assert!(answer.get("result").is_some(), "{}: {answer}", method.name);
    }
    let tokens = within(ask(&path, &raw::request(1, "admin_listTokens", &json!({})))).await;
    assert_eq!(tokens["result"]["tokens"][0]["name"], "portal");
    let admin: Vec<&str> =
        METHODS.iter().filter(|m| m.scope == Scope::Admin).map(|m| m.name).collect();
    assert_eq!(admin, ["admin_listTokens", "admin_reloadTokens"]);
    drop(stop);
    task.await.expect("no panic").expect("no error");
}

/// A stranger holds the one call that the port answers it. The operator has places of their own.
#[tokio::test]
async fn the_operator_is_answered_while_strangers_hold_every_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("admin.sock");
    let port = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = port.local_addr().expect("bound");
    let own = Some(UnixListener::bind(&path).expect("a socket"));
    let (stop, stopped) = oneshot::channel::<()>();
    let access = Arc::new(Access::new(Gate::Open, Gate::Open, Vec::new()));
    let shutdown = async {
        let _ = stopped.await;
    };
    let limits = ServerLimits { connections_per_address_max: 1, ..ServerLimits::default() };
    let (doors, fake) = (Doors { port, own }, Arc::<Fake>::default());
    fake.nothing_becomes_final.store(true, Ordering::Relaxed);
    let mut waiting = fake.waiting.subscribe();
    let task = tokio::spawn(serve(doors, fake, limits, access, shutdown));
    let params =
        json!({ "envelope": Base64(samples::signed(1).bytes().to_vec()), "wait": "proven" });
    let stranger = tokio::spawn(raw::call(address, "custody_submitEvent", params));
    within(waiting.wait_for(|count| *count == 1)).await.expect("the first gets in");
    let late = within(raw::call(address, "chain_getStatus", json!({}))).await;
    assert_eq!(late["error"]["data"]["kind"], "busy", "{late}");

    let tokens = within(ask(&path, &raw::request(1, "admin_listTokens", &json!({})))).await;
    assert_eq!(tokens["result"]["tokens"][0]["name"], "portal", "{tokens}");
    stranger.abort();
    drop(stop);
    task.await.expect("no panic").expect("no error");
}
