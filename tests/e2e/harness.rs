//! The harness itself, without a gateway: what the fake upstream is told to do is what a client sees.

use std::net::TcpStream;

use ai_api_e2e::{
    Client, Event, FakeUpstream, Framing, Gate, Meaning, Port, Recording, Reply, Step, Transcript, Wire, recordings,
};

#[tokio::test]
async fn a_fake_openai_is_a_flawless_one() {
    let gate = Gate::closed();
    let upstream = FakeUpstream::replying(
        Reply::events(Wire::OpenAi.opening())
            .send(Wire::OpenAi.text("first"))
            .step(Step::Wait(gate.clone()))
            .then(Reply::events(Wire::OpenAi.ending())),
    );
    let client = Client::new(&upstream.origin(), "sk-test");
    let mut stream = client.stream("gpt", "hi").await;
    assert_eq!(stream.next_text().await, "first");
    gate.open();
    let rest = stream.transcript().await;
    assert!(rest.done);
    assert_eq!(rest.meaning().finish_reason.as_deref(), Some("stop"));
    let whole = client.stream("gpt", "hi").await.transcript().await;
    assert_eq!(whole.flaws(true), [""; 0], "{whole:#?}");
    assert_eq!(whole.meaning().text, "first");
    assert_eq!((upstream.hits(), upstream.connections()), (2, 1));
    assert_eq!(upstream.last().header("authorization"), Some("Bearer sk-test"));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let upstream = FakeUpstream::replying(Reply::events(Wire::OpenAi.opening()).step(Step::Stall));
    let client = Client::new(&upstream.origin(), "sk-test");
    let mut stream = client.stream("gpt", "hi").await;
    stream.next_chunk().await;
    assert_eq!(upstream.abandoned(), 0);
    drop(stream);
    upstream.left_alone(1).await;
}

#[tokio::test]
async fn a_broken_answer_looks_broken_in_every_framing() {
    for framing in [Framing::Length, Framing::Chunked] {
        let upstream = FakeUpstream::replying(Reply::status(200).framing(framing).send("half").step(Step::Break));
        let client = Client::new(&upstream.origin(), "sk-test");
        let response = client.request(reqwest::Method::GET, "/").send().await.expect("a head comes");
        assert!(response.bytes().await.is_err(), "{framing:?}");
        upstream.closed(1).await;
    }
    for reply in [Reply::hang_up(), Reply::reset()] {
        let upstream = FakeUpstream::replying(reply);
        let client = Client::new(&upstream.origin(), "sk-test");
        assert!(client.request(reqwest::Method::POST, "/").send().await.is_err());
    }
}

#[tokio::test]
async fn a_provider_that_goes_down_drops_its_calls_and_comes_back_at_its_port() {
    let upstream = FakeUpstream::replying_in_turn(vec![Reply::silence(), Wire::OpenAi.reply("hello")]);
    let client = Client::new(&upstream.origin(), "sk-test");
    let waiting = client.request(reqwest::Method::POST, "/").send();
    let waiting = tokio::spawn(waiting);
    upstream.asked(1).await;
    upstream.go_down().await;
    assert!(waiting.await.expect("no panic").is_err());
    let refused = client.request(reqwest::Method::POST, "/").send().await;
    assert!(refused.is_err_and(|error| error.is_connect()));
    upstream.come_back().await;
    assert_eq!(client.chat("gpt", "hi").await.content(), "hello");
}

#[tokio::test]
async fn a_reserved_port_refuses_until_somebody_listens() {
    let port = Port::reserve();
    assert!(TcpStream::connect(port.address()).is_err());
    let listener = port.listen();
    assert!(TcpStream::connect(port.address()).is_ok());
    drop(listener);
    assert!(TcpStream::connect(port.address()).is_err());
}

#[tokio::test]
async fn a_connection_that_closes_quietly_had_a_whole_answer() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello").closing_quietly());
    for call in 1..=2 {
        // Another client each time, for one that hasn't seen the end yet would use the connection again.
        let client = Client::new(&upstream.origin(), "sk-test");
        assert_eq!(client.chat("gpt", "hi").await.content(), "hello");
        upstream.closed(call).await;
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn recordings_in_openais_own_format_mean_what_is_expected_of_them() {
    // What the gateway passes through has to be comparable with `expected` before the gateway is asked.
    let known = crate::replay::known();
    let plain = |recording: &&Recording| {
        recording.operation == "chat" && recording.kind() == "chat" && crate::replay::in_scope(recording)
    };
    for recording in recordings().unwrap_or_default().iter().filter(plain) {
        let meaning = if recording.answers_with_stream() {
            Transcript::of(Event::all(&recording.body())).meaning()
        } else {
            Meaning::of_answer(&recording.file["response"]["body_json"])
        };
        let differences = meaning.differences(recording.expected());
        assert!(differences.is_empty() || known.is_known(&recording.id), "{}: {differences:?}", recording.id);
    }
}
