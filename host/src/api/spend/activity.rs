//! `GET /global/activity` and `/user/daily/activity`: how much was called, day by day.

use std::collections::BTreeMap;

use http::Response;
use serde_json::{Map, Value, json};

use super::super::Body;
use super::asked::Asked;
use super::table::{Cell, Table, count, money};
use crate::config::Date;
use crate::pipeline::GatewayError;
use crate::store::reports::{DailyFilter, Dim, Line, Order, Sums};

/// LiteLLM's chart of models shows so many.
const MODELS: usize = 10;

/// `GET /global/activity`
pub(super) async fn all(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let filter = DailyFilter { days: asked.params.both_days()?, ..DailyFilter::default() };
    let lines = asked.reports()?.sums(&[Dim::Day], &filter, Order::Dims).await?;
    let lines: Vec<&Line> = lines.iter().collect();
    let table = || table(&["date", "api_requests", "total_tokens"], &lines);
    Ok(asked.answer(|| Value::Object(of_days(&lines)), table))
}

/// `GET /global/activity/model`: the ten that are called most.
pub(super) async fn models(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let filter = DailyFilter { days: asked.params.both_days()?, ..DailyFilter::default() };
    let lines = asked.reports()?.sums(&[Dim::Day, Dim::ModelGroup], &filter, Order::Dims).await?;
    let json = || {
        let mut models: BTreeMap<&str, (i128, Vec<&Line>)> = BTreeMap::new();
        for line in &lines {
            let (calls, of_model) = models.entry(line.at(1)).or_default();
            *calls += line.sums.calls;
            of_model.push(line);
        }
        let mut models: Vec<(&str, (i128, Vec<&Line>))> = models.into_iter().collect();
        models.sort_by_key(|(_, (calls, _))| std::cmp::Reverse(*calls));
        let of_model = |(model, (_, lines)): (&str, (i128, Vec<&Line>))| {
            let mut object = Map::from_iter([("model".to_owned(), json!(model))]);
            object.extend(of_days(&lines));
            Value::Object(object)
        };
        Value::Array(models.into_iter().take(MODELS).map(of_model).collect())
    };
    let flat: Vec<&Line> = lines.iter().collect();
    Ok(asked.answer(json, || table(&["date", "model_group", "api_requests", "total_tokens"], &flat)))
}

/// `{"daily_data", "sum_api_requests", "sum_total_tokens"}`
fn of_days(lines: &[&Line]) -> Map<String, Value> {
    let mut sums = Sums::default();
    let mut days = Vec::new();
    for line in lines {
        sums.add(&line.sums);
        let date = line.at(0).parse::<Date>().map_or_else(|_| line.at(0).to_owned(), Date::short);
        let mut day = Map::from_iter([("date".to_owned(), json!(date))]);
        if let Some(model) = line.of.get(1) {
            day.insert("model_group".to_owned(), json!(model));
        }
        day.insert("api_requests".to_owned(), count(line.sums.calls));
        day.insert("total_tokens".to_owned(), count(line.sums.tokens()));
        days.push(Value::Object(day));
    }
    Map::from_iter([
        ("daily_data".to_owned(), Value::Array(days)),
        ("sum_api_requests".to_owned(), count(sums.calls)),
        ("sum_total_tokens".to_owned(), count(sums.tokens())),
    ])
}

fn table(columns: &'static [&'static str], lines: &[&Line]) -> Table {
    let line = |line: &&Line| {
        let mut cells: Vec<Cell> = line.of.iter().map(|text| Cell::from(text.as_str())).collect();
        cells.extend([Cell::Count(line.sums.calls), Cell::Count(line.sums.tokens())]);
        cells
    };
    Table { name: "activity", columns, lines: lines.iter().map(line).collect() }
}

const DIMS: [Dim; 5] = [Dim::Day, Dim::Key, Dim::ModelGroup, Dim::Model, Dim::Provider];

/// `GET /user/daily/activity`: a user's days, newest first, with what they were for. Pages are of days here, so that none
/// is on two.
pub(super) async fn of_user(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let params = &asked.params;
    params.without(&["timezone", "include_current_utc_day"])?;
    let page = params.number("page", 1usize, 1_000_000)?.unwrap_or(1);
    let size = params.number("page_size", 1usize, 1000)?.unwrap_or(50);
    let filter = DailyFilter {
        days: params.both_days()?,
        key: params.key(),
        user: asked.user()?,
        model: params.text("model"),
        ..DailyFilter::default()
    };
    let lines = asked.reports()?.sums(&DIMS, &filter, Order::Dims).await?;
    let json = || {
        let mut days: Vec<&[Line]> = lines.chunk_by(|a, b| a.at(0) == b.at(0)).collect();
        days.reverse();
        let pages = days.len().div_ceil(size).max(1);
        let of_page = days.iter().skip((page - 1).saturating_mul(size)).take(size);
        let results: Vec<Value> = of_page.map(|day| of_day(asked, day)).collect();
        let mut all = Sums::default();
        lines.iter().for_each(|line| all.add(&line.sums));
        json!({"results": results, "metadata": metadata(&all, page, pages)})
    };
    Ok(asked.answer(json, || activity_table(&lines)))
}

