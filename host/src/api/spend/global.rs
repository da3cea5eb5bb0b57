//! `GET /global/spend` and what is below it: everybody's spend, by what it was for. Without dates it is the last thirty
//! days' and today's, as in LiteLLM.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::super::{Body, respond};
use super::asked::Asked;
use super::table::{Amounts, Cell, Table, count, money};
use crate::config::Date;
use crate::pipeline::GatewayError;
use crate::store::reports::{DailyFilter, Days, Dim, Line, Order, Sums};

/// How far back a report goes that says nothing of dates.
const LAST: i64 = 30;
/// The most that a client may ask for by number.
const MOST: u32 = 10_000;
/// LiteLLM's chart of teams shows so many.
const TEAMS: usize = 10;
/// What has no team.
const NO_TEAM: &str = "Unassigned";

/// The days that are asked for.
fn days(asked: &Asked<'_>) -> Result<Days, GatewayError> {
    let days = asked.params.days()?;
    if days != Days::default() {
        return Ok(days);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let today = Date::from_unix_seconds(now).unix_days();
    Ok(Days { from: Some(Date::from_unix_days(today - LAST)), to: None })
}

fn filter(asked: &Asked<'_>) -> Result<DailyFilter, GatewayError> {
    let params = &asked.params;
    let (key, team) = (params.key(), params.text("team_id"));
    Ok(DailyFilter { days: days(asked)?, key, team, user: params.text("user_id"), ..DailyFilter::default() })
}

/// `GET /global/spend`: all of it.
pub(super) async fn total(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let lines = asked.reports()?.sums(&[], &filter(asked)?, Order::Dims).await?;
    let spent = lines.first().map_or(0, |line| line.sums.spent);
    let max_budget = asked.max_budget();
    let table = || Table {
        name: "spend",
        columns: &["spend", "max_budget"],
        lines: vec![vec![Cell::Money(spent), max_budget.map_or(Cell::Nothing, |max| Cell::Money(max.pico().into()))]],
    };
    let max = max_budget.map_or(Value::Null, |max| money(max.pico().into()));
    Ok(asked.answer(|| json!({"spend": money(spent), "max_budget": max}), table))
}

/// `GET /global/spend/logs`: each day's; with `api_key` that key's.
pub(super) async fn days_of(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let filter = filter(asked)?;
    let dims: &[Dim] = if filter.key.is_some() { &[Dim::Day, Dim::Key] } else { &[Dim::Day] };
    let lines = asked.reports()?.sums(dims, &filter, Order::Dims).await?;
    let columns: &'static [&'static str] =
        if filter.key.is_some() { &["date", "spend", "api_key"] } else { &["date", "spend"] };
    let line = |line: &Line| {
        let mut cells = vec![Cell::from(line.at(0)), Cell::Money(line.sums.spent)];
        cells.extend(line.of.get(1).map(|key| Cell::from(key.as_str())));
        cells
    };
    Ok(Table { name: "spend-by-day", columns, lines: lines.iter().map(line).collect() }.answer(asked.format))
}

/// `GET /global/spend/keys`: those that spent most.
pub(super) async fn keys(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let most = asked.params.number("limit", 1, MOST)?;
    let lines = asked.reports()?.sums(&[Dim::Key], &filter(asked)?, Order::Spent(most)).await?;
    let line = |line: &Line| {
        let (alias, name) = asked.key_names(line.at(0));
        vec![Cell::from(line.at(0)), Cell::from(alias), Cell::from(name), Cell::Money(line.sums.spent)]
    };
    let columns = &["api_key", "key_alias", "key_name", "total_spend"];
    Ok(Table { name: "spend-by-key", columns, lines: lines.iter().map(line).collect() }.answer(asked.format))
}

/// `GET /global/spend/models`: those that cost most, ten by default.
pub(super) async fn models(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let most = asked.params.number("limit", 1, MOST)?.unwrap_or(10);
    // One more, for calls that no model answered are none's.
    let lines = asked.reports()?.sums(&[Dim::Model], &filter(asked)?, Order::Spent(Some(most + 1))).await?;
    let named = lines.iter().filter(|line| !line.at(0).is_empty()).take(most as usize);
    let lines = named.map(|line| vec![Cell::from(line.at(0)), Cell::Money(line.sums.spent)]).collect();
    Ok(Table { name: "spend-by-model", columns: &["model", "total_spend"], lines }.answer(asked.format))
}

