//! Sums agree with the rows, to the last digit.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ledger::{Call, Database, Ledger, calls, day_of, days_ago, key, usd};
use super::on_both;

on_both!(
    each_sum_is_that_of_the_rows,
    reports_of_teams_keys_and_customers_are_those_of_the_rows,
    sums_beyond_sixty_four_bits_are_exact,
    bad_parameters_are_named,
);

/// What calls cost by something that they have.
fn by<K: Ord>(calls: &[Call], of: impl Fn(&Call) -> K) -> BTreeMap<K, i128> {
    let mut sums = BTreeMap::new();
    for call in calls {
        *sums.entry(of(call)).or_default() += i128::from(call.spent.unwrap_or_default());
    }
    sums
}

fn most_first<K: Ord + Clone>(sums: &BTreeMap<K, i128>) -> Vec<(K, i128)> {
    let mut sums: Vec<(K, i128)> = sums.iter().map(|(name, spent)| (name.clone(), *spent)).collect();
    sums.sort_by_key(|(_, spent)| std::cmp::Reverse(*spent));
    sums
}

fn range() -> String {
    format!("start_date={}&end_date={}", day_of(days_ago(10)), day_of(days_ago(0)))
}

async fn each_sum_is_that_of_the_rows(database: Database) {
    let ledger = Ledger::with(database, calls(400)).await;
    let calls = &ledger.calls;
    let range = range();
    let all: i128 = by(calls, |_| ()).into_values().sum();

    assert_eq!(ledger.ok("/global/spend").await, json!({"spend": usd(all), "max_budget": null}));

    let days = ledger.ok("/global/spend/logs").await;
    let expected: Vec<Value> = by(calls, |call| day_of(call.started))
        .into_iter()
        .map(|(day, spent)| json!({"date": day, "spend": usd(spent)}))
        .collect();
    assert_eq!(days, json!(expected));

    let models = ledger.ok("/global/spend/models?limit=2").await;
    let expected: Vec<Value> = most_first(&by(calls, |call| call.model))
        .into_iter()
        .take(2)
        .map(|(model, spent)| json!({"model": model, "total_spend": usd(spent)}))
        .collect();
    assert_eq!(models, json!(expected));

    let keys = ledger.ok("/global/spend/keys").await;
    let expected: Vec<Value> = most_first(&by(calls, |call| call.key.clone()))
        .into_iter()
        .map(|(key, spent)| json!({"api_key": key, "key_alias": null, "key_name": null, "total_spend": usd(spent)}))
        .collect();
    assert_eq!(keys, json!(expected));

    let providers = ledger.ok(&format!("/global/spend/provider?{range}")).await;
    let expected: Vec<Value> = most_first(&by(calls, |call| call.provider))
        .into_iter()
        .map(|(provider, spent)| json!({"provider": provider, "spend": usd(spent)}))
        .collect();
    assert_eq!(providers, json!(expected));

    let teams = ledger.ok("/global/spend/teams").await;
    let team = |call: &Call| if call.team.is_empty() { "Unassigned" } else { call.team };
    for (team, spent) in by(calls, team) {
        let totals = teams["total_spend_per_team"].as_array().expect("totals");
        assert!(totals.contains(&json!({"team_id": team, "total_spend": usd(spent)})), "{team}: {teams:#}");
    }
    for ((day, team), spent) in by(calls, |call| (day_of(call.started), team(call))) {
        let of_day = teams["daily_spend"].as_array().expect("days").iter().find(|one| one["date"] == json!(day));
        assert_eq!(of_day.expect("the day")[team], usd(spent), "{day} {team}");
    }

    let tagged: Vec<Call> =
        calls.iter().flat_map(|call| call.tags.iter().map(|tag| Call { tags: vec![*tag], ..call.clone() })).collect();
    let tags = ledger.ok("/spend/tags").await;
    assert_eq!(tags.as_array().map(Vec::len), Some(3), "{tags:#}");
    for (tag, spent) in by(&tagged, |call| call.tags[0]) {
        let count = tagged.iter().filter(|call| call.tags[0] == tag).count();
        let line = json!({"individual_request_tag": tag, "log_count": count, "total_spend": usd(spent)});
        assert!(tags.as_array().expect("tags").contains(&line), "{tag}: {tags:#}");
    }
    let red = ledger.ok(&format!("/global/spend/tags?{range}&tags=red,none")).await;
    let (count, spent) =
        (tagged.iter().filter(|call| call.tags == ["red"]).count(), by(&tagged, |call| call.tags[0])["red"]);
    assert_eq!(red, json!({"spend_per_tag": [{"name": "red", "spend": usd(spent), "log_count": count}]}));

    let activity = ledger.ok(&format!("/global/activity?{range}")).await;
    let tokens: i64 = calls.iter().filter_map(|call| call.tokens).map(|(prompt, answer)| prompt + answer).sum();
    assert_eq!((&activity["sum_api_requests"], &activity["sum_total_tokens"]), (&json!(400), &json!(tokens)));
    let models = ledger.ok(&format!("/global/activity/model?{range}")).await;
    for model in models.as_array().expect("models") {
        let count = calls.iter().filter(|call| model["model"] == json!(call.group)).count();
        assert_eq!(model["sum_api_requests"], json!(count), "{model:#}");
    }

    let of_ann = ledger.ok(&format!("/user/daily/activity?{range}&user_id=ann")).await;
    let anns: Vec<Call> = calls.iter().filter(|call| call.user == "ann").cloned().collect();
    let metadata = &of_ann["metadata"];
    assert_eq!(metadata["total_spend"], usd(by(&anns, |_| ())[&()]));
    assert_eq!(metadata["total_failed_requests"], json!(anns.iter().filter(|call| !call.ok).count()));
    let unpriced = anns.iter().filter(|call| call.tokens.is_some() && call.spent.is_none()).count();
    assert_eq!(metadata["total_unpriced_requests"], json!(unpriced));
    for (day, spent) in by(&anns, |call| day_of(call.started)) {
        let results = of_ann["results"].as_array().expect("results");
        let of_day = results.iter().find(|one| one["date"] == json!(day)).expect("the day");
        assert_eq!(of_day["metrics"]["spend"], usd(spent), "{day}");
        let parts = of_day["breakdown"]["providers"].as_object().expect("providers");
        let calls: i64 = parts.values().map(|part| part["metrics"]["api_requests"].as_i64().expect("a count")).sum();
        assert_eq!(json!(calls), of_day["metrics"]["api_requests"]);
    }

    let summary = ledger.ok(&format!("/spend/logs?{range}&api_key={}", key(1))).await;
    let of_key: Vec<Call> = calls.iter().filter(|call| call.key == key(1)).cloned().collect();
    for (day, spent) in by(&of_key, |call| day_of(call.started)) {
        let of_day = summary.as_array().expect("days").iter().find(|one| one["startTime"] == json!(day));
        let of_day = of_day.unwrap_or_else(|| panic!("no {day} in {summary:#}"));
        assert_eq!((&of_day["spend"], &of_day[key(1)]), (&usd(spent), &usd(spent)), "{day}");
        let of_calls: Vec<Call> = of_key.iter().filter(|call| day_of(call.started) == day).cloned().collect();
        for (model, spent) in by(&of_calls, |call| call.model) {
            assert_eq!(of_day["models"][model], usd(spent), "{day} {model}");
        }
        for (user, spent) in by(&of_calls, |call| call.user) {
            assert_eq!(of_day["users"][user], usd(spent), "{day} {user}");
        }
    }
    let last = summary.as_array().and_then(|days| days.last()).expect("a last day");
    assert_eq!(last, &json!({"startTime": day_of(days_ago(0)), "spend": 0.0, "users": {}, "models": {}}));
}

