//! `ai-api explain`: what the router would do, told without a call.

use ai_api_e2e::{Gateway, Run, TempDir};
use serde_json::{Value, json};

fn config(folder: &TempDir) -> String {
    let deployment = |name: &str, model: &str, more: Value| {
        let mut params = json!({"model": model, "api_key": "sk-upstream-secret", "api_base": "http://127.0.0.1:1/v1"});
        for (key, value) in more.as_object().expect("params are an object") {
            params[key.as_str()] = value.clone();
        }
        json!({"model_name": name, "litellm_params": params})
    };
    let mut blocked = deployment("chat", "openai/gpt-4o", json!({"order": 0}));
    blocked["model_info"] = json!({"blocked": true});
    let config = json!({
        "model_list": [
            deployment("chat", "openai/gpt-4o-mini", json!({"order": 2, "timeout": 30})),
            deployment("chat", "openai/gpt-3.5-turbo", json!({"order": 1, "tags": ["paid"]})),
            blocked,
            deployment("long", "anthropic/claude-sonnet-4-20250514", json!({})),
            deployment("any/*", "openai/*", json!({})),
        ],
        "router_settings": {
            "num_retries": 3,
            "retry_policy": {"TimeoutErrorRetries": 1},
            "model_group_alias": {"nick": "chat"},
            "fallbacks": [{"chat": ["any/gpt-4o"]}],
            "context_window_fallbacks": [{"chat": ["long"]}],
            "enable_tag_filtering": true,
        },
        "general_settings": {"master_key": "sk-e2e"},
    });
    folder.write("config.yaml", config.to_string()).display().to_string()
}

async fn explain(args: &[&str]) -> Run {
    Gateway::run(&[&["explain"], args].concat(), &[]).await
}

fn row<'a>(explained: &'a Value, kind: &str) -> &'a Value {
    let rows = explained["after_a_failure"].as_array().expect("rows").iter();
    rows.into_iter().find(|row| row["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {explained:#}"))
}

#[tokio::test]
async fn the_order_of_deployments_and_what_follows_a_failure_are_told_with_reasons() {
    let folder = TempDir::new();
    let config = config(&folder);
    let request =
        json!({"model": "nick", "messages": [{"role": "user", "content": "hi"}], "metadata": {"tags": ["paid"]}});
    let request = folder.write("request.json", request.to_string()).display().to_string();

    let run = explain(&["--config", &config, "--json", &request]).await;

    assert!(run.success, "{}", run.said);
    assert!(!run.said.contains("sk-upstream-secret"), "{}", run.said);
    let explained: Value = serde_json::from_str(&run.said).unwrap_or_else(|error| panic!("{error}: {}", run.said));
    assert_eq!((&explained["model_group"], &explained["named_by"]), (&json!("chat"), &json!("an alias of `chat`")));
    let called = explained["deployments"].as_array().expect("a list");
    assert_eq!(called.iter().map(|own| own["model"].clone()).collect::<Vec<_>>(), ["gpt-3.5-turbo"], "{explained:#}");
    let left_out = explained["left_out"].as_array().expect("a list");
    let why: Vec<_> = left_out.iter().map(|own| (own["model"].clone(), own["left_out"].clone())).collect();
    assert_eq!(why[0], (json!("gpt-4o-mini"), json!("its tags are others than the request's")));
    assert_eq!(why[1], (json!("gpt-4o"), json!("blocked: model_info.blocked is true")));
    let facts = |kind: &str| (row(&explained, kind)["retries"].clone(), row(&explained, kind)["fallbacks"].clone());
    assert_eq!(facts("timeout"), (json!(1), json!(["any/gpt-4o"])));
    assert_eq!(facts("server_error"), (json!(3), json!(["any/gpt-4o"])));
    assert_eq!(facts("context_window"), (json!(0), json!(["long", "any/gpt-4o"])));
}

#[tokio::test]
async fn people_are_told_in_words() {
    let folder = TempDir::new();
    let config = config(&folder);

    let run = explain(&["--config", &config, "--model", "chat"]).await;
    for told in [
        "chat → model group chat (by its own name), strategy simple-shuffle",
        "openai/gpt-4o: blocked: model_info.blocked is true",
        "After a failure:",
        "context_window   no retry; then long, then any/gpt-4o",
        "timeout          1 retry: another deployment, or the same one later; then any/gpt-4o",
    ] {
        assert!(run.success && run.said.contains(told), "{told}: {}", run.said);
    }

    let retired = explain(&["--config", &config, "--model", "long"]).await;
    assert!(retired.said.contains("was shut down on 2026-06-15"), "{}", retired.said);
    let wildcard = explain(&["--config", &config, "--model", "any/gpt-4o"]).await;
    assert!(wildcard.said.contains("the wildcard `any/*`"), "{}", wildcard.said);
    assert!(wildcard.said.contains("openai/gpt-4o: the only deployment"), "{}", wildcard.said);
}

#[tokio::test]
async fn what_is_no_request_or_names_no_model_is_refused_in_one_line() {
    let folder = TempDir::new();
    let config = config(&folder);
    let broken = folder.write("broken.json", "{").display().to_string();
    for (args, told) in [
        (vec!["--config", &config, "--model", "chatt"], "did you mean `chat`?"),
        (vec!["--config", &config], "which model? Give --model NAME"),
        (vec!["--config", &config, "--model", "chat", &broken], "Invalid JSON in the request body"),
        (vec!["--config", &config, "--model", "chat", "/nowhere.json"], "can't read the request /nowhere.json"),
    ] {
        let run = explain(&args).await;
        assert!(!run.success && run.said.contains(told) && run.said.lines().count() == 1, "{told}: {}", run.said);
    }
}
