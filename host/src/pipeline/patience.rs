//! How long to wait for what.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Deployment;
use crate::upstream::UpstreamError;

/// How long one attempt waits for what. Its clock runs from the attempt's beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    began: Instant,
    /// For a whole answer.
    total: Duration,
    /// For the first piece of a stream.
    first: Duration,
    /// Between two pieces of a stream.
    pub(super) idle: Duration,
    /// For a whole stream.
    lasting: Option<Duration>,
    /// The caller gives up sooner than the deployment would have to answer; or, second, between two pieces of a stream.
    hurried: (bool, bool),
}

/// What the client said about waiting; its word comes before the deployment's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// `timeout`, or the header `x-litellm-timeout`: for the whole call, all attempts and waits together; of a stream,
    /// for its first piece, and between two.
    pub(super) total: Option<Duration>,
    /// `stream_timeout`, or `x-litellm-stream-timeout`: for the first piece of a stream.
    pub(super) first: Option<Duration>,
}

/// No call takes longer to be answered, unless somebody says so: OpenAI's SDKs wait as long.
const LONGEST_CALL: Duration = Duration::from_secs(600);

impl Limits {
    /// When the caller gives up. `first` is the deployment that is asked first: what it is allowed on its own is never
    /// cut short.
    pub(super) fn deadline(&self, began: Instant, first: &Deployment) -> Instant {
        began + self.total.unwrap_or_else(|| first.timeout.max(LONGEST_CALL))
    }

    /// An attempt's share of what is left until `deadline`.
    pub(super) fn patience(
        &self,
        deployment: &Deployment,
        streaming: bool,
        now: Instant,
        deadline: Instant,
    ) -> Patience {
        let left = deadline.saturating_duration_since(now);
        let total = self.total.unwrap_or(deployment.timeout).min(left);
        let first = self.first.or(deployment.stream_timeout).unwrap_or(total).min(left);
        let own_idle = deployment.routing.idle_timeout.unwrap_or(deployment.timeout);
        let idle = self.total.unwrap_or(own_idle);
        let of_a_stream = first < deployment.stream_timeout.unwrap_or(deployment.timeout);
        let hurried = if streaming { of_a_stream } else { total < deployment.timeout };
        let lasting = deployment.routing.max_stream_duration;
        Patience { began: now, total, first, idle, lasting, hurried: (hurried, idle < own_idle) }
    }
}

impl Patience {
    /// What is left of the time for a whole answer.
    pub(super) fn for_all(&self) -> Duration {
        self.total.saturating_sub(self.began.elapsed())
    }

    /// What is left of the time for the first piece of a stream.
    pub(super) fn for_first(&self) -> Duration {
        self.first.saturating_sub(self.began.elapsed())
    }

    /// What may pass until the next piece of a stream: nothing, when the stream has lasted long enough. `begun`: it has
    /// said something already; until then whoever waits for the first piece has the clock.
    pub(super) fn for_more(&self, begun: bool) -> Duration {
        match self.lasting {
            _ if !begun => self.for_first() + Duration::from_secs(1),
            None => self.idle,
            Some(lasting) => self.idle.min(lasting.saturating_sub(self.began.elapsed())),
        }
    }

    /// What became of waiting, told as what it was: where somebody else's time ran out it says nothing about the
    /// deployment. `begun`: the stream has said something already.
    pub(super) fn judge(&self, error: UpstreamError, begun: bool) -> UpstreamError {
        let UpstreamError::Timeout { waiting_for, after } = error else { return error };
        match self.lasting {
            Some(lasting) if begun && self.began.elapsed() >= lasting => {
                UpstreamError::OutOfTime { waiting_for: "end of the answer", after: lasting }
            }
            _ if (begun && self.hurried.1) || (!begun && self.hurried.0) => {
                UpstreamError::OutOfTime { waiting_for, after }
            }
            _ => UpstreamError::Timeout { waiting_for, after },
        }
    }

    /// Too long was waited for the first piece.
    pub(super) fn no_first(&self) -> UpstreamError {
        UpstreamError::Timeout { waiting_for: "first event", after: self.first }
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// There isn't that much time left.
    pub(super) async fn sleep(&self, time: Duration) -> Result<(), UpstreamError> {
        if time >= self.for_all() {
            return Err(UpstreamError::Timeout { waiting_for: "answer", after: self.total });
        }
        tokio::time::sleep(time).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::deployment;

    #[tokio::test(start_paused = true)]
    async fn a_clients_timeout_is_for_all_attempts_and_a_deployments_for_each() {
        let mut slow = deployment("m");
        slow.timeout = Duration::from_secs(30);
        let began = Instant::now();
        let own = Limits::default();
        assert_eq!(own.deadline(began, &slow), began + LONGEST_CALL);
        assert_eq!(
            own.patience(&slow, false, began + Duration::from_secs(40), began + LONGEST_CALL).total,
            slow.timeout
        );

        let hurried = Limits { total: Some(Duration::from_secs(10)), first: None };
        let deadline = hurried.deadline(began, &slow);
        let second = hurried.patience(&slow, false, began + Duration::from_secs(8), deadline);
        assert_eq!(
            (second.total, second.first, second.idle),
            (Duration::from_secs(2), Duration::from_secs(2), Duration::from_secs(10))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_it_has_lasted_long_enough() {
        let mut talkative = deployment("m");
        talkative.routing.idle_timeout = Some(Duration::from_secs(5));
        talkative.routing.max_stream_duration = Some(Duration::from_secs(60));
        let now = Instant::now();
        let patience = Limits::default().patience(&talkative, true, now, now + LONGEST_CALL);
        assert_eq!(patience.for_more(true), Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(58)).await;
        assert_eq!(patience.for_more(true), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(patience.for_more(true), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_in_a_hurry_says_nothing_about_the_deployment() {
        let mut slow = deployment("m");
        slow.timeout = Duration::from_secs(30);
        let timeout = || UpstreamError::Timeout { waiting_for: "answer", after: Duration::from_secs(1) };
        let now = Instant::now();
        let is_own = |total: Option<u64>, left, begun| {
            let limits = Limits { total: total.map(Duration::from_secs), first: None };
            let patience = limits.patience(&slow, begun, now, now + Duration::from_secs(left));
            matches!(patience.judge(timeout(), begun), UpstreamError::OutOfTime { .. })
        };
        assert!(!is_own(None, 600, false) && !is_own(None, 600, true));
        assert!(!is_own(Some(900), 900, false), "the deployment had all its time");
        assert!(is_own(Some(5), 5, false) && is_own(Some(5), 5, true));
        assert!(is_own(None, 5, false), "others had used the call's time up");
    }
}
