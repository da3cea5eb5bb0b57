//! The routes that LiteLLM's clients use, in every spelling, and what stands on each answer.

use ai_api_e2e::{Answer, Client, FakeUpstream, Gateway, Reply, Wire};
use reqwest::Method;
use serde_json::{Value, json};

use crate::trio::provider;

async fn gateway(upstream: &FakeUpstream) -> Gateway {
    builder(upstream).start().await
}

fn builder(upstream: &FakeUpstream) -> ai_api_e2e::Builder {
    let wire = Wire::OpenAi;
    Gateway::builder().model("gpt", wire.model(), &wire.base(upstream)).model(
        "org/gpt",
        wire.model(),
        &wire.base(upstream),
    )
}

fn openai() -> FakeUpstream {
    FakeUpstream::answering(|request| match request.path.as_str() {
        "/v1/embeddings" => Reply::json(
            200,
            &json!({"object": "list", "model": "m",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
        ),
        "/v1/images/generations" => {
            Reply::json(200, &json!({"created": 1, "data": [{"url": "https://img.example/1.png"}]}))
        }
        "/v1/completions" => Reply::json(
            200,
            &json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "text": "hello", "finish_reason": "stop", "logprobs": null}]}),
        ),
        _ => Wire::OpenAi.reply("hello"),
    })
}

/// Every way to ask for each operation, and where it must arrive.
fn operations() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("chat/completions", json!({"messages": [{"role": "user", "content": "hi"}]}), "/v1/chat/completions"),
        ("completions", json!({"prompt": "hi"}), "/v1/completions"),
        ("embeddings", json!({"input": "hi"}), "/v1/embeddings"),
        ("images/generations", json!({"prompt": "a cat"}), "/v1/images/generations"),
    ]
}

#[tokio::test]
async fn every_operation_has_a_route_with_and_without_v1() {
    let upstream = openai();
    let client = gateway(&upstream).await;
    let client = client.client();
    for (path, mut body, arrives) in operations() {
        body["model"] = json!("gpt");
        for route in [format!("/v1/{path}"), format!("/{path}")] {
            client.post(&route, &body).await.ok();
            let sent = upstream.last();
            assert_eq!((sent.path.as_str(), sent.json()["model"].as_str()), (arrives, Some("gpt-4o-mini")), "{route}");
        }
    }
}

#[tokio::test]
async fn the_model_may_stand_in_the_path_as_azures_and_old_openai_clients_write_it() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    let client = gateway.client();
    for (path, body, arrives) in operations() {
        for model in ["gpt", "org/gpt"] {
            let mut routes = vec![format!("/openai/deployments/{model}/{path}?api-version=2024-10-21")];
            if path != "images/generations" {
                routes.push(format!("/engines/{model}/{path}"));
            }
            for route in routes {
                let answer = client.post(&route, &body).await;
                assert_eq!(answer.status, 200, "{route}: {}", answer.text());
                assert_eq!(upstream.last().path, arrives, "{route}");
                assert_eq!(upstream.last().query, "", "{route}: the client's query is not the provider's");
            }
        }
    }
}

#[tokio::test]
async fn below_a_root_path_every_route_answers_with_and_without_the_prefix() {
    let upstream = openai();
    let gateway = builder(&upstream).env("SERVER_ROOT_PATH", "/ai-api").start().await;
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]});
    for prefix in ["", "/ai-api"] {
        let client = gateway.client().below(prefix);
        for route in ["/v1/chat/completions", "/chat/completions", "/engines/gpt/chat/completions"] {
            assert_eq!(client.post(route, &body).await.content(), "hello", "{prefix}{route}");
        }
        for route in ["/v1/models", "/models", "/model/info", "/health/liveliness", "/health/readiness", "/"] {
            assert_eq!(client.get(route).await.status, 200, "{prefix}{route}");
        }
    }
    let bare = gateway.client().get("/ai-api").await;
    assert_eq!((bare.status, bare.header("location")), (307, Some("/ai-api/")));
    let twice = gateway.client().post("/ai-api/ai-api/v1/chat/completions", &body).await;
    assert_eq!(twice.status, 404);
    let glued = gateway.client().post("/ai-apiv1/chat/completions", &body).await;
    assert_eq!(glued.status, 404);
}

#[tokio::test]
async fn without_a_root_path_a_prefix_is_an_unknown_path() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    assert_eq!(gateway.client().get("/ai-api/v1/models").await.status, 404);
}

#[tokio::test]
async fn the_models_are_listed_as_openai_lists_them() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    for route in ["/v1/models", "/models"] {
        let list = gateway.client().get(route).await.ok();
        assert_eq!(list["object"], "list");
        let models = list["data"].as_array().expect("a list");
        let ids: Vec<&str> = models.iter().filter_map(|model| model["id"].as_str()).collect();
        assert_eq!(ids, ["gpt", "org/gpt"], "in the file's order");
        let fine =
            |model: &Value| model["object"] == "model" && model["created"].is_u64() && model["owned_by"].is_string();
        assert!(models.iter().all(fine), "{list}");
    }
    for (route, id) in [
        ("/v1/models/gpt", "gpt"),
        ("/models/gpt", "gpt"),
        ("/v1/models/org/gpt", "org/gpt"),
        ("/v1/models/org%2Fgpt", "org/gpt"),
    ] {
        let model = gateway.client().get(route).await.ok();
        assert_eq!((model["id"].as_str(), model["object"].as_str()), (Some(id), Some("model")), "{route}");
    }
    let unknown = gateway.client().get("/v1/models/nope").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.error()["code"], "model_not_found");
}

