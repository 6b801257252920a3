//! The node's clocks, read here and nowhere else.

use std::time::{SystemTime, UNIX_EPOCH};

use consign_types::time::Millis;
use rustix::time::{ClockId, clock_gettime};

/// Now, by the system's clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(since.as_millis().try_into().unwrap_or(u64::MAX))
}

/// Milliseconds that have passed since the machine was started, the time included in which it slept: what a
/// promise of so many seconds is measured by. Never goes back.
pub fn since_boot_ms() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    let millis = now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000);
    u64::try_from(millis).unwrap_or_default()
}
