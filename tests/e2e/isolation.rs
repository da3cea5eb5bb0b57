//! A guest that misbehaves fails its own call, sees no secret, and takes nothing and nobody with it.

use ai_api_e2e::{Answer, FakeUpstream, Gateway, MASTER_KEY, Reply, Wire, guest};
use serde_json::json;

const KEY: &str = "sk-upstream-the-secret-of-hostile";

/// A gateway with the hostile guest (`hostile/BEHAVIOUR`) and a well-behaved deployment beside it (`good`).
struct House {
    gateway: Gateway,
    /// Where the guest's requests go.
    upstream: FakeUpstream,
    neighbour: FakeUpstream,
}

impl House {
    async fn open() -> Self {
        let reply = Reply::events(["data: {\"one\": 1}\n\n", "data: {\"two\": 2}\n\n"]);
        let upstream = FakeUpstream::replying(reply.header("x-upstream", "was here").header("set-cookie", "session=1"));
        let neighbour = FakeUpstream::replying(Wire::Anthropic.reply("I'm fine"));
        let gateway = Gateway::builder()
            .model_with("hostile/*", "hostile/*", &upstream.origin(), json!({"api_key": KEY}))
            .model("good", Wire::Anthropic.model(), &Wire::Anthropic.base(&neighbour))
            .plugin(&guest("hostile"))
            // It is to misbehave again and again; quarantine has tests of its own.
            .set("ai_api_settings", "plugin_limits", json!({"hostile": {"quarantine_after": 0}}))
            .start()
            .await;
        Self { gateway, upstream, neighbour }
    }

    async fn ask(&self, behaviour: &str) -> Answer {
        self.gateway.client().chat(&format!("hostile/{behaviour}"), "hi").await
    }

    /// The call failed cleanly, said nothing that isn't the client's business, and hurt nobody else.
    async fn assert_fails_alone(&self, behaviour: &str, answer: &Answer) {
        assert!((500..=599).contains(&answer.status), "{behaviour}: {} {}", answer.status, answer.text());
        let message = answer.message();
        for word in [
            "wasm",
            "unreachable",
            "panicked",
            "not for the client",
            "backtrace",
            ".rs",
            env!("CARGO_MANIFEST_DIR"),
            KEY,
        ] {
            assert!(!message.contains(word), "{behaviour}: {word:?} is not the client's business: {message}");
        }
        self.assert_neighbour_is_fine(behaviour).await;
    }

    async fn assert_neighbour_is_fine(&self, behaviour: &str) {
        let answer = self.gateway.client().chat("good", "are you fine?").await;
        assert_eq!(answer.content(), "I'm fine", "after {behaviour}");
    }
}

#[tokio::test]
async fn a_guest_that_behaves_answers() {
    let house = House::open().await;
    assert_eq!(house.ask("fine").await.content(), "fine");
    house.assert_neighbour_is_fine("fine").await;
}

#[tokio::test]
async fn a_guest_that_traps_fails_its_own_call_whenever_it_does_it() {
    let house = House::open().await;
    for behaviour in ["trap", "trap-head", "trap-whole", "recurse", "recurse-head", "recurse-whole"] {
        for _ in 0..3 {
            house.assert_fails_alone(behaviour, &house.ask(behaviour).await).await;
        }
    }
}

#[tokio::test]
async fn a_guest_that_never_returns_fails_its_own_call_while_others_are_served() {
    let house = House::open().await;
    for behaviour in ["loop", "loop-head", "loop-whole"] {
        // More of them than there are processors.
        let loops = (0..4).map(|_| {
            let (client, model) = (house.gateway.client(), format!("hostile/{behaviour}"));
            tokio::spawn(async move { client.chat(&model, "hi").await })
        });
        let loops: Vec<_> = loops.collect();
        house.assert_neighbour_is_fine(behaviour).await;
        for answer in loops {
            house.assert_fails_alone(behaviour, &answer.await.expect("no panic")).await;
        }
    }
}

