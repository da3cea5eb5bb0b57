//! A wrong call gets OpenAI's error form and a message that says what is wrong.

use ai_api_e2e::{Answer, FakeUpstream, Gateway, Wire};
use reqwest::Method;
use serde_json::json;

use crate::trio::{Trio, provider};

async fn gateway(upstream: &FakeUpstream) -> Gateway {
    Gateway::builder().model("gpt-4o-mini", Wire::OpenAi.model(), &Wire::OpenAi.base(upstream)).start().await
}

#[tokio::test]
async fn an_unknown_path_is_a_404_that_names_it() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    for path in ["/nowhere", "/v1/chat/completion", "/v1/v1/models", "/v1", "//v1/models"] {
        let answer = gateway.client().get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(answer.message().contains(path), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_405_that_names_the_right_one() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    for (method, path, right) in [
        (Method::GET, "/v1/chat/completions", "POST"),
        (Method::DELETE, "/embeddings", "POST"),
        (Method::POST, "/v1/models", "GET"),
        (Method::PUT, "/health/liveliness", "GET"),
    ] {
        let answer = Answer::to(gateway.client().request(method.clone(), path)).await;
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
        assert!(answer.header("allow").is_some_and(|allow| allow.contains(right)), "{:?}", answer.header("allow"));
        answer.error();
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_400() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    for body in [
        "",
        "{",
        "{\"model\": \"gpt-4o-mini\",}",
        "[]",
        "\"text\"",
        "null",
        "{\"model\": \"gpt-4o-mini\"} x",
        "\u{feff}",
    ] {
        let answer = gateway.client().post_raw("/v1/chat/completions", body).await;
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
        assert_eq!(answer.error()["type"], "invalid_request_error", "{body:?}");
    }
    let bad_utf8 = gateway.client().post_raw("/v1/chat/completions", b"{\"model\": \"\xff\"}".as_slice()).await;
    assert_eq!(bad_utf8.status, 400);
    let deep = "[".repeat(200_000);
    let deep =
        gateway.client().post_raw("/v1/chat/completions", format!("{{\"model\": \"gpt-4o-mini\", \"x\": {deep}")).await;
    assert_eq!(deep.status, 400);
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn a_missing_or_mistyped_field_is_a_400_that_names_it() {
    let trio = Trio::replying(|wire| wire.reply("hello")).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    for case in trio.cases() {
        for (body, param) in [
            (json!({"messages": messages}), "model"),
            (json!({"model": null, "messages": messages}), "model"),
            (json!({"model": 7, "messages": messages}), "model"),
            (json!({"model": "", "messages": messages}), "model"),
            (json!({"model": case.name}), "messages"),
            (json!({"model": case.name, "messages": "hi"}), "messages"),
            (json!({"model": case.name, "messages": messages, "stream": "yes"}), "stream"),
        ] {
            let answer = case.client.post("/v1/chat/completions", &body).await;
            assert_eq!(answer.status, 400, "{body}: {}", answer.text());
            let error = answer.error();
            assert_eq!(
                (error["type"].as_str(), error["param"].as_str()),
                (Some("invalid_request_error"), Some(param)),
                "{body}: {error}"
            );
            assert!(answer.message().contains(param), "{body}: {error}");
        }
        assert_eq!(case.upstream.hits(), 0);
    }
}

#[tokio::test]
async fn a_mistyped_field_deep_in_a_translated_call_is_named_with_its_place() {
    let trio = Trio::replying(|wire| wire.reply("hello")).await;
    for case in trio.cases().filter(|case| case.wire != Wire::OpenAi) {
        for (more, place) in [
            (
                json!({"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": 7}]}),
                "messages[1].content",
            ),
            (json!({"messages": [{"content": "hi"}]}), "messages[0].role"),
            (json!({"messages": []}), "messages"),
            (json!({"max_tokens": "many"}), "max_tokens"),
            (json!({"temperature": "hot"}), "temperature"),
            (json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].function.name"),
        ] {
            let answer = case.client.chat_with(&case.name, "hi", more.clone()).await;
            assert_eq!(answer.status, 400, "{more}: {}", answer.text());
            assert_eq!(answer.error()["param"], place, "{more}: {}", answer.text());
        }
        assert_eq!(case.upstream.hits(), 0);
    }
}

#[tokio::test]
async fn an_unknown_model_is_a_404_that_guesses_what_was_meant() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway(&upstream).await;
    let close = gateway.client().chat("gpt-4o-mni", "hi").await;
    assert_eq!((close.status, close.error()["code"].as_str()), (404, Some("model_not_found")), "{}", close.text());
    assert!(close.message().contains("gpt-4o-mni") && close.message().contains("gpt-4o-mini"), "{}", close.text());
    let far = gateway.client().chat("llama", "hi").await;
    assert_eq!((far.status, far.error()["code"].as_str()), (404, Some("model_not_found")), "{}", far.text());
    assert!(far.message().contains("llama"), "{}", far.text());
}

