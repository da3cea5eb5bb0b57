//! Several gateways with one Redis are as strict as one, and none of them needs it to serve.

use std::time::{Duration, Instant};

use ai_api_e2e::{Builder, Client, FakeUpstream, Gate, Gateway, RedisServer, TempDir, Wire, eventually_async, within};
use reqwest::Method;
use serde_json::{Value, json};

const WIRE: Wire = Wire::OpenAi;
const SHARED: &str = "limits and budgets are counted in Redis, for all gateways";
const ALONE: &str = "Redis can't be used";

/// Two gateways, a database, a Redis, and a provider that answers `wait` when the gate opens and all else at once.
struct Fleet {
    redis: RedisServer,
    upstream: FakeUpstream,
    gate: Gate,
    a: Gateway,
    b: Gateway,
    _folder: TempDir,
}

impl Fleet {
    async fn start() -> Option<Self> {
        Self::with(|builder| builder).await
    }

    /// Nothing where there is no Redis.
    async fn with(more: impl Fn(Builder) -> Builder) -> Option<Self> {
        let redis = RedisServer::start().await?;
        let (folder, gate) = (TempDir::new(), Gate::closed());
        let held = gate.clone();
        let upstream = FakeUpstream::answering(move |request| {
            let reply = WIRE.reply("hello");
            if request.text().contains("wait") { reply.head_after(&held) } else { reply }
        });
        let database = format!("sqlite://{}", folder.path().join("ai-api.db").display());
        let builder = || {
            let builder = Gateway::builder()
                .model("m", WIRE.model(), &WIRE.base(&upstream))
                .set("general_settings", "database_url", json!(database))
                .set("router_settings", "redis_url", json!(redis.url()));
            more(priced(builder, &upstream)).start()
        };
        let (a, b) = (builder().await, builder().await);
        a.logged(SHARED).await;
        b.logged(SHARED).await;
        Some(Self { redis, upstream, gate, a, b, _folder: folder })
    }

    /// A new key with these limits, as clients of both gateways that know it.
    async fn key(&self, limits: Value) -> (Client, Client) {
        let made = self.a.client().post("/key/generate", &limits).await.ok();
        let key = made["key"].as_str().expect("a key");
        let (a, b) = (self.a.client().with_key(key), self.b.client().with_key(key));
        eventually_async("the other gateway to know the key", async || {
            (b.get("/v1/models").await.status == 200).then_some(())
        })
        .await;
        (a, b)
    }
}

/// A call that waits at the provider.
fn wait_with(client: &Client) -> tokio::task::JoinHandle<Option<u16>> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "wait"}]}).to_string();
    let request = client.request(Method::POST, "/v1/chat/completions");
    let request = request.header("content-type", "application/json").body(body);
    tokio::spawn(async move { Some(request.send().await.ok()?.status().as_u16()) })
}

async fn status(client: &Client) -> u16 {
    client.chat("m", "hi").await.status
}

/// A number of `/metrics`.
async fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.client().get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is missing: {text}"))
}

