//! Reads bodies of requests, and waits for no client that is too slow.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::Instant;

use super::upload::{Linger, Upload};
use crate::config::ClientLimits;
use crate::pipeline::GatewayError;

/// How long a client may be waited for on the whole, however fast it is: a call has its place meanwhile.
const LONGEST_BODY: Duration = Duration::from_secs(600);
/// Room that a body gets for having announced itself; for the rest it has to come.
const TAKEN_ON_TRUST: usize = 1 << 20;

/// Reads a request's body, in as many goes as one likes. Only waiting for the client counts against its time.
pub(super) struct Reader {
    /// Nothing where all of it is here.
    upload: Option<Upload>,
    announced: Option<usize>,
    limit: usize,
    /// A body that came in one piece is not copied.
    first: Bytes,
    all: BytesMut,
    pace: Pace,
}

/// How fast a client has to be.
struct Pace {
    limits: ClientLimits,
    /// How long the client may be waited for on the whole.
    longest: Duration,
    /// How long it has been.
    spent: Duration,
}

// === impl Reader ===

impl Reader {
    /// Of a body of at most `limit` bytes, for a call that its client wants to last no longer than `timeout`.
    ///
    /// # Errors
    /// It says of itself that it is larger.
    pub(super) fn new(
        headers: &HeaderMap,
        upload: Upload,
        limit: usize,
        limits: &ClientLimits,
        timeout: Option<Duration>,
    ) -> Result<Self, GatewayError> {
        let announced =
            headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let pace = Pace::new(*limits, timeout);
        let upload = Some(upload);
        let mut reader = Self { upload, announced, limit, first: Bytes::new(), all: BytesMut::new(), pace };
        if announced.is_some_and(|length| length > limit) {
            return Err(reader.too_large());
        }
        Ok(reader)
    }

    /// Reads until there are `enough` bytes, or all.
    pub(super) async fn fill(&mut self, enough: usize) -> Result<(), GatewayError> {
        while self.length() < enough {
            let Some(upload) = &mut self.upload else { return Ok(()) };
            let length = self.first.len() + self.all.len();
            let Some(frame) = self.pace.wait(length, upload.frame()).await? else {
                self.upload = None;
                return Ok(());
            };
            let frame = frame.map_err(|error| GatewayError::BodyBroken(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.add(data)?;
            }
        }
        Ok(())
    }

    /// The whole body.
    pub(super) async fn whole(mut self) -> Result<Bytes, GatewayError> {
        // One more than it may have, so that it is read to its end.
        self.fill(self.limit.saturating_add(1)).await?;
        Ok(if self.all.is_empty() { self.first } else { self.all.freeze() })
    }

    /// Reads on for a while what nobody wants any more.
    pub(super) fn linger(&mut self) {
        if let Some(upload) = self.upload.take() {
            upload.linger(Linger::LONG);
        }
    }

    fn length(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn add(&mut self, data: Bytes) -> Result<(), GatewayError> {
        if self.length() + data.len() > self.limit {
            return Err(self.too_large());
        }
        if self.first.is_empty() && self.all.is_empty() {
            self.first = data;
            return Ok(());
        }
        if self.all.is_empty() {
            let announced = self.announced.unwrap_or_default().min(TAKEN_ON_TRUST);
            self.all.reserve(announced.max(self.first.len() + data.len()));
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
        Ok(())
    }

    fn too_large(&mut self) -> GatewayError {
        self.linger();
        GatewayError::BodyTooLarge { limit: self.limit }
    }
}

// === impl Pace ===

impl Pace {
    fn new(limits: ClientLimits, timeout: Option<Duration>) -> Self {
        // Whoever lets clients be silent for longer means it.
        let longest = LONGEST_BODY.max(limits.body_timeout);
        Self { limits, longest: timeout.map_or(longest, |timeout| timeout.min(longest)), spent: Duration::ZERO }
    }

    /// Waits for the next piece of a body of which `length` bytes are here.
    async fn wait<T>(&mut self, length: usize, next: impl Future<Output = T>) -> Result<T, GatewayError> {
        let began = Instant::now();
        let next = tokio::time::timeout(self.left(length), next).await.map_err(|_| GatewayError::BodySlow)?;
        self.spent += began.elapsed();
        Ok(next)
    }

    /// How long the next piece may take.
    fn left(&self, length: usize) -> Duration {
        let ClientLimits { body_timeout, min_body_rate, .. } = self.limits;
        let left = body_timeout.min(self.longest.saturating_sub(self.spent));
        if min_body_rate == 0 {
            return left;
        }
        let earned = Duration::from_secs_f64(length as f64 / f64::from(min_body_rate));
        left.min((body_timeout + earned).saturating_sub(self.spent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(min_body_rate: u32, spent: u64) -> Pace {
        let limits = ClientLimits { body_timeout: Duration::from_secs(60), min_body_rate, ..ClientLimits::default() };
        Pace { spent: Duration::from_secs(spent), ..Pace::new(limits, None) }
    }

    #[test]
    fn a_body_may_be_silent_for_a_while_and_slow_on_the_whole_for_no_longer_than_its_bytes_earn() {
        for (rate, spent, length, left) in [
            (500, 0, 0, 60),
            (500, 50, 0, 10),
            (500, 60, 0, 0),
            (500, 60, 500, 1),
            (500, 60, 500_000, 60),
            (500, 300, 500 * 400, 60),
            (500, 450, 500 * 400, 10),
            (500, 461, 500 * 400, 0),
            (0, 500, 1, 60),
            (0, 590, 1 << 30, 10),
            (500, 601, 1 << 30, 0),
        ] {
            let found = pace(rate, spent).left(length);
            assert_eq!(found, Duration::from_secs(left), "{length} bytes in {spent} s at {rate} a second");
        }
    }

    #[test]
    fn a_body_has_no_longer_than_its_call_and_longer_than_ten_minutes_only_where_silence_has() {
        let limits =
            |body_timeout| ClientLimits { body_timeout: Duration::from_secs(body_timeout), ..ClientLimits::default() };
        for (body_timeout, timeout, longest) in
            [(60, None, 600), (60, Some(5), 5), (60, Some(6000), 600), (900, None, 900), (900, Some(700), 700)]
        {
            let pace = Pace::new(limits(body_timeout), timeout.map(Duration::from_secs));
            assert_eq!(pace.longest, Duration::from_secs(longest), "{body_timeout} {timeout:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_every_ten_seconds_is_too_slow() {
        let mut pace = pace(500, 0);
        let mut bytes = 0;
        let began = Instant::now();
        while pace.wait(bytes, tokio::time::sleep(Duration::from_secs(10))).await.is_ok() {
            bytes += 1;
        }
        assert!((60..=61).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
}
