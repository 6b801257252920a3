//! Asking a node over its own HTTP port.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// What `GET /health/ready` answers on `address`.
///
/// # Errors
/// When nobody answers, or the node says that it is not ready, with its reason.
pub fn ask(address: SocketAddr) -> Result<String, String> {
    let request =
        format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (ok, body) = exchange(address, &request)?;
    if ok { Ok(body) } else { Err(body) }
}

/// Sends a request that closes its connection; answers whether it was accepted (200), and the body.
///
/// # Errors
/// When nobody answers.
pub fn exchange(address: SocketAddr, request: &str) -> Result<(bool, String), String> {
    let text = |e: std::io::Error| format!("no answer from {address}: {e}");
    let mut stream = TcpStream::connect_timeout(&address, WAIT).map_err(text)?;
    stream.set_read_timeout(Some(WAIT)).map_err(text)?;
    stream.set_write_timeout(Some(WAIT)).map_err(text)?;
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(text)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim().to_owned();
    Ok((answer.starts_with("HTTP/1.1 200"), body))
}
