//! The rows of calls, newest first and page by page: each page begins where the last one ended, so that a long way back
//! costs no more than the first page.

use super::sql::{Bound, Question, Row, sum_of};
use super::{Line, MOST_LINES, ReportError, Reports, Sums};
use crate::config::Date;

/// Which calls.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// One call.
    pub id: Option<String>,
    /// Not before this: ms since 1970.
    pub from: Option<i64>,
    /// Before this.
    pub until: Option<i64>,
    /// A key's hash.
    pub key: Option<String>,
    /// Part of a key's alias.
    pub key_alias: Option<String>,
    /// A user.
    pub user: Option<String>,
    /// A team.
    pub team: Option<String>,
    /// `user` of the request.
    pub end_user: Option<String>,
    /// A provider's name of a model.
    pub model: Option<String>,
    /// What clients named.
    pub model_group: Option<String>,
    /// The deployment.
    pub deployment: Option<String>,
    /// Part of a session's name.
    pub session: Option<String>,
    /// A session.
    pub whole_session: Option<String>,
    /// Whether it went well.
    pub succeeded: Option<bool>,
    /// The status that the client got.
    pub status: Option<i64>,
    /// Part of the error.
    pub error: Option<String>,
    /// At least so much, in 10⁻¹² US dollars.
    pub min_spent: Option<i64>,
    /// At most so much.
    pub max_spent: Option<i64>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When calls came in.
    #[default]
    Started,
    /// When they ended.
    Ended,
    /// How long they took.
    Duration,
    /// How long until the first byte.
    FirstByte,
    /// What they cost.
    Spent,
    /// What they used.
    Tokens,
    /// The provider's name of the model.
    Model,
}

/// Where a page ended: the next one begins after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// When that call came in.
    pub started: i64,
    /// Which it was.
    pub id: String,
}

/// Whether what was asked and answered is wanted too, where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// It is.
    With,
    /// It isn't: it may be long.
    Without,
}

/// A call, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of `calls`, which the migrations describe")]
pub struct CallRow {
    pub id: String,
    pub started: i64,
    pub duration: i64,
    pub first_byte: Option<i64>,
    pub status: i64,
    pub outcome: String,
    pub operation: String,
    pub streaming: bool,
    pub key_hash: String,
    pub key_alias: String,
    pub user_id: String,
    pub team_id: String,
    pub organization_id: String,
    pub end_user: String,
    pub model_group: String,
    pub fallback: String,
    pub deployment: String,
    pub provider: String,
    pub model: String,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub cache_read_tokens: Option<i64>,
    pub cache_write_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub estimated: bool,
    pub spent: Option<i64>,
    pub spent_input: Option<i64>,
    pub spent_output: Option<i64>,
    pub retries: i64,
    pub fallbacks: i64,
    pub kind: String,
    pub error: String,
    pub tags: String,
    pub session_id: String,
    pub client_ip: String,
    pub request: Option<String>,
    pub response: Option<String>,
}

const COLUMNS: &str = "id, started, duration, first_byte, status, outcome, operation, streaming, key_hash, key_alias, \
     user_id, team_id, organization_id, end_user, model_group, fallback, deployment, provider, model, prompt_tokens, \
     completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, estimated, spent, spent_input, \
     spent_output, retries, fallbacks, kind, error, tags, session_id, client_ip";

// === impl Reports ===

impl Reports {
    /// The next page of at most `most` calls, newest first.
    ///
    /// # Errors
    /// The database doesn't answer in time.
    pub async fn page(
        &self,
        filter: &CallFilter,
        after: Option<&Place>,
        most: u32,
        bodies: Bodies,
    ) -> Result<Vec<CallRow>, ReportError> {
        let mut question = select(bodies);
        filter.write(&mut question);
        if let Some(Place { started, id }) = after {
            // The first condition is for the index, which knows no ids.
            question.only("started <= ?", [(*started).into()]);
            question.only("(started, id) < (?, ?)", [(*started).into(), id.as_str().into()]);
        }
        question.push(" ORDER BY started DESC, id DESC LIMIT ");
        question.bind(i64::from(most).into());
        self.ask(question, |row| CallRow::read(row, bodies)).await
    }

    /// So many calls after the first `skip`, in any order.
    ///
    /// # Errors
    /// The database doesn't answer in time.
    pub async fn sorted(
        &self,
        filter: &CallFilter,
        (sort, descending): (Sort, bool),
        skip: i64,
        most: u32,
    ) -> Result<Vec<CallRow>, ReportError> {
        let mut question = select(Bodies::Without);
        filter.write(&mut question);
        let direction = if descending { "DESC" } else { "ASC" };
        question.push(&format!(" ORDER BY {} {direction} NULLS LAST, id {direction} LIMIT ", sort.expression()));
        question.bind(i64::from(most).into());
        question.push(" OFFSET ");
        question.bind(skip.into());
        self.ask(question, |row| CallRow::read(row, Bodies::Without)).await
    }

    /// How many calls there are, counted to `most` at most.
    ///
    /// # Errors
    /// The database doesn't answer in time.
    pub async fn count(&self, filter: &CallFilter, most: u32) -> Result<u32, ReportError> {
        let mut question = Question::new("SELECT COUNT(*) FROM (SELECT 1 AS one FROM calls");
        filter.write(&mut question);
        question.push(" LIMIT ");
        question.bind(i64::from(most).into());
        question.push(") AS counted");
        let counted = self.ask(question, Row::number).await?;
        Ok(counted.first().map_or(0, |count| u32::try_from(*count).unwrap_or(u32::MAX)))
    }
}

