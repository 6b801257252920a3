//! The door of a node: JSON-RPC over HTTP and WebSocket and plain HTTP, on one port.
//!
//! Invariant: what a caller can hold is bounded. A connection has a head and a body that must come
//! in time and an answer that must be taken in time; an address has so many connections, calls and WebSockets
//! at once, so much memory for what it sends and so many requests a second; only a request that is whole counts
//! against what the node answers at once; a WebSocket has so many messages under way. Whoever takes all of one kind of place takes none of another: `places`.
//!
//! TLS, where the node has a certificate, is shaken hands on in the same time as a head must come.

mod access;
mod address;
mod body;
mod budget;
mod calls;
mod cors;
mod feeds;
mod guard;
mod http;
mod limits;
mod meter;
mod places;
mod pulse;
mod read;
mod stall;
mod submitting;
mod waiting;

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::{
    BatchRequestConfig, Methods, PingConfig, Server, ServerConfig, ServerHandle, StopHandle,
    stop_channel,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

pub use access::{Access, Gate};
pub use axum::http::HeaderValue;
pub use limits::ServerLimits;

use crate::backend::Backend;
use crate::rates::Rates;
use access::Came;
use address::{Address, Held, Sockets};
use budget::Budget;
use calls::Node;
use meter::{Meter, Metered};
use places::{Place, Places};
use stall::Stalling;
use waiting::Turn;

/// Notices that wait for one WebSocket to be written.
const NOTICES_MAX: u32 = 32;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Pause after the system has refused to accept a connection: it is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where callers come in.
#[derive(Debug)]
pub struct Doors {
    /// For everybody.
    pub port: TcpListener,
    /// For the operator, who may do everything: whoever can open the socket. In the clear, and not rationed
    /// together with others.
    pub own: Option<UnixListener>,
}

impl From<TcpListener> for Doors {
    fn from(port: TcpListener) -> Self {
        Self { port, own: None }
    }
}

/// Serves `backend` at `doors` until `shutdown` is done, then ends what is under way.
///
/// # Errors
/// When the methods cannot be registered.
pub async fn serve(
    doors: impl Into<Doors>,
    backend: Arc<dyn Backend>,
    limits: ServerLimits,
    access: Arc<Access>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, handle) = stop_channel();
    let methods = methods(backend.clone(), &limits).map_err(io::Error::other)?;
    let open = || Door::new(backend.clone(), methods.clone(), limits, access.clone(), stop.clone());
    // What strangers have used up at the port, the operator still has.
    let accounts = Accounts { port: open(), own: open() };
    let mut connections = JoinSet::new();
    let doors = doors.into();
    accept(&doors, &accounts, &mut connections, shutdown).await;
    drop((doors, accounts, methods, backend, access, stop));
    drain(&handle, connections, limits.drain()).await;
    Ok(())
}

/// What connections may use up: two of everything that is counted.
struct Accounts {
    port: Door,
    own: Door,
}

/// What a connection is given.
struct Door {
    router: Router,
    access: Arc<Access>,
    stop: StopHandle,
    sockets: Arc<Sockets>,
    places: Places,
    limits: ServerLimits,
}

/// All methods, bound to `backend`.
fn methods(backend: Node, limits: &ServerLimits) -> Result<Methods, RegisterMethodError> {
    let mut module = RpcModule::new(backend);
    calls::register(&mut module)?;
    feeds::register(&mut module, limits.feed_stall())?;
    Ok(module.into())
}

fn config(limits: &ServerLimits) -> ServerConfig {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    // A WebSocket that answers no ping for as long as a write may wait is closed.
    let ping = PingConfig::new()
        .ping_interval(limits.write_stall() / 2)
        .inactive_limit(limits.write_stall())
        .max_failures(1);
    ServerConfig::builder()
        .max_request_body_size(small(limits.body_bytes_max))
        .max_response_body_size(small(limits.response_bytes_max))
        // Places are given away before: here nobody may be turned away.
        .max_connections(u32::MAX)
        .max_subscriptions_per_connection(small(limits.subscriptions_per_connection_max))
        // The guard before each call bounds batches, with an error of ours.
        .set_batch_request_config(BatchRequestConfig::Unlimited)
        .set_message_buffer_capacity(NOTICES_MAX)
        .enable_ws_ping(ping)
        .build()
}