#[tokio::test]
async fn a_guest_that_hoards_memory_fails_its_own_call() {
    let house = House::open().await;
    for behaviour in ["hoard", "hoard-whole", "huge"] {
        house.assert_fails_alone(behaviour, &house.ask(behaviour).await).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_no_canonical_json_fails_its_own_call() {
    let house = House::open().await;
    for behaviour in ["bad-json", "bad-utf8", "no-object"] {
        house.assert_fails_alone(behaviour, &house.ask(behaviour).await).await;
    }
}

#[tokio::test]
async fn a_whole_answer_where_a_stream_was_asked_for_fails_its_own_call() {
    let house = House::open().await;
    for behaviour in ["whole-answer", "whole-answer-late"] {
        let answer = house.gateway.client().stream(&format!("hostile/{behaviour}"), "hi").await.answer().await;
        house.assert_fails_alone(behaviour, &answer).await;
        assert_eq!((answer.status, answer.error()["code"].as_str()), (502, Some("plugin_failed")), "{behaviour}");
    }
    assert_eq!(house.ask("whole-answer").await.content(), "whole");
}

#[tokio::test]
async fn a_stream_that_fails_inside_the_guest_fails_its_own_call() {
    let house = House::open().await;
    for behaviour in
        ["trap-events", "loop-events", "recurse-events", "hoard-events", "bad-json-events", "bad-utf8-events"]
    {
        let answer = house.gateway.client().stream(&format!("hostile/{behaviour}"), "hi").await.answer().await;
        house.assert_fails_alone(behaviour, &answer).await;
    }
    // After the first chunk the status is gone: an error event, and no [DONE].
    for behaviour in ["trap-end", "loop-end", "hoard-end", "recurse-end"] {
        let transcript = house.gateway.client().stream(&format!("hostile/{behaviour}"), "hi").await.transcript().await;
        assert!(transcript.error.is_some() && !transcript.done, "{behaviour}: {transcript:#?}");
        house.assert_neighbour_is_fine(behaviour).await;
    }
}

#[tokio::test]
async fn a_guest_that_looks_for_the_key_in_everything_it_is_given_never_finds_it() {
    let house = House::open().await;
    let seen = house.ask("hunt").await.content();
    // It was given much: the call, the head and the body of the answer.
    for given in ["hostile/hunt", "content-type", "was here", "data: {"] {
        assert!(seen.contains(given), "{given:?} isn't in {seen}");
    }
    let transcript = house.gateway.client().stream("hostile/hunt", "hi").await.transcript().await;
    let streamed = transcript.meaning().text;
    for given in ["head 200", "was here", "one", "two"] {
        assert!(streamed.contains(given), "{given:?} isn't in {streamed}");
    }
    for seen in [seen, streamed] {
        for secret in [KEY, MASTER_KEY, "Bearer"] {
            assert!(!seen.contains(secret), "the guest saw {secret}: {seen}");
        }
    }
    let sent = house.upstream.requests();
    assert!(sent.iter().all(|sent| sent.header("authorization") == Some(&format!("Bearer {KEY}"))), "{sent:?}");
}

#[tokio::test]
async fn a_guest_that_sets_a_header_of_the_gateways_is_refused() {
    let house = House::open().await;
    for header in [
        "authorization",
        "Authorization",
        "host",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "connection",
        "transfer-encoding",
        "content-length",
        "te",
        "upgrade",
        "proxy-authorization",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        ":authority",
    ] {
        house.assert_fails_alone(header, &house.ask(&format!("header:{header}")).await).await;
        assert_eq!(house.upstream.hits(), 0, "{header} went out: {:?}", house.upstream.requests());
    }
    for behaviour in ["header-value", "header-name"] {
        house.assert_fails_alone(behaviour, &house.ask(behaviour).await).await;
        assert_eq!(house.upstream.hits(), 0, "{behaviour} went out: {:?}", house.upstream.requests());
    }
}

#[tokio::test]
async fn a_guest_that_answers_a_path_out_of_its_base_url_is_refused() {
    let house = House::open().await;
    let mut tried = 0;
    loop {
        let behaviour = format!("path:{tried}");
        let answer = house.ask(&behaviour).await;
        if answer.status == 400 {
            break;
        }
        house.assert_fails_alone(&behaviour, &answer).await;
        assert_eq!(house.upstream.connections(), 0, "{behaviour} went out: {:?}", house.upstream.requests());
        tried += 1;
    }
    assert_eq!(tried, 12, "the guest knows so many paths");
}

#[tokio::test]
async fn a_guest_that_answers_an_odd_method_is_refused() {
    let house = House::open().await;
    for method in ["CONNECT", "TRACE", "smuggle", "", "get"] {
        house.assert_fails_alone(method, &house.ask(&format!("method:{method}")).await).await;
    }
    assert_eq!(house.upstream.hits(), 0, "{:?}", house.upstream.requests());
}

#[tokio::test]
async fn a_failure_with_a_status_of_success_is_a_failure_all_the_same() {
    let house = House::open().await;
    for status in [100, 200, 204, 304, 1000, 65_535] {
        let answer = house.ask(&format!("lying-status:{status}")).await;
        assert!((400..=599).contains(&answer.status), "{status}: {} {}", answer.status, answer.text());
        answer.error();
    }
}

#[tokio::test]
async fn a_guest_cannot_write_headers_into_the_answer() {
    let house = House::open().await;
    let answer = house.ask("warn").await;
    assert_eq!(answer.header("set-cookie"), None, "{:?}", answer.headers);
    assert_eq!(answer.content(), "fine");
    let flooded = house.ask("flood-warnings").await;
    assert_eq!(flooded.content(), "fine");
    let length: usize = flooded.headers.values().map(|value| value.len()).sum();
    assert!(length < 16_000, "headers of {length} bytes");
}

#[tokio::test]
async fn a_guest_can_neither_forge_nor_flood_the_log() {
    let house = House::open().await;
    assert_eq!(house.ask("forge-log").await.content(), "fine");
    house.gateway.logged("harmless").await;
    let log = house.gateway.log();
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "{log}");
    assert!(!log.contains("\u{1b}[2J"), "{log}");
    house.ask("flood-log").await;
    house.assert_neighbour_is_fine("flood-log").await;
    assert!(house.gateway.log().len() < 1_000_000, "a log of {} bytes", house.gateway.log().len());
}

#[tokio::test]
async fn a_chunk_with_line_ends_in_it_is_refused_because_it_would_end_its_event() {
    let house = House::open().await;
    let answer = house.gateway.client().stream("hostile/blank-lines", "hi").await.answer().await;
    house.assert_fails_alone("blank-lines", &answer).await;
}

#[tokio::test]
async fn a_hundred_bad_calls_at_once_leave_the_gateway_working() {
    let house = House::open().await;
    let behaviours = ["trap", "recurse", "bad-json", "hoard", "trap-whole"];
    let calls = (0..100).map(|index| {
        let (client, model) = (house.gateway.client(), format!("hostile/{}", behaviours[index % behaviours.len()]));
        tokio::spawn(async move { client.chat(&model, "hi").await.status })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        let status = call.await.expect("no panic");
        assert!((500..=599).contains(&status), "{status}");
    }
    house.assert_neighbour_is_fine("a hundred bad calls").await;
    assert!(house.neighbour.hits() > 0);
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_named_when_it_is_refused() {
    let home = ai_api_e2e::TempDir::new();
    let junk = home.write("junk.wasm", "this is no component");
    // A component that exports `ai-api:plugin/provider@0.9.0`, an instance without anything in it.
    let name = b"ai-api:plugin/provider@0.9.0";
    let mut other = b"\0asm\x0d\0\x01\0\x05\x03\x01\x01\0\x0b".to_vec();
    other.extend([name.len() as u8 + 6, 1, 0, name.len() as u8]);
    other.extend(name);
    other.extend([5, 0, 0]);
    let other = home.write("wrong_version.wasm", other);
    for (file, says) in [(&junk, "junk.wasm"), (&other, "0.9")] {
        let run = Gateway::builder().plugin(file).run().await;
        assert!(!run.success, "{says}: it started");
        assert!(run.said.contains(says), "{says}: {}", run.said);
    }
}
