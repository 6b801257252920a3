//! Reading a request's body: whole, bounded in bytes and time, before anything else is given away.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt as _;

use super::budget::{Memory, Seat, Seated};

/// A body, and the memory that it takes from the budget.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    /// Given back when the request is answered.
    pub(crate) memory: Memory,
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

/// Reads a body into `memory`.
pub(crate) async fn read(
    body: Body,
    bytes_max: usize,
    deadline: Duration,
    memory: Memory,
) -> Result<Read, Unread> {
    tokio::time::timeout(deadline, collect(body, bytes_max, memory))
        .await
        .unwrap_or(Err(Unread::TooSlow))
}

async fn collect(body: Body, bytes_max: usize, mut memory: Memory) -> Result<Read, Unread> {
    let mut frames = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut seated: Option<Seated> = None;
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = Seated::sent_away(seated.as_ref()) => return Err(Unread::Busy),
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Unread::BrokenOff)?;
        if bytes.len() + frame.len() > bytes_max {
            return Err(Unread::TooLarge);
        }
        // Memory is taken as bytes arrive, so whoever announces much and sends little takes little.
        if !memory.grow(frame.len()).await {
            return Err(Unread::Busy);
        }
        bytes.extend_from_slice(&frame);
        if seated.is_none() {
            seated = memory.seat().as_ref().map(Seat::join);
        }
    }
    Ok(Read { bytes: bytes.into(), memory })
}

#[cfg(test)]
mod tests {
    use super::super::budget::{Budget, WORTH_BYTES};
    use super::*;

    const FOREVER: Duration = Duration::from_secs(3600);

    async fn read_into(body: Body, deadline: Duration, budget: &Budget) -> Result<Read, Unread> {
        let anybody = std::net::IpAddr::from([192, 0, 2, 1]).into();
        read(body, 6, deadline, budget.open(anybody)).await
    }

    #[tokio::test]
    async fn a_body_is_bounded_alone_and_together_with_others() {
        let budget = Budget::new(10, 10);
        let first = read_into(Body::from("123456"), FOREVER, &budget).await.expect("fits");
        assert_eq!(first.bytes, "123456");
        let long = read_into(Body::from("1234567"), FOREVER, &budget).await;
        assert_eq!(long.expect_err("too long"), Unread::TooLarge);
        let second = read_into(Body::from("12345"), FOREVER, &budget).await;
        assert_eq!(second.expect_err("4 bytes are left"), Unread::Busy);
        drop(first);
        assert!(read_into(Body::from("12345"), FOREVER, &budget).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let drip =
            futures::stream::iter([Ok::<_, std::io::Error>("1")]).chain(futures::stream::pending());
        let soon = Duration::from_millis(1);
        let result = read_into(Body::from_stream(drip), soon, &Budget::new(10, 10)).await;
        assert_eq!(result.expect_err("never whole"), Unread::TooSlow);
    }

    /// It holds nearly all there is. Who comes asks for more than the rest.
    #[tokio::test]
    async fn a_body_that_does_not_end_makes_room_for_one_that_does() {
        let begun = futures::stream::iter([Ok::<_, std::io::Error>(vec![b' '; WORTH_BYTES])]);
        let dripping = Body::from_stream(begun.chain(futures::stream::pending()));
        let budget = Budget::new(WORTH_BYTES + 2, 2 * WORTH_BYTES);
        let anybody = std::net::IpAddr::from([192, 0, 2, 1]).into();
        let drips = read(dripping, WORTH_BYTES, FOREVER, budget.open(anybody));
        let comes = read_into(Body::from("123456"), FOREVER, &budget);
        let (dripped, came) = tokio::join!(drips, comes);
        assert_eq!(dripped.expect_err("sent away"), Unread::Busy);
        assert_eq!(came.expect("there is room").bytes, "123456");
    }
}
