//! Google's service accounts: the gateway gets the tokens and keeps them; the plugin sees neither key nor token.

use ai_api_e2e::{Builder, FakeUpstream, Gate, Gateway, Reply, TempDir, guest};
use serde_json::{Value, json};

use super::tokens::{PRIVATE_KEY, claims, key_file, token, written};

fn upstream() -> FakeUpstream {
    FakeUpstream::replying(Reply::json(200, &json!({"fine": true})))
}

fn gateway(upstream: &FakeUpstream, credentials: Value) -> Builder {
    let params = json!({"vertex_credentials": credentials, "vertex_location": "europe-west4"});
    Gateway::builder().plugin(&guest("probe-google")).model_with("m/*", "probe-google/*", &upstream.origin(), params)
}

fn bearers(upstream: &FakeUpstream) -> Vec<String> {
    upstream.requests().iter().map(|sent| sent.header("authorization").unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn many_calls_at_once_fetch_one_token_with_an_assertion_that_the_account_signed() {
    let (home, gate) = (TempDir::new(), Gate::closed());
    let endpoint = FakeUpstream::replying(token("ya29.the-first-token", 3600).head_after(&gate));
    let upstream = upstream();
    let gateway = gateway(&upstream, json!(written(&home, &key_file(&endpoint)))).start().await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = gateway.client();
            tokio::spawn(async move { client.chat("m/echo", "hi").await.status })
        })
        .collect();
    endpoint.asked(1).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic"), 200);
    }
    assert_eq!(bearers(&upstream), vec!["Bearer ya29.the-first-token"; 20]);

    let (header, claims) = claims(&endpoint.request());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    assert_eq!(claims["iss"], "gateway@project-of-the-file.iam.gserviceaccount.example");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(claims["aud"], format!("{}/token", endpoint.origin()));
    assert_eq!(claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, iat)| exp - iat), Some(3600));
    let log = gateway.log();
    assert!(!log.contains("ya29") && !log.contains("PRIVATE KEY"), "{log}");
}

#[tokio::test]
async fn a_token_that_is_over_is_fetched_anew() {
    let endpoint =
        FakeUpstream::replying_in_turn(vec![token("token-that-is-over", 1), token("token-that-is-good", 3600)]);
    let upstream = upstream();
    let gateway = gateway(&upstream, key_file(&endpoint)).start().await;
    for _ in 0..3 {
        gateway.client().chat("m/echo", "hi").await.ok();
    }
    let sent = ["Bearer token-that-is-over", "Bearer token-that-is-good", "Bearer token-that-is-good"];
    assert_eq!((bearers(&upstream), endpoint.hits()), (sent.map(str::to_owned).to_vec(), 2));
}

#[tokio::test]
async fn nobody_waits_for_the_next_token_while_the_old_one_is_good() {
    let gate = Gate::closed();
    // Good for 100 s: soon to be renewed.
    let endpoint = FakeUpstream::replying_in_turn(vec![
        token("token-one-of-two", 100),
        token("token-two-of-two", 3600).head_after(&gate),
    ]);
    let upstream = upstream();
    let gateway = gateway(&upstream, key_file(&endpoint)).start().await;
    for _ in 0..5 {
        gateway.client().chat("m/echo", "hi").await.ok();
    }
    endpoint.asked(2).await;
    assert_eq!(bearers(&upstream), vec!["Bearer token-one-of-two"; 5]);
    gate.open();
    loop {
        gateway.client().chat("m/echo", "hi").await.ok();
        if bearers(&upstream).last().is_some_and(|last| last == "Bearer token-two-of-two") {
            break;
        }
    }
    assert_eq!(endpoint.hits(), 2);
}

#[tokio::test]
async fn a_token_endpoint_that_refuses_is_the_operators_business_and_not_the_clients() {
    let refusal = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."});
    let endpoint = FakeUpstream::replying_in_turn(vec![Reply::json(400, &refusal), token("token-after-all", 3600)]);
    let upstream = upstream();
    let gateway = gateway(&upstream, key_file(&endpoint)).start().await;
    let answer = gateway.client().chat("m/echo", "hi").await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("credential_unavailable")));
    let message = answer.message();
    assert!(!message.contains("grant") && !message.contains("gserviceaccount"), "{message}");
    gateway.logged("the token endpoint answered 400: invalid_grant: Invalid JWT Signature.").await;
    assert_eq!(upstream.hits(), 0);
    // It is asked anew by the next call.
    gateway.client().chat("m/echo", "hi").await.ok();
    assert_eq!(bearers(&upstream), ["Bearer token-after-all"]);
}

#[tokio::test]
async fn an_endpoint_that_echoes_the_assertion_gets_it_into_no_log() {
    let endpoint = FakeUpstream::answering(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let assertion = body.rsplit('=').next().unwrap_or_default();
        Reply::json(401, &json!({"error": format!("bad {assertion}")}))
    });
    let gateway = gateway(&upstream(), key_file(&endpoint)).start().await;
    assert_eq!(gateway.client().chat("m/echo", "hi").await.status, 503);
    gateway.logged("401: bad [redacted]").await;
}

