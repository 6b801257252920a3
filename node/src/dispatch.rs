//! What peers send, taken to where it belongs.

use std::sync::PoisonError;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use bytes::Bytes;
use consign_consensus::{Input, Message};
use consign_types::codec::Canonical as _;
use consign_types::key::PublicKey;
use consign_types::validator::{ValidatorIndex, ValidatorSet};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::driver;
use crate::lease;
use crate::p2p::{Class, Inbox, NetEvent};
use crate::parts::Parts;
use crate::wire::{Cosigned, PoolMessage, Request, Response, Status};

/// Takes what comes from peers to where it belongs.
pub async fn dispatch(
    parts: Parts,
    mut events: Inbox,
    driver: SyncSender<driver::Event>,
    statuses: mpsc::Sender<(PublicKey, Status)>,
) {
    while let Some(event) = events.recv().await {
        match event {
            NetEvent::Connected(peer) => {
                info!(code = "net.peer.connected", peer = %peer);
                let status = parts.own_status();
                parts.net.send(&peer, Class::Status, Bytes::from(status.to_bytes()));
                parts.cosigner.send_newest(&peer);
                tokio::spawn(fetch_checkpoint(parts.clone(), peer));
                tokio::spawn(lease::ask(parts.clone(), peer, driver.clone()));
            }
            NetEvent::Disconnected(peer) => {
                info!(code = "net.peer.disconnected", peer = %peer);
                parts.heights.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
            }
            NetEvent::Message { from, class, bytes } => {
                handle_message(&parts, &driver, &statuses, from, class, &bytes);
            }
            NetEvent::Request { from, bytes, reply } => {
                let parts = parts.clone();
                tokio::task::spawn_blocking(move || {
                    if let Ok(request) = Request::from_bytes(&bytes) {
                        reply.send(Bytes::from(
                            crate::answer::answer(&parts, &from, request).to_bytes(),
                        ));
                    }
                });
            }
            NetEvent::Listening(address) => info!(code = "net.listening", address),
        }
    }
}

fn handle_message(
    parts: &Parts,
    driver: &SyncSender<driver::Event>,
    statuses: &mpsc::Sender<(PublicKey, Status)>,
    from: PublicKey,
    class: Class,
    bytes: &Bytes,
) {
    let set = parts.committed.validators();
    let index = index_of(&set, &from);
    match class {
        Class::Consensus => match (index, Message::from_bytes(bytes)) {
            (Some(index), Ok(message)) => {
                if message.author() == Some(index) {
                    parts.leases.heard(&from, &message);
                }
                let from = index;
                let input = Input::Message { from, message };
                if driver.try_send(driver::Event::Input(Box::new(input))).is_err() {
                    parts.net.count_dropped();
                }
            }
            (None, Ok(message)) => parts.held.keep(from, message),
            (_, Err(_)) => {}
        },
        Class::Pool => match PoolMessage::from_bytes(bytes) {
            Ok(PoolMessage::Events(events)) => parts.relayed.offer(from, events),
            // Only a validator proposes. Who became one unknown to this node is asked for its bodies.
            Ok(PoolMessage::Body(block, body)) => {
                if let Some(from) = index {
                    parts.bodies.push(from, block, body);
                }
            }
            Err(error) => warn!(code = "net.message.malformed", peer = %from, error = %error),
        },
        Class::Cosignature => {
            if let Ok(cosigned) = Cosigned::from_bytes(bytes) {
                parts.cosigner.collect(&parts.committed, &from, &cosigned);
            }
        }
        Class::Status => {
            if let Ok(status) = Status::from_bytes(bytes) {
                if let Some(from) = index {
                    let begun = Input::Begun { from, height: status.started };
                    // A full queue loses it; the next status says it again.
                    let _ = driver.try_send(driver::Event::Input(Box::new(begun)));
                }
                let mut heights = parts.heights.lock().unwrap_or_else(PoisonError::into_inner);
                heights.insert(from, status.height);
                drop(heights);
                parts.cosigner.send_where_missing(&from, status.proven);
                // A full queue loses a status; the next one says the same.
                let _ = statuses.try_send((from, status));
            }
        }
    }
}

/// Asks a peer for the newest checkpoint that it has a quorum for.
async fn fetch_checkpoint(parts: Parts, peer: PublicKey) {
    const ANSWER_WAIT: Duration = Duration::from_secs(5);
    let request = Bytes::from(Request::Checkpoint.to_bytes());
    let Ok(answer) = parts.net.request(&peer, request, ANSWER_WAIT).await else { return };
    if let Ok(Response::Checkpoint(Some(note))) = Response::from_bytes(&answer) {
        // Checking a quorum of signatures is work, but little.
        parts.cosigner.adopt(&parts.committed, &note);
    }
}

/// The validator that has this network key.
pub fn index_of(set: &ValidatorSet, network_key: &PublicKey) -> Option<ValidatorIndex> {
    let at = set.validators().iter().position(|v| v.network_key == *network_key)?;
    Some(ValidatorIndex(at as u16))
}
