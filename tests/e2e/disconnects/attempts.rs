//! A client that leaves between attempts, or in one that isn't the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ai_api_e2e::{FakeUpstream, Gateway, Reply, Step, Wire, eventually};
use serde_json::json;

use super::{CHAT, CHAT_STREAM, TRIES, Times, call, ended, leave};

#[tokio::test]
async fn nothing_is_tried_again_for_a_client_that_left_during_the_wait() {
    for wire in Wire::ALL {
        let limited = Reply::json(429, &wire.error(429, "slow down")).header("retry-after", "4");
        let upstream = FakeUpstream::replying(limited);
        let builder = Gateway::builder().env("JSON_LOGS", "true").model("model", wire.model(), &wire.base(&upstream));
        let builder = builder.set("router_settings", "num_retries", json!(2));
        let gateway = builder.start().await;
        for (count, route) in [CHAT, CHAT_STREAM].iter().enumerate() {
            let client = call(&gateway, route, "model").await;
            upstream.answered(count + 1).await;
            eventually("the log to tell of the attempt", || attempts(&gateway, count + 1)).await;
            let left = Instant::now();
            drop(client);
            eventually("the call to end", || gone(&gateway, count + 1)).await;
            eprintln!("{wire:?}, {}: {:?} from the client's leaving to the log's line", route.name, left.elapsed());
        }
        // It would try again while it drains.
        ended(gateway).await;
        assert_eq!(upstream.hits(), 2, "{wire:?}");
    }
}

fn attempts(gateway: &Gateway, count: usize) -> Option<()> {
    (gateway.log().matches("\"message\":\"attempt\"").count() >= count).then_some(())
}

fn gone(gateway: &Gateway, count: usize) -> Option<()> {
    (gateway.log().matches("\"outcome\":\"client_gone\"").count() >= count).then_some(())
}

#[tokio::test]
async fn a_fallback_is_left_too_and_none_is_tried_after_it() {
    let mut times = Times::default();
    for wire in Wire::ALL {
        let upstream = FakeUpstream::answering(move |request| match &request.path {
            path if path.starts_with("/first/") => Reply::json(400, &wire.error(400, "no")),
            _ => Reply::silence(),
        });
        let base = |name: &str| wire.base_of(&format!("{}/{name}", upstream.origin()));
        let gateway = Gateway::builder()
            .model("first", wire.model(), &base("first"))
            .model("second", wire.model(), &base("second"))
            .model("third", wire.model(), &base("third"))
            .set("router_settings", "fallbacks", json!([{"first": ["second", "third"]}]))
            .start()
            .await;
        for route in [CHAT, CHAT_STREAM] {
            let mut tries = Vec::new();
            let before = upstream.left_at().len();
            for count in 1..=TRIES {
                let client = call(&gateway, &route, "first").await;
                upstream.asked(2 * (before + count)).await;
                tries.push(leave(client, &upstream, before + count).await);
            }
            times.add(format!("{wire:?}, {}, in a fallback", route.name), &tries);
        }
        ended(gateway).await;
        let asked = |name: &str| upstream.requests().iter().filter(|request| request.path.starts_with(name)).count();
        assert_eq!(["/first/", "/second/", "/third/"].map(asked), [2 * TRIES, 2 * TRIES, 0], "{wire:?}");
    }
    times.assert_short();
}

