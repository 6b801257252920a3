//! Bytes on a connection, as a client that keeps to no rule may send them.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// Status line and headers, lower case.
    pub head: String,
    /// What followed.
    pub body: String,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line")
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Sends `bytes` and reads until the server closes.
pub async fn exchange(to: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).await.expect("the server listens");
    // A server may close before it has read everything; what it said before counts.
    let _ = stream.write_all(bytes).await;
    read_to_end(&mut stream).await
}

/// Reads until the server closes.
pub async fn read_to_end(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Answer { head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// GET.
pub async fn get(to: SocketAddr, path: &str) -> Answer {
    exchange(to, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
        .await
}

/// POST of a JSON-RPC body.
pub async fn post(to: SocketAddr, body: &[u8]) -> Answer {
    exchange(to, &[head(body.len()).as_bytes(), body].concat()).await
}

/// The head of a POST with so many bytes of body.
pub fn head(length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// A call with by-name parameters; the whole answer.
pub async fn call(to: SocketAddr, method: &str, params: Value) -> Value {
    post(to, request(1, method, &params).to_string().as_bytes()).await.json()
}

/// A request.
pub fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}
