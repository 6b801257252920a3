//! The long-lived streams: one each way for each class and peer, frames in order.
//!
//! Nothing is written before the other side has said that it reads: libp2p-stream drops an inbound stream
//! where another of its protocol waits to be taken, and what was written into that one would be lost
//! without a word.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use consign_types::key::PublicKey;
use futures::io::{BufReader, BufWriter};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{PeerId, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::inbox::Outlets;
use super::request::{read_frame, write_frame};
use super::{Class, Command, Counters, NetEvent, NetHandle};

/// A vote and its neighbours fit many times.
const BUFFER_BYTES: usize = 64 * 1024;
/// What a reader says when it has taken a stream.
const TAKEN: u8 = 1;
/// How long it may take to say so.
const TAKEN_WAIT: Duration = Duration::from_secs(5);
/// How long what came on a replaced stream may take to be read to its end.
const DRAIN_WAIT: Duration = Duration::from_secs(1);
/// Pause before a stream that could not be opened is tried again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// Writes what is queued for one class and peer, until the peer is gone. What is left then is dropped:
/// after a reconnect it would be stale.
pub async fn write(
    mut control: Control,
    peer: PeerId,
    class: Class,
    mut queue: mpsc::Receiver<Bytes>,
    counters: Arc<Counters>,
) {
    // What could not be written is written first on the next stream.
    let mut unsent: Option<Bytes> = None;
    while !queue.is_closed() {
        if unsent.is_none() {
            unsent = queue.recv().await;
            continue;
        }
        let protocol = StreamProtocol::new(class.protocol());
        let opened = match control.open_stream(peer, protocol).await {
            Ok(mut stream) => taken(&mut stream).await.map(|()| stream).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Ok(stream) => {
                let mut stream = BufWriter::with_capacity(BUFFER_BYTES, stream);
                if let Err(error) = pump(&mut stream, &mut unsent, &mut queue, &counters).await {
                    debug!(code = "net.stream.closed", peer = %peer, ?class, error = %error);
                }
            }
            Err(error) => {
                debug!(code = "net.stream.not_opened", peer = %peer, ?class, error = %error);
                tokio::time::sleep(REOPEN_PAUSE).await;
            }
        }
    }
}

/// Waits until the other side reads.
async fn taken<T: futures::AsyncRead + Unpin + Send>(stream: &mut T) -> std::io::Result<()> {
    let mut byte = [0];
    tokio::time::timeout(TAKEN_WAIT, stream.read_exact(&mut byte)).await??;
    if byte == [TAKEN] { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

async fn pump<T: futures::AsyncWrite + Unpin + Send>(
    stream: &mut BufWriter<T>,
    unsent: &mut Option<Bytes>,
    queue: &mut mpsc::Receiver<Bytes>,
    counters: &Counters,
) -> std::io::Result<()> {
    while !queue.is_closed() {
        while let Some(bytes) = unsent.take() {
            if let Err(error) = write_frame(stream, &bytes).await {
                *unsent = Some(bytes);
                return Err(error);
            }
            counters.bytes_out.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            *unsent = queue.try_recv().ok();
        }
        // Nothing waits: what was gathered goes out.
        stream.flush().await?;
        *unsent = queue.recv().await;
    }
    stream.close().await
}

/// Reads every stream of one class that peers open, for ever.
pub async fn accept(
    mut incoming: IncomingStreams,
    class: Class,
    handle: NetHandle,
    outlets: Outlets,
) {
    let mut readers: HashMap<PeerId, JoinHandle<()>> = HashMap::new();
    while let Some((peer, mut stream)) = incoming.next().await {
        let key = {
            let allowed = handle.allowed.read().unwrap_or_else(PoisonError::into_inner);
            allowed.get(&peer).copied()
        };
        // It was cut off meanwhile.
        let Some(from) = key else { continue };
        let (to, handle) = (outlets.class(class).clone(), handle.clone());
        // One stream for each class and peer: a new one replaces the old, which is at its end. What came on
        // that one comes first.
        let replaced = readers.remove(&peer);
        let reader = tokio::spawn(async move {
            if let Some(mut old) = replaced
                && tokio::time::timeout(DRAIN_WAIT, &mut old).await.is_err()
            {
                old.abort();
            }
            // Where this cannot be said, the reading ends at once too.
            let _ = stream.write_all(&[TAKEN]).await;
            let _ = stream.flush().await;
            let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
            if let Err(error) = read(&mut stream, from, class, &to, &handle.counters).await
                && error.kind() == std::io::ErrorKind::InvalidData
            {
                warn!(code = "net.frame.oversize", peer = %from, ?class, error = %error);
                let _ = handle.commands.send(Command::Disconnect(peer));
            }
        });
        readers.insert(peer, reader);
    }
}

/// Reads frames; a full queue towards the node stops the reading, and so the peer.
async fn read<T: futures::AsyncRead + Unpin + Send>(
    stream: &mut T,
    from: PublicKey,
    class: Class,
    to: &mpsc::Sender<NetEvent>,
    counters: &Counters,
) -> std::io::Result<()> {
    loop {
        let bytes = read_frame(stream, class.bytes_max()).await?;
        counters.bytes_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if to.send(NetEvent::Message { from, class, bytes }).await.is_err() {
            return Ok(());
        }
    }
}
