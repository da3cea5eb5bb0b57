//! Where the log's lines go: into memory first, and from there to standard error on a thread of its own.
//!
//! A request never waits for whoever reads the log, and costs no system call: lines are gathered for a few milliseconds
//! and written together. Where the reader is stuck, the log loses lines and says how many; calls go on.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use super::{Format, Line};

/// How long lines are gathered before they are written. A process that is killed loses no more than these.
const GATHER: Duration = Duration::from_millis(5);
/// What waits for a reader at most: some 20,000 lines.
const MOST_BYTES: usize = 8 << 20;
/// What is kept of a buffer that was larger.
const KEPT_BYTES: usize = 64 << 10;
/// How long the end of the process waits for a stuck reader.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Takes lines from everywhere. Cloned cheaply.
#[derive(Clone, Debug)]
pub(super) struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Lines are there, and the writer waits for some.
    lines_there: Condvar,
    /// Everything is written.
    all_written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    dropped: u64,
    writer: Writer,
}

/// What the writing thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    /// Writes, or gathers: it looks by itself.
    #[default]
    Busy,
    /// Waits to be woken.
    Asleep,
}

impl Sink {
    /// Starts writing to `out`.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn start(out: impl Write + Send + 'static, format: Format) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let sink = Self(Arc::clone(&shared));
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write(out, format))?;
        Ok(sink)
    }

    /// Adds a line, its end included.
    pub(super) fn push(&self, line: &[u8]) {
        let wake = {
            let mut state = self.0.lock();
            if state.waiting.len() + line.len() > MOST_BYTES {
                state.dropped += 1;
            } else {
                state.waiting.extend_from_slice(line);
            }
            mem::replace(&mut state.writer, Writer::Busy) == Writer::Asleep
        };
        if wake {
            self.0.lines_there.notify_one();
        }
    }

    /// Waits until everything is written, for a while.
    pub(super) fn flush(&self) {
        let until = Instant::now() + LAST_WORDS;
        let mut state = self.0.lock();
        // Asleep means that it found nothing left to write.
        while state.writer != Writer::Asleep {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.all_written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writing thread's whole life, which ends with the process.
    fn write(&self, mut out: impl Write, format: Format) {
        let mut batch = Vec::new();
        loop {
            let dropped = self.next(&mut batch);
            // A log that nobody reads any more is no reason to do anything else differently.
            let _ = out.write_all(&batch);
            if dropped > 0 {
                let mut line =
                    Line::new(format, "WARN", "lines of the log were lost: they weren't read as fast as they came");
                line.number("lost", Some(dropped));
                let _ = out.write_all(&line.finish());
            }
            let _ = out.flush();
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
            thread::sleep(GATHER);
        }
    }

    /// Waits for lines, and takes all that are there.
    fn next(&self, batch: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            state.writer = Writer::Asleep;
            self.all_written.notify_all();
            state = self.lines_there.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Busy;
        mem::swap(&mut state.waiting, batch);
        mem::take(&mut state.dropped)
    }
}

/// tracing formats an event and hands it over as one slice.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Sink {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Tells of each write, and waits until it may.
    struct Reader {
        writes: mpsc::Sender<Vec<u8>>,
        may: mpsc::Receiver<()>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes.send(bytes.to_vec()).map_err(io::Error::other)?;
            self.may.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink() -> (Sink, mpsc::Receiver<Vec<u8>>, mpsc::Sender<()>) {
        let ((writes, written), (go, may)) = (mpsc::channel(), mpsc::channel());
        (Sink::start(Reader { writes, may }, Format::Json).unwrap(), written, go)
    }

    #[test]
    fn lines_that_come_while_others_are_written_are_written_together() {
        let (sink, written, go) = sink();
        sink.push(b"one\n");
        assert_eq!(written.recv().unwrap(), b"one\n");
        sink.push(b"two\n");
        sink.push(b"three\n");
        go.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"two\nthree\n");
        go.send(()).unwrap();
        sink.flush();
        assert!(sink.0.lock().waiting.is_empty());
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_is_told_how_many() {
        let (sink, written, go) = sink();
        sink.push(b"stuck\n");
        written.recv().unwrap();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..10 {
            sink.push(&line);
        }
        go.send(()).unwrap();
        assert_eq!(written.recv().unwrap().len(), MOST_BYTES);
        go.send(()).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&written.recv().unwrap()).unwrap();
        assert_eq!((&told["level"], &told["lost"]), (&"WARN".into(), &2.into()), "two lines were too many");
    }
}
