//! Writes recordings to files, off the request path: whoever serves a call hands its copy over and goes on.
//!
//! When the disk is slower than the calls, recordings are dropped and counted, never calls.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, oneshot};

use super::draft::{Copied, Draft};
use crate::plugin::{Call, Manifest, Watch, Witness};

/// How many recordings may wait for the disk.
const QUEUE: usize = 256;
/// How many bytes all calls under way and all recordings that wait may hold.
const BUDGET_BYTES: usize = 256 << 20;
/// How many bytes one exchange may have.
pub(super) const MAX_EXCHANGE_BYTES: usize = 8 << 20;

/// Where recordings go, and how many at most.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder, made where it isn't there, for nobody but its owner.
    pub folder: PathBuf,
    /// No more files than this are written.
    pub max: u64,
}

/// Records every exchange.
#[derive(Debug)]
pub struct Recorder {
    jobs: mpsc::Sender<Job>,
    tally: Arc<Tally>,
}

/// What was recorded and what wasn't, and the bytes that are held for it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    held_bytes: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
}

pub(super) enum Job {
    Write(Box<Copied>),
    /// Tell when everything before it is written.
    Flush(oneshot::Sender<()>),
}

// === impl Recorder ===

impl Recorder {
    /// Makes the folder and starts the writer, on the runtime that this is called on.
    ///
    /// # Errors
    /// The folder can't be made or written to, or others may read it.
    pub fn start(options: Options) -> anyhow::Result<Arc<Self>> {
        let Options { folder, max } = options;
        make_private(&folder)?;
        tracing::warn!(
            "recording: prompts and answers are written to {}, up to {max} calls; calls that a provider takes as they \
             are pass no plugin and aren't recorded",
            folder.display()
        );
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let tally = Arc::new(Tally::default());
        tokio::spawn(write_all(waiting, folder, max, Arc::clone(&tally)));
        Ok(Arc::new(Self { jobs, tally }))
    }

    /// Waits until what was handed over is on the disk, and says how much it was.
    pub async fn finish(&self) {
        let (done, written) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
        let (written, dropped) = (self.tally.written.load(Relaxed), self.tally.dropped.load(Relaxed));
        tracing::info!(written, dropped, "recorded");
    }
}

impl Watch for Recorder {
    fn begin(&self, plugin: &Manifest, call: &Call<'_>) -> Box<dyn Witness> {
        Box::new(Draft::begin(plugin, call, self.jobs.clone(), Arc::clone(&self.tally)))
    }
}

// === impl Tally ===

impl Tally {
    /// Whether so many bytes more may be held; they are given back with [`Tally::give_back`].
    pub(super) fn take(&self, bytes: usize) -> bool {
        let fits = |held: usize| held.checked_add(bytes).filter(|held| *held <= BUDGET_BYTES);
        self.held_bytes.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Relaxed);
    }

    /// A recording is lost. The first is told at once, the others at the end.
    pub(super) fn lose(&self, why: &str) {
        if self.dropped.fetch_add(1, Relaxed) == 0 {
            tracing::warn!("a recording was dropped: {why}");
        }
    }
}

/// A folder that nobody else can look into.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("can't make {shown}"))?;
    let found = std::fs::metadata(folder).with_context(|| format!("can't look at {shown}"))?;
    if found.mode() & 0o077 != 0 {
        bail!("others may read {shown}, and prompts are to be written there: run `chmod 700 {shown}`, or name another");
    }
    Ok(())
}

async fn write_all(mut jobs: mpsc::Receiver<Job>, folder: PathBuf, max: u64, tally: Arc<Tally>) {
    while let Some(job) = jobs.recv().await {
        let copied = match job {
            Job::Write(copied) => copied,
            Job::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        if tally.written.load(Relaxed) >= max {
            tally.lose("there are as many as were asked for");
            continue;
        }
        let folder = folder.clone();
        // A JSON document of megabytes, and a disk: neither is for a thread that serves calls.
        let written = tokio::task::spawn_blocking(move || write(&folder, &copied)).await;
        match written {
            Ok(Ok(())) => drop(tally.written.fetch_add(1, Relaxed)),
            Ok(Err(error)) => tally.lose(&format!("{error:#}")),
            Err(_) => tally.lose("it could not be written as JSON"),
        }
    }
}

/// A file comes into being whole, under its name.
fn write(folder: &Path, copied: &Copied) -> anyhow::Result<()> {
    let recording = copied.recording();
    let id: String = recording.call.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let name = format!("{}-{id}.json", recording.call.created);
    let part = folder.join(format!(".{name}.part"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).context("making a file")?;
    let mut json = serde_json::to_vec_pretty(&recording)?;
    json.push(b'\n');
    file.write_all(&json).and_then(|()| std::fs::rename(&part, folder.join(name))).context("writing a file")
}
