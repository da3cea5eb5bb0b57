//! Questions, put together of fixed pieces and bound values, and their answers.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, ValueRef as _};

/// A question. What comes from outside is in `values` only.
#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) sql: String,
    pub(super) values: Vec<Bound>,
    conditions: usize,
}

/// A value that is bound.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    Number(i64),
    Text(String),
}

impl From<i64> for Bound {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Bound {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Bound {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One row of an answer, read from its first column to its last.
pub(super) enum Row {
    Sqlite(SqliteRow, usize),
    Postgres(PgRow, usize),
}

// === impl Question ===

impl Question {
    /// One that begins so.
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new(), conditions: 0 }
    }

    /// Goes on.
    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds a condition; each `?` of it is one of `values`.
    pub(super) fn only<const N: usize>(&mut self, condition: &str, values: [Bound; N]) {
        self.push(if self.conditions == 0 { " WHERE " } else { " AND " });
        self.conditions += 1;
        let mut values = values.into_iter();
        for piece in condition.split_inclusive('?') {
            match piece.strip_suffix('?').and_then(|text| Some((text, values.next()?))) {
                Some((text, value)) => {
                    self.push(text);
                    self.bind(value);
                }
                None => self.push(piece),
            }
        }
    }

    /// Adds a condition if there is a value for it.
    pub(super) fn only_if(&mut self, condition: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.only(condition, [value.as_str().into()]);
        }
    }

    /// Goes on with a value.
    pub(super) fn bind(&mut self, value: Bound) {
        self.values.push(value);
        self.push(&format!("${}", self.values.len()));
    }
}

// === impl Row ===

macro_rules! next {
    ($row:expr, $kind:ty) => {
        match $row {
            Row::Sqlite(row, at) => {
                *at += 1;
                row.try_get::<$kind, _>(*at - 1)
            }
            Row::Postgres(row, at) => {
                *at += 1;
                row.try_get::<$kind, _>(*at - 1)
            }
        }
    };
}

impl Row {
    /// The next column.
    pub(super) fn text(&mut self) -> Result<String, sqlx::Error> {
        next!(self, String)
    }

    /// The next column, where there may be nothing.
    pub(super) fn text_or_none(&mut self) -> Result<Option<String>, sqlx::Error> {
        next!(self, Option<String>)
    }

    /// The next column.
    pub(super) fn number(&mut self) -> Result<i64, sqlx::Error> {
        next!(self, i64)
    }

    /// The next column, where there may be nothing.
    pub(super) fn number_or_none(&mut self) -> Result<Option<i64>, sqlx::Error> {
        // SQLite gives nothing the type of nothing, which is no number.
        if let Row::Sqlite(row, at) = self
            && row.try_get_raw(*at)?.is_null()
        {
            *at += 1;
            return Ok(None);
        }
        next!(self, Option<i64>)
    }

    /// The next two columns, which are the thousand millions and the rest of a sum: see [`sum_of`].
    pub(super) fn sum(&mut self) -> Result<i128, sqlx::Error> {
        let (high, low) = (self.number()?, self.number()?);
        Ok(i128::from(high) * PART + i128::from(low))
    }
}

const PART: i128 = 1_000_000_000;

/// The sum of a column as two numbers: SQLite's sums end with an error where they exceed 64 bits, and Postgres's are
/// of a type of their own.
pub(super) fn sum_of(column: &str) -> String {
    let half = |operator| format!("CAST(COALESCE(SUM({column} {operator} {PART}), 0) AS BIGINT)");
    format!("{}, {}", half("/"), half("%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_bound() {
        let mut question = Question::new("SELECT a FROM b");
        question.only("c = ?", ["'; DROP TABLE b; --".into()]);
        question.only_if("d = ?", None);
        question.only("(e, f) < (?, ?)", [1.into(), "?".into()]);
        question.push(" LIMIT ");
        question.bind(7.into());
        assert_eq!(question.sql, "SELECT a FROM b WHERE c = $1 AND (e, f) < ($2, $3) LIMIT $4");
        assert_eq!(question.values.len(), 4);
    }
}