/// What a day came to, and what of it was for what: one of these for each key, model…
#[derive(Default)]
struct Part<'a> {
    sums: Sums,
    keys: BTreeMap<&'a str, Sums>,
}

fn of_day(asked: &Asked<'_>, lines: &[Line]) -> Value {
    let mut all = Sums::default();
    let mut keys: BTreeMap<&str, Sums> = BTreeMap::new();
    let mut parts: [BTreeMap<&str, Part<'_>>; 3] = Default::default();
    for line in lines {
        all.add(&line.sums);
        keys.entry(line.at(1)).or_default().add(&line.sums);
        for (index, part) in parts.iter_mut().enumerate() {
            let part = part.entry(line.at(index + 2)).or_default();
            part.sums.add(&line.sums);
            part.keys.entry(line.at(1)).or_default().add(&line.sums);
        }
    }
    let of_keys = |keys: &BTreeMap<&str, Sums>| -> Map<String, Value> {
        let of_key = |(hash, sums): (&&str, &Sums)| {
            let (alias, _) = asked.key_names(hash);
            let metadata = json!({"key_alias": alias, "team_id": asked.key_team(hash)});
            ((*hash).to_owned(), json!({"metrics": metrics(sums), "metadata": metadata}))
        };
        keys.iter().map(of_key).collect()
    };
    let [groups, models, providers] = parts.map(|parts| {
        let of_part = |(name, part): (&str, Part<'_>)| {
            let keys = of_keys(&part.keys);
            (name.to_owned(), json!({"metrics": metrics(&part.sums), "metadata": {}, "api_key_breakdown": keys}))
        };
        parts.into_iter().filter(|(name, _)| !name.is_empty()).map(of_part).collect::<Map<String, Value>>()
    });
    let nothing = json!({});
    json!({
        "date": lines.first().map_or("", |line| line.at(0)),
        "metrics": metrics(&all),
        "breakdown": {
            "mcp_servers": nothing,
            "models": models,
            "model_groups": groups,
            "providers": providers,
            "endpoints": nothing,
            "api_keys": of_keys(&keys),
            "entities": nothing,
        },
    })
}

fn metrics(sums: &Sums) -> Value {
    json!({
        "spend": money(sums.spent),
        "prompt_tokens": count(sums.prompt_tokens),
        "completion_tokens": count(sums.completion_tokens),
        "cache_read_input_tokens": count(sums.cache_read_tokens),
        "cache_creation_input_tokens": count(sums.cache_write_tokens),
        "total_tokens": count(sums.tokens()),
        "successful_requests": count(sums.calls - sums.failed),
        "failed_requests": count(sums.failed),
        "api_requests": count(sums.calls),
        "unpriced_requests": count(sums.unpriced),
    })
}

fn metadata(sums: &Sums, page: usize, pages: usize) -> Value {
    json!({
        "total_spend": money(sums.spent),
        "total_prompt_tokens": count(sums.prompt_tokens),
        "total_completion_tokens": count(sums.completion_tokens),
        "total_tokens": count(sums.tokens()),
        "total_api_requests": count(sums.calls),
        "total_successful_requests": count(sums.calls - sums.failed),
        "total_failed_requests": count(sums.failed),
        "total_cache_read_input_tokens": count(sums.cache_read_tokens),
        "total_cache_creation_input_tokens": count(sums.cache_write_tokens),
        "total_unpriced_requests": count(sums.unpriced),
        "page": page,
        "total_pages": pages,
        "has_more": page < pages,
    })
}

fn activity_table(lines: &[Line]) -> Table {
    let line = |line: &Line| {
        let sums = line.sums;
        let mut cells: Vec<Cell> = line.of.iter().map(|text| Cell::from(text.as_str())).collect();
        let counts = [sums.calls, sums.failed, sums.unpriced, sums.prompt_tokens, sums.completion_tokens];
        cells.extend(counts.map(Cell::Count));
        cells.push(Cell::Money(sums.spent));
        cells
    };
    Table {
        name: "daily-activity",
        columns: &[
            "date",
            "api_key",
            "model_group",
            "model",
            "provider",
            "api_requests",
            "failed_requests",
            "unpriced_requests",
            "prompt_tokens",
            "completion_tokens",
            "spend",
        ],
        lines: lines.iter().map(line).collect(),
    }
}
