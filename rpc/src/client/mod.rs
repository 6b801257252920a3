//! What calls a node: typed calls over HTTP, and feeds over WebSocket that resume by themselves.
//!
//! Every call may be repeated without harm, sending an event included, so a call whose connection
//! was closed under it is sent once more. Nothing else is retried here: the caller knows its time.

mod error;
mod follow;

use std::sync::Arc;
use std::time::Duration;

use consign_types::cose_receipt::Algorithm;
use consign_types::digest::EventId;
use consign_types::unit::UnitId;
use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee::http_client::{HeaderMap, HeaderValue, HttpClient, HttpClientBuilder};
use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub use error::ClientError;
pub use follow::{Follow, Item};

use crate::methods::{Call, GetMembers, GetStatus, Subscribe};
use crate::page::{Cursor, Order, PageLimit};
use crate::params::{
    EventFilter, GetBlock, GetBlocks, GetCheckpoint, GetConsistency, GetEvent, GetEventStatus,
    GetHistory, GetInclusion, GetPassport, GetReceipt, GetUnit, SubmitBatch, SubmitEvent,
    SubscribeBlocks, SubscribeEvents, SubscribeStatus, SubscribeUnit, WAIT_MAX_MS, Wait,
};
use crate::tls;
use crate::token::Secret;
use crate::views::{
    Base64, BatchItem, BlockView, BlocksPage, CheckpointView, ConsistencyView, EventStatus,
    EventView, HistoryPage, InclusionView, MembersView, PassportView, ReceiptView, StatusView,
    Submitted, Text, UnitView,
};

/// Time for an answer: as long as a node may wait for a proof, and the way there and back.
const CALL_TIMEOUT: Duration = Duration::from_millis(WAIT_MAX_MS + 5_000);

/// Bytes of an answer.
const ANSWER_BYTES_MAX: u32 = 32 * 1024 * 1024;

/// The header that shows a token.
const AUTHORIZATION: &str = "authorization";

/// What a caller shows a node.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// A token.
    pub token: Option<Secret>,
    /// Whom it believes over TLS, and its own certificate; this machine's authorities where absent.
    pub tls: Option<tls::Client>,
}

impl Credentials {
    /// The headers that show it; the token in them is marked, so that nothing prints it.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let bearer = Zeroizing::new(format!("Bearer {}", token.reveal()));
            let mut value = HeaderValue::from_str(&bearer).expect("a secret is of ASCII letters");
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }
}

/// A node, from the outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    url: Arc<str>,
    http: HttpClient,
    credentials: Credentials,
}

