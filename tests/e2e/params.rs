//! What an operator says in `litellm_params` and `litellm_settings` holds for every call, and nothing is lost silently.

use ai_api_e2e::{FakeUpstream, Gateway, Wire};
use serde_json::{Value, json};

use crate::trio::provider;

const WARNINGS: &str = "x-ai-api-translation-warnings";

/// A Claude deployment named `claude` with these params, and a provider that always answers.
async fn claude(params: Value) -> (Gateway, FakeUpstream) {
    deployed(Wire::Anthropic, params).await
}

async fn deployed(wire: Wire, params: Value) -> (Gateway, FakeUpstream) {
    let upstream = provider(wire, "hello");
    let gateway = Gateway::builder().model_with("model", wire.model(), &wire.base(&upstream), params).start().await;
    (gateway, upstream)
}

#[tokio::test]
async fn a_parameter_that_the_provider_lacks_is_a_400_that_names_it() {
    let (gateway, upstream) = claude(json!({})).await;
    for (more, param) in [
        (json!({"seed": 7}), "seed"),
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"presence_penalty": 0.5}), "presence_penalty"),
        (json!({"logit_bias": {"1": 1}}), "logit_bias"),
    ] {
        let answer = gateway.client().chat_with("model", "hi", more.clone()).await;
        let error = answer.error();
        assert_eq!((answer.status, error["param"].as_str()), (400, Some(param)), "{more}: {error}");
        assert_eq!(error["type"], "invalid_request_error", "{more}");
        assert!(answer.message().contains(param) && answer.message().contains("drop_params"), "{more}: {error}");
    }
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn with_drop_params_it_is_dropped_and_the_client_is_told() {
    let wire = Wire::Anthropic;
    let upstream = provider(wire, "hello");
    let globally = Gateway::builder().model("model", wire.model(), &wire.base(&upstream)).set(
        "litellm_settings",
        "drop_params",
        json!(true),
    );
    let here =
        Gateway::builder().model_with("model", wire.model(), &wire.base(&upstream), json!({"drop_params": true}));
    for builder in [globally, here] {
        let gateway = builder.start().await;
        let answer = gateway.client().chat_with("model", "hi", json!({"seed": 7, "temperature": 0.5})).await;
        assert_eq!(answer.content(), "hello");
        assert!(answer.header(WARNINGS).is_some_and(|warnings| warnings.contains("seed")), "{:?}", answer.headers);
        assert!(!answer.header(WARNINGS).unwrap_or_default().contains("temperature"));
        let sent = upstream.last().json();
        assert_eq!((sent.get("seed"), &sent["temperature"]), (None, &json!(0.5)));
        let stream = gateway.client().stream_with("model", "hi", json!({"seed": 7})).await;
        assert!(stream.header(WARNINGS).is_some_and(|warnings| warnings.contains("seed")), "{:?}", stream.headers);
    }
}

#[tokio::test]
async fn a_deployments_word_on_drop_params_counts_more_than_the_global_one() {
    let wire = Wire::Anthropic;
    let upstream = provider(wire, "hello");
    let builder =
        Gateway::builder().model_with("model", wire.model(), &wire.base(&upstream), json!({"drop_params": false}));
    let gateway = builder.set("litellm_settings", "drop_params", json!(true)).start().await;
    assert_eq!(gateway.client().chat_with("model", "hi", json!({"seed": 7})).await.status, 400);
}

#[tokio::test]
async fn a_call_that_loses_nothing_has_no_warnings() {
    let (gateway, _upstream) = claude(json!({"strict": true})).await;
    let answer = gateway.client().chat_with("model", "hi", json!({"temperature": 0.5, "max_tokens": 10})).await;
    assert_eq!((answer.status, answer.header(WARNINGS)), (200, None), "{}", answer.text());
}