async fn reports_of_teams_keys_and_customers_are_those_of_the_rows(database: Database) {
    let ledger = Ledger::with(database, calls(300)).await;
    let (calls, range) = (&ledger.calls, range());

    let keys = ledger.ok(&format!("/global/spend/report?{range}&group_by=api_key")).await;
    let expected = most_first(&by(calls, |call| call.key.clone()));
    let found: Vec<(String, Value)> = keys
        .as_array()
        .expect("keys")
        .iter()
        .map(|line| (line["api_key"].as_str().expect("a key").to_owned(), line["total_cost"].clone()))
        .collect();
    assert_eq!(found, expected.into_iter().map(|(key, spent)| (key, usd(spent))).collect::<Vec<_>>());
    for line in keys.as_array().expect("keys") {
        let of_key: Vec<Call> = calls.iter().filter(|call| line["api_key"] == json!(call.key)).cloned().collect();
        let details = line["model_details"].as_array().expect("models");
        assert_eq!(details.len(), by(&of_key, |call| call.model).len());
        for (model, spent) in by(&of_key, |call| call.model) {
            let detail = details.iter().find(|detail| detail["model"] == json!(model)).expect("the model");
            assert_eq!(detail["total_cost"], usd(spent), "{model}");
        }
    }

    for (group_by, list, name, of) in [
        ("team", "teams", "team_name", (|call: &Call| call.team.to_owned()) as fn(&Call) -> String),
        ("customer", "customers", "customer", |call: &Call| call.end_user.clone()),
    ] {
        let report = ledger.ok(&format!("/global/spend/report?{range}&group_by={group_by}")).await;
        for ((day, who), spent) in by(calls, |call| (day_of(call.started), of(call))) {
            let who = if group_by == "team" && who.is_empty() { "Unassigned Team".to_owned() } else { who };
            let wanted = json!(format!("{day}T00:00:00+00:00"));
            let days = report.as_array().expect("days");
            let of_day = days.iter().find(|one| one["group_by_day"] == wanted).expect("the day");
            let lines = of_day[list].as_array().expect("lines");
            let line = lines.iter().find(|line| line[name] == json!(who)).expect("the line");
            assert_eq!(line["total_spend"], usd(spent), "{day} {who}");
        }
    }
    let one = ledger.ok(&format!("/global/spend/report?{range}&team_id=team-a&group_by=team")).await;
    for day in one.as_array().expect("days") {
        assert!(day["teams"].as_array().expect("teams").iter().all(|team| team["team_name"] == "team-a"), "{day:#}");
    }
}

