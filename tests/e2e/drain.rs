//! `docker stop`: what is under way ends well, nothing new begins.

use std::time::Duration;

use serde_json::json;

use ai_api_e2e::{FakeUpstream, Gate, Gateway, Raw, Reply, Step, Wire, eventually, eventually_async};

#[tokio::test]
async fn a_stream_that_is_open_at_sigterm_finishes_and_new_connections_are_refused() {
    let wire = Wire::Anthropic;
    let gate = Gate::closed();
    let begun = Reply::events(wire.opening()).send(wire.text("before")).step(Step::Wait(gate.clone()));
    let upstream = FakeUpstream::replying(wire.ending().into_iter().fold(begun.send(wire.text(" after")), Reply::send));
    let mut gateway = Gateway::builder().model("claude", wire.model(), &wire.base(&upstream)).start().await;
    let mut stream = gateway.client().stream("claude", "hi").await;
    assert_eq!(stream.next_text().await, "before");

    gateway.terminate();

    let refused = || std::net::TcpStream::connect(gateway.authority()).is_err().then_some(());
    eventually("new connections to be refused", refused).await;
    assert!(gateway.is_running(), "a stream is open: {}", gateway.log());
    gate.open();
    assert_eq!(stream.next_text().await, " after");
    let rest = stream.transcript().await;
    assert!(rest.done && rest.error.is_none(), "{rest:#?}");
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
}

#[tokio::test]
async fn a_call_that_is_waiting_for_its_answer_at_sigterm_gets_it() {
    let wire = Wire::OpenAi;
    let gate = Gate::closed();
    let upstream = FakeUpstream::replying(wire.reply("late but here").head_after(&gate));
    let mut gateway = Gateway::builder().model("gpt", wire.model(), &wire.base(&upstream)).start().await;
    let client = gateway.client();
    let call = tokio::spawn(async move { client.chat("gpt", "hi").await });
    upstream.asked(1).await;

    gateway.terminate();

    let refused = || std::net::TcpStream::connect(gateway.authority()).is_err().then_some(());
    eventually("new connections to be refused", refused).await;
    gate.open();
    assert_eq!(call.await.expect("no panic").content(), "late but here");
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
}

#[tokio::test]
async fn an_idle_gateway_with_an_idle_client_ends_at_once() {
    let wire = Wire::OpenAi;
    let upstream = FakeUpstream::replying(wire.reply("hello"));
    let mut gateway = Gateway::builder().model("gpt", wire.model(), &wire.base(&upstream)).start().await;
    // Its connection stays open in the client's pool.
    let client = gateway.client();
    assert_eq!(client.chat("gpt", "hi").await.content(), "hello");
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
}

#[tokio::test]
async fn an_answer_of_http2_that_is_taken_slowly_arrives_whole_though_its_call_was_over_at_sigterm() {
    let wire = Wire::OpenAi;
    let upstream = FakeUpstream::replying(wire.reply(&"x".repeat(10_000)));
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]});
    let mut gateway = Gateway::builder().model("gpt", wire.model(), &wire.base(&upstream)).start().await;
    let mut answer = gateway.client().http2_with_window(1000).open("/v1/chat/completions", &body).await;
    let length: usize = answer.header("content-length").expect("it is whole").parse().expect("a number");
    let watching = gateway.client();
    eventually_async("the call to be over", async || {
        watching.get("/metrics").await.text().contains("ai_api_requests_in_flight 0").then_some(())
    })
    .await;

    gateway.terminate();

    // Longer than a connection without a call is left open: nothing is to happen, so there is nothing to wait for.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(gateway.is_running(), "an answer is on its way: {}", gateway.log());
    let mut came = 0;
    while let Some(piece) = answer.piece().await {
        came += piece.len();
    }
    assert_eq!(came, length);
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
    assert!(!gateway.log().contains("still open"), "{}", gateway.log());
}

#[tokio::test]
async fn a_client_of_http2_that_is_gone_does_not_hold_the_end_up() {
    let mut gateway = Gateway::builder().start().await;
    // It begins as it should, and answers nothing.
    let mut raw = Raw::open(gateway.authority()).await;
    raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    eventually_async("it to be counted", async || {
        gateway.client().get("/metrics").await.text().contains("ai_api_connections_open 2").then_some(())
    })
    .await;
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
    assert!(!gateway.log().contains("still open"), "{}", gateway.log());
}
