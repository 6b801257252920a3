//! The one port: JSON-RPC at `/`, and plain HTTP beside it.
//!
//! What the log serves is public evidence and may be fetched from any web page; the rest may not.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use jsonrpsee::core::BoxError;
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::{HttpResponse, Methods, StopHandle, TowerServiceBuilder, stop_channel};
use serde_json::json;
use tower::ServiceExt as _;
use tower::layer::util::Identity;

use super::access::{Access, Caller, Came};
use super::address::{Address, Sockets};
use super::body::{self, Unread};
use super::budget::{Budget, Seat};
use super::calls::Node;
use super::cors;
use super::guard::Asker;
use super::limits::ServerLimits;
use super::meter::{Inbound, Meter};
use super::places::Places;
use super::pulse::Pulse;
use super::waiting::Turn;
use crate::backend::File;
use crate::errors::{ErrorKind, RpcError};
use crate::openrpc::OPENRPC;
use crate::rates::Rates;
use crate::scope::Scope;

/// Bytes of the path of a file of the log.
const PATH_BYTES_MAX: usize = 128;

/// What every request may need.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) methods: Methods,
    pub(crate) service: TowerServiceBuilder<Identity, Identity>,
    pub(crate) stop: StopHandle,
    pub(crate) rates: Arc<Rates<Address>>,
    pub(crate) sockets: Arc<Sockets>,
    /// Of each address, calls over HTTP that are being answered.
    pub(crate) callers: Arc<Sockets>,
    pub(crate) calls: Places,
    /// Of each address, WebSockets.
    pub(crate) listeners: Arc<Sockets>,
    pub(crate) websockets: Places,
    pub(crate) budget: Budget,
    pub(crate) access: Arc<Access>,
    pub(crate) limits: ServerLimits,
}

/// The routes.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", any(rpc).layer(from_fn_with_state(shared.clone(), cors::share)))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/openrpc.json", get(openrpc))
        .route("/tlog/{*path}", get(file))
        .with_state(shared)
}

async fn rpc(
    State(shared): State<Shared>,
    Extension(address): Extension<Address>,
    Extension(turn): Extension<Turn>,
    request: Request,
) -> Response {
    if jsonrpsee::server::ws::is_upgrade_request(&request) {
        return websocket(shared, address, request).await;
    }
    if request.method() != Method::POST {
        let text = "POST a JSON-RPC request here, or open a WebSocket; see /openrpc.json\n";
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], text).into_response();
    }
    let (limits, memory) = (&shared.limits, shared.budget.open(address));
    let (head, body) = request.into_parts();
    let (bytes_max, deadline) = (limits.body_bytes_max, limits.body_read());
    let body = match body::read(body, bytes_max, deadline, memory).await {
        Ok(body) => body,
        Err(unread) => return refuse(unreadable(unread, limits)),
    };
    turn.begin();
    let request = Request::from_parts(head, Body::from(body.bytes));
    let response = call(shared, address, request, body.memory.seat()).await;
    drop(body.memory);
    response
}

/// Answers a request whose body is there.
async fn call(shared: Shared, address: Address, request: Request, seat: Option<Seat>) -> Response {
    let Some(held) = shared.callers.hold(address) else {
        return refuse(busy("this address has too many calls under way"));
    };
    let Some(place) = shared.calls.take().await else {
        return refuse(busy("the node answers as many callers as it may"));
    };
    let caller = caller(&shared, request.headers(), request.extensions());
    let places = (shared.calls.clone(), seat);
    let asker = Asker { place: Some(places), ..asker(&shared, address, caller) };
    let rpc = RpcServiceBuilder::new().layer(asker);
    let service = shared.service.set_rpc_middleware(rpc).build(shared.methods, shared.stop);
    let response = respond(service.oneshot(request).await);
    drop((place, held));
    response
}

