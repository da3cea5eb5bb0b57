//! Sums of the days' aggregates: no call is looked at.

use super::sql::{Question, Row, sum_of};
use super::{MOST_LINES, ReportError, Reports};
use crate::config::Date;

/// What sums are made for each of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A day, `2026-11-23`.
    Day,
    /// A key, by its hash; empty: the master key.
    Key,
    /// A user.
    User,
    /// A team.
    Team,
    /// What clients named.
    ModelGroup,
    /// A provider's own name of a model.
    Model,
    /// A provider.
    Provider,
    /// A tag, with [`Reports::tags`] only.
    Tag,
}

/// From the first day to the last, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// `None`: from the beginning.
    pub from: Option<Date>,
    /// `None`: to the end.
    pub to: Option<Date>,
}

/// Which calls are summed.
#[derive(Clone, Debug, Default)]
pub struct DailyFilter {
    /// When.
    pub days: Days,
    /// A key's hash.
    pub key: Option<String>,
    /// A user.
    pub user: Option<String>,
    /// A team.
    pub team: Option<String>,
    /// A provider's name of a model, or a model group's.
    pub model: Option<String>,
    /// Of these tags, with [`Reports::tags`] only; empty: of all.
    pub tags: Vec<String>,
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In the order of the dimensions.
    Dims,
    /// What cost most; of all, or only so many.
    Spent(Option<u32>),
    /// What was called most; only so many.
    Calls(u32),
}

/// Sums of calls that have these in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The dimensions, in the order in which they were asked for.
    pub of: Vec<String>,
    /// The sums.
    pub sums: Sums,
}

/// Exact sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Calls.
    pub calls: i128,
    /// Of those, without an answer.
    pub failed: i128,
    /// Of those, used something that nobody knows a price of.
    pub unpriced: i128,
    /// Tokens of prompts.
    pub prompt_tokens: i128,
    /// Tokens of answers.
    pub completion_tokens: i128,
    /// Of the prompts', read from a cache.
    pub cache_read_tokens: i128,
    /// Of the prompts', written to a cache.
    pub cache_write_tokens: i128,
    /// Of the answers', for thoughts.
    pub reasoning_tokens: i128,
    /// In 10⁻¹² US dollars.
    pub spent: i128,
}

// === impl Sums ===

const COLUMNS: [&str; 9] = [
    "calls",
    "failed",
    "unpriced",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "spent",
];

impl Sums {
    fn read(row: &mut Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            calls: row.sum()?,
            failed: row.sum()?,
            unpriced: row.sum()?,
            prompt_tokens: row.sum()?,
            completion_tokens: row.sum()?,
            cache_read_tokens: row.sum()?,
            cache_write_tokens: row.sum()?,
            reasoning_tokens: row.sum()?,
            spent: row.sum()?,
        })
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.unpriced += other.unpriced;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.spent += other.spent;
    }

    /// Of prompts and answers.
    pub fn tokens(&self) -> i128 {
        self.prompt_tokens + self.completion_tokens
    }
}

// === impl Dim ===

impl Dim {
    fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Key => "key_hash",
            Self::User => "user_id",
            Self::Team => "team_id",
            Self::ModelGroup => "model_group",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Tag => "tag",
        }
    }
}

// === impl Line ===

impl Line {
    /// One of the dimensions.
    pub fn at(&self, index: usize) -> &str {
        self.of.get(index).map_or("", String::as_str)
    }
}

// === impl Reports ===

impl Reports {
    /// The sums of all calls, for each combination of `dims`. No dimension: one line.
    ///
    /// # Errors
    /// The database doesn't answer in time, or with too much.
    pub async fn sums(&self, dims: &[Dim], filter: &DailyFilter, order: Order) -> Result<Vec<Line>, ReportError> {
        self.lines("daily", dims, filter, order).await
    }

    /// The sums of all calls with tags; a call with two is in both.
    ///
    /// # Errors
    /// The database doesn't answer in time, or with too much.
    pub async fn tags(&self, dims: &[Dim], filter: &DailyFilter, order: Order) -> Result<Vec<Line>, ReportError> {
        self.lines("daily_tags", dims, filter, order).await
    }

    async fn lines(
        &self,
        table: &str,
        dims: &[Dim],
        filter: &DailyFilter,
        order: Order,
    ) -> Result<Vec<Line>, ReportError> {
        let columns: Vec<&str> = dims.iter().map(|dim| dim.column()).collect();
        let sums: Vec<String> = COLUMNS.iter().map(|column| sum_of(column)).collect();
        let selected: Vec<&str> = columns.iter().copied().chain(sums.iter().map(String::as_str)).collect();
        let mut question = Question::new(format!("SELECT {} FROM {table}", selected.join(", ")));
        filter.write(&mut question);
        let columns = columns.join(", ");
        if !columns.is_empty() {
            question.push(&format!(" GROUP BY {columns}"));
        }
        let most = match order {
            Order::Dims => None,
            // The order may be a float's: what is summed is not.
            Order::Spent(most) => Some(("SUM(spent / 1000000000.0) DESC", most)),
            Order::Calls(most) => Some(("SUM(calls) DESC", Some(most))),
        };
        match most {
            _ if columns.is_empty() => {}
            None => question.push(&format!(" ORDER BY {columns}")),
            Some((by, _)) => question.push(&format!(" ORDER BY {by}, {columns}")),
        }
        question.push(" LIMIT ");
        let most = most.and_then(|(_, most)| most).unwrap_or(MOST_LINES + 1);
        question.bind(i64::from(most).into());
        let count = dims.len();
        let read = |row: &mut Row| {
            let of = (0..count).map(|_| row.text()).collect::<Result<_, _>>()?;
            Ok(Line { of, sums: Sums::read(row)? })
        };
        self.ask(question, read).await
    }
}

// === impl DailyFilter ===

impl DailyFilter {
    fn write(&self, question: &mut Question) {
        let day = |day: Option<Date>| day.map(|day| day.to_string());
        question.only_if("day >= ?", day(self.days.from).as_ref());
        question.only_if("day <= ?", day(self.days.to).as_ref());
        question.only_if("key_hash = ?", self.key.as_ref());
        question.only_if("user_id = ?", self.user.as_ref());
        question.only_if("team_id = ?", self.team.as_ref());
        if let Some(model) = &self.model {
            question.only("(model = ? OR model_group = ?)", [model.as_str().into(), model.as_str().into()]);
        }
        if let [first, rest @ ..] = &*self.tags {
            question.only("tag IN (?", [first.as_str().into()]);
            for tag in rest {
                question.push(", ");
                question.bind(tag.as_str().into());
            }
            question.push(")");
        }
    }
}