async fn sums_beyond_sixty_four_bits_are_exact(database: Database) {
    let dear = |call: Call| Call { spent: Some(i64::MAX - 1), tokens: Some((i64::MAX / 2, 7)), ..call };
    let ledger = Ledger::with(database, vec![]).await;
    // Days that are full: one aggregate can't be larger than this, a sum of them can.
    for (number, call) in calls(40).into_iter().map(dear).enumerate() {
        let sql = "INSERT INTO daily (day, key_hash, user_id, team_id, model_group, model, provider, calls, failed, unpriced, \
                   prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, spent) \
                   VALUES ($1, $2, '', '', '', 'm', 'p', 1, 0, 0, $3, 7, 0, 0, 0, $4)";
        let query = sqlx::query(sql).bind(day_of(days_ago(1))).bind(key(number));
        let query = query.bind(call.tokens.map(|tokens| tokens.0)).bind(call.spent);
        query.execute(&ledger.pool).await.expect("a row");
    }

    let spend = ledger.ok("/global/spend").await;

    assert_eq!(spend["spend"], usd(40 * i128::from(i64::MAX - 1)));
    let csv = ledger.get("/global/spend?format=csv").await.text();
    assert_eq!(csv, "spend,max_budget\r\n368934881.47419103224,\r\n");
    let activity = ledger.ok(&format!("/global/activity?{}", range())).await;
    assert_eq!(activity["sum_total_tokens"], json!(i64::MAX), "the most that there is, and no error");
}

async fn bad_parameters_are_named(database: Database) {
    let ledger = Ledger::with(database, vec![]).await;
    for (path, param) in [
        ("/spend/logs?start_date=yesterday&end_date=2026-01-01", "start_date"),
        ("/spend/logs?start_date=2026-02-30&end_date=2026-03-01", "start_date"),
        ("/spend/logs?start_date=2026-02-02&end_date=2026-02-01", "end_date"),
        ("/spend/logs?summarize=perhaps&start_date=2026-02-01&end_date=2026-02-01", "summarize"),
        ("/spend/logs/v2", "start_date"),
        ("/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&page=0", "page"),
        ("/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&page_size=1001", "page_size"),
        ("/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&sort_by=password", "sort_by"),
        ("/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&min_spend=much", "min_spend"),
        ("/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&span_type=llm", "span_type"),
        ("/spend/logs/v2?start_date=2026-01-01&end_date=2026-01-02&cursor=nothing", "cursor"),
        ("/spend/tags?end_date=2026-13-01", "end_date"),
        ("/global/spend/provider", "start_date"),
        ("/global/spend/report?start_date=2026-01-01&end_date=2026-01-02&group_by=colour", "group_by"),
        ("/global/spend/models?limit=0", "limit"),
        ("/global/activity?start_date=2026-01-01", "end_date"),
        ("/user/daily/activity?start_date=2026-01-01", "end_date"),
        ("/global/spend?format=xml", "format"),
        ("/spend/logs?user_id=a%00b", "user_id"),
    ] {
        let answer = ledger.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(answer.error()["param"], json!(param), "{path}: {}", answer.text());
    }
    // What is no SQL of ours stays a value.
    for path in ["/spend/logs?user_id='%20OR%201=1--", "/spend/logs?api_key=%22%3B%20DROP%20TABLE%20calls"] {
        assert_eq!(ledger.ok(path).await, json!([]), "{path}");
    }
}