/// Opens a WebSocket, which outlives the TCP connection's account and so opens one of its own.
async fn websocket(shared: Shared, address: Address, mut request: Request) -> Response {
    if let Err(error) = cors::may_open(&shared.access, request.headers()) {
        return refuse((StatusCode::FORBIDDEN, error));
    }
    let caller = caller(&shared, request.headers(), request.extensions());
    if let Err(error) = caller.identify() {
        return refuse((StatusCode::UNAUTHORIZED, error));
    }
    let held = (shared.sockets.hold(address), shared.listeners.hold(address));
    let (Some(socket), Some(listener)) = held else {
        return refuse(busy("this address has too many connections open"));
    };
    let Some(place) = shared.websockets.take().await else {
        return refuse(busy("the node has as many WebSockets as it may"));
    };
    let pulse = Pulse::new(shared.websockets.join());
    let asker = Asker { pulse: Some(pulse.clone()), ..asker(&shared, address, caller) };
    if let Some(meter) = request.extensions().get::<Meter>().cloned() {
        meter.restart();
        let (budget, bytes_max) = (shared.budget.clone(), shared.limits.body_bytes_max);
        request.extensions_mut().insert(Inbound::new(meter, budget, address, bytes_max));
    }
    let rpc = RpcServiceBuilder::new().layer(asker);
    // It can be told to stop alone; told so, it says goodbye and answers what is under way.
    let (stop, handle) = stop_channel();
    let mut service = shared.service.set_rpc_middleware(rpc).build(shared.methods, stop);
    let mut closed = service.on_session_closed();
    let (stopped, idle) = (shared.stop, shared.limits.websocket_idle());
    tokio::spawn(async move {
        tokio::select! {
            () = &mut closed => return drop((socket, listener, place)),
            () = stopped.clone().shutdown() => {}
            () = pulse.has_stopped(idle) => tracing::debug!(code = "rpc.websocket.sent_away"),
        }
        // An error means that it has gone already.
        let _ = handle.stop();
        closed.await;
        // The server has not stopped before this is dropped.
        drop((socket, listener, place, stopped));
    });
    respond(service.oneshot(request).await)
}

/// Of neither HTTP nor a WebSocket yet.
fn asker(shared: &Shared, address: Address, caller: Caller) -> Asker {
    let (rates, batch_max) = (shared.rates.clone(), shared.limits.batch_max);
    Asker { rates, address, caller, batch_max, place: None, pulse: None }
}

/// What the JSON-RPC library answered.
fn respond(answered: Result<HttpResponse, BoxError>) -> Response {
    match answered {
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => {
            tracing::warn!(code = "rpc.request.failed", %error);
            refuse((StatusCode::INTERNAL_SERVER_ERROR, RpcError::internal("the request failed")))
        }
    }
}

fn busy(message: &str) -> (StatusCode, RpcError) {
    let error = RpcError::new(ErrorKind::Busy, message).with_retry_after_ms(1_000);
    (StatusCode::SERVICE_UNAVAILABLE, error)
}

fn unreadable(unread: Unread, limits: &ServerLimits) -> (StatusCode, RpcError) {
    match unread {
        Unread::TooLarge => {
            let message = format!("a body has at most {} bytes", limits.body_bytes_max);
            let error = RpcError::new(ErrorKind::RequestTooLarge, message);
            (StatusCode::PAYLOAD_TOO_LARGE, error)
        }
        Unread::TooSlow => {
            let message = format!("the body was not there after {} ms", limits.body_read_ms);
            (StatusCode::REQUEST_TIMEOUT, RpcError::new(ErrorKind::InvalidRequest, message))
        }
        Unread::BrokenOff => {
            let error = RpcError::new(ErrorKind::InvalidRequest, "the body broke off");
            (StatusCode::BAD_REQUEST, error)
        }
        Unread::Busy => busy("the memory for requests is used up, or this address's part of it"),
    }
}

