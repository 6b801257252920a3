//! The long-lived streams: one each way for each class and peer, frames in order.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use consign_types::key::PublicKey;
use futures::io::{BufReader, BufWriter};
use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::{PeerId, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::inbox::Outlets;
use super::request::{read_frame, write_frame};
use super::{Class, Command, Counters, NetEvent, NetHandle};

/// A vote and its neighbours fit many times.
const BUFFER_BYTES: usize = 64 * 1024;
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
        match control.open_stream(peer, protocol).await {
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
    let mut readers: HashMap<PeerId, AbortHandle> = HashMap::new();
    while let Some((peer, stream)) = incoming.next().await {
        let key = {
            let allowed = handle.allowed.read().unwrap_or_else(PoisonError::into_inner);
            allowed.get(&peer).copied()
        };
        // It was cut off meanwhile.
        let Some(from) = key else { continue };
        let (to, handle) = (outlets.class(class).clone(), handle.clone());
        let reader = tokio::spawn(async move {
            let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
            if let Err(error) = read(&mut stream, from, class, &to, &handle.counters).await
                && error.kind() == std::io::ErrorKind::InvalidData
            {
                warn!(code = "net.frame.oversize", peer = %from, ?class, error = %error);
                let _ = handle.commands.send(Command::Disconnect(peer));
            }
        });
        // One stream for each class and peer: a new one replaces the old.
        if let Some(old) = readers.insert(peer, reader.abort_handle()) {
            old.abort();
        }
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