#[tokio::test]
async fn the_second_deployment_of_a_group_is_left_too_and_no_third_is_tried() {
    let mut times = Times::default();
    for wire in Wire::ALL {
        let upstream = FakeUpstream::answering(move |request| match &request.path {
            path if path.starts_with("/first/") => Reply::json(500, &wire.error(500, "no")),
            _ => Reply::silence(),
        });
        let base = |name: &str| wire.base_of(&format!("{}/{name}", upstream.origin()));
        let gateway = Gateway::builder()
            .model_with("model", wire.model(), &base("first"), json!({"order": 1}))
            .model_with("model", wire.model(), &base("second"), json!({"order": 2}))
            .model_with("model", wire.model(), &base("third"), json!({"order": 3}))
            .set("router_settings", "disable_cooldowns", json!(true))
            .set("router_settings", "num_retries", json!(2))
            .start()
            .await;
        let mut tries = Vec::new();
        for count in 1..=TRIES {
            let client = call(&gateway, &CHAT_STREAM, "model").await;
            upstream.asked(2 * count).await;
            tries.push(leave(client, &upstream, count).await);
        }
        times.add(format!("{wire:?}, in a failover"), &tries);
        ended(gateway).await;
        let asked = |name: &str| upstream.requests().iter().filter(|request| request.path.starts_with(name)).count();
        assert_eq!(["/first/", "/second/", "/third/"].map(asked), [TRIES, TRIES, 0], "{wire:?}");
    }
    times.assert_short();
}

#[tokio::test]
async fn both_of_two_attempts_side_by_side_are_left() {
    let wire = Wire::OpenAi;
    let silent = Arc::new(AtomicBool::new(false));
    let [first, second] = [(); 2].map(|()| {
        let silent = Arc::clone(&silent);
        FakeUpstream::answering(move |_| match silent.load(Ordering::SeqCst) {
            true => Reply::silence(),
            false => wire.reply("quick"),
        })
    });
    let gateway = Gateway::builder()
        .model_with("model", wire.model(), &wire.base(&first), json!({"order": 1}))
        .model_with("model", wire.model(), &wire.base(&second), json!({"order": 2}))
        .set("router_settings", "hedging", json!({"quantile": 0.9, "min_delay": 0.02}))
        .start()
        .await;
    // Before some calls nobody knows what is slow for the deployment.
    const KNOWN: usize = 25;
    for _ in 0..KNOWN {
        assert_eq!(gateway.client().chat("model", "hi").await.content(), "quick");
    }
    silent.store(true, Ordering::SeqCst);
    let mut times = Times::default();
    let mut tries = [Vec::new(), Vec::new()];
    for count in 1..=TRIES {
        let client = call(&gateway, &CHAT, "model").await;
        first.asked(KNOWN + count).await;
        second.asked(count).await;
        let left = Instant::now();
        drop(client);
        for (upstream, tries) in [&first, &second].into_iter().zip(&mut tries) {
            upstream.left_alone(count).await;
            tries.push(upstream.left_at()[count - 1].duration_since(left));
        }
    }
    ended(gateway).await;
    assert_eq!((first.hits(), second.hits()), (KNOWN + TRIES, TRIES));
    times.add("the first of two".to_owned(), &tries[0]);
    times.add("the second of two".to_owned(), &tries[1]);
    times.assert_short();
}

#[tokio::test]
async fn a_deployment_that_goes_on_with_a_stream_is_left_too() {
    let mut times = Times::default();
    for wire in Wire::ALL {
        let broken =
            FakeUpstream::answering(move |_| Reply::events(wire.opening()).send(wire.text("said")).step(Step::Break));
        let silent = FakeUpstream::replying(Reply::silence());
        let gateway = Gateway::builder()
            .model_with("model", wire.model(), &wire.base(&broken), json!({"order": 1}))
            .model_with("model", wire.model(), &wire.base(&silent), json!({"order": 2}))
            .set("router_settings", "enable_mid_stream_fallback_continuation", json!(true))
            .set("router_settings", "disable_cooldowns", json!(true))
            .set("router_settings", "num_retries", json!(2))
            .start()
            .await;
        let mut tries = Vec::new();
        for count in 1..=TRIES {
            let mut client = call(&gateway, &CHAT_STREAM, "model").await;
            client.until("said").await;
            silent.asked(count).await;
            tries.push(leave(client, &silent, count).await);
        }
        ended(gateway).await;
        assert_eq!((broken.hits(), silent.hits()), (TRIES, TRIES), "{wire:?}");
        times.add(format!("{wire:?}, going on with a stream"), &tries);
    }
    times.assert_short();
}
