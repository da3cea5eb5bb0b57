use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::*;
use crate::usage::{Outcome, Usage, samples};

fn counted(settings: Settings, calls: impl IntoIterator<Item = CallRecord>) -> (Arc<Metrics>, String) {
    let metrics = Arc::new(Metrics::new(settings));
    for call in calls {
        metrics.record(&Arc::new(call));
    }
    let text = text(&metrics);
    (metrics, text)
}

fn text(metrics: &Metrics) -> String {
    let (mut registry, mut text) = (Registry::default(), String::new());
    metrics.register(&mut registry);
    encode(&mut text, &registry).unwrap();
    text
}

/// The lines that begin with `metric`.
fn lines<'a>(text: &'a str, metric: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(metric)).collect()
}

#[test]
fn a_call_is_counted_under_litellms_names_and_labels() {
    let (_, text) = counted(Settings::default(), [samples::call(), samples::call()]);
    let hash = format!("00000001{}", "0".repeat(56));
    let key = format!(r#"hashed_api_key="{hash}",api_key_alias="app-1""#);
    let of_use = format!(
        r#"{key},model="gpt-4o",team="t1",team_alias="crew",user="u1",user_email="u@example.com",requested_model="smart",model_id="d1",api_provider="openai""#
    );
    let latency = format!(
        r#"model_group="smart",model="gpt-4o",{key},team="t1",team_alias="crew",requested_model="smart",user="u1",model_id="d1",api_provider="openai""#
    );
    for line in [
        format!(
            r#"litellm_proxy_total_requests_metric_total{{{key},requested_model="smart",team="t1",team_alias="crew",user="u1",user_email="u@example.com",route="/chat/completions",model_id="d1",api_provider="openai",status_code="200"}} 2"#
        ),
        format!("litellm_requests_metric_total{{{of_use}}} 2"),
        format!("litellm_spend_metric_total{{{of_use}}} 0.003"),
        format!("litellm_total_tokens_metric_total{{{of_use}}} 222"),
        format!("litellm_input_tokens_metric_total{{{of_use}}} 200"),
        format!("litellm_output_tokens_metric_total{{{of_use}}} 22"),
        format!("litellm_input_cached_tokens_metric_total{{{of_use}}} 80"),
        format!("litellm_request_total_latency_metric_sum{{{latency}}} 5.0"),
        format!("litellm_request_total_latency_metric_bucket{{le=\"2.0\",{latency}}} 0"),
        format!("litellm_request_total_latency_metric_bucket{{le=\"5.0\",{latency}}} 2"),
        format!("litellm_llm_api_latency_metric_sum{{{latency}}} 4.8"),
        format!("litellm_llm_api_time_to_first_token_metric_sum{{{latency}}} 1.0"),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    // 2 s for ten tokens after the first one, twice.
    let between = lines(&text, "ai_api_inter_token_latency_seconds_sum");
    assert!(between.len() == 1 && between[0].ends_with(" 0.4"), "{between:?}");
    assert!(lines(&text, "litellm_overhead_latency_metric_sum")[0].ends_with(" 0.0014"));
    assert!(lines(&text, "litellm_proxy_failed").is_empty(), "nothing failed");
    assert!(!text.contains("end_user"), "end users have no series unless the operator wants them");
}

#[test]
fn what_failed_is_counted_by_status_and_class_and_what_it_used_is_paid_for() {
    let refused = CallRecord {
        status: 429,
        outcome: Outcome::Failed,
        served_by: None,
        usage: None,
        cost: None,
        ..samples::call()
    };
    let gone = CallRecord { outcome: Outcome::Open, ..samples::call() };
    let stalled = CallRecord { outcome: Outcome::Failed, kind: Some("stalled"), ..samples::call() };
    let (_, text) = counted(Settings::default(), [refused, gone, stalled]);
    let failed = lines(&text, "litellm_proxy_failed_requests_metric_total");
    for end in [
        r#"exception_status="429",exception_class="RateLimitError"} 1"#,
        r#"exception_status="499",exception_class="ClientDisconnected"} 1"#,
        r#"exception_status="200",exception_class="stalled"} 1"#,
    ] {
        assert!(failed.iter().any(|line| line.ends_with(end)), "{end}: {failed:?}");
    }
    assert_eq!(lines(&text, "litellm_llm_api_failed_requests_metric_total").len(), 2, "one asked no provider");
    assert!(lines(&text, "litellm_spend_metric_total")[0].ends_with(" 0.003"));
    assert!(lines(&text, "litellm_request_total_latency_metric_sum").is_empty());
}

#[test]
fn a_call_without_a_known_price_is_counted_as_such() {
    let (_, text) = counted(Settings::default(), [CallRecord { cost: None, ..samples::call() }, samples::call()]);
    let unpriced = lines(&text, "ai_api_unpriced_requests_total");
    assert!(unpriced.len() == 1 && unpriced[0].ends_with(" 1"), "{unpriced:?}");
}

#[test]
fn sums_of_what_no_call_can_have_used_stop_nobody_from_looking() {
    let usage = Usage { prompt_tokens: u64::MAX, completion_tokens: 7, ..Usage::default() };
    let (_, text) = counted(Settings::default(), [CallRecord { usage: Some(usage), ..samples::call() }]);
    let total = lines(&text, "litellm_total_tokens_metric_total");
    assert!(total.len() == 1 && total[0].ends_with(&format!(" {}", u64::MAX)), "{total:?}");
}

#[test]
fn series_are_bounded_and_sums_stay_right_beyond() {
    let settings = Settings { max_series: 3, ..Settings::default() };
    let calls = (0..10).map(|number| CallRecord { caller: Some(samples::caller(number)), ..samples::call() });
    let (_, text) = counted(settings, calls);
    let counts = lines(&text, "litellm_requests_metric_total");
    let total: u32 = counts.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum();
    assert_eq!((counts.len(), total), (4, 10));
    let rest = counts.iter().find(|line| line.contains(r#"api_key_alias="overflow""#)).unwrap();
    assert!(rest.ends_with(" 7"), "{rest}");
}

#[test]
fn a_name_that_a_client_made_up_makes_no_series() {
    let unknown = |name: &str| CallRecord {
        status: 400,
        outcome: Outcome::Failed,
        model: Some(name.to_owned()),
        model_group: None,
        served_by: None,
        ..samples::call()
    };
    let (_, text) = counted(Settings::default(), ["x1", "x2", "x3"].map(unknown));
    let failed = lines(&text, "litellm_proxy_failed_requests_metric_total");
    assert!(failed.len() == 1 && failed[0].ends_with(" 3"), "{failed:?}");
    assert!(!text.contains("x1"));
}

#[test]
fn end_users_have_series_where_the_operator_wants_them() {
    let settings = Settings { by_end_user: true, ..Settings::default() };
    let (_, text) = counted(settings, [samples::call(), CallRecord { end_user: None, ..samples::call() }]);
    assert!(
        lines(&text, "litellm_spend_metric_total").iter().any(|line| line.contains(r#"{end_user="eve","#)),
        "{text}"
    );
    assert_eq!(lines(&text, "litellm_spend_metric_total").len(), 2);
}

#[test]
fn another_alias_of_a_key_is_another_series() {
    let renamed = |alias: &str| {
        let mut caller = Arc::into_inner(samples::caller(1)).unwrap();
        caller.key.alias = Some(alias.to_owned());
        CallRecord { caller: Some(Arc::new(caller)), ..samples::call() }
    };
    let (_, text) = counted(Settings::default(), [renamed("old"), renamed("new"), renamed("new")]);
    assert_eq!(lines(&text, "litellm_requests_metric_total").len(), 2);
}

#[test]
fn no_text_of_a_label_breaks_a_line() {
    let mut call = samples::call();
    call.model = Some("a\"b\\c\nd".to_owned());
    let (_, text) = counted(Settings::default(), [call]);
    assert!(text.contains(r#"requested_model="a\"b\\c\nd""#), "{text}");
}

#[test]
fn a_fallback_is_told_from_the_model_that_was_asked_for() {
    let rescued = CallRecord { fallback: Some("spare".to_owned()), fallbacks: 1, ..samples::call() };
    let lost = CallRecord { status: 503, outcome: Outcome::Failed, fallbacks: 2, ..samples::call() };
    let (_, text) = counted(Settings::default(), [rescued, lost]);
    let rescued = lines(&text, "litellm_deployment_successful_fallbacks_total");
    assert!(rescued.len() == 1 && rescued[0].contains(r#"requested_model="smart",fallback_model="spare""#), "{text}");
    assert_eq!(lines(&text, "litellm_deployment_failed_fallbacks_total").len(), 1);
}

#[test]
fn what_providers_have_left_is_a_gauge_of_the_deployment() {
    let metrics = Metrics::default();
    let by = samples::call().served_by.unwrap();
    let told = |requests: &'static str| {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-ratelimit-remaining-requests", http::HeaderValue::from_static(requests));
        metrics.remaining().told(&by, "smart", &headers);
    };
    told("99");
    told("98");
    told("many");
    let text = text(&metrics);
    let labels = r#"{model_group="smart",api_provider="openai",litellm_model_name="gpt-4o",model_id="d1"}"#;
    assert!(text.contains(&format!("litellm_remaining_requests_metric{labels} 98")), "{text}");
    assert!(lines(&text, "litellm_remaining_tokens_metric").is_empty());
}

#[test]
fn threads_that_count_at_a_time_lose_nothing() {
    let metrics = Arc::new(Metrics::default());
    let calls: Vec<Arc<CallRecord>> = (0..4)
        .map(|number| Arc::new(CallRecord { caller: Some(samples::caller(number)), ..samples::call() }))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).for_each(|n: usize| metrics.record(&calls[n % 4])));
        }
    });
    let text = text(&metrics);
    let counts = lines(&text, "litellm_requests_metric_total");
    assert!(counts.len() == 4 && counts.iter().all(|line| line.ends_with(" 1000")), "{counts:?}");
}
