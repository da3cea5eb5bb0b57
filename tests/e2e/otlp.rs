//! Calls are spans and measurements of OpenTelemetry's, sent to a collector over OTLP.

use ai_api_e2e::{Answer, Builder, FakeUpstream, Gateway, MASTER_KEY, Received, Reply, Wire, eventually};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reqwest::Method;
use serde_json::json;

use crate::trio::provider;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn collector() -> FakeUpstream {
    FakeUpstream::replying(Reply::status(200).header("content-type", "application/x-protobuf").send(""))
}

fn gateway(upstream: &FakeUpstream) -> Builder {
    let wire = Wire::OpenAi;
    Gateway::builder().model("smart", wire.model(), &wire.base(upstream))
}

async fn chat(gateway: &Gateway, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"model": "smart", "messages": [{"role": "user", "content": "a question"}]}).to_string();
    let request = gateway.client().request(Method::POST, "/v1/chat/completions");
    let request = request.header("content-type", "application/json").body(body);
    Answer::to(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn of(collector: &FakeUpstream, path: &str) -> Vec<Received> {
    collector.requests().into_iter().filter(|request| request.path == path).collect()
}

/// All spans, once there are so many.
async fn spans(collector: &FakeUpstream, path: &str, count: usize) -> Vec<Span> {
    eventually("spans", || {
        let requests = of(collector, path);
        let decoded = requests.iter().map(|one| ExportTraceServiceRequest::decode(&one.body[..]).expect("OTLP"));
        let spans = decoded.flat_map(|one| one.resource_spans).flat_map(|one| one.scope_spans);
        let spans: Vec<Span> = spans.flat_map(|one| one.spans).collect();
        (spans.len() >= count).then_some(spans)
    })
    .await
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        Any::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_call_is_a_span_in_the_clients_trace_and_the_provider_hears_of_it() {
    let (upstream, collector) = (provider(Wire::OpenAi, "an answer"), collector());
    let gateway = gateway(&upstream)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.origin())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-token=abc%20d")
        .env("OTEL_SERVICE_NAME", "my-gateway")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "200")
        .start()
        .await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "a=b"), ("x-litellm-session-id", "s1")];
    chat(&gateway, &headers).await.ok();

    let spans = spans(&collector, "/v1/traces", 2).await;
    let server = spans.iter().find(|span| hexadecimal(&span.parent_span_id) == PARENT).expect("the client's child");
    let attempt = spans.iter().find(|span| span.parent_span_id == server.span_id).expect("the server's child");
    assert!(spans.iter().all(|span| hexadecimal(&span.trace_id) == TRACE));
    assert_eq!((server.name.as_str(), attempt.name.as_str()), ("POST /v1/chat/completions", "chat gpt-4o-mini"));
    assert!(server.start_time_unix_nano <= attempt.start_time_unix_nano);
    assert!(attempt.end_time_unix_nano <= server.end_time_unix_nano);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o-mini"),
        ("gen_ai.usage.input_tokens", "5"),
        ("gen_ai.usage.output_tokens", "2"),
        ("gen_ai.conversation.id", "s1"),
        ("gen_ai.input.messages", r#"[{"role":"user","parts":[{"type":"text","content":"a question"}]}]"#),
    ] {
        assert_eq!(attribute(&attempt.attributes, key).as_deref(), Some(value), "{key}");
    }
    let asked = upstream.request();
    let told = format!("00-{TRACE}-{}-01", hexadecimal(&server.span_id));
    assert_eq!((asked.header("traceparent"), asked.header("tracestate")), (Some(told.as_str()), Some("a=b")));

    let sent = &of(&collector, "/v1/traces")[0];
    assert_eq!(sent.header("x-token"), Some("abc d"));
    assert_eq!(sent.header("content-type"), Some("application/x-protobuf"));
    let request = ExportTraceServiceRequest::decode(&sent.body[..]).expect("OTLP");
    let resource = request.resource_spans[0].resource.as_ref().expect("a resource");
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("my-gateway"));

    let names = eventually("measurements", || {
        let requests = of(&collector, "/v1/metrics");
        let decoded = requests.iter().map(|one| ExportMetricsServiceRequest::decode(&one.body[..]).expect("OTLP"));
        let scopes = decoded.flat_map(|one| one.resource_metrics).flat_map(|one| one.scope_metrics);
        let names: Vec<String> = scopes.flat_map(|one| one.metrics).map(|metric| metric.name).collect();
        (!names.is_empty()).then_some(names)
    })
    .await;
    for name in ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    let everything: String = collector.requests().iter().map(Received::text).collect();
    assert!(!everything.contains(MASTER_KEY) && !everything.contains("sk-upstream"));
}

