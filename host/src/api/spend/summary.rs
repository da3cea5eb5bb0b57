//! `GET /spend/logs` with two dates: what each day came to, by key, user and model.

use http::Response;
use serde_json::{Map, Value, json};

use super::super::Body;
use super::asked::Asked;
use super::params::DAY;
use super::row;
use super::table::{Amounts, Cell, Table, money};
use crate::config::Date;
use crate::pipeline::GatewayError;
use crate::store::reports::{Bodies, CallFilter, CallRow, DailyFilter, Days, Dim, Line, Order, Reports, Sums};

const DIMS: [Dim; 4] = [Dim::Day, Dim::Key, Dim::User, Dim::Model];

/// The days that `filter` leaves something of, and after them those that follow, up to the last one asked for: LiteLLM's
/// charts want those.
pub(super) async fn of_days(
    asked: &Asked<'_>,
    reports: &Reports,
    filter: CallFilter,
) -> Result<Response<Body>, GatewayError> {
    let days = asked.params.both_days()?;
    let lines = match &filter.id {
        Some(_) => reports.page(&filter, None, 1, Bodies::Without).await?.iter().map(of_call).collect(),
        None => {
            let filter = DailyFilter { days, key: filter.key, user: filter.user, ..DailyFilter::default() };
            reports.sums(&DIMS, &filter, Order::Dims).await?
        }
    };
    Ok(asked.answer(|| Value::Array(objects(&lines, days)), || table(&lines)))
}

/// The line that a single call comes to.
fn of_call(call: &CallRow) -> Line {
    let day = Date::from_unix_days(call.started.div_euclid(DAY)).to_string();
    let sums = Sums {
        calls: 1,
        prompt_tokens: call.prompt_tokens.unwrap_or_default().into(),
        completion_tokens: call.completion_tokens.unwrap_or_default().into(),
        spent: row::spend(call).unwrap_or_default().into(),
        ..Sums::default()
    };
    Line { of: vec![day, call.key_hash.clone(), call.user_id.clone(), call.model.clone()], sums }
}

fn objects(lines: &[Line], days: Days) -> Vec<Value> {
    let mut objects: Vec<Value> = lines.chunk_by(|a, b| a.at(0) == b.at(0)).map(of_day).collect();
    let last = lines.last().and_then(|line| line.at(0).parse::<Date>().ok());
    if let (Some(last), Some(end)) = (last, days.to) {
        // A year of nothing is enough for any chart.
        let following = (last.unix_days() + 1..=end.unix_days()).take(366);
        let empty = |day: i64| {
            let day = Date::from_unix_days(day).to_string();
            json!({"startTime": day, "spend": 0.0, "users": {}, "models": {}})
        };
        objects.extend(following.map(empty));
    }
    objects
}

fn of_day(lines: &[Line]) -> Value {
    let (mut keys, mut users, mut models) = (Amounts::default(), Amounts::default(), Amounts::default());
    let mut spent = 0;
    for line in lines {
        let Sums { spent: of_line, .. } = line.sums;
        keys.add(line.at(1), of_line);
        users.add(line.at(2), of_line);
        models.add(line.at(3), of_line);
        spent += of_line;
    }
    let mut object: Map<String, Value> = keys.json();
    let day = lines.first().map_or("", |line| line.at(0));
    object.insert("startTime".to_owned(), json!(day));
    object.insert("spend".to_owned(), money(spent));
    object.insert("users".to_owned(), users.json().into());
    object.insert("models".to_owned(), models.json().into());
    Value::Object(object)
}

fn table(lines: &[Line]) -> Table {
    let line = |line: &Line| {
        let mut cells: Vec<Cell> = line.of.iter().map(|text| Cell::from(text.as_str())).collect();
        let Sums { calls, spent, .. } = line.sums;
        cells.extend([Cell::Count(calls), Cell::Count(line.sums.tokens()), Cell::Money(spent)]);
        cells
    };
    Table {
        name: "spend-by-day",
        columns: &["date", "api_key", "user", "model", "api_requests", "total_tokens", "spend"],
        lines: lines.iter().map(line).collect(),
    }
}
