//! Which web pages may call: those of the origins that the operator names, and none where nobody is named.
//!
//! This holds for calls, over HTTP and over WebSocket. What is public evidence may be fetched from any page, and says so
//! itself.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::access::Access;
use super::http::Shared;
use crate::errors::{ErrorKind, RpcError};

/// Answers what a browser asks before a page calls, and lets the page read the answer.
pub(crate) async fn share(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).filter(|origin| shared.access.lets_in(origin));
    let Some(origin) = origin.cloned() else { return next.run(request).await };
    let mut response =
        if request.method() == Method::OPTIONS { preflight() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    response
}

/// Whether a WebSocket may be opened. A browser opens one for any page, asks nobody first, lets the page read all
/// that comes, and says in `Origin` whose page it is; who is no browser says nothing there. The node's own name is an
/// origin like any other: the node serves no pages, and a stranger's name can be made to lead to its address.
pub(crate) fn may_open(access: &Access, headers: &HeaderMap) -> Result<(), RpcError> {
    let Some(origin) = headers.get_all(ORIGIN).iter().find(|origin| !access.lets_in(origin)) else {
        return Ok(());
    };
    let shown: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(128).collect();
    let message = format!("web pages of the origin {shown:?} may not call this node");
    Err(RpcError::new(ErrorKind::Unauthorised, message)
        .with_help("the node's operator names the origins that may, in rpc.cors_origins"))
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers, Body::empty()).into_response()
}
