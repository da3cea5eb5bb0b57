//! A provider that fails before the client got anything: a proper status and OpenAI's error form.

use ai_api_e2e::{Answer, FakeUpstream, Gateway, Reply, Step, Wire};
use serde_json::json;

use crate::trio::{Case, Trio, provider};

/// Both ways to ask; neither has an answer yet when the provider fails.
async fn both(case: &Case<'_>) -> [Answer; 2] {
    [case.client.chat(&case.name, "hi").await, case.client.stream(&case.name, "hi").await.answer().await]
}

#[tokio::test]
async fn a_refused_connection_is_a_502() {
    let trio = Trio::replying(|wire| wire.reply("never")).await;
    let bases: Vec<(Wire, String)> = trio.cases().map(|case| (case.wire, case.wire.base(case.upstream))).collect();
    drop(trio);
    // The fakes are gone: nothing listens at their ports.
    let builder = bases
        .iter()
        .fold(Gateway::builder(), |builder, (wire, base)| builder.model(&format!("{wire:?}"), wire.model(), base));
    let gateway = builder.start().await;
    for (wire, base) in &bases {
        for streamed in [false, true] {
            let answer = gateway.client().chat_with(&format!("{wire:?}"), "hi", json!({"stream": streamed})).await;
            assert_eq!(answer.status, 502, "{wire:?}: {}", answer.text());
            let port = base.rsplit(':').next().and_then(|port| port.split('/').next()).expect("a port");
            assert!(!answer.message().contains(port), "the upstream's address is not the client's: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_provider_that_hangs_up_before_its_first_byte_is_a_502() {
    let trio = Trio::replying(|_| Reply::hang_up()).await;
    for case in trio.cases() {
        for answer in both(&case).await {
            assert_eq!(answer.status, 502, "{}", answer.text());
            answer.error();
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_event_is_a_502() {
    let trio = Trio::replying(|_| Reply::events([] as [&str; 0]).step(Step::Break)).await;
    for case in trio.cases() {
        let answer = case.client.stream(&case.name, "hi").await.answer().await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        answer.error();
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_its_first_event_is_a_502() {
    let trio = Trio::replying(|_| Reply::events([] as [&str; 0])).await;
    for case in trio.cases() {
        let answer = case.client.stream(&case.name, "hi").await.answer().await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        answer.error();
    }
}

#[tokio::test]
async fn a_silent_provider_is_a_504_after_the_deployments_timeout() {
    let trio =
        Trio::with(json!({"timeout": 1, "stream_timeout": 1}), |_| FakeUpstream::replying(Reply::silence())).await;
    for case in trio.cases() {
        for answer in both(&case).await {
            assert_eq!(answer.status, 504, "{}", answer.text());
            answer.error();
        }
        case.upstream.left_alone(2).await;
    }
}

#[tokio::test]
async fn an_answer_that_stalls_halfway_is_a_504() {
    let trio = Trio::with(json!({"timeout": 1}), |wire| {
        let half = wire.answer("half").to_string();
        FakeUpstream::replying(
            Reply::status(200).header("content-type", "application/json").send(&half[..20]).step(Step::Stall),
        )
    })
    .await;
    for case in trio.cases() {
        let answer = case.client.chat(&case.name, "hi").await;
        assert_eq!(answer.status, 504, "{}", answer.text());
        answer.error();
        case.upstream.left_alone(1).await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_halfway_is_a_502() {
    let trio = Trio::replying(|wire| {
        let half = wire.answer("half").to_string();
        Reply::status(200).header("content-type", "application/json").send(&half[..20]).step(Step::Break)
    })
    .await;
    for case in trio.cases() {
        let answer = case.client.chat(&case.name, "hi").await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        answer.error();
    }
}

#[tokio::test]
async fn an_empty_answer_is_a_502() {
    let trio = Trio::replying(|_| Reply::status(200).header("content-type", "application/json")).await;
    for case in trio.cases() {
        for answer in both(&case).await {
            assert_eq!(answer.status, 502, "{}", answer.text());
            answer.error();
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_a_502() {
    let trio =
        Trio::replying(|_| Reply::status(200).header("content-type", "application/json").send("{\"id\": ")).await;
    for case in trio.cases() {
        let answer = case.client.chat(&case.name, "hi").await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        answer.error();
    }
}

#[tokio::test]
async fn a_web_page_instead_of_an_answer_is_a_502_and_stays_here() {
    let page = "<html><body>Sign in to hotel wifi</body></html>";
    let trio = Trio::replying(|_| Reply::status(200).header("content-type", "text/html").send(page)).await;
    for case in trio.cases() {
        for answer in both(&case).await {
            assert_eq!(answer.status, 502, "{}", answer.text());
            answer.error();
            assert!(!answer.text().contains("hotel wifi"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_web_page_as_an_error_keeps_its_status_in_openais_form() {
    let page = "<html><h1>503 Service Temporarily Unavailable</h1></html>";
    let trio = Trio::replying(|_| Reply::status(503).header("content-type", "text/html").send(page)).await;
    for case in trio.cases() {
        for answer in both(&case).await {
            assert_eq!(answer.status, 503, "{}", answer.text());
            answer.error();
        }
    }
}

#[tokio::test]
async fn a_stream_whose_first_event_is_an_error_has_an_error_status() {
    let trio = Trio::replying(|wire| Reply::events([wire.error_event("the model is overloaded")])).await;
    for case in trio.cases() {
        let answer = case.client.stream(&case.name, "hi").await.answer().await;
        assert!((500..=599).contains(&answer.status), "{} {}", answer.status, answer.text());
        assert!(answer.message().contains("the model is overloaded"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_stream_whose_first_event_is_no_json_is_a_502() {
    let trio = Trio::replying(|_| Reply::events(["data: {\"id\": \n\n"])).await;
    for case in trio.cases() {
        let answer = case.client.stream(&case.name, "hi").await.answer().await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        answer.error();
    }
}

#[tokio::test]
async fn a_providers_error_keeps_its_status_and_its_words() {
    for status in [400, 403, 404, 429, 500, 503, 529] {
        let trio = Trio::replying(|wire| Reply::json(status, &wire.error(status, "these very words"))).await;
        for case in trio.cases() {
            // 529 is Anthropic's own "overloaded"; SDKs know 503. What is passed through stays as it is.
            let shown = if status == 529 && case.wire != Wire::OpenAi { 503 } else { status };
            for answer in both(&case).await {
                assert_eq!(answer.status, shown, "{status}: {}", answer.text());
                assert!(answer.message().contains("these very words"), "{status}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn a_rate_limit_tells_the_client_how_long_to_wait() {
    let trio = Trio::replying(|wire| Reply::json(429, &wire.error(429, "slow down")).header("retry-after", "7")).await;
    for case in trio.cases() {
        for answer in both(&case).await {
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn an_answer_of_10_mb_arrives_whole() {
    // A leak would not fit, a quadratic decoder would not end.
    let text: String = (0..10_000_000 / 8).map(|index| format!("{index:07} ")).collect();
    let trio = Trio::replying(|wire| wire.reply(&text)).await;
    for case in trio.cases() {
        let answer = case.client.chat(&case.name, "hi").await;
        assert_eq!(answer.status, 200, "{}", &answer.text()[..answer.text().len().min(2000)]);
        assert!(answer.content() == text, "changed on the way: {} bytes", answer.body.len());
    }
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_between_two_calls_is_no_failure() {
    let trio = Trio::replying(|wire| wire.reply("again").closing_quietly()).await;
    for case in trio.cases() {
        for call in 1..=5 {
            let answer = case.client.chat(&case.name, "hi").await;
            assert_eq!(answer.content(), "again", "call {call}");
            case.upstream.closed(call).await;
        }
        assert_eq!(case.upstream.hits(), 5);
    }
}

#[tokio::test]
async fn a_connection_is_used_again_for_the_next_call() {
    let trio = Trio::with(json!({}), |wire| provider(wire, "hello")).await;
    for case in trio.cases() {
        for _ in 0..3 {
            assert_eq!(case.client.chat(&case.name, "hi").await.content(), "hello");
            case.client.stream(&case.name, "hi").await.transcript().await;
        }
        // A stream may leave its connection behind: what follows `[DONE]` isn't waited for.
        assert!(case.upstream.connections() <= 4, "{} connections for 6 calls", case.upstream.connections());
    }
}
