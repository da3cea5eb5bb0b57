//! When a file that failed to load is tried again although it hasn't changed.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait after the first failure, the second, and so on; the last counts for all that follow.
const WAITS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(300)];

/// When the next attempt is, if there is one.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: usize,
    next: Option<Instant>,
}

impl Retry {
    /// It failed. Only where it is `transient` will it be tried again.
    pub(super) fn failed(&mut self, now: Instant, transient: bool) {
        let wait = WAITS.get(self.failures).or(WAITS.last()).copied().unwrap_or_default();
        self.next = transient.then(|| now + wait);
        self.failures = self.failures.saturating_add(1);
    }

    /// Somebody asks for an attempt.
    pub(super) fn ask(&mut self, now: Instant) {
        self.next = Some(now);
    }

    /// When it is to be tried.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is to be tried by now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_over_is_tried_again_ever_more_rarely() {
        let (mut retry, start) = (Retry::default(), Instant::now());
        let mut waited = Vec::new();
        for _ in 0..4 {
            retry.failed(start, true);
            waited.push(retry.next().map(|next| (next - start).as_secs()));
        }

        assert_eq!(waited, [Some(5), Some(30), Some(300), Some(300)]);
        assert!(!retry.is_due(start + Duration::from_secs(299)) && retry.is_due(start + Duration::from_secs(300)));
    }

    #[test]
    fn what_stays_wrong_is_tried_only_when_somebody_asks() {
        let (mut retry, start) = (Retry::default(), Instant::now());
        retry.failed(start, false);
        assert!(!retry.is_due(start + Duration::from_secs(9_999)));

        retry.ask(start);
        assert!(retry.is_due(start));
    }
}