/// An error before any call was read: it answers no id, and ends the connection.
fn refuse((status, error): (StatusCode, RpcError)) -> Response {
    let wait = error.retry_after_ms;
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string();
    let headers = [(CONTENT_TYPE, "application/json; charset=utf-8"), (CONNECTION, "close")];
    let mut response = (status, headers, body).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"consign\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(ms) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    response
}

/// Plain requests come out of the same allowance as calls; an answer for whoever has used it up.
fn rationed(shared: &Shared, address: Address) -> Option<Response> {
    let ms = shared.rates.take(&address, Instant::now()).err()?;
    let headers = [(RETRY_AFTER, ms.div_ceil(1000).to_string())];
    Some((StatusCode::TOO_MANY_REQUESTS, headers, "too many requests\n").into_response())
}

/// Who asks. A connection that says nothing of certificates has shown none.
fn caller(shared: &Shared, headers: &HeaderMap, extensions: &Extensions) -> Caller {
    let came = extensions.get::<Came>().copied().unwrap_or(Came::Plainly);
    Caller::of(&shared.access, headers, came)
}

/// An answer for whoever may not have this.
fn barred(shared: &Shared, request: &Request, what: &str, scope: Scope) -> Option<Response> {
    let caller = caller(shared, request.headers(), request.extensions());
    let error = caller.may(what, scope).err()?;
    let status = match error.kind {
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    };
    Some(refuse((status, error)))
}

/// Health is never rationed: who asks decides whether this process lives.
async fn live(State(shared): State<Shared>) -> Response {
    health("live", shared.node.live())
}

async fn ready(State(shared): State<Shared>) -> Response {
    health("ready", shared.node.ready())
}

fn health(what: &str, state: Result<(), String>) -> Response {
    let (status, body) = match state {
        Ok(()) => (StatusCode::OK, json!({ what: true })),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, json!({ what: false, "reason": reason })),
    };
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}

async fn metrics(
    State(shared): State<Shared>,
    Extension(address): Extension<Address>,
    request: Request,
) -> Response {
    if let Some(refusal) = rationed(&shared, address) {
        return refusal;
    }
    if let Some(refusal) = barred(&shared, &request, "/metrics", Scope::Metrics) {
        return refusal;
    }
    let headers = [
        (CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, shared.node.metrics()).into_response()
}

async fn openrpc(State(shared): State<Shared>, Extension(address): Extension<Address>) -> Response {
    if let Some(refusal) = rationed(&shared, address) {
        return refusal;
    }
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, OPENRPC).into_response()
}

async fn file(
    State(shared): State<Shared>,
    Extension(address): Extension<Address>,
    request: Request,
) -> Response {
    if let Some(refusal) = rationed(&shared, address) {
        return refusal;
    }
    let path = request.uri().path().strip_prefix("/tlog/").unwrap_or_default();
    // Hashes and checkpoints are for everybody; the events themselves are what reading means.
    let scope = if path.starts_with("tile/entries/") { Scope::Read } else { Scope::Public };
    if let Some(refusal) = barred(&shared, &request, "/tlog/tile/entries/", scope) {
        return refusal;
    }
    let found = if is_path(path) { shared.node.file(path).await } else { None };
    let Some(File { content_type, bytes, immutable }) = found else {
        let headers = [(CACHE_CONTROL, "no-store"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
        return (StatusCode::NOT_FOUND, headers, "no such file\n").into_response();
    };
    let shown_to_few = scope != Scope::Public && !shared.access.reading_is_open();
    let caching = match (immutable, shown_to_few) {
        (true, false) => "public, max-age=31536000, immutable",
        // A cache that serves many must not serve this.
        (true, true) => "private, max-age=31536000, immutable",
        (false, _) => "no-cache",
    };
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, caching),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, bytes).into_response()
}

/// Whether a node needs to look at it at all: the letters of tile paths, and nothing that climbs.
fn is_path(path: &str) -> bool {
    (1..=PATH_BYTES_MAX).contains(&path.len())
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.'))
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}
