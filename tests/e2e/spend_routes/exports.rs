//! CSV: all of it, in a form that spreadsheets take for what it is, and no more in memory than a page.

use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::ledger::{Database, Ledger, calls, day_of, days_ago};
use super::on_both;

on_both!(
    a_file_has_every_row_and_no_formula,
    reports_are_files_too,
    a_hundred_thousand_rows_go_out_in_time_and_take_no_memory,
);

/// Reads RFC 4180 strictly.
fn read(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut characters, mut quoted) = (text.chars().peekable(), false);
    while let Some(character) = characters.next() {
        match (character, quoted) {
            ('"', true) if characters.peek() == Some(&'"') => cell.push(characters.next().expect("peeked")),
            ('"', _) => {
                assert!(quoted || cell.is_empty(), "a quotation mark in the middle of a cell");
                quoted = !quoted;
            }
            (',', false) => line.push(std::mem::take(&mut cell)),
            ('\r', false) => {
                assert_eq!(characters.next(), Some('\n'));
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            ('\n', false) => panic!("a line feed outside of quotes"),
            (character, _) => cell.push(character),
        }
    }
    assert!(cell.is_empty() && line.is_empty() && !quoted, "the last line has no end");
    lines
}

fn dollars(pico: i64) -> String {
    let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

async fn a_file_has_every_row_and_no_formula(database: Database) {
    let ledger = Ledger::with(database, calls(1100)).await;
    let asked = ledger.gateway.client().request(Method::GET, "/spend/logs").header("accept", "text/csv");
    let answer = ai_api_e2e::Answer::to(asked).await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"spend-logs.csv\""));

    let lines = read(&answer.text());

    assert_eq!(lines.len(), 1101);
    let column = |name: &str| lines[0].iter().position(|column| column == name).expect("the column");
    for call in &ledger.calls {
        let line = lines.iter().find(|line| line[0] == call.id).expect("the call's line");
        assert_eq!(line.len(), lines[0].len());
        assert_eq!(
            line[column("spend")],
            match (call.spent, call.tokens) {
                (Some(pico), _) => dollars(pico),
                (None, None) => "0".to_owned(),
                (None, Some(_)) => String::new(),
            }
        );
        let guarded = |text: &str| if text.starts_with(['=', '@']) { format!("'{text}") } else { text.to_owned() };
        assert_eq!(line[column("end_user")], guarded(&call.end_user));
        assert_eq!(line[column("error")], guarded(call.error));
        assert_eq!(line[column("request_tags")], guarded(&call.tags.join(";")));
    }
    assert!(lines.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "a formula");
}

async fn reports_are_files_too(database: Database) {
    let ledger = Ledger::with(database, calls(200)).await;
    let range = format!("start_date={}&end_date={}", day_of(days_ago(10)), day_of(days_ago(0)));
    let all: i64 = ledger.calls.iter().filter_map(|call| call.spent).sum();
    for (path, money) in [
        ("/global/spend?", "spend"),
        ("/global/spend/logs?", "spend"),
        ("/global/spend/keys?", "total_spend"),
        ("/global/spend/models?", "total_spend"),
        ("/global/spend/teams?", "spend"),
        ("/global/spend/provider?", "spend"),
        ("/global/spend/report?", "spend"),
        ("/global/spend/report?group_by=customer&", "spend"),
        ("/global/spend/report?group_by=api_key&", "total_cost"),
        ("/user/daily/activity?", "spend"),
        ("/spend/logs?", "spend"),
    ] {
        let lines = read(&ledger.get(&format!("{path}{range}&format=csv")).await.text());
        let column = lines[0].iter().position(|column| column == money).expect("the column");
        let pico = |text: &String| -> i64 {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            format!("{whole}{part:0<12}").parse().expect("an amount")
        };
        let sum: i64 = lines[1..].iter().map(|line| pico(&line[column])).sum();
        assert_eq!(sum, all, "{path}");
    }
}

async fn a_hundred_thousand_rows_go_out_in_time_and_take_no_memory(database: Database) {
    const ROWS: usize = 100_000;
    let ledger = Ledger::with(database, calls(1000)).await;
    // Each of the thousand a hundred times, a minute apart.
    const SAME: &str = "duration, first_byte, upstream, status, outcome, operation, streaming, key_hash, key_alias, user_id, \
         team_id, organization_id, end_user, model_group, fallback, deployment, provider, model, prompt_tokens, \
         completion_tokens, estimated, spent, retries, fallbacks, kind, error, tags, session_id, client_ip";
    let sql = format!(
        "INSERT INTO calls (id, started, {SAME}) SELECT calls.id || '-' || CAST(copy.number AS TEXT), \
         started + copy.number * 60000, {SAME} FROM calls, (WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL \
         SELECT number + 1 FROM numbers WHERE number < 99) SELECT number FROM numbers) AS copy"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(&ledger.pool).await.expect("many rows");
    let range = format!("start_date={}&end_date={}", day_of(days_ago(11)), day_of(days_ago(0)));
    // What a first report takes once: connections, caches.
    ledger.ok("/spend/logs?user_id=ann").await;
    let before = ledger.gateway.resident_kib();

    let mut stream =
        ledger.gateway.client().request(Method::GET, "/spend/logs?format=csv").send().await.expect("an answer");
    let (mut lines, mut bytes, mut most) = (0, 0, 0);
    while let Some(piece) = stream.chunk().await.expect("a whole file") {
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
        bytes += piece.len();
        most = most.max(ledger.gateway.resident_kib());
    }

    // Some cells have line feeds of their own.
    assert!(lines > ROWS && bytes > 20 << 20, "{lines} lines, {bytes} bytes");
    assert!(most < before + 16 * 1024, "{before} KiB before, {most} KiB while {bytes} bytes went out");
    let rows = ledger.get("/spend/logs").await;
    assert_eq!(rows.header("x-litellm-spend-logs-truncated"), Some("true"));
    assert_eq!(rows.ok().as_array().map(Vec::len), Some(10_000));
    for path in [
        "/spend/logs/v2?sort_by=spend&",
        "/spend/logs/v2?model=gpt-4o&page=150&",
        "/global/spend/report?group_by=customer&",
    ] {
        let answer = ledger.ok(&format!("{path}{range}")).await;
        assert!(answer["total_is_capped"] == json!(true) || answer.is_array(), "{path}");
    }
}
