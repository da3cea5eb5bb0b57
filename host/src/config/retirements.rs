//! Models that their providers have shut down, or soon will: `config/retirements.tsv`.
//!
//! A warning at start-up, never a refusal: sources disagree by days, and a private server may well
//! serve a model for longer. Only where the operator says so (`model_successors`) is another model called.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use super::date::Date;

/// A model whose last day is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retirement {
    /// With its provider: `anthropic/claude-sonnet-4-20250514`.
    pub model: &'static str,
    /// The first day without it.
    pub gone_since: Date,
    /// That day has come.
    pub is_gone: bool,
    /// What took its place, with its provider: the last of a line of successors, where some of them are gone as well.
    pub successor: Option<&'static str>,
}

/// What to call instead of a model that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    /// The provider, which may be another one than the model's.
    pub provider: &'static str,
    /// The provider's name for it.
    pub model: &'static str,
    /// Since when the model is gone.
    pub gone_since: Date,
}

/// What the table says of `provider/model`, as of `today`.
pub fn retirement(provider: &str, model: &str, today: Date) -> Option<Retirement> {
    Table::embedded().retirement(provider, model, today)
}

/// What to call instead of `provider/model`, if that is gone and something took its place.
pub fn successor(provider: &str, model: &str, today: Date) -> Option<Successor> {
    Table::embedded().retirement(provider, model, today)?.to_call()
}

// === impl Retirement ===

impl Retirement {
    /// What to call instead, now that it is gone.
    pub fn to_call(&self) -> Option<Successor> {
        let (provider, model) = self.successor.filter(|_| self.is_gone)?.split_once('/')?;
        Some(Successor { provider, model, gone_since: self.gone_since })
    }
}

impl fmt::Display for Retirement {
    /// `openai/dall-e-3 was shut down on 2026-05-12; successor openai/gpt-image-2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_gone { "was" } else { "will be" };
        write!(f, "{} {verb} shut down on {}", self.model, self.gone_since)?;
        self.successor.map_or(Ok(()), |successor| write!(f, "; successor {successor}"))
    }
}

/// The rows, by the provider and its name for the model.
struct Table(HashMap<(&'static str, &'static str), Row>);

struct Row {
    model: &'static str,
    gone_since: Date,
    successor: Option<&'static str>,
}

// === impl Table ===

impl Table {
    /// The one that is compiled in, parsed at its first use.
    fn embedded() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(include_str!("../../../config/retirements.tsv")))
    }

    fn parse(text: &'static str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    fn retirement(&self, provider: &str, model: &str, today: Date) -> Option<Retirement> {
        let row = self.0.get(&(provider, model))?;
        Some(Retirement {
            model: row.model,
            gone_since: row.gone_since,
            is_gone: row.gone_since <= today,
            successor: self.last_successor(row, today),
        })
    }

    /// A successor that is gone as well has one of its own, or none is left. Rows that lead in a circle lead nowhere.
    fn last_successor(&self, row: &Row, today: Date) -> Option<&'static str> {
        let mut successor = row.successor?;
        for _ in 0..self.0.len() {
            match successor.split_once('/').and_then(|name| self.0.get(&name)) {
                Some(next) if next.gone_since <= today => successor = next.successor?,
                _ => return Some(successor),
            }
        }
        None
    }
}

fn parse_line(line: &'static str) -> Option<((&'static str, &'static str), Row)> {
    let mut columns = line.split('\t');
    let (model, day, successor) = (columns.next()?, columns.next()?, columns.next()?);
    let row = Row { model, gone_since: day.parse().ok()?, successor: Some(successor).filter(|name| !name.is_empty()) };
    Some((model.split_once('/')?, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("it is a date")
    }

    #[test]
    fn a_retired_model_is_named_with_its_day_and_successor() {
        for (today, verb) in [("2026-11-22", "was"), ("2026-06-15", "was"), ("2026-06-14", "will be")] {
            let told = retirement("anthropic", "claude-sonnet-4-20250514", day(today)).expect("it is in the table");
            assert_eq!(
                told.to_string(),
                format!(
                    "anthropic/claude-sonnet-4-20250514 {verb} shut down on 2026-06-15; \
                     successor anthropic/claude-sonnet-4-6"
                )
            );
        }
        let without = retirement("openai", "o1", day("2026-11-22")).expect("it is in the table");
        assert_eq!(without.to_string(), "openai/o1 was shut down on 2026-10-23");
        assert_eq!(retirement("openai", "gpt-4o-mini", day("2026-11-22")), None);
    }

    #[test]
    fn a_successor_is_called_from_the_day_on() {
        let gone_since = day("2026-06-15");
        let expected = Successor { provider: "anthropic", model: "claude-sonnet-4-6", gone_since };
        let found = |today| successor("anthropic", "claude-sonnet-4-20250514", day(today));

        assert_eq!(found("2026-06-14"), None);
        assert_eq!(found("2026-06-15"), Some(expected));
        assert_eq!(successor("openai", "o1", day("2026-11-22")), None);
        assert_eq!(successor("anthropic", "claude-sonnet-4-6", day("2026-11-22")), None);
    }

    #[test]
    fn a_successor_that_is_gone_too_leads_on_to_its_own() {
        let table = Table::parse(
            "p/a\t2026-01-01\tp/b\np/b\t2026-02-01\tq/c\np/d\t2026-01-01\tp/e\np/e\t2026-01-01\t\n\
             p/x\t2026-01-01\tp/y\np/y\t2026-01-01\tp/x\n",
        );
        let successor = |model, today| table.retirement("p", model, day(today)).expect("it is there").successor;

        assert_eq!(successor("a", "2026-01-31"), Some("p/b"));
        assert_eq!(successor("a", "2026-02-01"), Some("q/c"));
        assert_eq!(successor("d", "2026-01-31"), None);
        assert_eq!(successor("x", "2026-01-31"), None, "a circle");
    }

    #[test]
    fn every_row_of_the_table_is_whole() {
        let text = include_str!("../../../config/retirements.tsv");
        let lines = text.lines().filter(|line| !line.starts_with(['#']) && !line.starts_with("model\t"));
        assert_eq!(lines.count(), Table::parse(text).0.len());
        for row in Table::parse(text).0.values() {
            assert!(row.successor.is_none_or(|name| name.contains('/')), "{}", row.model);
        }
    }
}
