//! `GET /metrics` has what LiteLLM's dashboards look for.

use std::time::Duration;

use ai_api_e2e::{Answer, Client, FakeUpstream, Gateway, MASTER_KEY, Reply, Step, Wire, eventually_async};
use serde_json::json;

use crate::trio::provider;

/// The metrics, once they have a line that begins and ends so: an answer may be read before its call is over.
async fn metrics(client: &Client, line: (&str, &str)) -> String {
    let what = format!("a line {line:?}");
    eventually_async(&what, async || {
        let text = client.get("/metrics").await.text();
        text.lines().any(|one| one.starts_with(line.0) && one.ends_with(line.1)).then_some(text)
    })
    .await
}

/// What the panels of LiteLLM's dashboards ask for (its repository, `cookbook/litellm_proxy_server/grafana_dashboard`, and the
/// expressions of its documentation): a metric, and the label that it is summed up by.
const PANELS: &[(&str, &str)] = &[
    ("litellm_proxy_total_requests_metric_total", "api_key_alias"),
    ("litellm_proxy_total_requests_metric_total", "team_alias"),
    ("litellm_proxy_total_requests_metric_total", "status_code"),
    ("litellm_proxy_failed_requests_metric_total", "exception_class"),
    ("litellm_proxy_failed_requests_metric_total", "exception_status"),
    ("litellm_request_total_latency_metric_sum", "model"),
    ("litellm_request_total_latency_metric_count", "model"),
    ("litellm_request_total_latency_metric_bucket", "le"),
    ("litellm_llm_api_latency_metric_bucket", "le"),
    ("litellm_llm_api_time_to_first_token_metric_bucket", "le"),
    ("litellm_overhead_latency_metric_bucket", "le"),
    ("litellm_requests_metric_total", "model"),
    ("litellm_total_tokens_metric_total", "model"),
    ("litellm_input_tokens_metric_total", "requested_model"),
    ("litellm_output_tokens_metric_total", "user"),
    ("litellm_llm_api_failed_requests_metric_total", "model"),
    ("litellm_remaining_requests_metric", "model_group"),
    ("litellm_remaining_tokens_metric", "litellm_model_name"),
    ("litellm_deployment_state", "model_id"),
    ("litellm_deployment_success_responses_total", "api_provider"),
    ("litellm_deployment_failure_responses_total", "exception_class"),
    ("litellm_deployment_total_requests_total", "litellm_model_name"),
    ("litellm_deployment_latency_per_output_token_bucket", "litellm_model_name"),
];

#[tokio::test]
async fn what_litellms_dashboards_ask_for_is_there() {
    let wire = Wire::OpenAi;
    let (answer, stream) = (wire.answer("hello"), wire.stream(&["hel", "lo"]).concat());
    let upstream = FakeUpstream::answering(move |request| match request.json() {
        body if body["messages"][0]["content"] == "fail" => Reply::status(500),
        body if body["stream"] == true => Reply::events([&stream]),
        _ => Reply::json(200, &answer)
            .header("x-ratelimit-remaining-requests", "41")
            .header("x-ratelimit-remaining-tokens", "4000"),
    });
    let gateway = Gateway::builder().model("smart", wire.model(), &wire.base(&upstream)).start().await;
    let client = gateway.client();
    client.chat("smart", "hi").await.ok();
    assert_eq!(client.chat_with("smart", "hi", json!({"stream": true})).await.status, 200);
    assert_eq!(client.chat("smart", "fail").await.status, 500);
    let text = metrics(&client, ("litellm_requests_metric_total", " 2")).await;
    for (metric, label) in PANELS {
        let line = format!("{metric}{{");
        let found = text.lines().find(|one| one.starts_with(&line));
        let found = found.unwrap_or_else(|| panic!("{metric} is not in\n{text}"));
        assert!(found.contains(&format!("{label}=\"")), "{label} is not in {found}");
    }
    for line in [
        "litellm_remaining_requests_metric{model_group=\"smart\"",
        "litellm_proxy_total_requests_metric_total{api_key_alias=\"None\",requested_model=\"smart\"",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(MASTER_KEY) && !text.contains("sk-upstream"));
    assert!(text.ends_with("# EOF\n"));
}

fn overhead(answer: &Answer) -> f64 {
    answer.header("x-litellm-overhead-duration-ms").expect("the header").parse().expect("a number")
}

#[tokio::test]
async fn overhead_is_what_the_gateway_adds_and_not_what_the_provider_takes() {
    const SLOW: Duration = Duration::from_millis(600);
    let wire = Wire::OpenAi;
    let answer = wire.answer("hello").to_string();
    let stream = wire.stream(&["hel", "lo"]).concat();
    let upstream = FakeUpstream::answering(move |request| {
        let is_stream = request.json()["stream"] == true;
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        let body = if is_stream { stream.clone() } else { answer.clone() };
        Reply::status(200).header("content-type", kind).step(Step::Pause(SLOW)).send(body)
    });
    let gateway = Gateway::builder().model("m", wire.model(), &wire.base(&upstream)).start().await;
    for more in [json!({}), json!({"stream": true})] {
        let answer = gateway.client().chat_with("m", "hi", more.clone()).await;
        let whole: f64 = answer.header("x-litellm-response-duration-ms").expect("it").parse().expect("a number");
        let added = overhead(&answer);
        assert!(whole >= 600.0 && added >= 0.0 && added <= whole - 590.0, "{more}: {added} of {whole}");
    }
    let text = metrics(&gateway.client(), ("litellm_llm_api_latency_metric_count", " 2")).await;
    let sum = text.lines().find_map(|line| {
        line.starts_with("litellm_llm_api_latency_metric_sum").then(|| line.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    assert!(sum.is_some_and(|sum| sum >= 1.2), "{sum:?}");
}

#[tokio::test]
async fn who_has_no_valid_key_is_counted_without_a_series_of_its_own() {
    let upstream = provider(Wire::OpenAi, "hello");
    let gateway = Gateway::builder().model("m", Wire::OpenAi.model(), &Wire::OpenAi.base(&upstream)).start().await;
    for key in ["sk-one", "sk-two"] {
        gateway.client().with_key(key).chat("m", "hi").await.error();
    }
    for model in ["no-such-1", "no-such-2"] {
        gateway.client().chat(model, "hi").await.error();
    }
    let line = "litellm_proxy_total_requests_metric_total{status_code=\"401\"} 2";
    let text = metrics(&gateway.client(), (line, "")).await;
    assert!(!text.contains("sk-one") && !text.contains("no-such"), "{text}");
}

#[tokio::test]
async fn series_are_no_more_than_the_operator_allows() {
    let wire = Wire::OpenAi;
    let upstream = provider(wire, "hello");
    let builder = ["a", "b", "c"]
        .iter()
        .fold(Gateway::builder(), |builder, name| builder.model(name, wire.model(), &wire.base(&upstream)));
    let gateway = builder.set("ai_api_settings", "max_metric_series", json!(2)).start().await;
    for model in ["a", "b", "c", "c"] {
        gateway.client().chat(model, "hi").await.ok();
    }
    let text = metrics(&gateway.client(), ("litellm_requests_metric_total{hashed_api_key=\"overflow\"", " 2")).await;
    assert_eq!(text.lines().filter(|line| line.starts_with("litellm_requests_metric_total")).count(), 3);
}