#[tokio::test]
async fn a_collector_that_is_down_gets_the_spans_later_and_no_call_waits_for_it() {
    let upstream = provider(Wire::OpenAi, "an answer");
    let collector = FakeUpstream::replying_in_turn(vec![Reply::status(503), Reply::status(200).send("")]);
    let builder = gateway(&upstream).set("litellm_settings", "callbacks", json!(["otel"]));
    let gateway = builder.env("OTEL_ENDPOINT", &collector.origin()).start().await;
    chat(&gateway, &[]).await.ok();
    collector.answered(2).await;
    let sent = of(&collector, "/v1/traces");
    assert_eq!(sent[0].body, sent[1].body);
    assert!(of(&collector, "/v1/metrics").is_empty(), "LiteLLM's variable is about spans alone");
}

#[tokio::test]
async fn a_trace_that_the_client_doesnt_sample_has_no_spans() {
    let (upstream, collector) = (provider(Wire::OpenAi, "an answer"), collector());
    let builder = gateway(&upstream).env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/t", collector.origin()));
    let mut gateway = builder.env("OTEL_METRICS_EXPORTER", "none").start().await;
    chat(&gateway, &[("traceparent", &format!("00-{TRACE}-{PARENT}-00"))]).await.ok();
    chat(&gateway, &[("traceparent", "nonsense")]).await.ok();
    gateway.terminate();
    assert!(gateway.ended().await.success());
    let spans = spans(&collector, "/t", 2).await;
    assert!(spans.len() == 2 && spans.iter().all(|span| hexadecimal(&span.trace_id) != TRACE), "{spans:?}");
    assert!(upstream.requests()[0].header("traceparent").is_some_and(|told| told.ends_with("-00")));
}

#[tokio::test]
async fn without_a_collector_providers_hear_of_no_trace() {
    let upstream = provider(Wire::OpenAi, "an answer");
    let gateway = gateway(&upstream).start().await;
    chat(&gateway, &[("traceparent", &format!("00-{TRACE}-{PARENT}-01")), ("baggage", "a=b")]).await.ok();
    let asked = upstream.request();
    assert_eq!((asked.header("traceparent"), asked.header("baggage")), (None, None));
}

#[tokio::test]
async fn langfuse_is_told_by_otlp_with_its_two_keys() {
    let (upstream, collector) = (provider(Wire::OpenAi, "an answer"), collector());
    let builder = gateway(&upstream).set("litellm_settings", "success_callback", json!(["langfuse"]));
    let gateway = builder
        .env("LANGFUSE_PUBLIC_KEY", "pk-lf")
        .env("LANGFUSE_SECRET_KEY", "sk-lf")
        .env("LANGFUSE_HOST", &collector.origin())
        // Another receiver's keys are none of its business.
        .env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-other=secret")
        .start()
        .await;
    chat(&gateway, &[]).await.ok();
    let path = "/api/public/otel/v1/traces";
    let spans = spans(&collector, path, 2).await;
    let generation = spans.iter().find(|span| attribute(&span.attributes, "langfuse.observation.type").is_some());
    let generation = generation.expect("a generation");
    let input = attribute(&generation.attributes, "langfuse.observation.input").expect("an input");
    assert!(input.contains("a question"), "{input}");
    let sent = &of(&collector, path)[0];
    assert_eq!(sent.header("authorization"), Some("Basic cGstbGY6c2stbGY="));
    assert_eq!(sent.header("x-other"), None);
}
