//! `docker stop`: what is under way ends well, nothing new begins.

use ai_api_e2e::{FakeUpstream, Gate, Gateway, Reply, Step, Wire, eventually};

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