/// `GET /global/spend/provider`
pub(super) async fn providers(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let filter = DailyFilter { days: asked.params.both_days()?, ..filter(asked)? };
    let lines = asked.reports()?.sums(&[Dim::Provider], &filter, Order::Spent(None)).await?;
    let named = lines.iter().filter(|line| !line.at(0).is_empty());
    let lines = named.map(|line| vec![Cell::from(line.at(0)), Cell::Money(line.sums.spent)]).collect();
    Ok(Table { name: "spend-by-provider", columns: &["provider", "spend"], lines }.answer(asked.format))
}

/// `GET /global/spend/teams`: each day's, by the names of teams.
pub(super) async fn teams(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let lines = asked.reports()?.sums(&[Dim::Day, Dim::Team], &filter(asked)?, Order::Dims).await?;
    let named: Vec<(&str, String, i128)> =
        lines.iter().map(|line| (line.at(0), team(asked, line.at(1)), line.sums.spent)).collect();
    let json = || {
        let mut totals = Amounts::default();
        let mut daily = Vec::new();
        for day in named.chunk_by(|a, b| a.0 == b.0) {
            let mut of_day = Amounts::default();
            for (_, team, spent) in day {
                totals.add(team, *spent);
                of_day.add(team, *spent);
            }
            let mut object = Map::from_iter([("date".to_owned(), json!(day.first().map_or("", |line| line.0)))]);
            object.extend(of_day.json());
            daily.push(Value::Object(object));
        }
        let teams: Vec<&str> = totals.names().collect();
        let most = totals.most_first().into_iter().take(TEAMS);
        let most: Vec<Value> =
            most.map(|(team, spent)| json!({"team_id": team, "total_spend": money(spent)})).collect();
        json!({"daily_spend": daily, "teams": teams, "total_spend_per_team": most})
    };
    let table = || Table {
        name: "spend-by-team",
        columns: &["date", "team", "spend"],
        lines: named
            .iter()
            .map(|(day, team, spent)| vec![Cell::from(*day), Cell::from(team.as_str()), Cell::Money(*spent)])
            .collect(),
    };
    Ok(asked.answer(json, table))
}

/// What people call a team.
pub(super) fn team(asked: &Asked<'_>, id: &str) -> String {
    if id.is_empty() { NO_TEAM.to_owned() } else { asked.team_name(id).unwrap_or_else(|| id.to_owned()) }
}

/// `GET /global/spend/tags`
pub(super) async fn tags(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let wanted = asked.params.text("tags").unwrap_or_default();
    let mut tags: Vec<String> =
        wanted.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    if tags.iter().any(|tag| tag == "all-tags") {
        tags.clear();
    }
    if tags.len() > 100 {
        return Err(GatewayError::invalid("tags", "'tags' may name 100 tags at most."));
    }
    let filter = DailyFilter { days: asked.params.both_days()?, tags, ..DailyFilter::default() };
    let lines = asked.reports()?.tags(&[Dim::Tag], &filter, Order::Spent(None)).await?;
    let json = || {
        let tag = |line: &Line| {
            let Sums { calls, spent, .. } = line.sums;
            json!({"name": line.at(0), "spend": money(spent), "log_count": count(calls)})
        };
        json!({"spend_per_tag": lines.iter().map(tag).collect::<Vec<_>>()})
    };
    Ok(asked.answer(json, || of_tags(&lines)))
}

/// `GET /spend/tags`
pub(super) async fn tag_list(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let filter = DailyFilter { days: asked.params.days()?, ..DailyFilter::default() };
    let lines = asked.reports()?.tags(&[Dim::Tag], &filter, Order::Spent(None)).await?;
    Ok(of_tags(&lines).answer(asked.format))
}

/// `GET /global/spend/all_tag_names`
pub(super) async fn tag_names(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let lines = asked.reports()?.tags(&[Dim::Tag], &DailyFilter::default(), Order::Dims).await?;
    let names: Vec<&str> = lines.iter().map(|line| line.at(0)).collect();
    Ok(respond::json(StatusCode::OK, &json!({"tag_names": names})))
}

fn of_tags(lines: &[Line]) -> Table {
    let line = |line: &Line| {
        let Sums { calls, spent, .. } = line.sums;
        vec![Cell::from(line.at(0)), Cell::Count(calls), Cell::Money(spent)]
    };
    Table {
        name: "spend-by-tag",
        columns: &["individual_request_tag", "log_count", "total_spend"],
        lines: lines.iter().map(line).collect(),
    }
}
