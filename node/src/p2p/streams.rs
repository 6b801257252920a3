//! The long-lived streams: one each way for each class and peer, frames in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use consign_types::key::PublicKey;
use futures::io::{BufReader, BufWriter};
use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::{PeerId, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::request::{read_frame, write_frame};
use super::{Class, Connected, Counters, NetEvent};

/// Pause before a stream that could not be opened is tried again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// Writes what is queued for one class and peer, until the queue is closed.
pub async fn write(
    mut control: Control,
    peer: PeerId,
    class: Class,
    mut queue: mpsc::Receiver<Bytes>,
    counters: Arc<Counters>,
) {
    // What could not be written is written first on the next stream.
    let mut unsent: Option<Bytes> = None;
    while !(queue.is_closed() && queue.is_empty()) {
        if unsent.is_none() {
            unsent = queue.recv().await;
        }
        if unsent.is_none() {
            return;
        }
        let protocol = StreamProtocol::new(class.protocol());
        match control.open_stream(peer, protocol).await {
            Ok(stream) => {
                let mut stream = BufWriter::with_capacity(64 * 1024, stream);
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
    loop {
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
        if unsent.is_none() {
            return stream.close().await;
        }
    }
}

/// Reads every stream of one class that peers open, for ever.
pub async fn accept(
    mut incoming: IncomingStreams,
    class: Class,
    connected: Connected,
    events: mpsc::Sender<NetEvent>,
    counters: Arc<Counters>,
) {
    while let Some((peer, stream)) = incoming.next().await {
        let key = {
            let connected = connected.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            connected.get(&peer).map(|queues| queues.key)
        };
        // The swarm tells of a connection before it hands out its streams; else it is gone again.
        let Some(from) = key else { continue };
        let (events, counters) = (events.clone(), Arc::clone(&counters));
        tokio::spawn(async move {
            let mut stream = BufReader::with_capacity(64 * 1024, stream);
            if let Err(error) = read(&mut stream, from, class, &events, &counters).await
                && error.kind() == std::io::ErrorKind::InvalidData
            {
                warn!(code = "net.frame.oversize", peer = %from, ?class, error = %error);
            }
        });
    }
}

/// Reads frames; a full queue towards the node stops the reading, and so the peer.
async fn read<T: futures::AsyncRead + Unpin + Send>(
    stream: &mut T,
    from: PublicKey,
    class: Class,
    events: &mpsc::Sender<NetEvent>,
    counters: &Counters,
) -> std::io::Result<()> {
    loop {
        let bytes = read_frame(stream, class.bytes_max()).await?;
        counters.bytes_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if events.send(NetEvent::Message { from, class, bytes }).await.is_err() {
            return Ok(());
        }
    }
}
