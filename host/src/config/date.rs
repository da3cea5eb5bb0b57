//! A day of the calendar, for the table of retired models; nothing here needs more of a date.

use std::fmt;
use std::str::FromStr;

/// A day, in UTC. Ordered by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: i64,
    month: u8,
    day: u8,
}

/// The text is not of the form `2026-11-22`.
#[derive(Debug, thiserror::Error)]
#[error("expected a date like 2026-11-22")]
pub struct NotADate;

// === impl Date ===

impl Date {
    /// The day at `seconds` after 1970-01-01T00:00:00Z.
    pub fn from_unix_seconds(seconds: u64) -> Self {
        // Howard Hinnant's days-to-civil: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
        // Years begin in March there, so that a leap day comes last.
        let days = i64::try_from(seconds / 86_400).unwrap_or(i64::MAX / 2) + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        Self { year, month: u8::try_from(month).unwrap_or(1), day: u8::try_from(day).unwrap_or(1) }
    }

    /// How many days after 1970-01-01 it is. A day that its month doesn't have counts on into the next one.
    pub fn unix_days(self) -> i64 {
        // The same algorithm's days-from-civil.
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = self.year - i64::from(month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let march_month = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * march_month + 2) / 5 + day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The day that many days after 1970-01-01, or before the first if that is what it comes to.
    pub fn from_unix_days(days: i64) -> Self {
        Self::from_unix_seconds(u64::try_from(days).unwrap_or_default().saturating_mul(86_400))
    }

    /// `Nov 23`.
    pub fn short(self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.get(usize::from(self.month.saturating_sub(1))).copied().unwrap_or_default();
        format!("{month} {:02}", self.day)
    }
}

impl FromStr for Date {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let mut parts = text.splitn(3, '-');
        let mut part = |digits| parts.next().filter(|p| p.len() == digits).ok_or(NotADate);
        let year = part(4)?.parse().map_err(|_| NotADate)?;
        let month = part(2)?.parse().map_err(|_| NotADate)?;
        let day = part(2)?.parse().map_err(|_| NotADate)?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(NotADate);
        }
        Ok(Self { year, month, day })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_days_across_leap_years() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_735_689_599, "2024-12-31"),
            (1_795_392_000, "2026-11-23"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(Date::from_unix_seconds(seconds).to_string(), day, "{seconds}");
        }
    }

    #[test]
    fn a_date_is_its_days_and_back() {
        for days in (0..60_000).step_by(7) {
            assert_eq!(Date::from_unix_days(days).unix_days(), days);
        }
        assert_eq!("2026-11-23".parse::<Date>().unwrap().short(), "Nov 23");
        assert_eq!("1969-12-31".parse::<Date>().unwrap().unix_days(), -1);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "2026", "2026-13-01", "2026-00-01", "2026-1-1", "2026-01-32", "2026-01-01x", "yesterday"] {
            assert!(text.parse::<Date>().is_err(), "{text:?}");
        }
    }
}
