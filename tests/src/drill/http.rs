//! Plain HTTP, byte by byte: what no well-behaved client would send can be sent, and what is answered is
//! seen as it came. One request, one connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Head without the status line, as it came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Gets `path` of the node at `url`.
///
/// # Panics
/// When no HTTP answer comes back.
pub async fn get(url: &str, path: &str) -> Answer {
    let host = host(url);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    exchange(host, head.into_bytes()).await
}

/// What the node at `url` counts under this name.
///
/// # Panics
/// When it counts nothing under it.
pub async fn metric<T: std::str::FromStr>(url: &str, name: &str) -> T {
    let text = get(url, "/metrics").await.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Posts `body`, whatever it is, to where the node at `url` takes JSON-RPC.
///
/// # Panics
/// When no HTTP answer comes back.
pub async fn post(url: &str, body: &[u8]) -> Answer {
    post_to(url, "/", body).await
}

/// Posts `body` to a path.
///
/// # Panics
/// When no HTTP answer comes back.
pub async fn post_to(url: &str, path: &str, body: &[u8]) -> Answer {
    let (host, length) = (host(url), body.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    exchange(host, request).await
}

fn host(url: &str) -> &str {
    url.strip_prefix("http://").expect("an address of a node")
}

async fn exchange(host: &str, request: Vec<u8>) -> Answer {
    let stream = TcpStream::connect(host).await.expect("the node listens");
    let (mut from, mut to) = stream.into_split();
    // A node that has read enough answers and closes while the rest is on its way: no failure of ours.
    let sending = tokio::spawn(async move { to.write_all(&request).await.map(|()| to) });
    let mut bytes = Vec::new();
    let read = from.read_to_end(&mut bytes).await;
    assert!(read.is_ok() || !bytes.is_empty(), "no answer: {read:?}");
    sending.abort();
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8_lossy(&bytes[..end]);
    let (line, head) = head.split_once("\r\n").unwrap_or((&head, ""));
    assert!(!head.to_lowercase().contains("transfer-encoding"), "a body of known length: {head}");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    Answer { status, head: head.to_owned(), body: bytes[end + 4..].to_vec() }
}
