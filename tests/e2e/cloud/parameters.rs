//! A deployment's settings: shown to the plugin that names them, and not sent as request parameters.

use ai_api_e2e::{Gateway, guest};
use serde_json::json;

#[tokio::test]
async fn what_the_manifest_names_is_shown_as_text_and_not_sent() {
    let params = json!({
        "aws_access_key_id": "AKIDEXAMPLE",
        "aws_secret_access_key": "secret-of-aws",
        "aws_region_name": "eu-north-1",
        "probe_mode": "os.environ/MODE",
        "probe_level": 3,
        "probe_flag": true,
        "probe_other": "for the provider",
        "temperature": 0.5,
    });
    let builder = Gateway::builder().plugin(&guest("probe-aws")).env("MODE", "fast");
    let gateway = builder.model_with("m/*", "probe-aws/*", "http://127.0.0.1:9", params).start().await;
    let answer = gateway.client().chat("m/params", "hi").await.content();
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let shown =
        json!({"aws_region_name": "eu-north-1", "probe_mode": "fast", "probe_level": "3", "probe_flag": "true"});
    assert_eq!(answer["params"], shown);
    assert_eq!(
        (&answer["body"]["temperature"], &answer["body"]["probe_other"]),
        (&json!(0.5), &json!("for the provider"))
    );
    for name in ["probe_mode", "probe_level", "probe_flag", "aws_region_name"] {
        assert!(answer["body"].get(name).is_none(), "{answer}");
    }
}

#[tokio::test]
async fn a_setting_that_cant_be_shown_or_be_part_of_an_address_makes_a_deployment_unusable() {
    let gateway = Gateway::builder()
        .plugin(&guest("probe-aws"))
        .model_with(
            "list",
            "probe-aws/params",
            "http://127.0.0.1:9",
            json!({"probe_mode": ["a"], "aws_access_key_id": "AKIDEXAMPLE",
            "aws_secret_access_key": "s", "aws_region_name": "r"}),
        )
        .model_with("evil", "probe-aws/params", "", json!({"api_base": null, "aws_region_name": "x.evil.example/"}))
        .model_with("none", "probe-aws/params", "", json!({"api_base": null}))
        .start()
        .await;
    for (model, says) in [
        ("list", "litellm_params.probe_mode must be a text, a number or true or false"),
        ("evil", "litellm_params.aws_region_name is no part of a host name or path"),
        ("none", "its base URL needs litellm_params.aws_region_name"),
    ] {
        let answer = gateway.client().chat(model, "hi").await;
        assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("model_unavailable")), "{model}");
        assert!(answer.message().contains(says), "{}", answer.message());
    }
}
