//! Waiting for a condition, never for a length of time: each wait has a deadline after which it fails.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use consign_node::p2p::{Inbox, NetEvent};

/// Longest wait for anything that should come; far more than it takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not before the deadline; names what was waited for.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited too long: {what}");
        look.tick().await;
    }
}

/// The next of what came from the network that `wanted` takes.
///
/// # Panics
/// When none comes before the deadline.
pub async fn next<U>(
    what: &str,
    from: &mut Inbox,
    mut wanted: impl FnMut(NetEvent) -> Option<U>,
) -> U {
    let found = async {
        loop {
            let value = from.recv().await.unwrap_or_else(|| panic!("closed before: {what}"));
            if let Some(found) = wanted(value) {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.unwrap_or_else(|_| panic!("waited too long: {what}"))
}

/// The same, from a thread.
pub fn next_blocking<T, U>(
    what: &str,
    from: &Receiver<T>,
    mut wanted: impl FnMut(T) -> Option<U>,
) -> U {
    let begun = Instant::now();
    loop {
        let left = DEADLINE.saturating_sub(begun.elapsed());
        let value = from.recv_timeout(left).unwrap_or_else(|e| panic!("waiting for {what}: {e}"));
        if let Some(found) = wanted(value) {
            return found;
        }
    }
}
