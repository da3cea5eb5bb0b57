//! Names of models are the client's words: odd ones work where a wildcard takes them, absurd ones are refused.

use ai_api_e2e::{Gateway, Wire};
use serde_json::json;

use crate::trio::provider;

#[tokio::test]
async fn a_wildcard_takes_odd_names_and_hands_them_on() {
    let upstream = provider(Wire::OpenAi, "hello");
    let gateway = Gateway::builder().model("openai/*", "openai/*", &Wire::OpenAi.base(&upstream)).start().await;
    for name in [
        "gpt-4o:free",
        "ft:gpt-4o-mini-2024-07-18:my-org::7p4lURel",
        "meta-llama/Llama-3.1-8B-Instruct@fp8",
        "accounts/fireworks/models/x#y",
        "größer-语言-🌍",
        "with a space",
        "50%25+?&=",
        "\"quoted\\name\"",
        "..",
        &"x".repeat(200),
    ] {
        for stream in [false, true] {
            let answer = gateway.client().chat_with(&format!("openai/{name}"), "hi", json!({"stream": stream})).await;
            assert_eq!(answer.status, 200, "{name:?}, stream {stream}: {}", answer.text());
            assert_eq!(upstream.last().json()["model"], *name);
        }
    }
}

#[tokio::test]
async fn an_absurd_name_is_a_400() {
    let upstreams: Vec<_> = Wire::ALL.iter().map(|wire| provider(*wire, "hello")).collect();
    let builder = Wire::ALL.iter().zip(&upstreams).fold(Gateway::builder(), |builder, (wire, upstream)| {
        let provider = wire.model().split('/').next().expect("a model has a provider");
        builder.model(&format!("{provider}/*"), &format!("{provider}/*"), &wire.base(upstream))
    });
    let gateway = builder.start().await;
    for prefix in ["", "openai/", "anthropic/", "gemini/"] {
        for name in ["x".repeat(10_000), "x".repeat(3_000_000)] {
            let answer = gateway.client().chat(&format!("{prefix}{name}"), "hi").await;
            assert_eq!(
                (answer.status, answer.error()["type"].as_str()),
                (400, Some("invalid_request_error")),
                "{prefix}"
            );
            assert!(answer.message().len() < 1_000, "{prefix}: the name is not repeated whole");
        }
    }
    for name in ["openai/line\nbreak", "openai/nul\0", "gemini/../../admin", "gemini/a/../b", "gemini/x?key=1", ""] {
        let answer = gateway.client().chat(name, "hi").await;
        // To OpenAI it is a text in a body; to Gemini a path.
        let safe = matches!(answer.status, 400 | 404) || (answer.status == 200 && name.starts_with("openai"));
        assert!(safe, "{name:?}: {} {}", answer.status, answer.text());
    }
    assert!(upstreams[2].hits() == 0, "{:?}", upstreams[2].requests());
}
