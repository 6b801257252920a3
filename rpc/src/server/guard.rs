//! What stands before every call: a method that exists, a batch that is short enough, a caller that
//! does not ask too often and may ask this. All of it is answered with our errors rather than the library's.

use std::sync::Arc;
use std::time::Instant;

use jsonrpsee::MethodResponse;
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT};
use jsonrpsee::types::{ErrorObjectOwned, Id, Request};
use tower::Layer;

use super::access::Caller;
use super::address::Address;
use super::budget::Seat;
use super::meter::{Inbound, Message};
use super::places::Places;
use super::pulse::Pulse;
use super::submitting::Submitting;
use crate::errors::{ErrorKind, RpcError};
use crate::methods::{DISCOVER, METHODS, Method};
use crate::rates::Rates;

/// Whoever sends one request over HTTP, or all that come over one WebSocket.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) rates: Arc<Rates<Address>>,
    pub(crate) address: Address,
    pub(crate) caller: Caller,
    pub(crate) batch_max: usize,
    /// Of HTTP, the places of which the request has one, and where it waits if its body holds much memory.
    pub(crate) place: Option<(Places, Option<Seat>)>,
    /// Of a WebSocket, where notifications can be sent: over HTTP they cannot.
    pub(crate) pulse: Option<Pulse>,
}

/// What stands before the calls of an asker.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    inner: S,
    asker: Asker,
}

impl<S> Layer<S> for Asker {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, asker: self.clone() }
    }
}

impl Asker {
    fn admit(&self, method: &str, message: Option<&Message>) -> Result<(), RpcError> {
        self.rates.take(&self.address, Instant::now()).map_err(RpcError::rate_limited)?;
        message.map_or(Ok(()), Message::admit)?;
        if let Some(found) = Method::find(method) {
            self.caller.may(method, found.scope)?;
            if found.feed.is_some() && self.pulse.is_none() {
                let message = format!("{method} needs a WebSocket");
                return Err(RpcError::new(ErrorKind::Unsupported, message)
                    .with_help("connect to the same address with ws:// or wss://"));
            }
            return Ok(());
        }
        if is_for_everybody(method) {
            return Ok(());
        }
        let shown: String = method.chars().take(64).collect();
        Err(RpcError::new(ErrorKind::MethodNotFound, format_args!("there is no method {shown:?}")))
    }

    /// Who hands in events in one request, or in one message of a WebSocket.
    fn submitting(&self, message: Option<&Message>) -> Submitting {
        let (places, seat) = match self.place.clone() {
            Some((places, seat)) => (Some(places), seat),
            None => (None, message.and_then(Message::seat)),
        };
        Submitting::new(self.rates.clone(), self.address, places, seat)
    }

    /// What the methods learn of whoever asks.
    fn introduce(&self, request: &mut Request<'_>, submitting: Submitting) {
        request.extensions.insert(self.caller.clone());
        request.extensions.insert(submitting);
        if let Some(pulse) = &self.pulse {
            request.extensions.insert(pulse.clone());
        }
    }
}

/// The message of a WebSocket that a call came in. It is taken out of the call: a feed lives on, and must not
/// hold it.
fn message_of(request: &mut Request<'_>) -> Option<Arc<Message>> {
    request.extensions.remove::<Inbound>()?.message()
}

/// Tells the message how long its answer is.
fn answered(message: Option<&Message>, response: &MethodResponse) {
    let Some(message) = message else { return };
    // What opens a feed has been sent by then.
    message.answer(if response.is_subscription() { 0 } else { response.as_ref().len() });
}

/// The way out of a subscription, which only its own connection has, and the document.
fn is_for_everybody(name: &str) -> bool {
    let mut feeds = METHODS.iter().filter_map(|method| method.feed);
    name == DISCOVER || feeds.any(|feed| feed.unsubscribe == name)
}

impl<S> RpcServiceT for Guard<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(
        &self,
        mut request: Request<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let message = message_of(&mut request);
        let admitted = self.asker.admit(&request.method, message.as_deref());
        let submitting = self.asker.submitting(message.as_deref());
        self.asker.introduce(&mut request, submitting);
        let inner = self.inner.clone();
        // Who is refused does nothing.
        let busy = self.asker.pulse.as_ref().filter(|_| admitted.is_ok()).map(Pulse::begin);
        async move {
            let _busy = busy;
            let response = match admitted {
                Ok(()) => inner.call(request).await,
                Err(error) => MethodResponse::error(request.id, ErrorObjectOwned::from(error)),
            };
            answered(message.as_deref(), &response);
            response
        }
    }

    fn batch<'a>(&self, mut batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let (calls, max) = (batch.len(), self.asker.batch_max);
        let too_large = calls > max;
        let (mut busy, mut message, mut submitting) = (None, None, None);
        for entry in batch.iter_mut() {
            let Ok(BatchEntry::Call(request)) = entry else { continue };
            // All of them came in the same one.
            let own = message_of(request);
            message = message.or(own);
            if too_large {
                break;
            }
            if let Err(error) = self.asker.admit(&request.method, message.as_deref()) {
                let id = request.id.clone();
                *entry = Err(BatchEntryErr::new(id, ErrorObjectOwned::from(error)));
            } else {
                let submitting = submitting
                    .get_or_insert_with(|| self.asker.submitting(message.as_deref()))
                    .clone();
                self.asker.introduce(request, submitting);
                busy = self.asker.pulse.as_ref().map(Pulse::begin);
            }
        }
        let inner = self.inner.clone();
        async move {
            let _busy = busy;
            let response = if too_large {
                let text = format!("a batch of {calls} calls; at most {max} are taken");
                let error = RpcError::new(ErrorKind::BatchTooLarge, text);
                MethodResponse::error(Id::Null, ErrorObjectOwned::from(error))
            } else {
                inner.batch(batch).await
            };
            answered(message.as_deref(), &response);
            response
        }
    }

    fn notification<'a>(
        &self,
        mut notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        // Nothing listens to notifications, so they cost nothing, and nothing is answered.
        let message = notification.extensions.remove::<Inbound>().and_then(Inbound::message);
        if let Some(message) = message {
            message.answer(0);
        }
        let inner = self.inner.clone();
        async move { inner.notification(notification).await }
    }
}
