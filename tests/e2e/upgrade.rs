//! A plugin that was compiled when its WIT version was frozen works for good.

use std::path::Path;

use ai_api_e2e::Gateway;

#[tokio::test]
async fn a_plugin_of_the_day_its_interface_was_frozen_still_answers() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/echo-0.1.0.wasm");
    let gateway = Gateway::builder().plugin(&file).model("old", "echo/anything", "http://127.0.0.1:9").start().await;
    gateway.logged("echo-0.1.0.wasm").await;

    assert_eq!(gateway.client().chat("old", "still here").await.content(), "still here");
    let stream = gateway.client().stream("old", "still here").await.transcript().await;
    assert_eq!((stream.meaning().text.as_str(), stream.done), ("still here", true));
}

#[tokio::test]
async fn a_plugin_that_answers_by_itself_needs_no_address() {
    let gateway = Gateway::builder()
        .model_with("echo", "echo/anything", "", serde_json::json!({"api_base": null, "api_key": null}))
        .start()
        .await;

    assert_eq!(gateway.client().chat("echo", "who needs an address?").await.content(), "who needs an address?");
}
