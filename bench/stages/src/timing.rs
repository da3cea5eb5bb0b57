//! How long the parts of a call take.

use std::time::{Duration, Instant};

/// How long the parts of one call took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    /// The request's translation; in the sandbox with an instance made for it.
    pub begin: Duration,
    /// The look at the answer's head.
    pub head: Duration,
    /// The answer's translation, all events of a stream together.
    pub answer: Duration,
    /// The end of the instance, or of the translator's value.
    pub drop: Duration,
}

impl Phases {
    /// All of them, by name.
    pub fn named(&self) -> [(&'static str, Duration); 5] {
        let Self { begin, head, answer, drop } = *self;
        [("begin", begin), ("head", head), ("answer", answer), ("drop", drop), ("all", begin + head + answer + drop)]
    }
}

impl Phases {
    /// Nanoseconds with spaces between them.
    pub fn to_line(self) -> String {
        let Self { begin, head, answer, drop } = self;
        [begin, head, answer, drop].map(|time| time.as_nanos().to_string()).join(" ")
    }

    /// Reads what [`Phases::to_line`] wrote.
    pub fn parse(line: &str) -> Option<Self> {
        let mut times = line.split_ascii_whitespace().map(|time| time.parse().ok().map(Duration::from_nanos));
        let mut next = || times.next().flatten();
        Some(Self { begin: next()?, head: next()?, answer: next()?, drop: next()? })
    }
}

/// Reads a clock between the parts of a call.
#[derive(Debug)]
pub struct Clock(Instant);

impl Clock {
    /// From now on.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the last lap.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}
