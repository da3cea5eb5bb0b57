//! What a report is asked for: the query's parameters, each with an error that names it.

use std::str::FromStr;

use http::{HeaderMap, header};

use crate::config::Date;
use crate::keys::KeyHash;
use crate::money::Money;
use crate::pipeline::GatewayError;
use crate::store::reports::Days;

/// A day in ms.
pub(super) const DAY: i64 = 86_400_000;

/// The parameters of one request.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
}

// === impl Params ===

impl Params {
    /// # Errors
    /// A value can't be looked for in any database.
    pub(super) fn read(query: Option<&str>) -> Result<Self, GatewayError> {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let pairs: Vec<(String, String)> = pairs.into_owned().collect();
        // Postgres has no such texts.
        match pairs.iter().find(|(_, value)| value.contains('\0')) {
            Some((name, _)) => Err(GatewayError::invalid(name.chars().take(64).collect::<String>(), "It holds a NUL.")),
            None => Ok(Self(pairs)),
        }
    }

    /// A text; an empty one is none.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(known, value)| known == name && !value.trim().is_empty())?;
        Some(value.clone())
    }

    /// A key, which is asked for by its hash: a key itself becomes that here.
    pub(super) fn key(&self) -> Option<String> {
        let key = self.text("api_key")?;
        Some(if key.starts_with("sk-") { KeyHash::of(key.as_bytes()).to_string() } else { key })
    }

    /// # Errors
    /// It is no such number, or out of these bounds.
    pub(super) fn number<T>(&self, name: &str, least: T, most: T) -> Result<Option<T>, GatewayError>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.trim().parse::<T>() {
            Ok(number) if number >= least && number <= most => Ok(Some(number)),
            _ => Err(GatewayError::invalid(name, format!("'{name}' must be a number from {least} to {most}."))),
        }
    }

    /// An amount of money, in 10⁻¹² US dollars.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn dollars(&self, name: &str) -> Result<Option<i64>, GatewayError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.trim().parse::<Money>() {
            Ok(money) => Ok(Some(money.pico())),
            Err(_) => Err(GatewayError::invalid(name, format!("'{name}' must be an amount of US dollars."))),
        }
    }

    /// # Errors
    /// It is neither yes nor no.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, GatewayError> {
        match self.text(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None => Ok(default),
            Some("true" | "1" | "yes" | "on" | "t" | "y") => Ok(true),
            Some("false" | "0" | "no" | "off" | "f" | "n") => Ok(false),
            Some(_) => Err(GatewayError::invalid(name, format!("'{name}' must be true or false."))),
        }
    }

    /// One of several words.
    ///
    /// # Errors
    /// It is none of them.
    pub(super) fn word<T: Copy>(&self, name: &str, default: T, words: &[(&str, T)]) -> Result<T, GatewayError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim())) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(GatewayError::invalid(name, format!("'{name}' must be one of {}.", words.join(", "))))
            }
        }
    }

    /// `start_date` and `end_date`, as far as they are given.
    ///
    /// # Errors
    /// One of them is no date, or they are the wrong way round.
    pub(super) fn days(&self) -> Result<Days, GatewayError> {
        let days = Days { from: self.date("start_date")?, to: self.date("end_date")? };
        match days {
            Days { from: Some(from), to: Some(to) } if from > to => Err(wrong_way_round()),
            days => Ok(days),
        }
    }

    /// The same where LiteLLM wants both.
    ///
    /// # Errors
    /// They are missing or wrong.
    pub(super) fn both_days(&self) -> Result<Days, GatewayError> {
        for name in ["start_date", "end_date"] {
            if self.text(name).is_none() {
                return Err(GatewayError::invalid(name, "Please provide start_date and end_date, as YYYY-MM-DD."));
            }
        }
        self.days()
    }

    fn date(&self, name: &str) -> Result<Option<Date>, GatewayError> {
        self.text(name).map(|text| date(name, text.trim())).transpose()
    }

    /// `start_date` and `end_date` as moments, from the first (included) to the second (not included): days, or with a
    /// time of day.
    ///
    /// # Errors
    /// One of them is no date, or they are the wrong way round.
    pub(super) fn moments(&self) -> Result<(Option<i64>, Option<i64>), GatewayError> {
        let read = |name: &str, of_day: i64, of_second: i64| -> Result<Option<i64>, GatewayError> {
            let Some(text) = self.text(name) else { return Ok(None) };
            let text = text.trim();
            match text.split_once([' ', 'T']) {
                None => Ok(Some(date(name, text)?.unix_days() * DAY + of_day)),
                Some((day, time)) => {
                    let time = time_of_day(time).ok_or_else(|| no_date(name, text, " or YYYY-MM-DD HH:MM:SS"))?;
                    Ok(Some(date(name, day)?.unix_days() * DAY + time + of_second))
                }
            }
        };
        let (from, until) = (read("start_date", 0, 0)?, read("end_date", DAY, 1000)?);
        match (from, until) {
            (Some(from), Some(until)) if from >= until => Err(wrong_way_round()),
            moments => Ok(moments),
        }
    }

    /// What the query says, or else what the headers do.
    ///
    /// # Errors
    /// It is a format that nobody writes.
    pub(super) fn format(&self, headers: &HeaderMap) -> Result<Format, GatewayError> {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = |one: &str| one.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let accepted = accepted.split(',').map(kind).find_map(|kind| match &*kind {
            "text/csv" => Some(Format::Csv),
            "application/json" => Some(Format::Json),
            _ => None,
        });
        self.word("format", accepted.unwrap_or(Format::Json), &[("json", Format::Json), ("csv", Format::Csv)])
    }

    /// Refuses what narrows a report in LiteLLM and would be passed over here.
    ///
    /// # Errors
    /// One of them is given.
    pub(super) fn without(&self, names: &[&str]) -> Result<(), GatewayError> {
        match names.iter().find(|name| self.text(name).is_some()) {
            Some(name) => Err(GatewayError::invalid(*name, format!("'{name}' is not supported here."))),
            None => Ok(()),
        }
    }
}