#[tokio::test]
async fn a_strict_deployment_refuses_what_would_be_lost() {
    // A participant's name has no place at Anthropic: dropped with a warning, or refused.
    let named = json!({"messages": [{"role": "user", "name": "ada", "content": "hi"}]});
    let (lax, _upstream) = claude(json!({})).await;
    let answer = lax.client().chat_with("model", "hi", named.clone()).await;
    assert!(
        answer.header(WARNINGS).is_some_and(|warnings| warnings.contains("messages[0].name")),
        "{:?}",
        answer.headers
    );
    let (strict, upstream) = claude(json!({"strict": true, "drop_params": true})).await;
    for (more, place) in [(named, "messages[0].name"), (json!({"seed": 7}), "seed")] {
        let answer = strict.client().chat_with("model", "hi", more).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.message().contains(place), "{}", answer.text());
    }
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn additional_drop_params_are_dropped_although_the_provider_has_them() {
    for wire in Wire::ALL {
        let (gateway, upstream) = deployed(wire, json!({"additional_drop_params": ["temperature"]})).await;
        let answer = gateway.client().chat_with("model", "hi", json!({"temperature": 0.5, "top_p": 0.25})).await;
        assert_eq!(answer.content(), "hello", "{wire:?}");
        let sent = upstream.request().json().to_string();
        assert!(!sent.contains("0.5") && sent.contains("0.25"), "{wire:?}: {sent}");
    }
}

#[tokio::test]
async fn default_params_of_a_deployment_fill_in_what_the_client_left_out() {
    for wire in Wire::ALL {
        let (gateway, upstream) = deployed(wire, json!({"temperature": 0.125, "max_tokens": 77})).await;
        gateway.client().chat("model", "hi").await.ok();
        let sent = upstream.last().json().to_string();
        assert!(sent.contains("0.125") && sent.contains("77"), "{wire:?}: {sent}");
        gateway.client().chat_with("model", "hi", json!({"temperature": 0.75})).await.ok();
        let sent = upstream.last().json().to_string();
        assert!(sent.contains("0.75") && !sent.contains("0.125"), "the client's word counts: {wire:?}: {sent}");
    }
}

#[tokio::test]
async fn what_is_the_gateways_own_in_litellm_params_does_not_reach_the_provider() {
    for wire in Wire::ALL {
        let params = json!({"timeout": 30, "stream_timeout": 20, "rpm": 10, "tpm": 1000, "weight": 2, "order": 1,
            "drop_params": true, "additional_drop_params": ["user"], "max_retries": 0, "tags": ["a"],
            "input_cost_per_token": 0.001, "custom_llm_provider": wire.model().split('/').next()});
        let (gateway, upstream) = deployed(wire, params).await;
        gateway.client().chat("model", "hi").await.ok();
        let mut sent = upstream.request().json();
        let known = ["model", "messages", "max_tokens", "contents", "generationConfig"];
        sent.as_object_mut().expect("an object").retain(|key, _| !known.contains(&key.as_str()));
        assert_eq!(sent, json!({}), "{wire:?}");
    }
}

#[tokio::test]
async fn extra_headers_of_a_deployment_reach_the_provider() {
    for wire in Wire::ALL {
        let (gateway, upstream) =
            deployed(wire, json!({"extra_headers": {"X-Team": "blue", "helicone-auth": "Bearer h"}})).await;
        gateway.client().chat("model", "hi").await.ok();
        let sent = upstream.request();
        assert_eq!((sent.header("x-team"), sent.header("helicone-auth")), (Some("blue"), Some("Bearer h")), "{wire:?}");
        let (name, value) = wire.credential("sk-upstream-model");
        assert_eq!(sent.header(name), Some(value.as_str()));
    }
}

