//! Answers that have to be fetched: a plugin asks again, with the gateway's credentials and within the call's time.

use ai_api_e2e::{FakeUpstream, Gateway, Reply, guest};
use serde_json::json;

use super::sigv4::{Authorization, signature};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

async fn gateway(upstream: &FakeUpstream) -> Gateway {
    let keys = json!({"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": SECRET, "aws_region_name": "r-1"});
    let builder = Gateway::builder().plugin(&guest("probe-aws"));
    builder.model_with("m/*", "probe-aws/*", &upstream.origin(), keys).start().await
}

#[tokio::test]
async fn each_follow_up_is_authenticated_anew() {
    let upstream = FakeUpstream::answering(|request| Reply::json(200, &json!({"answer to": request.path})));
    let gateway = gateway(&upstream).await;
    let seen = gateway.client().chat("m/again:3", "hi").await.content();
    assert!(seen.contains(r#"{"answer to":"/jobs/0"}"#), "{seen}");
    let requests = upstream.requests();
    let paths: Vec<&str> = requests.iter().skip(1).map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/jobs/2", "/jobs/1", "/jobs/0"]);
    for request in &requests {
        assert_eq!(Authorization::of(request).signature, signature(request, SECRET, "r-1", "bedrock"));
    }
}

#[tokio::test]
async fn a_plugin_that_never_stops_asking_has_the_calls_time_and_no_more() {
    let upstream = FakeUpstream::replying(Reply::json(200, &json!({})));
    let gateway = gateway(&upstream).await;
    let answer = gateway.client().chat_with("m/again:5000", "hi", json!({"timeout": 1})).await;
    assert_eq!((answer.status, answer.error()["code"].as_str()), (504, Some("upstream_timeout")));
    // Not sooner than every 100 ms.
    assert!((2..=11).contains(&upstream.hits()), "{}", upstream.hits());
}
