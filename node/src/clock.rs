//! The node's clock, read here and nowhere else.

use std::time::{SystemTime, UNIX_EPOCH};

use consign_types::time::Millis;

/// Now, by the system's clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(since.as_millis().try_into().unwrap_or(u64::MAX))
}
