//! All keys, in memory.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::callers::Callers;
use super::follow::{self, Questions};
use super::roster::Roster;
use super::{Caller, KeyHash};
use crate::limits::Limiter;
use crate::store::{Edit, Store, StoreError};

/// How long the database may take for a change.
const LONGEST_WRITE: Duration = Duration::from_secs(10);

/// Who has keys. Readers take no lock.
#[derive(Debug, Default)]
pub struct Directory {
    store: Option<Arc<dyn Store>>,
    /// What calls look into.
    callers: Callers,
    /// What managers look into, for as long as that takes and no longer.
    roster: Mutex<Roster>,
    /// The version of the database that this is; `None`: it was never read. Whoever changes something or catches up holds
    /// it, so that what is older never takes the place of what is newer.
    version: tokio::sync::Mutex<Option<i64>>,
    questions: Arc<Questions>,
    /// Who counts what they spend.
    limiter: OnceLock<Arc<Limiter>>,
}

impl Directory {
    /// Everybody in `store`, followed from now on. Should it not answer, then nobody is known until it does.
    ///
    /// # Errors
    /// What it holds can't be read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Arc<Self>, StoreError> {
        let directory = Arc::new(Self { store: Some(store), ..Self::default() });
        match directory.catch_up().await {
            Err(StoreError::Unavailable(why)) => {
                tracing::error!(why, "the directory of keys can't be read: no key but the master key is known yet");
            }
            outcome => outcome?,
        }
        // It ends with the directory.
        tokio::spawn(follow::follow(Arc::downgrade(&directory), directory.questions.clone()));
        Ok(directory)
    }

    /// The database is about to be closed: what it doesn't say any more is nothing to tell.
    pub fn end(&self) {
        self.questions.ended.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    /// Tells this one of whoever is gone.
    pub fn tell(&self, limiter: Arc<Limiter>) {
        let _ = self.limiter.set(limiter);
    }

    /// Whose key this is. One that isn't known may have been made by another gateway a moment ago, so that the database
    /// is asked what is new; all who ask at a time share one question.
    ///
    /// # Errors
    /// The database doesn't answer, and the key isn't known.
    pub async fn find(&self, hash: &KeyHash) -> Result<Option<Arc<Caller>>, StoreError> {
        if let Some(caller) = self.callers.get(hash) {
            return Ok(Some(caller));
        }
        if self.store.is_none() {
            return Ok(None);
        }
        let answer = self.questions.ask().await;
        match self.callers.get(hash) {
            Some(caller) => Ok(Some(caller)),
            None => answer.map(|()| None),
        }
    }

    /// Whether there is a database to keep keys in.
    pub fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// Looks at everybody. Calls go on meanwhile; nothing should take long in there.
    pub fn read<T>(&self, look: impl FnOnce(&Roster) -> T) -> T {
        look(&self.roster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the directory: what `decide` makes of everybody as they are now, which nobody else in this process changes
    /// meanwhile. Afterwards the database has it, and calls here meet it.
    ///
    /// # Errors
    /// `decide` refuses, or the database does.
    pub async fn change<T, E: From<StoreError>>(
        &self,
        decide: impl FnOnce(&Roster) -> Result<(Vec<Edit>, T), E>,
    ) -> Result<T, E> {
        let Some(store) = &self.store else { return Err(no_store().into()) };
        let late = || StoreError::Unavailable(format!("it did not answer within {} s", LONGEST_WRITE.as_secs()));
        let mut version = tokio::time::timeout(LONGEST_WRITE, self.version.lock()).await.map_err(|_| late())?;
        // Another gateway may have changed the same a moment ago.
        let caught_up = tokio::time::timeout(LONGEST_WRITE, self.catch_up_from(&mut version)).await;
        caught_up.map_err(|_| late())??;
        let (edits, told) = self.read(decide)?;
        if edits.is_empty() {
            return Ok(told);
        }
        let written = tokio::time::timeout(LONGEST_WRITE, store.write(&edits)).await;
        let written = written.map_err(|_| late())??;
        self.apply(edits, true);
        // If others have written in between, what they wrote is still to be read.
        if *version == Some(written - 1) {
            *version = Some(written);
        }
        Ok(told)
    }

    /// Reads what the database has that isn't here yet.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let mut version = self.version.lock().await;
        self.catch_up_from(&mut version).await
    }

    async fn catch_up_from(&self, version: &mut Option<i64>) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        if let Some(known) = *version {
            let changes = store.changes_since(known).await?;
            if changes.version >= known {
                *version = Some(changes.version);
                if !changes.edits.is_empty() {
                    self.apply(changes.edits, false);
                }
                return Ok(());
            }
            // It is another database, or an older copy of this one: nothing here is to be trusted.
            tracing::warn!(known, found = changes.version, "the database went back in time: reading all keys again");
        }
        let snapshot = store.load().await?;
        *version = Some(snapshot.version);
        let all = Roster::of(snapshot);
        let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        self.callers.replace(all.all());
        *roster = all;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn callers_for_tests(&self) -> &Callers {
        &self.callers
    }

    fn apply(&self, edits: Vec<Edit>, are_ours: bool) {
        let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = roster.gone(&edits);
        // Inside the lock, so that two changes come to calls in their order.
        self.callers.change(roster.apply(edits));
        if let Some(limiter) = self.limiter.get() {
            limiter.begin_anew(&gone, are_ours);
        }
    }
}

fn no_store() -> StoreError {
    StoreError::Unavailable("there is none".to_owned())
}