#[tokio::test]
async fn headers_of_the_client_do_not_reach_the_provider() {
    for wire in Wire::ALL {
        let (gateway, upstream) = deployed(wire, json!({})).await;
        let body = json!({"model": "model", "messages": [{"role": "user", "content": "hi"}]}).to_string();
        let names = [
            "x-forwarded-for",
            "forwarded",
            "cookie",
            "x-real-ip",
            "openai-organization",
            "anthropic-version",
            "user-agent",
            "referer",
        ];
        let request = gateway
            .client()
            .request(reqwest::Method::POST, "/v1/chat/completions")
            .header("content-type", "application/json");
        let request = names.iter().fold(request, |request, name| request.header(*name, "from-the-client"));
        ai_api_e2e::Answer::to(request.body(body)).await.ok();
        let sent = upstream.request();
        assert!(!sent.text().contains("from-the-client"), "{wire:?}: {sent:?}");
    }
}

#[tokio::test]
async fn a_mock_response_answers_without_a_provider() {
    for wire in Wire::ALL {
        let (gateway, upstream) = deployed(wire, json!({"mock_response": "canned"})).await;
        let answer = gateway.client().chat("model", "hi").await;
        assert_eq!(answer.content(), "canned");
        assert_eq!(answer.json()["choices"][0]["finish_reason"], "stop");
        let transcript = gateway.client().stream("model", "hi").await.transcript().await;
        assert_eq!(transcript.flaws(false), [""; 0], "{transcript:#?}");
        assert_eq!(transcript.meaning().text, "canned");
        assert_eq!(upstream.hits(), 0);
    }
}

#[tokio::test]
async fn a_client_cannot_mock_its_answer() {
    for wire in Wire::ALL {
        let (gateway, upstream) = deployed(wire, json!({"drop_params": true})).await;
        let answer = gateway.client().chat_with("model", "hi", json!({"mock_response": "canned"})).await;
        assert!(!answer.text().contains("canned"), "{wire:?}: {}", answer.text());
        assert!(answer.status == 400 || upstream.hits() == 1, "{wire:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_deployment_whose_key_is_not_set_says_so_and_sends_nothing() {
    for wire in Wire::ALL {
        let (gateway, upstream) = deployed(wire, json!({"api_key": "os.environ/NOT_SET_ANYWHERE"})).await;
        gateway.logged("NOT_SET_ANYWHERE").await;
        for streamed in [false, true] {
            let answer = gateway.client().chat_with("model", "hi", json!({"stream": streamed})).await;
            assert!((400..=599).contains(&answer.status), "{}", answer.text());
            assert!(answer.message().contains("NOT_SET_ANYWHERE"), "{wire:?}: {}", answer.text());
        }
        assert_eq!(upstream.hits(), 0);
    }
}

#[tokio::test]
async fn a_key_from_the_environment_is_used() {
    for wire in Wire::ALL {
        let upstream = provider(wire, "hello");
        let builder = Gateway::builder().model_with(
            "model",
            wire.model(),
            &wire.base(&upstream),
            json!({"api_key": "os.environ/MY_KEY"}),
        );
        let gateway = builder.env("MY_KEY", "sk-from-env").start().await;
        gateway.client().chat("model", "hi").await.ok();
        let (name, value) = wire.credential("sk-from-env");
        assert_eq!(upstream.request().header(name), Some(value.as_str()));
    }
}

#[tokio::test]
async fn an_alias_and_a_wildcard_lead_to_the_model() {
    let upstream = provider(Wire::OpenAi, "hello");
    let builder = Gateway::builder().model("openai/*", "openai/*", &Wire::OpenAi.base(&upstream));
    let builder = builder.model("real", "openai/gpt-4o-mini", &Wire::OpenAi.base(&upstream));
    let gateway = builder.set("router_settings", "model_group_alias", json!({"nickname": "real"})).start().await;
    for (asked, sent) in [("openai/gpt-4o", "gpt-4o"), ("nickname", "gpt-4o-mini"), ("real", "gpt-4o-mini")] {
        gateway.client().chat(asked, "hi").await.ok();
        assert_eq!(upstream.last().json()["model"], sent, "{asked}");
    }
}
