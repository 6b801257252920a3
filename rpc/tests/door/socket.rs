//! A WebSocket by hand.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::fake::{Door, within};

/// A WebSocket by hand, which reads only when it is told to.
pub struct Socket(TcpStream);

impl Socket {
    /// Opens one.
    pub async fn open(door: &Door, receive_bytes: Option<u32>) -> Self {
        Self::ask(door, receive_bytes).await.unwrap_or_else(|head| panic!("{head}"))
    }

    /// One, or the head of the answer that refuses it.
    pub async fn ask(door: &Door, receive_bytes: Option<u32>) -> Result<Self, String> {
        Self::ask_with(door, receive_bytes, "").await
    }

    /// The same with more headers.
    pub async fn ask_with(
        door: &Door,
        receive_bytes: Option<u32>,
        headers: &str,
    ) -> Result<Self, String> {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes).expect("a small buffer");
        }
        let mut stream = socket.connect(door.address).await.expect("the server listens");
        let request = format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.expect("an answer"));
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if head.starts_with("HTTP/1.1 101") { Ok(Self(stream)) } else { Err(head) }
    }

    /// Done when the server has closed it.
    pub async fn closed(mut self) {
        let mut rest = Vec::new();
        // However it ends, it has ended.
        let _ = self.0.read_to_end(&mut rest).await;
    }

    /// A message.
    pub async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// One text frame, masked with zeros (RFC 6455, 5.2).
    pub async fn send_text(&mut self, text: &str) {
        let mut frame = vec![0x81];
        match text.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            middle @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(0x80 | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).await.expect("sent");
    }

    /// The next text frame.
    async fn receive(&mut self) -> Value {
        loop {
            let [kind, short] =
                [self.0.read_u8().await, self.0.read_u8().await].map(|b| b.expect("open"));
            let length = match short {
                126 => u64::from(self.0.read_u16().await.expect("open")),
                127 => self.0.read_u64().await.expect("open"),
                short => u64::from(short),
            };
            let mut bytes = vec![0; usize::try_from(length).expect("a length")];
            self.0.read_exact(&mut bytes).await.expect("open");
            // Pings are passed over: this client keeps to no rule.
            if kind == 0x81 {
                return serde_json::from_slice(&bytes).expect("JSON");
            }
        }
    }

    /// The first message that fits.
    pub async fn find(&mut self, mut fits: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let message = self.receive().await;
            if fits(&message) {
                return message;
            }
        }
    }
}
