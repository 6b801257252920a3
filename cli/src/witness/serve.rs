//! The two requests of tlog-witness over HTTP, bounded in bytes, time and number.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consign_types::trust::Trust;
use consign_types::witness::REQUEST_BYTES_MAX;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};

use super::state::State;
use crate::console::Console;
use crate::failure::Failure;
use crate::instant;

/// Connections at once.
const CONNECTIONS_MAX: usize = 256;
/// How long a head may take, and a connection be idle.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// How long a body may take.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// How long a connection may live: who reads no answer is gone by then.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);
/// How long requests that are under way may take after a stop.
const STOP_WAIT: Duration = Duration::from_secs(5);
const TEXT: &str = "text/plain; charset=utf-8";

type Answer = Response<Full<Bytes>>;

/// Listens.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        let message = format!("cannot listen on {address}: {e}");
        Failure::operational("port_taken", message, "choose another --listen")
    })
}

/// Answers until the process is asked to stop, or the disk fails. SIGHUP has the trust files read again, by
/// `reread`; what is wrong with them is said, and those before stay in force.
pub(super) async fn until_stopped(
    console: &Console,
    listener: TcpListener,
    state: State,
    reread: impl Fn() -> Result<Vec<Trust>, Failure>,
) -> Result<(), Failure> {
    let no_signals = |e| Failure::operational("signals", e, "the system gives no signals");
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
    let (state, places) = (Arc::new(state), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let (fault_tx, mut faults) = mpsc::channel(1);
    let (stop_tx, stop) = watch::channel(false);
    let ended = loop {
        let place = async { Arc::clone(&places).acquire_owned().await };
        let accepted = async { (place.await, listener.accept().await) };
        tokio::select! {
            (place, stream) = accepted => {
                // A caller that went away before it was taken is no fault of ours.
                let (Ok(place), Ok((stream, _))) = (place, stream) else { continue };
                let (state, faults, stop) = (Arc::clone(&state), fault_tx.clone(), stop.clone());
                tokio::spawn(async move {
                    connection(stream, state, faults, stop).await;
                    drop(place);
                });
            }
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = hangup.recv() => match reread().and_then(|logs| state.believe(logs)) {
                Ok(()) => console.note("trust files read again"),
                Err(failure) => console.note(format!("the trust files before stay in force: {failure}")),
            },
            Some(fault) = faults.recv() => break Err(fault),
        }
    };
    drop(listener);
    let _ = stop_tx.send(true);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(STOP_WAIT, places.acquire_many(all)).await;
    console.note("witness stopped");
    ended
}

async fn connection(
    stream: TcpStream,
    state: Arc<State>,
    faults: mpsc::Sender<Failure>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let (state, faults) = (Arc::clone(&state), faults.clone());
        async move { Ok::<_, Infallible>(answer(request, state, faults).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut life = std::pin::pin!(tokio::time::sleep(CONNECTION_LIFE));
    let mut stopping = false;
    loop {
        tokio::select! {
            // A caller that breaks off is told nothing.
            _ = connection.as_mut() => return,
            () = life.as_mut() => return,
            _ = stop.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    faults: mpsc::Sender<Failure>,
) -> Answer {
    let path = request.uri().path().to_owned();
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    match path.as_str() {
        "/add-checkpoint" if request.method() == Method::POST => {
            add_checkpoint(request.into_body(), state, faults).await
        }
        "/add-checkpoint" => not_allowed("POST"),
        "/health" if read => plain(StatusCode::OK, "ok\n"),
        _ if !read => not_allowed("GET"),
        _ => {
            let hash = path.strip_prefix('/').and_then(|path| path.strip_suffix("/checkpoint"));
            match hash.and_then(|hash| state.checkpoint(hash)) {
                Some(note) => text(StatusCode::OK, TEXT, note),
                None => plain(StatusCode::NOT_FOUND, "no such checkpoint\n"),
            }
        }
    }
}

async fn add_checkpoint(
    body: Incoming,
    state: Arc<State>,
    faults: mpsc::Sender<Failure>,
) -> Answer {
    let whole = Limited::new(body, REQUEST_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_WAIT, whole).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n");
        }
        Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the body broke off\n"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"),
    };
    let now_s = instant::now().seconds();
    let decided = tokio::task::spawn_blocking(move || state.add(&body, now_s)).await;
    match decided {
        Ok(Ok(Ok(line))) => text(StatusCode::OK, TEXT, line),
        Ok(Ok(Err(refusal))) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let (kind, body) = refusal.body();
            text(status, kind, body)
        }
        Ok(Err(fault)) => {
            // After a failed write nobody knows what is on disk: nothing is signed any more.
            let _ = faults.send(fault).await;
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot write\n")
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the witness failed\n"),
    }
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "not here\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

fn plain(status: StatusCode, body: &'static str) -> Answer {
    text(status, TEXT, body.to_owned())
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
