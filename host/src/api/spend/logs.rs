//! `GET /spend/logs` and its kin: the rows of calls.
//!
//! Rows go out as they are read, some hundred at a time, so that an export of millions takes no more memory than one of a
//! few, and the database is asked for the next ones when a client has taken the last.

use std::sync::Arc;

use async_stream::try_stream;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::super::body::BrokenOff;
use super::super::{Body, respond};
use super::asked::Asked;
use super::params::Format;
use super::row;
use super::summary;
use super::table::{csv, heading, json_pieces, write_line};
use crate::pipeline::GatewayError;
use crate::store::reports::{Bodies, CallFilter, CallRow, Place, ReportError, Reports, Sort};

/// Rows that are read at a time.
const PAGE: u32 = 500;
/// What LiteLLM answers with at most where nobody asks for pages; files have no such end.
const MOST: u32 = 10_000;
/// LiteLLM's word for that there would be more.
const TRUNCATED: HeaderName = HeaderName::from_static("x-litellm-spend-logs-truncated");
/// `GET /spend/logs`: the rows, newest first, or with both dates and without `summarize=false` the sums of each day.
pub(super) async fn list(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let reports = asked.reports()?;
    let params = &asked.params;
    let (from, until) = params.moments()?;
    let filter = CallFilter {
        id: params.text("request_id"),
        key: params.key(),
        user: asked.user()?,
        from,
        until,
        ..CallFilter::default()
    };
    if from.is_some() && until.is_some() && params.flag("summarize", true)? {
        return summary::of_days(asked, reports, filter).await;
    }
    let bodies = if filter.id.is_some() { Bodies::With } else { Bodies::Without };
    let truncated = match asked.format {
        Format::Json => reports.count(&filter, MOST + 1).await? > MOST,
        Format::Csv => false,
    };
    let mut response = rows(reports, filter, bodies, asked.format).await?;
    if truncated {
        response.headers_mut().insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    Ok(asked.warned_of_rows(response))
}

/// `GET /spend/logs/v2` and `/spend/logs/ui`: a page of rows. `cursor`, from the page before, is the fast way to the next.
pub(super) async fn pages(asked: &Asked<'_>, dates_needed: bool) -> Result<Response<Body>, GatewayError> {
    let reports = asked.reports()?;
    let params = &asked.params;
    let filter = filter(asked, dates_needed)?;
    if asked.format == Format::Csv {
        params.without(&["page", "page_size", "sort_by", "sort_order", "cursor"])?;
        return Ok(asked.warned_of_rows(rows(reports, filter, Bodies::Without, Format::Csv).await?));
    }
    let page = params.number("page", 1, 1_000_000_000)?.unwrap_or(1);
    let size = params.number("page_size", 1, 1000)?.unwrap_or(50);
    let sort = params.word("sort_by", Sort::Started, &SORTS)?;
    let descending = params.word("sort_order", true, &[("desc", true), ("asc", false)])?;
    let total = reports.count(&filter, MOST + 1).await?;
    let cursor = params.text("cursor").map(|text| place(&text)).transpose()?;
    let found = match (cursor, sort, descending) {
        (Some(place), Sort::Started, true) => reports.page(&filter, Some(&place), size, Bodies::Without).await?,
        (Some(_), ..) => return Err(GatewayError::invalid("cursor", "'cursor' goes with the newest first only.")),
        (None, Sort::Started, true) if page == 1 => reports.page(&filter, None, size, Bodies::Without).await?,
        (None, ..) => reports.sorted(&filter, (sort, descending), (page - 1) * i64::from(size), size).await?,
    };
    let newest_first = sort == Sort::Started && descending;
    let next = found.last().filter(|_| newest_first && found.len() == size as usize);
    let pages = total.min(MOST).div_ceil(size);
    let answer = json!({
        "data": found.iter().map(row::object).collect::<Vec<_>>(),
        "total": total.min(MOST),
        "page": page,
        "page_size": size,
        "total_pages": pages,
        "total_is_capped": total > MOST,
        "next_cursor": next.map(|call| format!("{}|{}", call.started, call.id)),
    });
    Ok(asked.warned_of_rows(respond::json(StatusCode::OK, &answer)))
}

/// `GET /spend/logs/session/ui`: the calls of one session.
pub(super) async fn session(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let params = &asked.params;
    let Some(session) = params.text("session_id") else { return Err(GatewayError::missing("session_id")) };
    let filter = CallFilter { whole_session: Some(session), user: asked.sight()?, ..CallFilter::default() };
    let reports = asked.reports()?;
    let page = params.number("page", 1, 1_000_000_000)?.unwrap_or(1);
    let size = params.number("page_size", 1, 1000)?.unwrap_or(50);
    let total = reports.count(&filter, MOST + 1).await?.min(MOST);
    let found = reports.sorted(&filter, (Sort::Started, false), (page - 1) * i64::from(size), size).await?;
    let data: Vec<Value> = found.iter().map(row::object).collect();
    let pages = total.div_ceil(size);
    let answer = json!({"data": data, "total": total, "page": page, "page_size": size, "total_pages": pages});
    Ok(asked.warned_of_rows(respond::json(StatusCode::OK, &answer)))
}

/// `GET /spend/logs/ui/{request_id}`: what was asked and answered, or `null`.
pub(super) async fn bodies(asked: &Asked<'_>, id: String) -> Result<Response<Body>, GatewayError> {
    let filter = CallFilter { id: Some(id), user: asked.sight()?, ..CallFilter::default() };
    let found = asked.reports()?.page(&filter, None, 1, Bodies::With).await?;
    let answer = found.first().map_or(Value::Null, row::bodies);
    Ok(respond::json(StatusCode::OK, &answer))
}

const SORTS: [(&str, Sort); 7] = [
    ("startTime", Sort::Started),
    ("endTime", Sort::Ended),
    ("request_duration_ms", Sort::Duration),
    ("ttft_ms", Sort::FirstByte),
    ("spend", Sort::Spent),
    ("total_tokens", Sort::Tokens),
    ("model", Sort::Model),
];

/// LiteLLM's filters that need what isn't stored here: passing them over would answer another question.
const UNKNOWN: [&str; 6] =
    ["cache_hit_filter", "span_type", "search", "group_by_session", "session_cursor", "used_client_oauth_token"];

fn filter(asked: &Asked<'_>, dates_needed: bool) -> Result<CallFilter, GatewayError> {
    let params = &asked.params;
    params.without(&UNKNOWN)?;
    let id = params.text("request_id");
    let (from, until) = params.moments()?;
    let is_dated = from.is_some() && until.is_some();
    if !is_dated && (dates_needed || id.is_none()) {
        let missing = if from.is_none() { "start_date" } else { "end_date" };
        return Err(GatewayError::invalid(missing, "Start date and end date are required."));
    }
    let succeeded = params.word("status_filter", None, &[("success", Some(true)), ("failure", Some(false))])?;
    Ok(CallFilter {
        id,
        from,
        until,
        key: params.key(),
        key_alias: params.text("key_alias"),
        user: asked.user()?,
        team: params.text("team_id"),
        end_user: params.text("end_user"),
        model: params.text("model"),
        model_group: params.text("model_group"),
        deployment: params.text("model_id"),
        session: params.text("session_id"),
        whole_session: None,
        succeeded,
        status: params.number("error_code", 100, 999)?,
        error: params.text("error_message"),
        min_spent: params.dollars("min_spend")?,
        max_spent: params.dollars("max_spend")?,
    })
}

fn place(cursor: &str) -> Result<Place, GatewayError> {
    let read = || {
        let (started, id) = cursor.split_once('|')?;
        Some(Place { started: started.parse().ok()?, id: id.to_owned() })
    };
    read().ok_or_else(|| GatewayError::invalid("cursor", "'cursor' must be the next_cursor of the page before."))
}

/// All rows that a filter leaves, as they are read. The first ones are read before there is an answer, so that what is
/// wrong is told in one.
async fn rows(
    reports: &Reports,
    filter: CallFilter,
    bodies: Bodies,
    format: Format,
) -> Result<Response<Body>, GatewayError> {
    let first = reports.page(&filter, None, PAGE, bodies).await?;
    let pages = Pages { reports: reports.clone(), filter: Arc::new(filter), bodies };
    Ok(match format {
        Format::Csv => csv("spend-logs", Body::pieces(lines(pages, first))),
        Format::Json => json_pieces(Body::pieces(objects(pages, first))),
    })
}

struct Pages {
    reports: Reports,
    filter: Arc<CallFilter>,
    bodies: Bodies,
}

impl Pages {
    /// The page after this one; empty, if it was the last.
    async fn after(&self, page: &[CallRow]) -> Result<Vec<CallRow>, BrokenOff> {
        let Some(last) = page.last().filter(|_| page.len() == PAGE as usize) else { return Ok(Vec::new()) };
        let next = self.reports.page(&self.filter, Some(&last.place()), PAGE, self.bodies).await;
        next.map_err(|error: ReportError| BrokenOff(error.to_string()))
    }
}

fn lines(pages: Pages, mut page: Vec<CallRow>) -> impl Stream<Item = Result<Bytes, BrokenOff>> {
    try_stream! {
        let mut text = heading(row::COLUMNS);
        loop {
            for call in &page {
                write_line(&mut text, &row::line(call));
            }
            yield Bytes::from(std::mem::take(&mut text));
            page = pages.after(&page).await?;
            if page.is_empty() {
                break;
            }
        }
    }
}

fn objects(pages: Pages, mut page: Vec<CallRow>) -> impl Stream<Item = Result<Bytes, BrokenOff>> {
    try_stream! {
        let mut text = String::from("[");
        let mut left = MOST as usize;
        while !page.is_empty() && left > 0 {
            for call in page.iter().take(left) {
                if !matches!(text.as_str(), "[") {
                    text.push(',');
                }
                text.push_str(&row::object(call).to_string());
            }
            left = left.saturating_sub(page.len());
            page = pages.after(&page).await?;
            yield Bytes::from(std::mem::take(&mut text));
        }
        text.push(']');
        yield Bytes::from(text);
    }
}
