//! Requests are signed for AWS by the gateway, with keys that the plugin never sees.

use ai_api_e2e::{Builder, FakeUpstream, Gateway, Reply, TempDir, guest, patched};
use serde_json::{Value, json};

use super::sigv4::{Authorization, signature};

const ID: &str = "AKIDEXAMPLE0123456789";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ==";

fn upstream() -> FakeUpstream {
    FakeUpstream::replying(Reply::json(200, &json!({"fine": true})))
}

fn keys() -> Value {
    json!({
        "aws_access_key_id": ID,
        "aws_secret_access_key": SECRET,
        "aws_session_token": TOKEN,
        "aws_region_name": "eu-central-1",
    })
}

fn gateway(upstream: &FakeUpstream, params: Value) -> Builder {
    Gateway::builder().plugin(&guest("probe-aws")).model_with("m/*", "probe-aws/*", &upstream.origin(), params)
}

#[tokio::test]
async fn a_request_is_signed_with_the_deployments_keys() {
    let upstream = upstream();
    let gateway = gateway(&upstream, keys()).start().await;
    for prompt in ["hello", "grüße \u{1f600} /+&="] {
        let seen = gateway.client().chat("m/echo", prompt).await.content();
        assert!(seen.contains("fine"), "{seen}");

        let received = upstream.last();
        let authorization = Authorization::of(&received);
        let day = &received.header("x-amz-date").expect("a date")[..8];
        assert_eq!(authorization.credential, format!("{ID}/{day}/eu-central-1/bedrock/aws4_request"));
        assert_eq!(authorization.signature, signature(&received, SECRET, "eu-central-1", "bedrock"), "{received:?}");
        for name in ["host", "content-type", "x-amz-date", "x-amz-security-token", "x-amzn-bedrock-trace"] {
            assert!(authorization.signed_headers.iter().any(|signed| signed == name), "{name}: {authorization:?}");
        }
        assert_eq!(received.header("x-amz-security-token"), Some(TOKEN));
        assert!(!received.text().contains(SECRET));
        assert!(received.path.contains("%20") && received.query.contains("%20b%2Bc"), "{received:?}");
    }
    let log = gateway.log();
    assert!([SECRET, TOKEN, ID].iter().all(|secret| !log.contains(secret)), "{log}");
}

#[tokio::test]
async fn a_request_that_was_changed_on_its_way_has_another_signature() {
    let upstream = upstream();
    let gateway = gateway(&upstream, keys()).start().await;
    gateway.client().chat("m/echo", "hello").await.ok();
    let mut received = upstream.last();
    let signed = Authorization::of(&received).signature;
    assert_ne!(signed, signature(&received, "another secret", "eu-central-1", "bedrock"));
    received.body = b"{}".to_vec().into();
    assert_ne!(signed, signature(&received, SECRET, "eu-central-1", "bedrock"));
}

#[tokio::test]
async fn the_environments_keys_sign_where_the_deployment_names_none() {
    for region in ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"] {
        let upstream = upstream();
        let gateway = gateway(&upstream, json!({}))
            .env("AWS_ACCESS_KEY_ID", ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env(region, "us-west-2")
            .start()
            .await;
        gateway.client().chat("m/echo", "hello").await.ok();
        let received = upstream.request();
        assert_eq!(Authorization::of(&received).signature, signature(&received, SECRET, "us-west-2", "bedrock"));
        assert_eq!(received.header("x-amz-security-token"), None);
    }
}

