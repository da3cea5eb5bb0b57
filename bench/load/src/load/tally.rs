//! Counts of one run: one thread's, so that nothing is locked.

use std::cell::{Cell, Ref, RefCell};

use crate::measure::Times;

/// What was seen so far. Answers, chunks and times count within the window only; errors always.
#[derive(Debug)]
pub(crate) struct Tally {
    measuring: Cell<bool>,
    stopped: Cell<bool>,
    answers: Cell<u64>,
    chunks: Cell<u64>,
    begun: Cell<u64>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
    latency: RefCell<Times>,
    first: RefCell<Times>,
    lag: RefCell<Times>,
}

// === impl Tally ===

impl Default for Tally {
    fn default() -> Self {
        let times = || RefCell::new(Times::new());
        Self {
            measuring: Cell::new(false),
            stopped: Cell::new(false),
            answers: Cell::new(0),
            chunks: Cell::new(0),
            begun: Cell::new(0),
            errors: Cell::new(0),
            first_error: RefCell::new(None),
            latency: times(),
            first: times(),
            lag: times(),
        }
    }
}

impl Tally {
    pub(super) fn begin(&self) {
        self.measuring.set(true);
    }

    pub(super) fn end(&self) {
        self.measuring.set(false);
    }

    /// Callers end with the call they are at.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    pub(super) fn answered(&self, nanos: u64) {
        if self.measuring.get() {
            self.answers.set(self.answers.get() + 1);
            self.latency.borrow_mut().record(nanos);
        }
    }

    /// Text arrived, for the first time in its answer.
    pub(super) fn began(&self, nanos: u64) {
        self.begun.set(self.begun.get() + 1);
        if self.measuring.get() {
            self.first.borrow_mut().record(nanos);
        }
    }

    /// Chunks arrived.
    pub(super) fn arrived(&self, chunks: u64) {
        if self.measuring.get() {
            self.chunks.set(self.chunks.get() + chunks);
        }
    }

    /// A chunk took that long from the fake.
    pub(super) fn lagged(&self, nanos: u64) {
        if self.measuring.get() {
            self.lag.borrow_mut().record(nanos);
        }
    }

    pub(super) fn failed(&self, error: &impl ToString) {
        self.errors.set(self.errors.get() + 1);
        self.first_error.borrow_mut().get_or_insert_with(|| error.to_string());
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers.get()
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.chunks.get()
    }

    /// Answers whose first text arrived, in the window or not.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.get()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.get()
    }

    pub(crate) fn first_error(&self) -> Option<String> {
        self.first_error.borrow().clone()
    }

    pub(crate) fn latency(&self) -> Ref<'_, Times> {
        self.latency.borrow()
    }

    pub(crate) fn first(&self) -> Ref<'_, Times> {
        self.first.borrow()
    }

    pub(crate) fn lag(&self) -> Ref<'_, Times> {
        self.lag.borrow()
    }
}
