//! Rows of calls.

use ai_api_e2e::Gateway;
use serde_json::{Value, json};

use super::ledger::{Call, DAY, Database, Ledger, calls, day_of, days_ago, key, usd};
use super::on_both;

on_both!(
    rows_are_litellms_newest_first,
    pages_go_through_all_rows_once,
    filters_leave_what_they_say,
    a_session_and_a_single_call_are_found,
    without_rows_the_list_is_empty_and_says_why,
);

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array().expect("rows").iter().map(|row| row["request_id"].as_str().expect("an id")).collect()
}

/// The calls, newest first.
fn sorted(calls: &[Call]) -> Vec<&Call> {
    let mut sorted: Vec<&Call> = calls.iter().collect();
    sorted.sort_by_key(|call| std::cmp::Reverse((call.started, &call.id)));
    sorted
}

fn range() -> String {
    format!("start_date={}&end_date={}", day_of(days_ago(10)), day_of(days_ago(0)))
}

async fn rows_are_litellms_newest_first(database: Database) {
    let ledger = Ledger::with(database, calls(1200)).await;

    let rows = ledger.ok("/spend/logs").await;

    let expected: Vec<&str> = sorted(&ledger.calls).iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids(&rows), expected);
    for (row, call) in rows.as_array().expect("rows").iter().zip(sorted(&ledger.calls)) {
        let spend = match (call.spent, call.tokens) {
            (Some(pico), _) => usd(pico.into()),
            (None, None) => json!(0.0),
            (None, Some(_)) => Value::Null,
        };
        assert_eq!(row["spend"], spend, "{row:#}");
        let (prompt, completion) = call.tokens.unwrap_or_default();
        assert_eq!(row["total_tokens"], json!(prompt + completion));
        assert_eq!((&row["user"], &row["api_key"]), (&json!(call.user), &json!(call.key)));
        assert_eq!((&row["model"], &row["model_group"]), (&json!(call.model), &json!(call.group)));
        assert_eq!(row["request_tags"], json!(call.tags));
        assert_eq!(row["status"], json!(if call.ok { "success" } else { "failure" }));
        assert_eq!(row["call_type"], "acompletion");
        assert!(row["startTime"].as_str().is_some_and(|at| at.starts_with(&day_of(call.started)) && at.ends_with('Z')));
        let error = &row["metadata"]["error_information"]["error_message"];
        assert_eq!(error, &if call.ok { Value::Null } else { json!(call.error) });
    }
    let unsummarized = ledger.ok(&format!("/spend/logs?{}&summarize=false", range())).await;
    assert_eq!(ids(&unsummarized), expected);
}

async fn pages_go_through_all_rows_once(database: Database) {
    let ledger = Ledger::with(database, calls(230)).await;
    let expected: Vec<&str> = sorted(&ledger.calls).iter().map(|call| call.id.as_str()).collect();
    let range = range();

    let mut by_number = Vec::new();
    for page in 1..=3 {
        let answer = ledger.ok(&format!("/spend/logs/v2?{range}&page={page}&page_size=100")).await;
        assert_eq!((&answer["total"], &answer["total_pages"], &answer["page"]), (&json!(230), &json!(3), &json!(page)));
        by_number.extend(ids(&answer["data"]).into_iter().map(str::to_owned));
    }
    assert_eq!(by_number, expected);

    let (mut by_cursor, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = ledger.ok(&format!("/spend/logs/v2?{range}&page_size=50&cursor={cursor}")).await;
        by_cursor.extend(ids(&answer["data"]).into_iter().map(str::to_owned));
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = next.replace('|', "%7C"),
            None => break,
        }
    }
    assert_eq!(by_cursor, expected);

    let dearest = ledger.ok(&format!("/spend/logs/v2?{range}&sort_by=spend&page_size=1000")).await;
    let spent: Vec<Option<f64>> = dearest["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["spend"].as_f64().filter(|usd| *usd > 0.0))
        .collect();
    let known = spent.iter().take_while(|usd| usd.is_some()).count();
    assert!(spent[..known].is_sorted_by(|a, b| a >= b) && spent[known..].iter().all(Option::is_none), "{spent:?}");
    let slowest = ledger.ok(&format!("/spend/logs/v2?{range}&sort_by=request_duration_ms&sort_order=asc")).await;
    let took: Vec<i64> = slowest["data"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["request_duration_ms"].as_i64())
        .collect();
    assert!(took.len() == 50 && took.is_sorted(), "{took:?}");
}

