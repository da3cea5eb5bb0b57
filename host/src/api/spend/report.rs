//! `GET /global/spend/report`: spend of teams, customers or keys, with what it was for.

use std::cmp::Reverse;

use http::Response;
use serde_json::{Value, json};

use super::super::Body;
use super::asked::Asked;
use super::global::team;
use super::params::DAY;
use super::table::{Cell, Table, count, money};
use crate::config::Date;
use crate::pipeline::GatewayError;
use crate::store::reports::{CallFilter, DailyFilter, Days, Dim, Line, Order, Sums};

/// `group_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Team,
    Customer,
    Key,
}

/// The report: for one key or one user it is by key, whatever `group_by` says, as in LiteLLM.
pub(super) async fn answer(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let params = &asked.params;
    let days = params.both_days()?;
    let words = [("team", By::Team), ("customer", By::Customer), ("api_key", By::Key)];
    let by = params.word("group_by", By::Team, &words)?;
    let (key, user) = (params.key(), params.text("internal_user_id"));
    let (team, customer) = (params.text("team_id"), params.text("customer_id"));
    if key.is_some() || user.is_some() || by == By::Key {
        return keys(asked, DailyFilter { days, key, user, team, ..DailyFilter::default() }).await;
    }
    if by == By::Customer || customer.is_some() {
        return customers(asked, days, team, customer).await;
    }
    teams(asked, DailyFilter { days, team, ..DailyFilter::default() }).await
}

async fn keys(asked: &Asked<'_>, filter: DailyFilter) -> Result<Response<Body>, GatewayError> {
    let lines = asked.reports()?.sums(&[Dim::Key, Dim::Model], &filter, Order::Dims).await?;
    let json = || {
        let mut keys: Vec<(Sums, Value)> = lines.chunk_by(|a, b| a.at(0) == b.at(0)).map(of_key).collect();
        keys.sort_by_key(|(sums, _)| Reverse(sums.spent));
        keys.into_iter().map(|(_, key)| key).collect()
    };
    let table = || {
        let line = |line: &Line| {
            let sums = line.sums;
            let tokens = [sums.prompt_tokens, sums.completion_tokens].map(Cell::Count);
            let [input, output] = tokens;
            vec![Cell::from(line.at(0)), Cell::from(line.at(1)), Cell::Money(sums.spent), input, output]
        };
        Table {
            name: "spend-report",
            columns: &["api_key", "model", "total_cost", "total_input_tokens", "total_output_tokens"],
            lines: lines.iter().map(line).collect(),
        }
    };
    Ok(asked.answer(json, table))
}

fn of_key(lines: &[Line]) -> (Sums, Value) {
    let mut all = Sums::default();
    let mut models = Vec::new();
    let of = |sums: &Sums| {
        json!({
            "total_cost": money(sums.spent),
            "total_input_tokens": count(sums.prompt_tokens),
            "total_output_tokens": count(sums.completion_tokens),
        })
    };
    let with = |name: &str, text: &str, mut value: Value| {
        if let Some(object) = value.as_object_mut() {
            object.insert(name.to_owned(), json!(text));
        }
        value
    };
    for line in lines {
        all.add(&line.sums);
        models.push(with("model", line.at(1), of(&line.sums)));
    }
    let mut key = with("api_key", lines.first().map_or("", |line| line.at(0)), of(&all));
    if let Some(object) = key.as_object_mut() {
        object.insert("model_details".to_owned(), Value::Array(models));
    }
    (all, key)
}

async fn teams(asked: &Asked<'_>, filter: DailyFilter) -> Result<Response<Body>, GatewayError> {
    let dims = [Dim::Day, Dim::Team, Dim::Model, Dim::Key];
    let lines = asked.reports()?.sums(&dims, &filter, Order::Dims).await?;
    let json = || {
        let of_team = |lines: &[Line]| {
            let name = lines.first().map_or("", |line| line.at(1));
            let name = if name.is_empty() { "Unassigned Team".to_owned() } else { team(asked, name) };
            json!({"team_name": name, "total_spend": spent(lines), "metadata": details(lines)})
        };
        by_day(&lines, "teams", of_team)
    };
    Ok(asked.answer(json, || table("team_id", lines.iter().map(|line| (line.at(1), line)))))
}

async fn customers(
    asked: &Asked<'_>,
    days: Days,
    team_id: Option<String>,
    customer: Option<String>,
) -> Result<Response<Body>, GatewayError> {
    let filter = CallFilter {
        from: days.from.map(|day| day.unix_days() * DAY),
        until: days.to.map(|day: Date| (day.unix_days() + 1) * DAY),
        team: team_id.clone(),
        end_user: customer.clone(),
        ..CallFilter::default()
    };
    let lines = asked.reports()?.by_end_user(&filter).await?;
    let of_both = team_id.is_some() && customer.is_some();
    let json = || {
        let of_customer = |lines: &[Line]| {
            let customer = lines.first().map_or("", |line| line.at(1));
            let mut value = json!({"customer": customer, "total_spend": spent(lines), "metadata": details(lines)});
            if let (true, Some(object), Some(id)) = (of_both, value.as_object_mut(), &team_id) {
                object.insert("team_name".to_owned(), json!(team(asked, id)));
            }
            value
        };
        by_day(&lines, if of_both { "teams_customers" } else { "customers" }, of_customer)
    };
    Ok(asked.warned_of_rows(asked.answer(json, || table("customer", lines.iter().map(|line| (line.at(1), line))))))
}

/// `[{"group_by_day", NAME: [one of these for each second dimension]}]`
fn by_day(lines: &[Line], name: &str, of: impl Fn(&[Line]) -> Value) -> Value {
    let day = |lines: &[Line]| {
        let day = lines.first().map_or("", |line| line.at(0));
        let parts: Vec<Value> = lines.chunk_by(|a, b| a.at(1) == b.at(1)).map(&of).collect();
        json!({"group_by_day": format!("{day}T00:00:00+00:00"), name: parts})
    };
    lines.chunk_by(|a, b| a.at(0) == b.at(0)).map(day).collect()
}

fn spent(lines: &[Line]) -> Value {
    money(lines.iter().map(|line| line.sums.spent).sum())
}

/// For lines of a day, something, a model and a key.
fn details(lines: &[Line]) -> Vec<Value> {
    let detail = |line: &Line| {
        let (spend, tokens) = (money(line.sums.spent), count(line.sums.tokens()));
        json!({"model": line.at(2), "api_key": line.at(3), "spend": spend, "total_tokens": tokens})
    };
    lines.iter().map(detail).collect()
}

fn table<'a>(by: &'static str, lines: impl Iterator<Item = (&'a str, &'a Line)>) -> Table {
    let columns: &'static [&'static str] = match by {
        "customer" => &["date", "customer", "model", "api_key", "spend", "total_tokens"],
        _ => &["date", "team_id", "model", "api_key", "spend", "total_tokens"],
    };
    let line = |(of, line): (&str, &Line)| {
        let (spend, tokens) = (Cell::Money(line.sums.spent), Cell::Count(line.sums.tokens()));
        vec![Cell::from(line.at(0)), of.into(), line.at(2).into(), line.at(3).into(), spend, tokens]
    };
    Table { name: "spend-report", columns, lines: lines.map(line).collect() }
}