#[tokio::test]
async fn an_operation_that_a_provider_lacks_is_a_clear_4xx() {
    let upstream = FakeUpstream::replying(Wire::Anthropic.reply("hello"));
    let gateway = Gateway::builder().model("claude", Wire::Anthropic.model(), &upstream.origin()).start().await;
    for (path, body) in [
        ("/v1/embeddings", json!({"model": "claude", "input": "hi"})),
        ("/v1/images/generations", json!({"model": "claude", "prompt": "a cat"})),
    ] {
        let answer = gateway.client().post(path, &body).await;
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        assert!(answer.message().contains("claude") || answer.message().contains("anthropic"), "{}", answer.text());
    }
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn a_body_above_the_limit_is_a_413_and_one_below_passes() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let builder = Gateway::builder().model("gpt", Wire::OpenAi.model(), &Wire::OpenAi.base(&upstream));
    let gateway = builder.set("general_settings", "max_request_size_mb", json!(1)).start().await;
    let answer = gateway.client().chat("gpt", &"x".repeat(2_000_000)).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    answer.error();
    assert_eq!(upstream.hits(), 0);
    assert_eq!(gateway.client().chat("gpt", &"x".repeat(900_000)).await.content(), "hello");
}

#[tokio::test]
async fn a_body_above_the_limit_without_a_length_is_a_413_too() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let builder = Gateway::builder().model("gpt", Wire::OpenAi.model(), &Wire::OpenAi.base(&upstream));
    let gateway = builder.set("general_settings", "max_request_size_mb", json!(1)).start().await;
    let pieces = (0..32).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100_000]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let answer = Answer::to(gateway.client().request(Method::POST, "/v1/chat/completions").body(body)).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn a_client_cannot_choose_where_a_call_goes_or_with_which_key() {
    let trio = Trio::replying(|wire| wire.reply("hello")).await;
    let elsewhere = FakeUpstream::replying(Wire::OpenAi.reply("stolen"));
    for case in trio.cases() {
        for more in [
            json!({"api_base": elsewhere.origin()}),
            json!({"base_url": elsewhere.origin()}),
            json!({"api_key": "sk-from-the-client"}),
        ] {
            // Refused or ignored, never followed.
            let answer = case.client.chat_with(&case.name, "hi", more.clone()).await;
            assert!(answer.status == 400 || answer.status == 200, "{more}: {}", answer.text());
            assert_eq!(elsewhere.hits(), 0, "{more}");
            for sent in case.upstream.requests() {
                assert!(!sent.text().contains("sk-from-the-client"), "{more}: {sent:?}");
                assert!(!sent.text().contains(&elsewhere.authority()), "{more}: {sent:?}");
            }
        }
    }
}

/// The parser in a guest stops at 127 levels; a guest must have room to get there.
#[tokio::test]
async fn json_as_deep_as_can_be_is_served_and_deeper_is_a_400() {
    let trio = Trio::with(json!({"drop_params": true}), |wire| provider(wire, "hello")).await;
    for case in trio.cases().filter(|case| case.wire != Wire::OpenAi) {
        for (levels, status) in [(126, 200), (127, 400), (10_000, 400)] {
            let nested = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
            let body = format!(
                r#"{{"model":"{}","messages":[{{"role":"user","content":"hi"}}],"nested":{nested}}}"#,
                case.name
            );
            let answer = case.client.post_raw("/v1/chat/completions", body).await;
            assert_eq!(answer.status, status, "{levels} levels: {}", answer.text());
        }
    }
}