impl Reports {
    /// What calls came to by day, end user, model, key and team. It looks at every call that `filter` leaves, for end
    /// users are anybody and the days' aggregates would be as many as calls.
    ///
    /// # Errors
    /// The database doesn't answer in time, or with too much.
    pub async fn by_end_user(&self, filter: &CallFilter) -> Result<Vec<Line>, ReportError> {
        let sums = ["prompt_tokens", "completion_tokens", "spent"].map(sum_of).join(", ");
        let of = "started / 86400000, end_user, model, key_hash, team_id";
        let mut question = Question::new(format!("SELECT {of}, COUNT(*), {sums} FROM calls"));
        filter.write(&mut question);
        question.push(&format!(" GROUP BY {of} ORDER BY {of} LIMIT "));
        question.bind(i64::from(MOST_LINES + 1).into());
        self.ask(question, |row| {
            let mut of = vec![Date::from_unix_days(row.number()?).to_string()];
            for _ in 0..4 {
                of.push(row.text()?);
            }
            let calls = row.number()?.into();
            let (prompt_tokens, completion_tokens) = (row.sum()?, row.sum()?);
            let sums = Sums { calls, prompt_tokens, completion_tokens, spent: row.sum()?, ..Sums::default() };
            Ok(Line { of, sums })
        })
        .await
    }
}

fn select(bodies: Bodies) -> Question {
    let more = if bodies == Bodies::With { ", request, response" } else { "" };
    Question::new(format!("SELECT {COLUMNS}{more} FROM calls"))
}

// === impl Sort ===

impl Sort {
    fn expression(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ended => "started + duration",
            Self::Duration => "duration",
            Self::FirstByte => "first_byte",
            Self::Spent => "spent",
            Self::Tokens => "COALESCE(prompt_tokens, 0) + COALESCE(completion_tokens, 0)",
            Self::Model => "model",
        }
    }
}

// === impl CallFilter ===

impl CallFilter {
    fn write(&self, question: &mut Question) {
        let mut number = |condition: &str, value: Option<i64>| {
            if let Some(value) = value {
                question.only(condition, [value.into()]);
            }
        };
        number("started >= ?", self.from);
        number("started < ?", self.until);
        number("status = ?", self.status);
        number("spent >= ?", self.min_spent);
        number("spent <= ?", self.max_spent);
        for (condition, value) in [
            ("id = ?", &self.id),
            ("key_hash = ?", &self.key),
            ("user_id = ?", &self.user),
            ("team_id = ?", &self.team),
            ("end_user = ?", &self.end_user),
            ("model = ?", &self.model),
            ("model_group = ?", &self.model_group),
            ("deployment = ?", &self.deployment),
            ("session_id = ?", &self.whole_session),
        ] {
            question.only_if(condition, value.as_ref());
        }
        for (condition, value) in [
            ("key_alias LIKE ? ESCAPE '!'", &self.key_alias),
            ("session_id LIKE ? ESCAPE '!'", &self.session),
            ("error LIKE ? ESCAPE '!'", &self.error),
        ] {
            question.only_if(condition, value.as_deref().map(containing).as_ref());
        }
        match self.succeeded {
            Some(true) => question.only("outcome = ?", [Bound::from("success")]),
            Some(false) => question.only("outcome <> ?", [Bound::from("success")]),
            None => {}
        }
    }
}

/// A pattern of what has `part` in it.
fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

// === impl CallRow ===

impl CallRow {
    /// Where a page ends that ends with it.
    pub fn place(&self) -> Place {
        Place { started: self.started, id: self.id.clone() }
    }

    fn read(row: &mut Row, bodies: Bodies) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.text()?,
            started: row.number()?,
            duration: row.number()?,
            first_byte: row.number_or_none()?,
            status: row.number()?,
            outcome: row.text()?,
            operation: row.text()?,
            streaming: row.number()? != 0,
            key_hash: row.text()?,
            key_alias: row.text()?,
            user_id: row.text()?,
            team_id: row.text()?,
            organization_id: row.text()?,
            end_user: row.text()?,
            model_group: row.text()?,
            fallback: row.text()?,
            deployment: row.text()?,
            provider: row.text()?,
            model: row.text()?,
            prompt_tokens: row.number_or_none()?,
            completion_tokens: row.number_or_none()?,
            cache_read_tokens: row.number_or_none()?,
            cache_write_tokens: row.number_or_none()?,
            reasoning_tokens: row.number_or_none()?,
            estimated: row.number()? != 0,
            spent: row.number_or_none()?,
            spent_input: row.number_or_none()?,
            spent_output: row.number_or_none()?,
            retries: row.number()?,
            fallbacks: row.number()?,
            kind: row.text()?,
            error: row.text()?,
            tags: row.text()?,
            session_id: row.text()?,
            client_ip: row.text()?,
            request: if bodies == Bodies::With { row.text_or_none()? } else { None },
            response: if bodies == Bodies::With { row.text_or_none()? } else { None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_searched_for_as_it_is() {
        assert_eq!(containing("50%_!x"), "%50!%!_!!x%");
    }
}