#[tokio::test]
async fn keys_of_the_deployment_are_not_mixed_with_those_of_the_environment() {
    let upstream = upstream();
    let own = json!({"aws_access_key_id": ID, "aws_secret_access_key": "os.environ/MINE", "aws_region_name": "r-1"});
    let gateway = gateway(&upstream, own)
        .env("AWS_ACCESS_KEY_ID", "AKIDOFSOMEBODYELSE")
        .env("AWS_SECRET_ACCESS_KEY", "somebody else's secret")
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("MINE", SECRET)
        .start()
        .await;
    gateway.client().chat("m/echo", "hello").await.ok();
    let received = upstream.request();
    assert_eq!(Authorization::of(&received).signature, signature(&received, SECRET, "r-1", "bedrock"));
    assert_eq!(received.header("x-amz-security-token"), None);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let upstream = upstream();
    let without = |missing: &str| {
        let mut params = keys();
        params.as_object_mut().expect("an object").remove(missing);
        params
    };
    for (params, named) in [
        (json!({}), "AWS_ACCESS_KEY_ID (or litellm_params.aws_access_key_id)"),
        (without("aws_access_key_id"), "litellm_params.aws_access_key_id"),
        (without("aws_secret_access_key"), "litellm_params.aws_secret_access_key"),
        (without("aws_region_name"), "AWS_REGION (or litellm_params.aws_region_name)"),
    ] {
        let gateway = gateway(&upstream, params).start().await;
        let answer = gateway.client().chat("m/echo", "hello").await;
        assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("missing_credential")), "{named}");
        assert!(answer.message().contains(named), "{}", answer.message());
    }
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn the_environments_keys_dont_go_to_an_address_that_only_a_plugin_names() {
    let upstream = upstream();
    let no_base = json!({"api_base": null});
    let gateway = gateway(&upstream, no_base)
        .env("AWS_ACCESS_KEY_ID", ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_REGION", "us-west-2")
        .start()
        .await;
    let answer = gateway.client().chat("m/echo", "hello").await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("model_unavailable")));
    let message = answer.message();
    assert!(message.contains("bedrock-runtime.us-west-2.amazonaws.example"), "{message}");
    assert!(message.contains("set aws_access_key_id and aws_secret_access_key, or api_base"), "{message}");
}

#[tokio::test]
async fn a_plugin_that_takes_a_vendors_name_gets_neither_its_address_nor_the_environments_keys() {
    let (upstream, home) = (upstream(), TempDir::new());
    let plugin = home.write("anthropic.wasm", patched("probe-aws", &[("probe-aws", "anthropic")]));
    let gateway = Gateway::builder()
        .plugin(&plugin)
        .model_with("m/*", "anthropic/*", &upstream.origin(), json!({"api_base": null}))
        .env("AWS_ACCESS_KEY_ID", ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_REGION", "us-west-2")
        .start()
        .await;
    let answer = gateway.client().chat("m/echo", "hello").await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("model_unavailable")));
    let message = answer.message();
    assert!(message.contains("not for 'bedrock' at https://api.anthropic.com"), "{message}");
    gateway.logged("takes the place of the built-in plugin anthropic").await;
    gateway.logged("bedrock-runtime.{aws_region_name}.amazonaws.example").await;
}

#[tokio::test]
async fn a_guest_that_sets_a_part_of_the_signature_is_refused() {
    let upstream = upstream();
    // It is to misbehave again and again; quarantine has tests of its own.
    let again = json!({"probe-aws": {"quarantine_after": 0}});
    let gateway = gateway(&upstream, keys()).set("ai_api_settings", "plugin_limits", again).start().await;
    for task in [
        "header:authorization",
        "header:x-amz-date",
        "header:X-Amz-Security-Token",
        "header:x-amz-content-sha256",
        "query:X-Amz-Signature",
        "query:x-amz-date",
        "query:X-AMZ-Security-Token",
        "query:access_token",
    ] {
        let answer = gateway.client().chat(&format!("m/{task}"), "hello").await;
        assert_eq!((answer.status, answer.error()["code"].as_str()), (502, Some("plugin_failed")), "{task}");
    }
    assert_eq!(upstream.hits(), 0);
    gateway.client().chat("m/header:x-amzn-bedrock-guardrailidentifier", "hello").await.ok();
    gateway.client().chat("m/query:version", "hello").await.ok();
}