async fn accept(
    doors: &Doors,
    Accounts { port: door, own }: &Accounts,
    connections: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            // Connections that have ended are forgotten as they end.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = doors.port.accept() => accepted,
            socket = accept_own(doors.own.as_ref()) => {
                if let Some(held) = own.admit(OPERATOR).await {
                    connections.spawn(own.own_connection(socket, held));
                }
                continue;
            }
        };
        match accepted {
            Ok((socket, peer)) => match door.admit(peer.ip()).await {
                Some(held) => drop(connections.spawn(door.connection(socket, peer.ip(), held))),
                None if !door.access.is_over_tls() => turn_away(&socket),
                // What is said in the clear is no answer to a caller who speaks TLS.
                None => {}
            },
            Err(error) => {
                tracing::warn!(code = "rpc.accept.failed", %error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Stands for the operator where an address is counted; nobody calls from it.
const OPERATOR: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The next connection of the operator; never, where there is no socket for that.
async fn accept_own(own: Option<&UnixListener>) -> UnixStream {
    let Some(own) = own else { return std::future::pending().await };
    loop {
        match own.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) => {
                tracing::warn!(code = "rpc.accept.failed", %error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Says why in one write that never waits; who does not take it at once is not told.
fn turn_away(socket: &TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    let _ = socket.try_write(ANSWER);
}

impl Door {
    /// With nothing used up.
    fn new(
        node: Node,
        methods: Methods,
        limits: ServerLimits,
        access: Arc<Access>,
        stop: StopHandle,
    ) -> Self {
        let sockets = Sockets::new(limits.sockets_per_address_max);
        let shared = http::Shared {
            methods,
            node,
            service: Server::builder().set_config(config(&limits)).to_service_builder(),
            stop: stop.clone(),
            rates: Arc::new(Rates::new(limits.requests_per_second_max, limits.requests_burst_max)),
            sockets: sockets.clone(),
            callers: Sockets::new(limits.connections_per_address_max),
            calls: Places::new(limits.connections_max),
            listeners: Sockets::new(limits.websockets_per_address_max),
            websockets: Places::new(limits.websockets_max),
            budget: Budget::new(limits.bodies_bytes_max, limits.bodies_bytes_per_address_max),
            access: Arc::clone(&access),
            limits,
        };
        Self {
            router: http::router(shared),
            access,
            stop,
            sockets,
            places: Places::new(limits.sockets_max),
            limits,
        }
    }

    /// Counts one more connection, unless it is one too many: of its address, or of all, and nobody waits
    /// who could make room.
    async fn admit(&self, address: IpAddr) -> Option<(Held, Place)> {
        let held = self.sockets.hold(address.into())?;
        Some((held, self.places.take().await?))
    }

    /// The same for a connection of the operator.
    fn own_connection(
        &self,
        socket: UnixStream,
        held: (Held, Place),
    ) -> impl Future<Output = ()> + Send + use<> {
        let (router, stop, limits) = (self.router.clone(), self.stop.clone(), self.limits);
        let turn = self.places.join();
        let socket = Stalling::new(socket, limits.write_stall());
        async move {
            let caller = (Address::from(OPERATOR), Came::ByTheOwnSocket, turn);
            speak(socket, router, stop, limits, caller).await;
            drop(held);
        }
    }

    /// Serves one connection to its end, or until it has become a WebSocket.
    fn connection(
        &self,
        socket: TcpStream,
        address: IpAddr,
        held: (Held, Place),
    ) -> impl Future<Output = ()> + Send + use<> {
        let caller = Address::from(address);
        let (router, stop, limits) = (self.router.clone(), self.stop.clone(), self.limits);
        let tls = self.access.tls().map(|tls| TlsAcceptor::from(tls.config()));
        let turn = self.places.join();
        // Answers are whole when they are written: waiting to fill a packet only delays them.
        let _ = socket.set_nodelay(true);
        let socket = Stalling::new(socket, limits.write_stall());
        async move {
            match tls {
                None => speak(socket, router, stop, limits, (caller, Came::Plainly, turn)).await,
                Some(tls) => {
                    match shake_hands(&tls, socket, limits.head_read(), &stop, &turn).await {
                        Ok(secret) => {
                            let certified = secret.get_ref().1.peer_certificates().is_some();
                            let came = if certified { Came::Certified } else { Came::Plainly };
                            speak(secret, router, stop, limits, (caller, came, turn)).await;
                        }
                        // A caller's doing: slow, gone, not speaking TLS 1.3, or with a wrong certificate.
                        Err(error) => tracing::debug!(code = "rpc.handshake.failed", %error),
                    }
                }
            }
            drop(held);
        }
    }
}

/// TLS begins, in time, or not at all.
async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &TlsAcceptor,
    socket: S,
    limit: Duration,
    stop: &StopHandle,
    turn: &Turn,
) -> io::Result<TlsStream<S>> {
    tokio::select! {
        shaken = tokio::time::timeout(limit, tls.accept(socket)) => {
            shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
        () = stop.clone().shutdown() => Err(io::ErrorKind::ConnectionAborted.into()),
        () = turn.sent_away() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// Serves one connection to its end, or until it has become a WebSocket.
async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: S,
    router: Router,
    stop: StopHandle,
    limits: ServerLimits,
    (address, came, turn): (Address, Came, Turn),
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_read())
        .max_buf_size(HEAD_BYTES_MAX);
    let (own, meter) = (turn.clone(), Meter::default());
    let socket = Metered::new(socket, meter.clone());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(address);
        request.extensions_mut().insert(came);
        request.extensions_mut().insert(meter.clone());
        let turn = own.clone();
        if request.method() != Method::POST {
            turn.begin();
        }
        // Where a body belongs to it, it is whole once that is there.
        request.extensions_mut().insert(turn.clone());
        let answer = router.clone().call(request);
        async move {
            let answer = answer.await;
            turn.rest();
            answer
        }
    });
    let connection = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
    let mut connection = pin!(connection);
    let stopped = pin!(stop.shutdown());
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = turn.sent_away() => {
            tracing::debug!(code = "rpc.connection.sent_away");
            return;
        }
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A caller's doing, every time: slow, gone, or not speaking HTTP.
        tracing::debug!(code = "rpc.connection.failed", %error);
    }
}

/// Lets requests end, for as long as they may take.
async fn drain(handle: &ServerHandle, mut connections: JoinSet<()>, limit: Duration) {
    // An error means that everybody has gone already.
    let _ = handle.stop();
    let ended = async {
        while connections.join_next().await.is_some() {}
        // WebSockets hold the other ends of the handle.
        handle.clone().stopped().await;
    };
    if tokio::time::timeout(limit, ended).await.is_err() {
        tracing::warn!(code = "rpc.drain.timed_out", connections = connections.len());
        connections.shutdown().await;
    }
}
