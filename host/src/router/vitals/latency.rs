//! How quick a deployment is.

use std::time::Duration;

use tokio::time::Instant;

/// How much a new measurement moves the average.
const WEIGHT: f64 = 0.2;
/// In this time without a measurement an average comes down to 1/e, so that who was slow once is asked again.
const FADING: Duration = Duration::from_secs(30);
/// Latencies that LiteLLM's strategy averages.
const SAMPLES: usize = 10;
/// First bytes that a quantile is taken of.
const FIRST_BYTES: usize = 128;
/// A quantile of fewer says nothing.
const ENOUGH_FIRST_BYTES: usize = 20;
/// LiteLLM's seconds for a call that timed out.
const TIMED_OUT: f64 = 1000.0;

/// How quick a deployment is, as far as it was measured.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Of whole answers: how long a stream takes its reader decides, too.
    per_token: Pace,
    first_of_stream: Pace,
    first_bytes_of_streams: FirstBytes,
    /// A whole answer shows nothing until it is there.
    whole_answers: FirstBytes,
}

/// Microseconds to the first byte, of the last calls; the oldest is overwritten.
#[derive(Debug)]
struct FirstBytes {
    micros: [u32; FIRST_BYTES],
    count: usize,
}

/// Seconds for an output token, or to the first piece of a stream.
#[derive(Debug, Default)]
struct Pace {
    average: Option<(f64, Instant)>,
    samples: [Option<(f64, Instant)>; SAMPLES],
    next: usize,
}

impl Pace {
    fn measured(&mut self, seconds: f64, now: Instant) {
        let average = self.average.map_or(seconds, |(average, _)| average + WEIGHT * (seconds - average));
        self.average = Some((average, now));
        self.sampled(seconds, now);
    }