#[tokio::test]
async fn requests_through_two_gateways_are_one_sum() {
    let Some(fleet) = Fleet::start().await else { return };
    let (a, b) = fleet.key(json!({"rpm_limit": 20})).await;

    let calls = (0..60).map(|call| {
        let client = if call % 2 == 0 { a.clone() } else { b.clone() };
        tokio::spawn(async move { client.chat("m", "hi").await })
    });
    let mut let_in = 0;
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.expect("no panic");
        match answer.status {
            200 => let_in += 1,
            429 => {
                let wait: u64 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
                assert!((1..=61).contains(&wait), "{wait}");
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert_eq!((let_in, fleet.upstream.hits()), (20, 20));
    let counted = metric(&fleet.a, "ai_api_redis_calls_total{outcome=\"counted\"}").await
        + metric(&fleet.b, "ai_api_redis_calls_total{outcome=\"counted\"}").await;
    assert_eq!(counted, 20);
}

/// A dollar for each call: two tokens of the answer.
fn priced(builder: Builder, upstream: &FakeUpstream) -> Builder {
    let prices = json!({"input_cost_per_token": 0, "output_cost_per_token": 0.5});
    builder.model_with("priced", WIRE.model(), &WIRE.base(upstream), prices)
}

async fn buy(client: &Client) -> u16 {
    client.chat_with("priced", "hi", json!({"max_tokens": 2})).await.status
}

/// What this gateway thinks that a key has spent.
async fn spend(gateway: &Gateway, client: &Client) -> f64 {
    let info = client.get("/key/info").await;
    info.json()["info"]["spend"].as_f64().unwrap_or_else(|| panic!("{}: {}", info.text(), gateway.log()))
}

#[tokio::test]
async fn a_budget_is_one_for_all_gateways_and_outlives_the_memory_of_redis() {
    let Some(mut fleet) = Fleet::start().await else { return };
    let (a, b) = fleet.key(json!({"max_budget": 10})).await;

    // What is reserved is what a call costs here, so that not even calls side by side overspend.
    let calls = (0..40).map(|call| {
        let client = if call % 2 == 0 { a.clone() } else { b.clone() };
        tokio::spawn(async move { buy(&client).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let status = call.await.expect("no panic");
        assert!(status == 200 || status == 422, "{status}");
    }
    assert!((1..=10).contains(&fleet.upstream.hits()), "{}", fleet.upstream.hits());
    // One after the other, to the last cent and no further.
    eventually_async("the budget to be spent", async || {
        let statuses = (buy(&a).await, buy(&b).await);
        (fleet.upstream.hits() >= 10 && statuses == (422, 422)).then_some(())
    })
    .await;
    assert_eq!(fleet.upstream.hits(), 10);

    eventually_async("both to know what the other has spent", async || {
        (spend(&fleet.a, &a).await >= 10.0 && spend(&fleet.b, &b).await >= 10.0).then_some(())
    })
    .await;
    for _ in 0..2 {
        fleet.redis.start_again().await;
        assert_eq!([buy(&a).await, buy(&b).await], [422, 422]);
        eventually_async("both to count together again", async || {
            let lost = metric(&fleet.a, "ai_api_redis_lost_total")
                .await
                .min(metric(&fleet.b, "ai_api_redis_lost_total").await);
            let connected =
                metric(&fleet.a, "ai_api_redis_connected").await + metric(&fleet.b, "ai_api_redis_connected").await;
            (lost >= 1 && connected == 2).then_some(())
        })
        .await;
        assert_eq!([buy(&a).await, buy(&b).await], [422, 422]);
    }
    assert_eq!(fleet.upstream.hits(), 10);
}

#[tokio::test]
async fn what_a_killed_gateway_held_is_given_back_within_seconds() {
    let Some(mut fleet) = Fleet::start().await else { return };
    let (a, b) = fleet.key(json!({"max_parallel_requests": 4})).await;
    let of_a: Vec<_> = (0..3).map(|_| wait_with(&a)).collect();
    fleet.upstream.asked(3).await;
    let of_b = wait_with(&b);
    fleet.upstream.asked(4).await;
    assert_eq!([status(&a).await, status(&b).await], [429, 429]);

    fleet.a.signal("KILL");
    fleet.a.ended().await;
    let killed = Instant::now();
    eventually_async("its places to be free", async || (status(&b).await == 200).then_some(())).await;
    let after = killed.elapsed();
    assert!(after < Duration::from_secs(15), "{after:?}");
    for call in of_a {
        assert_eq!(call.await.expect("no panic"), None);
    }
    // Three, not four: the call that the other one holds still counts.
    let hits = fleet.upstream.hits();
    let more: Vec<_> = (0..3).map(|_| wait_with(&b)).collect();
    fleet.upstream.asked(hits + 3).await;
    assert_eq!(status(&b).await, 429);
    fleet.gate.open();
    for call in more.into_iter().chain([of_b]) {
        assert_eq!(call.await.expect("no panic"), Some(200));
    }
    eventually_async("all places to be free", async || (status(&b).await == 200).then_some(())).await;
}

#[tokio::test]
async fn a_gateway_that_was_paused_comes_back_with_its_calls() {
    let Some(fleet) = Fleet::start().await else { return };
    let (a, b) = fleet.key(json!({"max_parallel_requests": 2})).await;
    let held = wait_with(&a);
    fleet.upstream.asked(1).await;
    let other = wait_with(&b);
    fleet.upstream.asked(2).await;
    assert_eq!(status(&b).await, 429);

    fleet.a.signal("STOP");
    eventually_async("its place to be free", async || (status(&b).await == 200).then_some(())).await;
    let hits = fleet.upstream.hits();
    let third = wait_with(&b);
    fleet.upstream.asked(hits + 1).await;
    fleet.a.signal("CONT");
    // Its call counts again, beside the two that were let in meanwhile.
    eventually_async("both to know", async || (status(&a).await == 429 && status(&b).await == 429).then_some(())).await;
    fleet.gate.open();
    for call in [held, other, third] {
        assert_eq!(call.await.expect("no panic"), Some(200));
    }
    eventually_async("all places to be free", async || {
        (status(&a).await == 200 && status(&b).await == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_each_gateway_counts_for_itself_and_then_together_again() {
    let Some(mut fleet) = Fleet::start().await else { return };
    let (a, b) = fleet.key(json!({"rpm_limit": 5})).await;
    assert_eq!([status(&a).await, status(&a).await, status(&b).await], [200, 200, 200]);

    fleet.redis.kill();
    fleet.a.logged(ALONE).await;
    fleet.b.logged(ALONE).await;
    // Each knows what it let in itself: two here, one there.
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push((status(&a).await, status(&b).await));
    }
    assert_eq!(statuses, [(200, 200), (200, 200), (200, 200), (429, 200)]);
    assert_eq!(status(&b).await, 429);
    assert_eq!(fleet.a.log().matches(ALONE).count(), 1, "{}", fleet.a.log());
    assert_eq!(metric(&fleet.a, "ai_api_redis_connected").await, 0);

    fleet.redis.start_again().await;
    eventually_async("both to count together again", async || {
        let connected =
            metric(&fleet.a, "ai_api_redis_connected").await + metric(&fleet.b, "ai_api_redis_connected").await;
        (connected == 2).then_some(())
    })
    .await;
    assert_eq!(fleet.a.log().matches(SHARED).count(), 2, "{}", fleet.a.log());
    let (a, b) = fleet.key(json!({"rpm_limit": 2})).await;
    assert_eq!([status(&a).await, status(&b).await, status(&a).await, status(&b).await], [200, 200, 429, 429]);
}

#[tokio::test]
async fn with_fail_closed_a_call_with_a_limit_is_refused_while_redis_is_away() {
    let closed = |builder: Builder| builder.set("general_settings", "fail_closed_rate_limit_enforcement", json!(true));
    let Some(mut fleet) = Fleet::with(closed).await else { return };
    let (limited, _) = fleet.key(json!({"rpm_limit": 5})).await;
    let (unlimited, _) = fleet.key(json!({})).await;
    assert_eq!(status(&limited).await, 200);

    fleet.redis.kill();
    fleet.a.logged(ALONE).await;
    let refused = limited.chat("m", "hi").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    refused.error();
    assert_eq!([status(&unlimited).await, status(&fleet.a.client()).await], [200, 200]);

    fleet.redis.start_again().await;
    eventually_async("calls to be let in again", async || (status(&limited).await == 200).then_some(())).await;
}

#[tokio::test]
async fn a_redis_that_hangs_slows_a_few_calls_and_then_none() {
    let Some(fleet) = Fleet::start().await else { return };
    let (a, _) = fleet.key(json!({"rpm_limit": 1000})).await;
    assert_eq!(status(&a).await, 200);

    fleet.redis.pause();
    let slow = "ai_api_redis_slow_answers_total";
    within("calls to go on", async {
        while !fleet.a.log().contains(ALONE) {
            assert_eq!(status(&a).await, 200);
        }
    })
    .await;
    let slowed = metric(&fleet.a, slow).await;
    assert!(slowed <= 3, "{slowed} calls one after the other");
    for _ in 0..50 {
        assert_eq!(status(&a).await, 200);
    }
    assert_eq!(metric(&fleet.a, slow).await, slowed, "nobody waits for it any more");

    fleet.redis.resume();
    eventually_async("it to be asked again", async || {
        (metric(&fleet.a, "ai_api_redis_connected").await == 1).then_some(())
    })
    .await;
    assert_eq!(status(&a).await, 200);
}

#[tokio::test]
async fn a_gateway_starts_without_redis_and_finds_it_later() {
    let Some(mut redis) = RedisServer::start().await else { return };
    redis.kill();
    let gateway = Gateway::builder()
        .env("REDIS_HOST", &redis.address().ip().to_string())
        .env("REDIS_PORT", &redis.address().port().to_string())
        .start()
        .await;
    gateway.logged(ALONE).await;
    redis.start_again().await;
    gateway.logged(SHARED).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let Some(redis) = RedisServer::start().await else { return };
    assert_eq!(redis.command("CONFIG SET requirepass hunter2").as_deref(), Some("+OK"));
    let with = |password: &str| {
        let url = format!("redis://:{password}@{}/3", redis.address());
        Gateway::builder().set("router_settings", "redis_url", json!(url)).start()
    };
    let right = with("hunter2").await;
    right.logged(SHARED).await;
    let wrong = with("hunter3").await;
    wrong.logged(ALONE).await;
    for gateway in [right, wrong] {
        assert!(!gateway.log().contains("hunter"), "{}", gateway.log());
    }
}