fn date(name: &str, text: &str) -> Result<Date, GatewayError> {
    let date = text.parse::<Date>().ok();
    // The thirtieth of February is another day than what it says.
    let date = date.filter(|date| (0..2_000_000).contains(&date.unix_days()));
    date.filter(|date| Date::from_unix_days(date.unix_days()) == *date).ok_or_else(|| no_date(name, text, ""))
}

fn no_date(name: &str, text: &str, or: &str) -> GatewayError {
    let text: String = text.chars().take(40).collect();
    GatewayError::invalid(name, format!("'{name}' must be a date of the form YYYY-MM-DD{or}, got '{text}'."))
}

fn wrong_way_round() -> GatewayError {
    GatewayError::invalid("end_date", "'end_date' must not be before 'start_date'.")
}

/// `HH:MM:SS`, in ms.
fn time_of_day(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let mut parts = text.split(':');
    let mut part =
        |most: i64| parts.next().filter(|part| part.len() == 2)?.parse().ok().filter(|n| (0..most).contains(n));
    let (hours, minutes, seconds): (i64, i64, i64) = (part(24)?, part(60)?, part(60)?);
    parts.next().is_none().then_some(((hours * 60 + minutes) * 60 + seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Params {
        Params::read(Some(query)).unwrap()
    }

    #[test]
    fn days_are_read_and_what_is_none_is_told_by_its_name() {
        let days = of("start_date=2026-02-28&end_date=2026-03-01").both_days().unwrap();
        assert_eq!(days.to.unwrap().unix_days() - days.from.unwrap().unix_days(), 1);
        for (query, param) in [
            ("start_date=2026-02-30&end_date=2026-03-01", "start_date"),
            ("start_date=2026-02-01&end_date=1/3/2026", "end_date"),
            ("start_date=2026-02-01", "end_date"),
            ("", "start_date"),
            ("start_date=2026-02-02&end_date=2026-02-01", "end_date"),
            ("start_date=1969-01-01&end_date=2026-02-01", "start_date"),
        ] {
            let error = of(query).both_days().unwrap_err();
            assert!(matches!(&error, GatewayError::Invalid { param: name, .. } if name == param), "{query}: {error:?}");
        }
    }

    #[test]
    fn a_moment_is_a_day_to_its_end_or_a_time_of_day() {
        let day = 20_000 * DAY; // 2024-10-04
        for (query, moments) in [
            ("start_date=2024-10-04&end_date=2024-10-04", (Some(day), Some(day + DAY))),
            ("start_date=2024-10-04%2000:00:01&end_date=2024-10-04T00:00:01Z", (Some(day + 1000), Some(day + 2000))),
            ("end_date=2024-10-04", (None, Some(day + DAY))),
        ] {
            assert_eq!(of(query).moments().unwrap(), moments, "{query}");
        }
        for query in ["start_date=2024-10-04%2025:00:00", "start_date=2024-10-04%201:2:3", "start_date=2024-10-04%20"] {
            // A blank alone is trimmed.
            assert_eq!(of(query).moments().is_err(), !query.ends_with("%20"), "{query}");
        }
    }

    #[test]
    fn the_query_wins_over_what_a_client_accepts() {
        let mut headers = HeaderMap::new();
        assert_eq!(of("").format(&headers).unwrap(), Format::Json);
        headers.insert(header::ACCEPT, "text/csv;q=1, */*".parse().unwrap());
        assert_eq!(of("").format(&headers).unwrap(), Format::Csv);
        assert_eq!(of("format=json").format(&headers).unwrap(), Format::Json);
        assert!(of("format=xml").format(&headers).is_err());
        headers.insert(header::ACCEPT, "application/json, text/csv".parse().unwrap());
        assert_eq!(of("").format(&headers).unwrap(), Format::Json);
    }

    #[test]
    fn numbers_flags_and_texts_have_bounds() {
        assert!(Params::read(Some("e=a%00b")).is_err());
        let params = of("a=5&b=x&c=&d=TRUE");
        assert_eq!(params.number("a", 1, 5).unwrap(), Some(5));
        assert!(params.number("a", 1, 4).is_err());
        assert!(params.number("b", 1, 4).is_err());
        assert_eq!(params.number("c", 1, 4).unwrap(), None);
        assert!(params.flag("d", false).unwrap());
        assert!(params.flag("b", false).is_err());
    }
}