    fn sampled(&mut self, seconds: f64, now: Instant) {
        if let Some(sample) = self.samples.get_mut(self.next % SAMPLES) {
            *sample = Some((seconds, now));
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// The average, faded with the time since the last measurement.
    fn average(&self, now: Instant) -> Option<f64> {
        let (average, at) = self.average?;
        let age = now.saturating_duration_since(at);
        Some(average * (-age.as_secs_f64() / FADING.as_secs_f64()).exp())
    }

    /// The mean of the last samples that are younger than `ttl`.
    fn mean(&self, ttl: Duration, now: Instant) -> Option<f64> {
        let young = self.samples.iter().flatten().filter(|(_, at)| now.saturating_duration_since(*at) < ttl);
        let (sum, count) = young.fold((0.0, 0u32), |(sum, count), (seconds, _)| (sum + seconds, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

impl Default for FirstBytes {
    fn default() -> Self {
        Self { micros: [0; FIRST_BYTES], count: 0 }
    }
}

impl FirstBytes {
    fn measured(&mut self, time: Duration) {
        if let Some(oldest) = self.micros.get_mut(self.count % FIRST_BYTES) {
            *oldest = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        }
        // Below twice its length the count tells how many there are.
        self.count = if self.count + 1 == 2 * FIRST_BYTES { FIRST_BYTES } else { self.count + 1 };
    }

    fn quantile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.micros;
        let sorted = sorted.get_mut(..self.count.min(FIRST_BYTES))?;
        if sorted.len() < ENOUGH_FIRST_BYTES {
            return None;
        }
        let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        let (_, micros, _) = sorted.select_nth_unstable(rank.saturating_sub(1));
        Some(Duration::from_micros(u64::from(*micros)))
    }
}

impl Latency {
    /// The first piece of an answer was here after `time`.
    pub(super) fn first_byte(&mut self, time: Duration, streaming: bool, now: Instant) {
        if streaming {
            self.first_bytes_of_streams.measured(time);
            self.first_of_stream.measured(time.as_secs_f64(), now);
        } else {
            self.whole_answers.measured(time);
        }
    }

    /// An answer of so many tokens, no stream, was there after `time`; of one without tokens it is the time itself that
    /// counts.
    pub(super) fn whole(&mut self, time: Duration, tokens: u64, now: Instant) {
        self.per_token.measured(time.as_secs_f64() / tokens.max(1) as f64, now);
    }

    /// A call timed out after `time`.
    pub(super) fn timed_out(&mut self, time: Duration, streaming: bool, now: Instant) {
        let paces = std::iter::once(&mut self.per_token).chain(streaming.then_some(&mut self.first_of_stream));
        for pace in paces {
            pace.measured(time.as_secs_f64(), now);
            // In the place of the sample that was just taken.
            pace.next = (pace.next + SAMPLES - 1) % SAMPLES;
            pace.sampled(TIMED_OUT, now);
        }
    }

    /// Seconds for an output token, or to the first piece of a stream: the moving average.
    pub(super) fn average(&self, streaming: bool, now: Instant) -> Option<f64> {
        self.pace(streaming).average(now)
    }

    /// The same as LiteLLM takes it: the mean of the last ten; of streams that of whole answers if there was none yet.
    pub(super) fn mean(&self, streaming: bool, ttl: Duration, now: Instant) -> Option<f64> {
        self.pace(streaming).mean(ttl, now).or_else(|| self.per_token.mean(ttl, now))
    }

    fn pace(&self, streaming: bool) -> &Pace {
        if streaming { &self.first_of_stream } else { &self.per_token }
    }

    /// The time within which this share of the last streams, or of the last whole answers, showed something.
    pub(super) fn first_byte_quantile(&self, share: f64, streaming: bool) -> Option<Duration> {
        let last = if streaming { &self.first_bytes_of_streams } else { &self.whole_answers };
        last.quantile(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_of_the_last_calls_and_none_of_few() {
        let now = Instant::now();
        let mut latency = Latency::default();
        for millis in 1..20 {
            latency.first_byte(Duration::from_millis(millis), false, now);
        }
        assert_eq!(latency.first_byte_quantile(0.5, false), None);
        latency.first_byte(Duration::from_millis(20), false, now);
        assert_eq!(latency.first_byte_quantile(0.5, false), Some(Duration::from_millis(10)));
        assert_eq!(latency.first_byte_quantile(0.95, false), Some(Duration::from_millis(19)));
        assert_eq!(latency.first_byte_quantile(1.0, false), Some(Duration::from_millis(20)));
        for _ in 0..1000 {
            latency.first_byte(Duration::from_millis(7), false, now);
        }
        assert_eq!(latency.first_byte_quantile(0.0, false), Some(Duration::from_millis(7)));
        assert_eq!(latency.first_byte_quantile(1.0, false), Some(Duration::from_millis(7)));
    }

    #[test]
    fn streams_and_whole_answers_have_quantiles_of_their_own() {
        let now = Instant::now();
        let mut latency = Latency::default();
        for _ in 0..20 {
            latency.first_byte(Duration::from_millis(300), true, now);
        }
        assert_eq!(latency.first_byte_quantile(0.95, false), None, "of whole answers nothing is known");
        for _ in 0..100 {
            latency.first_byte(Duration::from_secs(20), false, now);
        }
        assert_eq!(latency.first_byte_quantile(0.95, true), Some(Duration::from_millis(300)));
        assert_eq!(latency.first_byte_quantile(0.05, false), Some(Duration::from_secs(20)));
    }

    #[test]
    fn ten_samples_count_and_only_young_ones() {
        let start = Instant::now();
        let ttl = Duration::from_secs(60);
        let mut latency = Latency::default();
        latency.timed_out(Duration::from_secs(3), false, start);
        assert_eq!(latency.mean(false, ttl, start), Some(1000.0));
        assert_eq!(latency.average(false, start), Some(3.0));
        for _ in 0..10 {
            latency.whole(Duration::from_secs(2), 100, start);
        }
        assert!((latency.mean(false, ttl, start).expect("it was measured") - 0.02).abs() < 1e-9);
        assert_eq!(latency.mean(false, ttl, start + ttl), None);
    }

    #[test]
    fn an_average_fades() {
        let start = Instant::now();
        let mut latency = Latency::default();
        latency.whole(Duration::from_secs(600), 0, start);
        let later = latency.average(false, start + Duration::from_secs(300)).expect("it was measured");
        assert!(later < 0.1, "{later}");
    }

    #[test]
    fn streams_are_measured_by_their_first_piece() {
        let now = Instant::now();
        let mut latency = Latency::default();
        latency.whole(Duration::from_secs(2), 100, now);
        assert_eq!(latency.average(true, now), None);
        assert_eq!(latency.mean(true, Duration::from_secs(9), now), Some(0.02));
        latency.first_byte(Duration::from_millis(300), true, now);
        assert_eq!(latency.mean(true, Duration::from_secs(9), now), Some(0.3));
    }
}
