//! Asking a node over its own HTTP port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use consign_rpc::tls::Client;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

const WAIT: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// What `GET /health/ready` answers on `address`.
///
/// # Errors
/// When nobody answers, or the node says that it is not ready, with its reason.
pub fn ask(address: SocketAddr, tls: Option<&Client>) -> Result<String, String> {
    let request =
        format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (ok, body) = exchange(address, tls.map(|tls| (tls, address.ip().into())), &request)?;
    if ok { Ok(body) } else { Err(body) }
}

/// Sends a request that closes its connection, over TLS to whoever has a certificate of this name; answers
/// whether it was accepted (200), and the body.
///
/// # Errors
/// When nobody answers.
pub fn exchange(
    address: SocketAddr,
    tls: Option<(&Client, ServerName<'static>)>,
    request: &str,
) -> Result<(bool, String), String> {
    let text = |e: std::io::Error| format!("no answer from {address}: {e}");
    let stream = TcpStream::connect_timeout(&address, WAIT).map_err(text)?;
    stream.set_read_timeout(Some(WAIT)).map_err(text)?;
    stream.set_write_timeout(Some(WAIT)).map_err(text)?;
    let answer = match tls {
        None => say(stream, request),
        Some((tls, name)) => {
            let config = Arc::new(tls.config().clone());
            let connection = ClientConnection::new(config, name).map_err(|e| text(other(e)))?;
            say(StreamOwned::new(connection, stream), request)
        }
    };
    let answer = answer.map_err(text)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim().to_owned();
    Ok((answer.starts_with("HTTP/1.1 200"), body))
}

fn other(error: rustls::Error) -> std::io::Error {
    std::io::Error::other(error)
}

fn say(mut stream: impl Read + Write, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