impl Client {
    /// The node at `url`, `http://host:port`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn connect(url: &str) -> Result<Self, ClientError> {
        Self::with_timeout(url, CALL_TIMEOUT)
    }

    /// The same, for who has something to show.
    ///
    /// # Errors
    /// When the address is none.
    pub fn connect_with(url: &str, credentials: Credentials) -> Result<Self, ClientError> {
        Self::build(url, CALL_TIMEOUT, credentials)
    }

    /// The same, waiting for each answer no longer than `timeout`.
    ///
    /// # Errors
    /// When the address is none.
    pub fn with_timeout(url: &str, timeout: Duration) -> Result<Self, ClientError> {
        Self::build(url, timeout, Credentials::default())
    }

    fn build(url: &str, timeout: Duration, credentials: Credentials) -> Result<Self, ClientError> {
        let mut http = HttpClientBuilder::default()
            .request_timeout(timeout)
            .max_response_size(ANSWER_BYTES_MAX)
            .set_headers(credentials.headers());
        if let Some(tls) = &credentials.tls {
            http = http.with_custom_cert_store(tls.config().clone());
        }
        let http = http.build(url).map_err(|error| ClientError::of(url, &error))?;
        Ok(Self { url: url.trim_end_matches('/').into(), http, credentials })
    }

    /// The node's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls the method that takes `params`.
    ///
    /// # Errors
    /// When the node refuses, cannot be reached, or does not answer in time.
    pub async fn call<C: Call>(&self, params: &C) -> Result<C::Answer, ClientError> {
        let params = ByName::of(params)?;
        let first = self.http.request(C::METHOD, params.clone()).await;
        let answer = match first {
            // A kept connection that the node closed while the call was on its way.
            Err(error) if error::broke_off(&error) => self.http.request(C::METHOD, params).await,
            other => other,
        };
        answer.map_err(|error| ClientError::of(&self.url, &error))
    }

    /// Sends a signed event and waits until `wait` is reached, for at most `timeout_ms`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn submit_event(
        &self,
        envelope: &[u8],
        wait: Wait,
        timeout_ms: Option<u64>,
    ) -> Result<Submitted, ClientError> {
        let envelope = Base64(envelope.to_vec());
        self.call(&SubmitEvent { envelope, wait, timeout_ms }).await
    }

    /// Sends up to 100 signed events; each is answered by itself, in order.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn submit_batch<E: AsRef<[u8]>>(
        &self,
        envelopes: &[E],
        wait: Wait,
        timeout_ms: Option<u64>,
    ) -> Result<Vec<BatchItem>, ClientError> {
        let text = |envelope: &E| Base64(envelope.as_ref().to_vec()).to_string();
        let envelopes: Vec<String> = envelopes.iter().map(text).collect();
        let sent = envelopes.len();
        let items = self.call(&SubmitBatch { envelopes, wait, timeout_ms }).await?;
        if items.len() == sent {
            return Ok(items);
        }
        let message = format!("{sent} events were sent and {} answered", items.len());
        Err(ClientError::bad_answer(message))
    }

    /// How far an event has come.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn event_status(&self, event: EventId) -> Result<EventStatus, ClientError> {
        self.call(&GetEventStatus { event_id: Text(event) }).await
    }

    /// An event, with a proof where asked for.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn event(&self, event: EventId, with_proof: bool) -> Result<EventView, ClientError> {
        self.call(&GetEvent { event_id: Text(event), with_proof }).await
    }

    /// A unit's state, after the last block unless a height is given.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn unit(&self, unit: UnitId, height: Option<u64>) -> Result<UnitView, ClientError> {
        self.call(&GetUnit { unit_id: Text(unit), at_height: height }).await
    }

    /// A page of a unit's events.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn history(
        &self,
        unit: UnitId,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<HistoryPage, ClientError> {
        self.call(&GetHistory { unit_id: Text(unit), cursor, limit }).await
    }

    /// A unit's passport, for trust files of height `since` and later.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn passport(
        &self,
        unit: UnitId,
        since: Option<u64>,
    ) -> Result<PassportView, ClientError> {
        self.call(&GetPassport { unit_id: Text(unit), since_height: since }).await
    }

    /// A checkpoint, the latest with a quorum unless a size is given.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn checkpoint(&self, size: Option<u64>) -> Result<CheckpointView, ClientError> {
        self.call(&GetCheckpoint { size }).await
    }

    /// Proof that an event is in the log.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn event_inclusion(
        &self,
        event: EventId,
        size: Option<u64>,
    ) -> Result<InclusionView, ClientError> {
        self.call(&GetInclusion { index: None, event_id: Some(Text(event)), size }).await
    }

    /// An event with a COSE receipt.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn event_receipt(
        &self,
        event: EventId,
        alg: Algorithm,
    ) -> Result<ReceiptView, ClientError> {
        self.call(&GetReceipt { index: None, event_id: Some(Text(event)), alg: Text(alg) }).await
    }

    /// Proof that a leaf is in the log.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn leaf_inclusion(
        &self,
        index: u64,
        size: Option<u64>,
    ) -> Result<InclusionView, ClientError> {
        self.call(&GetInclusion { index: Some(index), event_id: None, size }).await
    }

    /// Proof that the log only grew.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyView, ClientError> {
        self.call(&GetConsistency { from, to }).await
    }

    /// How the node is doing.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn status(&self) -> Result<StatusView, ClientError> {
        self.call(&GetStatus::default()).await
    }

    /// A block.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn block(&self, height: u64) -> Result<BlockView, ClientError> {
        self.call(&GetBlock { height }).await
    }

    /// A page of blocks.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn blocks(
        &self,
        cursor: Option<Cursor>,
        limit: PageLimit,
        order: Order,
    ) -> Result<BlocksPage, ClientError> {
        self.call(&GetBlocks { cursor, limit, order }).await
    }

    /// Who is in the network.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn members(&self) -> Result<MembersView, ClientError> {
        self.call(&GetMembers::default()).await
    }

    /// Follows a feed. Nothing is sent before its first [`Follow::next`].
    pub fn follow<S: Subscribe>(&self, params: S) -> Follow<S> {
        Follow::new(self.url.clone(), self.credentials.clone(), params)
    }

    /// Follows blocks as they are committed.
    pub fn follow_blocks(&self, from_cursor: Option<Cursor>) -> Follow<SubscribeBlocks> {
        self.follow(SubscribeBlocks { from_cursor })
    }

    /// Follows events as they are committed or proven.
    pub fn follow_events(
        &self,
        filter: EventFilter,
        from_cursor: Option<Cursor>,
    ) -> Follow<SubscribeEvents> {
        self.follow(SubscribeEvents { filter, from_cursor })
    }

    /// Follows the events that name a unit.
    pub fn follow_unit(&self, unit: UnitId, from_cursor: Option<Cursor>) -> Follow<SubscribeUnit> {
        self.follow(SubscribeUnit { unit_id: Text(unit), from_cursor })
    }

    /// Follows how far one event comes, until it is proven or refused.
    pub fn follow_status(&self, event: EventId) -> Follow<SubscribeStatus> {
        self.follow(SubscribeStatus { event_id: Text(event), from_cursor: None })
    }
}

/// Parameters by name, as the library takes them.
#[derive(Clone, Debug)]
struct ByName(Box<RawValue>);

impl ByName {
    fn of(params: &impl Serialize) -> Result<Self, ClientError> {
        let text = serde_json::to_string(params).and_then(RawValue::from_string);
        text.map(Self).map_err(|error| ClientError::bad_answer(format!("cannot ask: {error}")))
    }
}

impl ToRpcParams for ByName {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(Some(self.0))
    }
}