async fn filters_leave_what_they_say(database: Database) {
    let ledger = Ledger::with(database, calls(300)).await;
    let range = range();
    let day = day_of(days_ago(8));
    let noon = days_ago(8) + DAY / 2;
    let cases: Vec<(String, Box<dyn Fn(&Call) -> bool>)> = vec![
        (format!("{range}&api_key={}", key(2)), Box::new(|call| call.key == key(2))),
        (format!("{range}&user_id=bob"), Box::new(|call| call.user == "bob")),
        (
            format!("{range}&team_id=team-a&model=gpt-4o"),
            Box::new(|call| call.team == "team-a" && call.model == "gpt-4o"),
        ),
        (format!("{range}&model_group=good"), Box::new(|call| call.group == "good")),
        (format!("{range}&status_filter=failure"), Box::new(|call| !call.ok)),
        (format!("{range}&status_filter=success"), Box::new(|call| call.ok)),
        (format!("{range}&end_user=%3D1%2B1"), Box::new(|call| call.end_user == "=1+1")),
        (format!("{range}&error_message=provider%20fail"), Box::new(|call| !call.ok)),
        (format!("{range}&error_message=provider%25"), Box::new(|_| false)),
        (format!("{range}&error_code=500"), Box::new(|call| !call.ok)),
        (format!("{range}&key_alias=alia"), Box::new(|_| true)),
        (
            format!("{range}&min_spend=1000"),
            Box::new(|call| call.spent.is_some_and(|pico| pico >= 1_000_000_000_000_000)),
        ),
        (format!("{range}&max_spend=0.000001"), Box::new(|call| call.spent.is_some_and(|pico| pico <= 1_000_000))),
        (format!("start_date={day}&end_date={day}"), Box::new(move |call| day_of(call.started) == day)),
        (
            format!("start_date={}&end_date={}%2011:59:59", day_of(noon), day_of(noon)),
            Box::new(move |call| call.started >= noon - DAY / 2 && call.started < noon),
        ),
    ];
    for (query, wanted) in cases {
        let found = ledger.ok(&format!("/spend/logs/v2?{query}&page_size=1000")).await;
        let expected: Vec<&str> =
            sorted(&ledger.calls).iter().filter(|call| wanted(call)).map(|call| call.id.as_str()).collect();
        assert_eq!(ids(&found["data"]), expected, "{query}");
        assert_eq!(found["total"], json!(expected.len()), "{query}");
    }
}

async fn a_session_and_a_single_call_are_found(database: Database) {
    let ledger = Ledger::with(database, calls(20)).await;
    let sql = "UPDATE calls SET request = $1, response = $2 WHERE id = 'call-000003'";
    let request = r#"{"model": "good", "messages": [{"role": "user", "content": "hi"}]}"#;
    let query = sqlx::query(sql).bind(request).bind("{\"choices\": cut off");
    query.execute(&ledger.pool).await.expect("an update");

    let found = ledger.ok("/spend/logs?request_id=call-000003").await;
    assert_eq!(ids(&found), ["call-000003"]);
    assert_eq!(found[0]["messages"][0]["content"], "hi");
    let bodies = ledger.ok("/spend/logs/ui/call-000003").await;
    assert_eq!(
        (&bodies["messages"][0]["content"], &bodies["response"]),
        (&json!("hi"), &json!("{\"choices\": cut off"))
    );
    assert_eq!(ledger.ok("/spend/logs/ui/call-999999").await, Value::Null);
    let in_ui = ledger.ok("/spend/logs/ui?request_id=call-000003").await;
    assert_eq!(ids(&in_ui["data"]), ["call-000003"]);

    let session = ledger.ok("/spend/logs/session/ui?session_id=a%20session&page_size=8&page=3").await;
    assert_eq!((&session["total"], &session["total_pages"]), (&json!(20), &json!(3)));
    let mut oldest_first: Vec<&str> = sorted(&ledger.calls).iter().map(|call| call.id.as_str()).collect();
    oldest_first.reverse();
    assert_eq!(ids(&session["data"]), oldest_first[16..]);
}

async fn without_rows_the_list_is_empty_and_says_why(database: Database) {
    let builder = Gateway::builder().set("general_settings", "disable_spend_logs", json!(true));
    let ledger = Ledger::started(database, vec![], builder).await;
    for path in ["/spend/logs", "/spend/logs?summarize=false"] {
        let answer = ledger.get(path).await;
        assert_eq!(answer.ok(), json!([]), "{path}");
        let warning = answer.header("x-ai-api-warning").unwrap_or_default();
        assert!(warning.contains("disable_spend_logs"), "{warning}");
    }
}
