//! Which period of a budget holds.
//!
//! Periods follow each other without a gap from the first one's beginning, and the one that holds is computed whenever it
//! is asked for: a budget is new in the very moment in which its period is, without anybody who resets it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, UtcOffset};

use super::Span;
use crate::keys::Period;

/// 1970-01-05, the first Monday of computers.
const MONDAY: Duration = Duration::from_secs(4 * 86_400);

/// One period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its first moment.
    pub since: SystemTime,
    /// The first moment after it.
    pub until: SystemTime,
}

// === impl Term ===

impl Term {
    /// The period that holds at `now`, where they are as long as `span` and the first began at `first`. Before that it is
    /// the first one.
    ///
    /// Periods begin with whole milliseconds, as the database knows no finer moments.
    pub fn of(span: Span, first: SystemTime, now: SystemTime) -> Self {
        let since = first.duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or_default());
        match span {
            Span::Seconds(seconds) => fixed(Duration::from_secs(seconds.max(1)), first, now),
            Span::Months(months) => by_calendar(months.max(1), first, now),
        }
    }
}

/// That of a key's, a user's or a team's budget; `None`: its text is no span of time.
pub fn term(period: &Period, now: SystemTime) -> Option<Term> {
    Some(Term::of(Span::parse(&period.text).ok()?, period.since, now))
}

/// A first beginning for a period that nobody has begun: a Monday at midnight UTC, or the first of a month, so that `1d`,
/// `7d` and `1mo` begin when people expect it.
pub(crate) fn usual_beginning(span: Span) -> SystemTime {
    match span {
        Span::Seconds(_) => UNIX_EPOCH + MONDAY,
        Span::Months(_) => UNIX_EPOCH,
    }
}

fn fixed(length: Duration, first: SystemTime, now: SystemTime) -> Term {
    let passed = now.duration_since(first).unwrap_or_default();
    let into = passed.as_nanos().checked_rem(length.as_nanos()).unwrap_or_default();
    let (seconds, nanos) = (into / 1_000_000_000, into % 1_000_000_000);
    let into = Duration::new(u64::try_from(seconds).unwrap_or_default(), u32::try_from(nanos).unwrap_or_default());
    let since = first + passed.saturating_sub(into);
    Term { since, until: since + length }
}

fn by_calendar(step: u32, first: SystemTime, now: SystemTime) -> Term {
    let now = now.max(first);
    let month = |moment: SystemTime| {
        let moment = OffsetDateTime::from(moment).to_offset(UtcOffset::UTC);
        moment.year().saturating_mul(12).saturating_add(i32::from(u8::from(moment.month())))
    };
    // From the first one always, so that the 31st is forgotten by no shorter month.
    let beginning = |number: u32| match number {
        0 => first,
        number => Span::Months(number.saturating_mul(step)).after(first).unwrap_or(SystemTime::UNIX_EPOCH),
    };
    let passed = u32::try_from(month(now).saturating_sub(month(first))).unwrap_or_default();
    // The month has come; its day may not have.
    let number = passed / step;
    let number = if beginning(number) > now { number.saturating_sub(1) } else { number };
    Term { since: beginning(number), until: beginning(number.saturating_add(1)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn date(text: &str) -> SystemTime {
        let text = format!("{text}T00:00:00Z");
        OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339).expect("a date").into()
    }

    #[test]
    fn a_period_ends_in_the_moment_in_which_the_next_begins() {
        for (now, since) in [(100, 100), (129, 100), (130, 130), (159, 130), (160, 160), (50, 100)] {
            let term = Term::of(Span::Seconds(30), at(100), at(now));
            assert_eq!(term, Term { since: at(since), until: at(since + 30) }, "{now}");
        }
    }

    #[test]
    fn months_are_the_calendars_and_the_31st_is_the_last_day_of_a_shorter_one() {
        for (now, since, until) in [
            ("2024-02-28", "2024-01-31", "2024-02-29"),
            ("2024-02-29", "2024-02-29", "2024-03-31"),
            ("2024-12-30", "2024-11-30", "2024-12-31"),
            ("2025-01-01", "2024-12-31", "2025-01-31"),
            ("2023-01-01", "2024-01-31", "2024-02-29"),
        ] {
            let term = Term::of(Span::Months(1), date("2024-01-31"), date(now));
            assert_eq!(term, Term { since: date(since), until: date(until) }, "{now}");
        }
        let quarter = Term::of(Span::Months(3), date("2024-11-15"), date("2025-06-01"));
        assert_eq!(quarter, Term { since: date("2025-05-15"), until: date("2025-08-15") });
    }

    #[test]
    fn a_day_a_week_and_a_month_that_nobody_began_begin_as_people_expect() {
        let now = date("2026-11-25") + Duration::from_secs(40_000);
        for (text, since) in [("1d", "2026-11-25"), ("7d", "2026-11-23"), ("1mo", "2026-11-01")] {
            let span = Span::parse(text).expect("a span");
            assert_eq!(Term::of(span, usual_beginning(span), now).since, date(since), "{text}");
        }
    }

    #[test]
    fn a_period_begins_with_a_whole_millisecond() {
        let first = at(100) + Duration::from_nanos(1_999_999);
        for span in [Span::Seconds(30), Span::Months(1)] {
            let term = Term::of(span, first, first);
            assert_eq!(term.since, at(100) + Duration::from_millis(1), "{span:?}");
            assert_eq!(Term::of(span, term.since, first), term, "as it comes back from the database");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_in_one_period_and_periods_follow_each_other(
            first in 0u64..4_000_000_000, after in 0u64..400_000_000, length in 1u64..100_000_000, months in 1u32..30
        ) {
            let (first, now) = (at(first), at(first + after));
            for span in [Span::Seconds(length), Span::Months(months)] {
                let term = Term::of(span, first, now);
                prop_assert!(term.since <= now && now < term.until);
                prop_assert_eq!(Term::of(span, first, term.until).since, term.until);
            }
        }
    }
}
