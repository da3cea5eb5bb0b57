//! What a model group can't answer another does, where the operator or the client says so.

use ai_api_e2e::{FakeUpstream, Gateway, Reply, Step, Wire};
use serde_json::{Value, json};

use crate::trio::provider;

/// Groups `a`, `b` and `c`, one deployment each, and the router's settings.
async fn gateway(upstreams: [&FakeUpstream; 3], settings: Value) -> Gateway {
    let mut builder = Gateway::builder();
    for (name, upstream) in ["a", "b", "c"].into_iter().zip(upstreams) {
        builder = builder.model(name, "openai/gpt-4o", &Wire::OpenAi.base(upstream));
    }
    for (key, value) in settings.as_object().expect("settings are an object") {
        builder = builder.set("router_settings", key, value.clone());
    }
    builder.start().await
}

fn refusing(status: u16, code: &str) -> FakeUpstream {
    FakeUpstream::replying(Reply::json(status, &json!({"error": {"message": "no", "code": code}})))
}

#[tokio::test]
async fn a_group_that_fails_is_followed_by_its_fallbacks_in_order() {
    for status in [400, 401, 404, 429, 500] {
        let (a, b, c) = (refusing(status, "x"), refusing(503, "x"), provider(Wire::OpenAi, "from c"));
        let gateway = gateway([&a, &b, &c], json!({"fallbacks": [{"a": ["b", "c"]}]})).await;
        let answer = gateway.client().chat("a", "hi").await;
        assert_eq!(answer.content(), "from c", "{status}");
        assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("2"));
        assert_eq!(answer.header("x-litellm-model-group"), Some("c"));
        assert_eq!((a.hits(), b.hits(), c.hits()), (1, 1, 1));
        let stream = gateway.client().stream("a", "hi").await.transcript().await;
        assert_eq!(stream.meaning().text, "from c", "{status}");
    }
}

#[tokio::test]
async fn when_fallbacks_fail_too_the_first_error_is_told() {
    let (a, b, c) = (refusing(429, "first"), refusing(500, "second"), refusing(500, "third"));
    let gateway = gateway([&a, &b, &c], json!({"fallbacks": [{"a": ["b"]}, {"b": ["a", "c"]}]})).await;
    let answer = gateway.client().chat("a", "hi").await;
    assert_eq!((answer.status, answer.error()["code"].clone()), (429, json!("first")));
    assert_eq!((a.hits(), b.hits(), c.hits()), (1, 1, 1), "no circle");
}

#[tokio::test]
async fn the_kind_of_the_failure_decides_which_fallbacks() {
    let settings = json!({
        "context_window_fallbacks": [{"a": ["b"]}],
        "content_policy_fallbacks": [{"a": ["c"]}],
    });
    for (code, hits) in [("context_length_exceeded", (1, 0)), ("content_policy_violation", (0, 1)), ("other", (0, 0))] {
        let a = refusing(400, code);
        let (b, c) = (provider(Wire::OpenAi, "b"), provider(Wire::OpenAi, "c"));
        let gateway = gateway([&a, &b, &c], settings.clone()).await;
        let answer = gateway.client().chat("a", "hi").await;
        assert_eq!((b.hits(), c.hits()), hits, "{code}: {}", answer.text());
    }
}

#[tokio::test]
async fn everybodys_fallbacks_serve_who_has_none() {
    let (a, b, c) = (refusing(500, "x"), provider(Wire::OpenAi, "b"), refusing(500, "x"));
    let gateway = gateway([&a, &b, &c], json!({"default_fallbacks": ["b"]})).await;
    assert_eq!(gateway.client().chat("a", "hi").await.content(), "b");
    assert_eq!(gateway.client().chat("c", "hi").await.content(), "b");
}

#[tokio::test]
async fn a_client_says_its_own_fallbacks_or_none() {
    let (a, b, c) = (refusing(500, "x"), provider(Wire::OpenAi, "b"), provider(Wire::OpenAi, "c"));
    let gateway = gateway([&a, &b, &c], json!({"fallbacks": [{"a": ["b"]}]})).await;
    let ask = async |more: Value| gateway.client().chat_with("a", "hi", more).await;

    assert_eq!(ask(json!({"fallbacks": ["c"]})).await.content(), "c");
    assert_eq!(ask(json!({"disable_fallbacks": true})).await.status, 500);
    let own = ask(json!({"fallbacks": [{"model": "c", "max_tokens": 7}], "max_tokens": 5})).await;
    assert_eq!(own.content(), "c");
    assert_eq!(c.last().json()["max_tokens"], 7);
    assert!(c.last().json().get("fallbacks").is_none(), "{}", c.last().text());
    assert_eq!(ask(json!({"fallbacks": 7})).await.status, 400);
}

