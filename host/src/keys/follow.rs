//! Keeps the directory as the database has it, which other gateways change too.
//!
//! It is asked what is new every 300 ms, and at once when somebody comes with a key that isn't known. All who come with
//! one at a time share a question, and a question is asked every 50 ms at most: a flood of wrong keys costs the database
//! twenty small queries a second, however large it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Directory;
use crate::store::StoreError;

/// How old the directory may be.
const EVERY: Duration = Duration::from_millis(300);
/// How often the database is asked at most.
const AT_MOST_EVERY: Duration = Duration::from_millis(50);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked of the database, by all together.
#[derive(Debug)]
pub(super) struct Questions {
    /// How many have begun.
    begun: AtomicU64,
    /// Somebody wants another one.
    wanted: Notify,
    answered: watch::Sender<Answered>,
    /// The process ends, and the database is closed.
    pub(super) ended: AtomicBool,
}

/// The last question that was answered.
#[derive(Clone, Debug, Default)]
struct Answered {
    number: u64,
    failure: Option<Arc<str>>,
}

impl Default for Questions {
    fn default() -> Self {
        let (answered, _) = watch::channel(Answered::default());
        Self { begun: AtomicU64::new(0), wanted: Notify::new(), answered, ended: AtomicBool::new(false) }
    }
}

impl Questions {
    /// Waits until a question is answered that begins from now on.
    pub(super) async fn ask(&self) -> Result<(), StoreError> {
        let mut answered = self.answered.subscribe();
        let next = self.begun.load(Ordering::SeqCst) + 1;
        self.wanted.notify_one();
        // Its answer comes within one question under way and the next one.
        let waited = timeout(PATIENCE + PATIENCE + AT_MOST_EVERY, answered.wait_for(|last| last.number >= next)).await;
        match waited {
            Ok(Ok(last)) => match &last.failure {
                None => Ok(()),
                Some(failure) => Err(StoreError::Unavailable(failure.to_string())),
            },
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }
}

/// Follows the database for as long as there is a directory.
pub(super) async fn follow(directory: Weak<Directory>, questions: Arc<Questions>) {
    let mut last = Instant::now();
    let mut failing = false;
    loop {
        tokio::select! {
            () = questions.wanted.notified() => {}
            () = sleep_until(last + EVERY) => {}
        }
        sleep_until(last + AT_MOST_EVERY).await;
        let Some(directory) = directory.upgrade() else { return };
        last = Instant::now();
        let number = questions.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let outcome = timeout(PATIENCE, directory.catch_up()).await.unwrap_or_else(|_| Err(late()));
        if questions.ended.load(Ordering::SeqCst) {
            return;
        }
        match &outcome {
            Err(error) if !failing => {
                tracing::error!(%error, "the directory of keys can't be followed: keys that are known are served on");
            }
            Ok(()) if failing => tracing::info!("the directory of keys is followed again"),
            _ => {}
        }
        failing = outcome.is_err();
        let failure = outcome.err().map(|error| Arc::from(reason(&error)));
        questions.answered.send_replace(Answered { number, failure });
    }
}

fn late() -> StoreError {
    StoreError::Unavailable(format!("it did not answer within {} s", PATIENCE.as_secs()))
}

/// Why, without the words that the error puts around it.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(why) => why.clone(),
        other => other.to_string(),
    }
}