#[tokio::test]
async fn an_endpoint_without_a_token_or_without_an_answer_fails_the_call_only() {
    for reply in [
        Reply::json(200, &json!({"expires_in": 1})),
        Reply::status(200).send("no JSON"),
        Reply::hang_up(),
        Reply::status(302),
    ] {
        let endpoint = FakeUpstream::replying(reply.clone());
        let gateway = gateway(&upstream(), key_file(&endpoint)).start().await;
        let answer = gateway.client().chat("m/echo", "hi").await;
        assert_eq!(
            (answer.status, answer.error()["code"].as_str()),
            (503, Some("credential_unavailable")),
            "{reply:?}"
        );
    }
    let endpoint = FakeUpstream::replying(Reply::silence());
    let gateway = gateway(&upstream(), key_file(&endpoint)).start().await;
    let answer = gateway.client().chat_with("m/echo", "hi", json!({"timeout": 0.5})).await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("credential_unavailable")));
}

#[tokio::test]
async fn the_account_may_be_json_or_of_the_environment_and_says_the_project() {
    let endpoint = FakeUpstream::replying(token("token-of-the-account", 3600));
    let home = TempDir::new();
    let (key, path) = (key_file(&endpoint), written(&home, &key_file(&endpoint)));
    for (credentials, variable) in [
        (json!(key.to_string()), ("UNUSED", "x".to_owned())),
        (json!("os.environ/ACCOUNT"), ("ACCOUNT", key.to_string())),
        (Value::Null, ("GOOGLE_APPLICATION_CREDENTIALS", path)),
        (Value::Null, ("VERTEXAI_CREDENTIALS", key.to_string())),
    ] {
        let upstream = upstream();
        let gateway = gateway(&upstream, credentials).env(variable.0, &variable.1).start().await;
        gateway.client().chat("m/echo", "hi").await.ok();
        assert_eq!(bearers(&upstream), ["Bearer token-of-the-account"], "{}", variable.0);
        let shown: Value =
            serde_json::from_str(&gateway.client().chat("m/params", "hi").await.content()).expect("JSON");
        assert_eq!(
            shown["params"],
            json!({"vertex_location": "europe-west4", "vertex_project": "project-of-the-file"})
        );
    }
}

#[tokio::test]
async fn without_an_account_it_is_said_what_to_set() {
    let upstream = upstream();
    for (credentials, named) in [
        (Value::Null, "GOOGLE_APPLICATION_CREDENTIALS (or litellm_params.vertex_credentials)"),
        (json!("os.environ/NO_ACCOUNT"), "NO_ACCOUNT"),
    ] {
        let gateway = gateway(&upstream, credentials).start().await;
        let answer = gateway.client().chat("m/echo", "hi").await;
        assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("missing_credential")));
        assert!(answer.message().contains(named), "{}", answer.message());
    }
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn a_key_file_that_is_none_is_told_at_start_and_by_check_without_a_word_of_it() {
    let endpoint = FakeUpstream::replying(Reply::status(500));
    let with = |key: &str, value: Value| {
        let mut file = key_file(&endpoint);
        file[key] = value;
        file.to_string()
    };
    let without_line: String =
        PRIVATE_KEY.lines().filter(|line| !line.starts_with("MII")).map(|line| format!("{line}\n")).collect();
    for (content, says) in [
        ("SECRETSECRET".to_owned(), "no JSON (line 1, column 1)"),
        (with("type", json!("SECRETSECRET")), "its type is not `service_account`"),
        (with("type", json!("authorized_user")), "other kinds of credentials are not supported yet"),
        (with("private_key", json!("SECRETSECRET")), "its private_key is no PEM"),
        (with("private_key", json!(without_line)), "its private_key is no RSA key"),
        (with("client_email", Value::Null), "it has no client_email"),
        (with("token_uri", json!("SECRETSECRET")), "its token_uri is no URL"),
        (with("token_uri", json!("file:///SECRETSECRET")), "its token_uri is no http(s) URL"),
        ("x".repeat(100_000), "larger than 64 KiB, so it is no key file"),
    ] {
        let home = TempDir::new();
        let account = home.write("account.json", content).display().to_string();
        let config = json!({
            "model_list": [{"model_name": "m", "litellm_params": {"model": "probe-google/x", "vertex_credentials": account}}],
            "general_settings": {"master_key": "sk-master-of-the-test"},
        });
        let config = home.write("config.yaml", config.to_string());
        let run = Gateway::run(&["check", &config.display().to_string()], &[]).await;
        let expected = format!("{says}: calls to this model will fail");
        assert!(run.said.contains("vertex_credentials") && run.said.contains(&expected), "{says}: {}", run.said);
        assert!(!run.said.contains("SECRETSECRET") && !run.said.contains("PRIVATE KEY"), "{}", run.said);
    }
    let upstream = upstream();
    let gateway = gateway(&upstream, json!("/nowhere/account.json")).start().await;
    gateway.logged("vertex_credentials: the file can't be opened").await;
    let answer = gateway.client().chat("m/echo", "hi").await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("model_unavailable")));
    assert!(answer.message().contains("the file can't be opened"), "{}", answer.message());
}

#[tokio::test]
async fn the_environments_account_doesnt_go_to_an_address_that_only_a_plugin_names() {
    let endpoint = FakeUpstream::replying(token("token-of-the-account", 3600));
    let params = json!({"api_base": null, "vertex_location": "europe-west4"});
    let gateway = Gateway::builder()
        .plugin(&guest("probe-google"))
        .model_with("m/*", "probe-google/*", "", params)
        .env("GOOGLE_APPLICATION_CREDENTIALS", &key_file(&endpoint).to_string())
        .start()
        .await;
    let answer = gateway.client().chat("m/echo", "hi").await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("model_unavailable")));
    assert!(answer.message().contains("europe-west4-probe.cloud.example"), "{}", answer.message());
    assert_eq!(endpoint.hits(), 0);
}