#[tokio::test]
async fn a_client_can_test_its_fallbacks() {
    let (a, b, c) = (provider(Wire::OpenAi, "a"), provider(Wire::OpenAi, "b"), provider(Wire::OpenAi, "c"));
    let settings = json!({"fallbacks": [{"a": ["b"]}], "context_window_fallbacks": [{"a": ["c"]}]});
    let gateway = gateway([&a, &b, &c], settings).await;
    let ask = async |more: Value| gateway.client().chat_with("a", "hi", more).await.content();
    assert_eq!(ask(json!({"mock_testing_fallbacks": true})).await, "b");
    assert_eq!(ask(json!({"mock_testing_context_fallbacks": true})).await, "c");
    assert_eq!(ask(json!({})).await, "a");
}

#[tokio::test]
async fn a_stream_that_breaks_is_gone_on_with_by_another_where_the_operator_wants_that() {
    let half = Reply::events(Wire::OpenAi.opening()).send(Wire::OpenAi.text("one, two, ")).step(Step::Break);
    for wire in Wire::ALL {
        let (a, b) = (FakeUpstream::replying(half.clone()), provider(wire, "three"));
        let builder = Gateway::builder().model("a", "openai/gpt-4o", &Wire::OpenAi.base(&a));
        let builder = builder.model("b", wire.model(), &wire.base(&b));
        let builder = builder.set("router_settings", "fallbacks", json!([{"a": ["b"]}]));
        let builder = builder.set("router_settings", "enable_mid_stream_fallback_continuation", json!(true));
        let gateway = builder.set("litellm_settings", "json_logs", json!(true)).start().await;

        let mut stream = gateway.client().stream("a", "count").await;
        let id = stream.header("x-litellm-call-id").expect("an id").to_owned();
        let stream = stream.transcript().await;
        assert_eq!(stream.flaws(false), [""; 0], "{wire:?}: {stream:#?}");
        assert_eq!(stream.meaning().text, "one, two, three", "{wire:?}");
        assert!(b.last().text().contains("one, two, "), "{}", b.last().text());
        let entry = gateway.entry(&id).await;
        assert_eq!((entry["continued"].clone(), entry["outcome"].clone()), (json!(true), json!("complete")), "{entry}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_in_a_tool_call_is_told_so() {
    let call = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta":
        {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{"}}]}}]});
    let half = Reply::events(Wire::OpenAi.opening()).send(format!("data: {call}\n\n")).step(Step::Break);
    let (a, b) = (FakeUpstream::replying(half), provider(Wire::OpenAi, "b"));
    let settings = json!({"fallbacks": [{"a": ["b"]}], "enable_mid_stream_fallback_continuation": true});
    let gateway = gateway([&a, &b, &b], settings).await;
    let stream = gateway.client().stream("a", "count").await.transcript().await;
    assert!(!stream.done, "{stream:#?}");
    assert_eq!(b.hits(), 0);
}

#[tokio::test]
async fn a_prompt_too_long_for_the_model_goes_to_the_fallback_for_such_without_a_call() {
    let (small, large) = (provider(Wire::OpenAi, "small"), provider(Wire::OpenAi, "large"));
    let builder = Gateway::builder().set("router_settings", "enable_pre_call_checks", json!(true)).set(
        "router_settings",
        "context_window_fallbacks",
        json!([{"small": ["large"]}]),
    );
    let builder = builder.model("small", "openai/gpt-4", &Wire::OpenAi.base(&small));
    let gateway = builder.model("large", "openai/gpt-4o", &Wire::OpenAi.base(&large)).start().await;
    assert_eq!(gateway.client().chat("small", "hi").await.content(), "small");
    let long = "a word and another ".repeat(5_000);
    assert_eq!(gateway.client().chat("small", &long).await.content(), "large");
    let alone = gateway.client().chat_with("small", &long, json!({"disable_fallbacks": true})).await;
    assert_eq!((alone.status, alone.error()["code"].clone()), (400, json!("context_length_exceeded")));
    assert_eq!(small.hits(), 1);
}

#[tokio::test]
async fn tags_decide_who_may_serve() {
    let (free, paid) = (provider(Wire::OpenAi, "free"), provider(Wire::OpenAi, "paid"));
    let builder = Gateway::builder().set("router_settings", "enable_tag_filtering", json!(true));
    let builder = builder.model_with("m", "openai/gpt-4o", &Wire::OpenAi.base(&free), json!({"tags": ["free"]}));
    let more = json!({"tags": ["paid", "default"]});
    let gateway = builder.model_with("m", "openai/gpt-4o", &Wire::OpenAi.base(&paid), more).start().await;
    let ask = async |more: Value| gateway.client().chat_with("m", "hi", more).await;
    assert_eq!(ask(json!({"tags": ["free"]})).await.content(), "free");
    assert_eq!(ask(json!({"metadata": {"tags": ["paid"]}})).await.content(), "paid");
    assert_eq!(ask(json!({})).await.content(), "paid");
    assert_eq!(ask(json!({"tags": ["!paid", "!free"]})).await.status, 401);
}
