//! A feed that outlives its connection.
//!
//! Invariant: between its first answer and its end, every item comes once, in order, whatever
//! happens to connections: the cursor moves when an item is handed out, and a new connection begins
//! there. Each feed has a connection of its own, so that a slow reader holds up nobody else.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::client::{Subscription, SubscriptionClientT as _};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};

use super::{ANSWER_BYTES_MAX, ByName, ClientError, Credentials, error};
use crate::errors::ErrorKind;
use crate::methods::Subscribe;
use crate::page::Cursor;
use crate::views::Notice;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between attempts: the first, doubling to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_secs(2);
/// How long a feed looks for its node before it says so.
const PATIENCE: Duration = Duration::from_secs(30);

/// One item of a feed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item<T> {
    /// A feed that begins here goes on after this item.
    pub cursor: Cursor,
    /// What is told.
    pub value: T,
}

/// A feed.
#[derive(Debug)]
pub struct Follow<S: Subscribe> {
    url: Arc<str>,
    credentials: Credentials,
    params: S,
    live: Option<Live<S::Item>>,
    patience: Duration,
    ended: bool,
}

#[derive(Debug)]
struct Live<T> {
    notices: Subscription<Notice<T>>,
    /// Keeps the connection open.
    _connection: WsClient,
}

/// What one notice means to a feed.
enum Step<T> {
    Item(Item<T>),
    Opened,
    Broken,
    Ended,
}

impl<S: Subscribe> Follow<S> {
    pub(super) const fn new(url: Arc<str>, credentials: Credentials, params: S) -> Self {
        Self { url, credentials, params, live: None, patience: PATIENCE, ended: false }
    }

    /// The same, which says after `patience` that its node is not to be found.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Where the feed goes on; none before its first answer unless one was given.
    pub fn cursor(&mut self) -> Option<Cursor> {
        self.params.cursor_mut().clone()
    }

    /// Connects and learns where the feed begins, so that nothing after this call is missed. Not
    /// needed, but for who must know that it listens before it acts.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn open(&mut self) -> Result<(), ClientError> {
        while self.params.cursor_mut().is_none() && !self.ended {
            // The first notice tells the cursor, and is no item.
            let step = self.step().await?;
            if let Step::Item(_) = step {
                return Err(ClientError::bad_answer(format!("{}: a feed did not open", self.url)));
            }
        }
        Ok(())
    }

    /// The next item; none once there will never be more. Connects again where it must.
    ///
    /// # Errors
    /// When the node refuses the feed, or is not to be found for longer than the patience. Calling
    /// again tries again.
    pub async fn next(&mut self) -> Result<Option<Item<S::Item>>, ClientError> {
        while !self.ended {
            if let Step::Item(item) = self.step().await? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Step<S::Item>, ClientError> {
        let live = match &mut self.live {
            Some(live) => live,
            None => self.live.insert(
                connect_patiently(&self.url, &self.credentials, &self.params, self.patience)
                    .await?,
            ),
        };
        let step = match live.notices.next().await {
            Some(Ok(Notice::Open { cursor })) => {
                *self.params.cursor_mut() = Some(cursor);
                Step::Opened
            }
            Some(Ok(Notice::Item { cursor, value })) => {
                *self.params.cursor_mut() = Some(cursor.clone());
                Step::Item(Item { cursor, value })
            }
            Some(Ok(Notice::Ended { last_cursor })) => {
                *self.params.cursor_mut() = Some(last_cursor);
                Step::Ended
            }
            // Lagged, or broken off by either side: the cursor that is held is the truth.
            Some(Ok(Notice::Lagged { .. })) | None => Step::Broken,
            Some(Err(error)) => {
                self.live = None;
                let message = format!("cannot understand a notice of {}: {error}", self.url);
                return Err(ClientError::bad_answer(message));
            }
        };
        match step {
            Step::Broken => self.live = None,
            Step::Ended => {
                self.live = None;
                self.ended = true;
            }
            Step::Opened | Step::Item(_) => {}
        }
        Ok(step)
    }
}

/// Connects, again and again while nobody is there, until the patience is over.
async fn connect_patiently<S: Subscribe>(
    url: &str,
    credentials: &Credentials,
    params: &S,
    patience: Duration,
) -> Result<Live<S::Item>, ClientError> {
    let give_up = tokio::time::Instant::now() + patience;
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match connect(url, credentials, params).await {
            Ok(live) => return Ok(live),
            Err(error) => error,
        };
        let may_pass = matches!(
            error.kind,
            ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::Busy | ErrorKind::RateLimited
        );
        let pause_now = pause.max(Duration::from_millis(error.retry_after_ms().unwrap_or(0)));
        if !may_pass || tokio::time::Instant::now() + pause_now >= give_up {
            return Err(error);
        }
        tokio::time::sleep(pause_now).await;
        pause = (pause * 2).min(PAUSE_LAST);
    }
}

async fn connect<S: Subscribe>(
    url: &str,
    credentials: &Credentials,
    params: &S,
) -> Result<Live<S::Item>, ClientError> {
    let mut builder = WsClientBuilder::default()
        .connection_timeout(CONNECT_TIMEOUT)
        .request_timeout(CONNECT_TIMEOUT)
        .max_response_size(ANSWER_BYTES_MAX)
        .set_headers(credentials.headers());
    if let Some(tls) = &credentials.tls {
        builder = builder.with_custom_cert_store(tls.config().clone());
    }
    let connection = builder
        .build(websocket(url))
        .await
        // What else keeps a WebSocket from opening is the way there, not an answer.
        .map_err(|error| {
            if error::turned_away(&error) {
                let message = format!("{url} does not take the token that was shown");
                return ClientError::found(ErrorKind::Unauthenticated, message);
            }
            let message = format!("cannot reach {url}: {error}");
            ClientError::found(ErrorKind::Unreachable, message)
        })?;
    let names = S::FEED;
    let notices = connection
        .subscribe(names.subscribe, ByName::of(params)?, names.unsubscribe)
        .await
        .map_err(|error| ClientError::of(url, &error))?;
    Ok(Live { notices, _connection: connection })
}

/// The same address, for WebSockets.
fn websocket(url: &str) -> String {
    match url.strip_prefix("http") {
        Some(rest) => format!("ws{rest}"),
        None => url.to_owned(),
    }
}
