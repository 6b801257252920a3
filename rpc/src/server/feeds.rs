//! The subscriptions, bound to a backend.
//!
//! Each tells where it begins, then its items, and in the end why it ends and where to resume. A
//! subscriber that takes nothing for too long, or may not read any more, is cut off with *lagged*; at most one notice waits for it.

use std::time::Duration;

use jsonrpsee::core::{RegisterMethodError, server::SubscriptionSink};
use jsonrpsee::server::SubscriptionMessage;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{PendingSubscriptionSink, RpcModule, SendTimeoutError};

use super::access::Caller;
use super::calls::Node;
use super::pulse::Pulse;
use super::read::read;
use crate::backend::Topic;
use crate::errors::RpcError;
use crate::methods::{Method, Subscribe};
use crate::page::Cursor;
use crate::params::{SubscribeBlocks, SubscribeEvents, SubscribeStatus, SubscribeUnit};
use crate::scope::Scope;
use crate::subscription::SubscriptionStream;
use crate::views::{Notice, Update};

/// Registers every feed of the table. A subscriber may take nothing for `stall`.
pub(crate) fn register(
    to: &mut RpcModule<Node>,
    stall: Duration,
) -> Result<(), RegisterMethodError> {
    feed(to, stall, |_: SubscribeBlocks| Topic::Blocks)?;
    feed(to, stall, |params: SubscribeEvents| Topic::Events(params.filter))?;
    feed(to, stall, |params: SubscribeUnit| Topic::Unit(params.unit_id.0))?;
    feed(to, stall, |params: SubscribeStatus| Topic::Status(params.event_id.0))
}

fn feed<S: Subscribe>(
    to: &mut RpcModule<Node>,
    stall: Duration,
    topic: fn(S) -> Topic,
) -> Result<(), RegisterMethodError> {
    let names = S::FEED;
    // What is in no row is refused.
    let scope = Method::find(names.subscribe).map_or(Scope::Admin, |method| method.scope);
    to.register_subscription(
        names.subscribe,
        names.notification,
        names.unsubscribe,
        move |params, pending, node, extensions| async move {
            // A WebSocket with a subscription does something, although it may say nothing for long.
            let _busy = extensions.get::<Pulse>().map(Pulse::begin);
            let opened = open(&params, &node, topic).await;
            run(opened, pending, stall, extensions.get::<Caller>(), scope).await;
        },
    )?;
    Ok(())
}

async fn open<S: Subscribe>(
    params: &Params<'_>,
    node: &Node,
    topic: fn(S) -> Topic,
) -> Result<SubscriptionStream, RpcError> {
    let mut params: S = read(params)?;
    let from = params.cursor_mut().take();
    let opened = node.subscribe(topic(params), from).await;
    opened.map_err(|error| match error.field.as_deref() {
        Some("cursor") => error.with_field("fromCursor"),
        _ => error,
    })
}

async fn run(
    opened: Result<SubscriptionStream, RpcError>,
    pending: PendingSubscriptionSink,
    stall: Duration,
    caller: Option<&Caller>,
    scope: Scope,
) {
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) => return pending.reject(ErrorObjectOwned::from(error)).await,
    };
    // An error here is a subscriber that has gone already.
    let Ok(sink) = pending.accept().await else { return };
    let mut sent = stream.last_cursor().clone();
    loop {
        let notice = tokio::select! {
            () = sink.closed() => return,
            notice = stream.next() => notice,
        };
        let Some(notice) = notice else { return };
        // A token may have ended, or been taken away, since the feed began.
        if caller.is_none_or(|caller| caller.may(sink.method_name(), scope).is_err()) {
            drop(stream);
            return cut_off(&sink, sent).await;
        }
        match sink.send_timeout(message(&sink, &notice), stall).await {
            Ok(()) => {}
            Err(SendTimeoutError::Closed(_)) => return,
            Err(SendTimeoutError::Timeout(_)) => {
                // The source is let go first: this task then holds one notice and nothing else.
                drop(stream);
                return cut_off(&sink, sent).await;
            }
        }
        if let Notice::Item { cursor, .. } = notice {
            sent = cursor;
        }
    }
}

/// Tells a slow subscriber, once it reads again, where to resume; and one whose token has ended, who is
/// told why when it does.
async fn cut_off(sink: &SubscriptionSink, last_cursor: Cursor) {
    let lagged = Notice::<Update>::Lagged { last_cursor };
    // An error here is a subscriber that has gone.
    let _ = sink.send(message(sink, &lagged)).await;
}

fn message(sink: &SubscriptionSink, notice: &Notice<Update>) -> SubscriptionMessage {
    SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), notice)
        .expect("views of texts and numbers serialise")
}
