//! Reading a request's body: whole, bounded in bytes and time, before anything else is given away.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for bodies, shared by all connections.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    /// So many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))))
    }
}

/// A body, and the memory that it takes from the budget.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    /// Given back when the request is answered.
    pub(crate) memory: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unread {
    /// Longer than it may be.
    TooLarge,
    /// Not whole in time.
    TooSlow,
    /// The memory for bodies is used up.
    Busy,
    /// The caller broke off.
    BrokenOff,
}

/// Reads a body.
pub(crate) async fn read(
    body: Body,
    bytes_max: usize,
    deadline: Duration,
    budget: &Budget,
) -> Result<Read, Unread> {
    tokio::time::timeout(deadline, collect(body, bytes_max, budget))
        .await
        .unwrap_or(Err(Unread::TooSlow))
}

async fn collect(body: Body, bytes_max: usize, budget: &Budget) -> Result<Read, Unread> {
    let mut frames = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut memory: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_| Unread::BrokenOff)?;
        if bytes.len() + frame.len() > bytes_max {
            return Err(Unread::TooLarge);
        }
        // Memory is taken as bytes arrive, so whoever announces much and sends little takes little.
        let count = u32::try_from(frame.len()).map_err(|_| Unread::TooLarge)?;
        let more = budget.0.clone().try_acquire_many_owned(count).map_err(|_| Unread::Busy)?;
        match &mut memory {
            Some(held) => held.merge(more),
            None => memory = Some(more),
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(Read { bytes: bytes.into(), memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_body_is_bounded_alone_and_together_with_others() {
        let budget = Budget::new(10);
        let first = read(Body::from("123456"), 6, FOREVER, &budget).await.expect("fits");
        assert_eq!(first.bytes, "123456");
        let long = read(Body::from("1234567"), 6, FOREVER, &budget).await;
        assert_eq!(long.expect_err("too long"), Unread::TooLarge);
        let second = read(Body::from("12345"), 6, FOREVER, &budget).await;
        assert_eq!(second.expect_err("4 bytes are left"), Unread::Busy);
        drop(first);
        assert!(read(Body::from("12345"), 6, FOREVER, &budget).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let drip =
            futures::stream::iter([Ok::<_, std::io::Error>("1")]).chain(futures::stream::pending());
        let soon = Duration::from_millis(1);
        let result = read(Body::from_stream(drip), 6, soon, &Budget::new(10)).await;
        assert_eq!(result.expect_err("never whole"), Unread::TooSlow);
    }
}
