//! How long a connection may keep the gateway waiting: between two calls, in the middle of a request's headers, and with
//! an answer that it doesn't take.
//!
//! hyper has one clock for the first two, which has to be as long as the longer of them: it would give a client that
//! drips its headers as much time as a proxy keeps an idle connection. Here the first byte of a request sets the clock
//! anew. It costs a call no timer: the alarm is left where it is and, when it rings too early, set to what holds then.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::config::ClientLimits;

/// Counts the calls of one connection, and tells what of them is still on its way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    begun: AtomicUsize,
    over: AtomicUsize,
    /// The other side doesn't take at present what it is sent.
    unwritten: AtomicBool,
    /// Something came from it.
    heard: AtomicBool,
    /// Bodies that are read on though nobody wants them.
    unwanted: AtomicUsize,
    /// Where the connection came from.
    peer: Option<IpAddr>,
}

/// A call that is under way until it is dropped.
#[derive(Debug)]
pub(super) struct Call(Arc<Calls>);

/// A body is read on though nobody wants it, until this is dropped.
#[derive(Debug)]
pub(super) struct Lingering(Arc<Calls>);

/// A stream whose other side may not keep one waiting.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    waits: Waits,
    /// What is waited for at most, whichever it is.
    alarm: Pin<Box<Sleep>>,
    is_set: bool,
}

/// What is waited for, and until when.
#[derive(Debug)]
struct Waits {
    limits: ClientLimits,
    /// HTTP/2 has its own pings beneath the calls, so that bytes don't begin a request there.
    is_http2: bool,
    calls: Arc<Calls>,
    /// How many calls had begun when it was last looked.
    begun: usize,
    reading: Reading,
    /// Until when the other side has to take something.
    writing: Option<Instant>,
}

/// What reading waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// A call is under way, or nobody has looked since.
    Call,
    /// The next request.
    Idle(Instant),
    /// The rest of its headers.
    Headers(Instant),
}

// === impl Calls ===

impl Calls {
    /// Of a connection from there.
    pub(super) fn of(peer: IpAddr) -> Self {
        Self { peer: Some(peer), ..Self::default() }
    }

    /// Where the connection came from.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// A call begins.
    pub(super) fn begin(self: &Arc<Self>) -> Call {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Call(self.clone())
    }

    /// Whether one is under way.
    pub(super) fn are_under_way(&self) -> bool {
        self.over.load(Ordering::Acquire) != self.begun.load(Ordering::Relaxed)
    }

