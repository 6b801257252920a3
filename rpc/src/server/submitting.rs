//! What handing in events costs an address, and how long it may wait for what becomes of them.
//!
//! Each envelope is one request. One whose signature does not hold costs a node as much work as one that is taken,
//! and its sender nothing: it is counted many times over, as soon as that is known.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::address::Address;
use super::budget::{Seat, Seated};
use super::places::Places;
use crate::backend::{Submitter, async_trait};
use crate::errors::RpcError;
use crate::rates::Rates;

/// Requests that an envelope is counted as if its signature does not hold.
const FORGED_COST: u32 = 20;

/// Whoever hands in events in one request.
#[derive(Clone)]
pub(crate) struct Submitting {
    rates: Arc<Rates<Address>>,
    address: Address,
    /// The places of which the request has one, unless it came over a WebSocket.
    places: Option<Places>,
    /// Where it waits, if it holds much memory.
    seat: Option<Seat>,
    hurried: watch::Sender<bool>,
}

impl Submitting {
    /// A request of `address`.
    pub(crate) fn new(
        rates: Arc<Rates<Address>>,
        address: Address,
        places: Option<Places>,
        seat: Option<Seat>,
    ) -> Self {
        Self { rates, address, places, seat, hurried: watch::Sender::new(false) }
    }

    /// Counts the envelopes of a call. The call itself was counted before, and is one of them.
    pub(crate) fn count(&self, envelopes: usize) -> Result<(), RpcError> {
        let more = u32::try_from(envelopes).unwrap_or(u32::MAX).saturating_sub(1);
        let taken = self.rates.take_many(&self.address, more, Instant::now());
        taken.map_err(RpcError::rate_limited)
    }
}

#[async_trait]
impl Submitter for Submitting {
    fn forged(&self, count: usize) {
        let more = u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(FORGED_COST - 1);
        self.rates.charge(&self.address, more, Instant::now());
    }

    async fn hurried(&self) {
        let mut hurried = self.hurried.subscribe();
        let seated = self.seat.as_ref().map(Seat::join);
        let needed = async {
            let memory = Seated::sent_away(seated.as_ref());
            let Some(places) = &self.places else { return memory.await };
            let turn = places.join();
            tokio::select! {
                () = turn.sent_away() => {}
                () = memory => {}
            }
        };
        tokio::select! {
            () = needed => {
                // The other calls of a batch have the same place, and the same memory.
                self.hurried.send_replace(true);
            }
            // The sender is here, so this never fails.
            _ = hurried.wait_for(|hurried| *hurried) => {}
        }
    }
}
