//! The door of a node: JSON-RPC over HTTP and WebSocket and plain HTTP, on one port.
//!
//! Invariant: what a caller can hold is bounded. A connection has a head and a body that must come
//! in time and an answer that must be taken in time; an address has so many connections and so many
//! requests a second; only a request that is whole counts against what the node answers at once.
//!
//! TLS is not here: a proxy in front, or the operator's network, has it.

mod access;
mod address;
mod body;
mod calls;
mod feeds;
mod guard;
mod http;
mod limits;
mod read;
mod stall;

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::Service as _;

pub use access::{Access, Gate};
pub use limits::ServerLimits;

use crate::backend::Backend;
use address::{Address, Held, Rates, Sockets};
use body::Budget;
use calls::Node;
use stall::Stalling;

/// Notices that wait for one WebSocket to be written.
const NOTICES_MAX: u32 = 32;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Pause after the system has refused to accept a connection: it is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `backend` on `listener` until `shutdown` is done, then ends what is under way.
///
/// # Errors
/// When the methods cannot be registered.
pub async fn serve(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    limits: ServerLimits,
    access: Arc<Access>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, handle) = stop_channel();
    let sockets = Sockets::new(limits.sockets_per_address_max);
    let shared = http::Shared {
        methods: methods(backend.clone(), &limits).map_err(io::Error::other)?,
        node: backend,
        service: Server::builder().set_config(config(&limits)).to_service_builder(),
        stop: stop.clone(),
        rates: Arc::new(Rates::new(limits.requests_per_second_max, limits.requests_burst_max)),
        sockets: sockets.clone(),
        budget: Budget::new(limits.bodies_bytes_max),
        access,
        limits,
    };
    let door = Door {
        router: http::router(shared),
        stop,
        sockets,
        permits: Arc::new(Semaphore::new(limits.sockets_max.min(Semaphore::MAX_PERMITS))),
        limits,
    };
    let mut connections = JoinSet::new();
    accept(&listener, &door, &mut connections, shutdown).await;
    drop((listener, door));
    drain(&handle, connections, limits.drain()).await;
    Ok(())
}

/// What a connection is given.
struct Door {
    router: Router,
    stop: StopHandle,
    sockets: Arc<Sockets>,
    permits: Arc<Semaphore>,
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
        .max_connections(small(limits.connections_max))
        .max_subscriptions_per_connection(small(limits.subscriptions_per_connection_max))
        // The guard before each call bounds batches, with an error of ours.
        .set_batch_request_config(BatchRequestConfig::Unlimited)
        .set_message_buffer_capacity(NOTICES_MAX)
        .enable_ws_ping(ping)
        .build()
}

async fn accept(
    listener: &TcpListener,
    door: &Door,
    connections: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            // Connections that have ended are forgotten as they end.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => match door.admit(peer.ip()) {
                Some(held) => drop(connections.spawn(door.connection(socket, peer.ip(), held))),
                None => turn_away(&socket),
            },
            Err(error) => {
                tracing::warn!(event = "rpc.accept.failed", %error);
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
    /// Counts one more connection, unless it is one too many.
    fn admit(&self, address: IpAddr) -> Option<(Held, OwnedSemaphorePermit)> {
        let held = self.sockets.hold(address.into())?;
        Some((held, self.permits.clone().try_acquire_owned().ok()?))
    }

    /// Serves one connection to its end, or until it has become a WebSocket.
    fn connection(
        &self,
        socket: TcpStream,
        address: IpAddr,
        held: (Held, OwnedSemaphorePermit),
    ) -> impl Future<Output = ()> + Send + use<> {
        let address = Address::from(address);
        let router = self.router.clone();
        let stop = self.stop.clone();
        // Answers are whole when they are written: waiting to fill a packet only delays them.
        let _ = socket.set_nodelay(true);
        let io = TokioIo::new(Stalling::new(socket, self.limits.write_stall()));
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_read())
            .max_buf_size(HEAD_BYTES_MAX);
        async move {
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let mut request: Request = request.map(Body::new);
                request.extensions_mut().insert(address);
                router.clone().call(request)
            });
            let connection = builder.serve_connection(io, service).with_upgrades();
            let mut connection = pin!(connection);
            let stopped = pin!(stop.shutdown());
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = stopped => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                // A caller's doing, every time: slow, gone, or not speaking HTTP.
                tracing::debug!(event = "rpc.connection.failed", %error);
            }
            drop(held);
        }
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
        tracing::warn!(event = "rpc.drain.timed_out", connections = connections.len());
        connections.shutdown().await;
    }
}