    /// Whether there is something of them that the other side hasn't taken.
    pub(super) fn have_unwritten(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// A body that nobody wants is read on: it may outlast the answer.
    pub(super) fn linger(self: &Arc<Self>) -> Lingering {
        self.unwanted.fetch_add(1, Ordering::Relaxed);
        Lingering(self.clone())
    }

    /// Whether there is such a body.
    pub(super) fn have_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::Relaxed) > 0
    }

    /// Whether anything came since it was last listened for.
    pub(super) fn were_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Listens from now on.
    pub(super) fn listen_anew(&self) {
        self.heard.store(false, Ordering::Relaxed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::Release);
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.unwanted.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Waits ===

impl Waits {
    fn note_calls(&mut self) {
        let begun = self.calls.begun.load(Ordering::Relaxed);
        if begun != self.begun {
            self.begun = begun;
            self.reading = Reading::Call;
        }
    }

    /// Bytes came.
    fn came(&mut self, now: impl FnOnce() -> Instant) {
        if self.is_http2 {
            self.calls.heard.store(true, Ordering::Relaxed);
            return;
        }
        self.note_calls();
        let begins = !self.calls.are_under_way() && !self.calls.have_unwanted();
        if begins && !matches!(self.reading, Reading::Headers(_)) {
            self.reading = Reading::Headers(now() + self.limits.header_timeout);
        }
    }

    /// No bytes are there: until when there have to be.
    fn reading_until(&mut self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        self.note_calls();
        if self.calls.are_under_way() {
            self.reading = Reading::Call;
        } else if self.reading == Reading::Call {
            self.reading = Reading::Idle(now() + self.limits.idle_timeout);
        }
        match self.reading {
            Reading::Call => None,
            Reading::Idle(until) | Reading::Headers(until) => Some(until),
        }
    }

    /// Nothing could be written: until when it has to go on.
    fn writing_until(&mut self, now: impl FnOnce() -> Instant) -> Instant {
        *self.writing.get_or_insert_with(|| {
            self.calls.unwritten.store(true, Ordering::Relaxed);
            now() + self.limits.write_timeout
        })
    }

    /// Something could.
    fn written(&mut self) {
        if self.writing.take().is_some() {
            self.calls.unwritten.store(false, Ordering::Relaxed);
        }
    }
}

// === impl Patient ===

impl<S> Patient<S> {
    /// Around the stream of a connection whose calls are `calls`.
    pub(super) fn new(stream: S, limits: ClientLimits, is_http2: bool, calls: &Arc<Calls>) -> Self {
        let waits = Waits { limits, is_http2, calls: calls.clone(), begun: 0, reading: Reading::Call, writing: None };
        let alarm = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { stream, waits, alarm, is_set: false }
    }

    /// An error once it is later than `until`; wakes the task then.
    fn check(&mut self, until: Option<Instant>, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(until) = until.into_iter().chain(self.waits.writing).min() else { return Ok(()) };
        if !self.is_set || self.alarm.deadline() > until {
            self.alarm.as_mut().reset(until);
            self.is_set = true;
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if self.alarm.deadline() >= until {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long"));
            }
            // It was set for something that has come meanwhile.
            self.alarm.as_mut().reset(until);
        }
        Ok(())
    }

    fn written(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            let until = self.waits.writing_until(Instant::now);
            self.check(Some(until), cx)?;
        } else {
            self.waits.written();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_pending() {
            let until = this.waits.reading_until(Instant::now);
            this.check(until, cx)?;
        } else if buf.filled().len() > before {
            this.waits.came(Instant::now);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An answer ends here, and hyper may not read again before something comes: the connection is idle from now on.
        let until = self.waits.reading_until(Instant::now);
        self.check(until, cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const LIMITS: ClientLimits = ClientLimits {
        header_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(120),
        body_timeout: Duration::from_secs(60),
        min_body_rate: 0,
        write_timeout: Duration::from_secs(60),
        max_connections: None,
        max_connections_per_ip: None,
    };

    fn patient(is_http2: bool) -> (Patient<DuplexStream>, DuplexStream, Arc<Calls>) {
        let (here, there) = tokio::io::duplex(16);
        let calls = Arc::new(Calls::default());
        (Patient::new(here, LIMITS, is_http2, &calls), there, calls)
    }

    /// How long it took until reading failed.
    async fn reads_until_late(patient: &mut Patient<DuplexStream>) -> u64 {
        let began = Instant::now();
        let mut byte = [0];
        loop {
            if let Err(error) = patient.read_exact(&mut byte).await {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return began.elapsed().as_secs();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_idle() {
        for is_http2 in [false, true] {
            let (mut patient, _there, _calls) = patient(is_http2);
            assert_eq!(reads_until_late(&mut patient).await, 120, "{is_http2}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_drip_have_as_long_as_those_that_stop() {
        let (mut patient, mut there, _calls) = patient(false);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            while there.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
        assert_eq!(reads_until_late(&mut patient).await, 120, "100 s of nothing, 20 s of headers");
    }

    #[tokio::test(start_paused = true)]
    async fn pings_of_http2_are_no_request_and_no_reason_to_stay() {
        let (mut patient, mut there, _calls) = patient(true);
        tokio::spawn(async move {
            while there.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
        });
        assert!((120..=121).contains(&reads_until_late(&mut patient).await));
    }

    #[tokio::test(start_paused = true)]
    async fn during_a_call_nothing_has_to_come_and_what_comes_after_it_is_the_next_request() {
        for (is_http2, then) in [(false, 20), (true, 120)] {
            let (mut patient, mut there, calls) = patient(is_http2);
            there.write_all(b"headers").await.expect("there is room");
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                let call = calls.begin();
                tokio::time::sleep(Duration::from_secs(1000)).await;
                drop(call);
                let _ = there.write_all(b"x").await;
                tokio::time::sleep(Duration::from_secs(10_000)).await;
            });
            assert_eq!(reads_until_late(&mut patient).await, 1010 + then, "{is_http2}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_its_answer_is_out_though_nobody_reads_again() {
        let (mut patient, _there, calls) = patient(false);
        let call = calls.begin();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut byte = [0];
        assert!(Pin::new(&mut patient).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending());
        drop(call);
        patient.flush().await.expect("it is in time");
        let began = Instant::now();
        // What hyper would be woken for.
        patient.alarm.as_mut().await;
        assert_eq!(began.elapsed().as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_over_before_anybody_looked_ends_the_clock_of_its_headers() {
        let (mut patient, mut there, calls) = patient(false);
        there.write_all(b"x").await.expect("there is room");
        patient.read_exact(&mut [0]).await.expect("it came");
        drop(calls.begin());
        assert_eq!(reads_until_late(&mut patient).await, 120);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_body_that_nobody_wants_is_no_request() {
        let (mut patient, mut there, calls) = patient(false);
        let call = calls.begin();
        let lingering = calls.linger();
        drop(call);
        patient.flush().await.expect("it is in time");
        tokio::spawn(async move {
            for _ in 0..5 {
                there.write_all(b"x").await.expect("there is room");
                // By then it was read.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            drop(lingering);
            tokio::time::sleep(Duration::from_secs(10_000)).await;
        });
        assert_eq!(reads_until_late(&mut patient).await, 120, "it is idle from its answer on");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_ends_and_one_that_is_taken_slowly_does_not() {
        let (mut patient, mut there, calls) = patient(false);
        let (watched, _call) = (calls.clone(), calls.begin());
        let began = Instant::now();
        let reader = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                there.read_exact(&mut [0]).await.expect("more comes");
            }
            there
        });
        assert!(!watched.have_unwritten());
        let error = patient.write_all(&[7; 100]).await.expect_err("nobody reads on");
        assert!(watched.have_unwritten());
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 560));
        drop(reader);
    }
}
