//! Many rows in one statement.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// Values of one statement. When SQLite prepares one it looks for each value's name among all before it, so that long
/// statements cost by the square of their length.
const VALUES: usize = 500;

/// A value of a row.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// BIGINT.
    Number(Option<i64>),
    /// TEXT.
    Text(Option<String>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Number(Some(yes.into()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

/// Statements that write all of `rows`: `into`, the values, `then`. Nothing but placeholders is put between them.
pub(super) fn statements<const N: usize>(
    into: &'static str,
    rows: Vec<[Value; N]>,
    then: &'static str,
) -> impl Iterator<Item = Query<'static, Any, AnyArguments>> {
    let at_a_time = (VALUES / N.max(1)).max(1);
    let mut rows = rows.into_iter().peekable();
    std::iter::from_fn(move || {
        rows.peek()?;
        let some: Vec<[Value; N]> = rows.by_ref().take(at_a_time).collect();
        let sql = format!("{into} VALUES {} {then}", placeholders(some.len(), N));
        // A full one comes again as it is; others are of all lengths, and would push better ones out.
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(some.len() == at_a_time);
        for value in some.into_iter().flatten() {
            query = match value {
                Value::Number(number) => query.bind(number),
                Value::Text(text) => query.bind(text.map(without_nul)),
            };
        }
        Some(query)
    })
}

/// Postgres has no text with NUL in it. What sums are told apart by is cleaned before it is added up: two that became one
/// here would be the same row twice in one statement, which Postgres refuses.
pub fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// `($1,$2),($3,$4)`.
fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::new();
    for number in 1..=rows * columns {
        text.push_str(match number {
            1 => "($",
            _ if number % columns == 1 || columns == 1 => "),($",
            _ => ",$",
        });
        text.push_str(&number.to_string());
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on_from_row_to_row() {
        assert_eq!(placeholders(2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(placeholders(2, 1), "($1),($2)");
    }
}