#[tokio::test]
async fn model_info_shows_the_deployments_without_their_keys() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    for route in ["/model/info", "/v1/model/info"] {
        let answer = gateway.client().get(route).await;
        let info = answer.ok();
        let first = &info["data"][0];
        assert_eq!(
            (first["model_name"].as_str(), first["litellm_params"]["model"].as_str()),
            (Some("gpt"), Some("openai/gpt-4o-mini"))
        );
        assert!(first["model_info"]["id"].as_str().is_some_and(|id| !id.is_empty()), "{info}");
        assert!(!answer.text().contains("sk-upstream"), "{info}");
    }
}

#[tokio::test]
async fn health_answers_as_litellm_does_and_needs_no_key() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    let ask = |path: &'static str| Answer::to(gateway.client().bare(Method::GET, path));
    for path in ["/health/liveliness", "/health/liveness"] {
        assert_eq!(ask(path).await.ok(), json!("I'm alive!"), "{path}");
    }
    assert_eq!(ask("/health/readiness").await.ok()["status"], "healthy");
    let home = ask("/").await;
    assert_eq!(home.status, 200);
    assert!(home.text().contains("AI-API"), "{}", home.text());
    assert_eq!(upstream.hits(), 0, "health costs nothing");
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_that_is_also_in_the_log() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    let client = gateway.client();
    let answers = [
        client.chat("gpt", "hi").await,
        client.chat("nope", "hi").await,
        client.with_key("wrong").chat("gpt", "hi").await,
        client.get("/nowhere").await,
        client.get("/health/liveliness").await,
        client.get("/v1/models").await,
        client.post_raw("/v1/chat/completions", "{").await,
    ];
    let mut ids: Vec<&str> = answers.iter().map(|answer| answer.header("x-litellm-call-id").expect("an id")).collect();
    gateway.logged(ids[0]).await;
    gateway.logged(ids[1]).await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), answers.len());
}

#[tokio::test]
async fn an_answer_says_which_deployment_gave_it_and_how_long_it_took() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    let info = gateway.client().get("/model/info").await.ok();
    let answer = gateway.client().chat("org/gpt", "hi").await;
    assert_eq!(answer.header("x-litellm-model-id"), info["data"][1]["model_info"]["id"].as_str());
    let duration = answer.header("x-litellm-response-duration-ms").expect("a duration");
    assert!(duration.parse::<f64>().is_ok_and(|ms| (0.0..60_000.0).contains(&ms)), "{duration}");
    assert_eq!(answer.header("x-litellm-version"), None, "this is another program");
    assert_eq!(answer.header("x-litellm-model-api-base"), None, "not the client's business");
}

#[tokio::test]
async fn a_browser_may_call_from_any_page() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    let origin = "https://app.example";
    let allowed = |answer: &Answer| {
        let allowed = answer.header("access-control-allow-origin").unwrap_or_default().to_owned();
        assert!(["*", origin].contains(&allowed.as_str()), "{allowed:?}");
    };
    let preflight = gateway.client().bare(Method::OPTIONS, "/v1/chat/completions").header("origin", origin);
    let preflight = preflight.header("access-control-request-method", "POST");
    let preflight = Answer::to(preflight.header("access-control-request-headers", "authorization,content-type")).await;
    assert!([200, 204].contains(&preflight.status), "{}", preflight.status);
    allowed(&preflight);
    let listed = |name: &str| preflight.header(name).unwrap_or_default().to_lowercase();
    assert!(listed("access-control-allow-methods").contains("post") || listed("access-control-allow-methods") == "*");
    let headers = listed("access-control-allow-headers");
    assert!(headers.contains("authorization"), "`*` does not cover authorization: {headers:?}");
    for answer in [
        Answer::to(gateway.client().request(Method::GET, "/v1/models").header("origin", origin)).await,
        // Without this a page cannot tell why it was refused.
        Answer::to(gateway.client().bare(Method::GET, "/v1/models").header("origin", origin)).await,
    ] {
        allowed(&answer);
    }
}

#[tokio::test]
async fn http2_without_tls_works_for_whole_answers_and_for_streams() {
    let upstream = provider(Wire::OpenAi, "hello");
    let gateway = gateway(&upstream).await;
    let client: Client = gateway.client().http2();
    for _ in 0..3 {
        assert_eq!(client.chat("gpt", "hi").await.content(), "hello");
        let transcript = client.stream("gpt", "hi").await.transcript().await;
        assert_eq!((transcript.meaning().text.as_str(), transcript.done), ("hello", true));
    }
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let upstream = openai();
    let gateway = gateway(&upstream).await;
    let answer = Answer::to(gateway.client().bare(Method::HEAD, "/health/liveliness")).await;
    assert!([200, 405].contains(&answer.status), "{}", answer.status);
    assert!(answer.body.is_empty());
}
