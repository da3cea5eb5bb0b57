//! How long to wait before the same deployment is asked again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// LiteLLM's numbers: `INITIAL_RETRY_DELAY`, `MAX_RETRY_DELAY`, `JITTER`.
const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(8);
const JITTER: Duration = Duration::from_millis(750);

/// The wait before retry number `retry` (from 0): what the provider said; else twice as long each time, and not less
/// than `least`. Some more, different for each call, so that calls that failed together don't come back together.
pub(super) fn wait(retry: u32, told: Option<Duration>, least: Duration, call_id: &str) -> Duration {
    let wait = match told.filter(|told| !told.is_zero()) {
        // Said again and again, it is no longer taken at its word.
        Some(told) => told.max(least).max(retry.checked_sub(1).map_or(Duration::ZERO, doubled)),
        None => doubled(retry).max(least),
    };
    // Of a wait that was told, little: it is exact already.
    let most = JITTER.min(wait / 4);
    wait + most.mul_f64(share(call_id, retry))
}

fn doubled(retry: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(retry)).min(MOST)
}

/// From 0 to 1, always the same for a call's retry.
fn share(call_id: &str, retry: u32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (call_id, retry).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    #[test]
    fn waits_double_up_to_eight_seconds_and_a_bit() {
        for (retry, least) in [(0, 500), (1, 1000), (2, 2000), (4, 8000), (40, 8000)] {
            let wait = wait(retry, None, ZERO, "call").as_millis();
            assert!((least..=least + 750).contains(&wait), "{retry}: {wait}");
        }
    }

    #[test]
    fn the_providers_word_is_kept_and_never_undercut() {
        let told = Duration::from_secs(3);
        let wait_for = |told, least| wait(0, told, least, "call");
        assert!(wait_for(Some(told), ZERO) >= told && wait_for(Some(told), ZERO) < told + JITTER);
        assert!(wait_for(Some(told), Duration::from_secs(5)) >= Duration::from_secs(5));
        assert!(wait_for(None, Duration::from_secs(20)) >= Duration::from_secs(20));
        assert!(wait_for(Some(ZERO), ZERO) >= FIRST);
    }

    #[test]
    fn calls_that_failed_together_come_back_apart() {
        let mut waits: Vec<Duration> = (0..100).map(|call| wait(1, None, ZERO, &call.to_string())).collect();
        waits.sort();
        waits.dedup();
        assert_eq!(waits.len(), 100);
        assert_eq!(wait(1, None, ZERO, "7"), wait(1, None, ZERO, "7"));
    }
}
