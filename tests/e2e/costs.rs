//! What a call cost is told to the client and in the log, exactly; and what nobody knows is not told as nothing.

use ai_api_e2e::{FakeUpstream, Gateway, Port, Reply, Step, TempDir, Wire, eventually_async};
use serde_json::{Value, json};

const COST: &str = "x-litellm-response-cost";

/// Sonnet's prices: 3 and 15 dollars for a million tokens, 0.30 from the cache, 3.75 and 6 into it.
const SONNET: &str = "anthropic/claude-sonnet-4-6";

fn gateway() -> ai_api_e2e::Builder {
    Gateway::builder().env("JSON_LOGS", "true")
}

/// An answer of OpenAI's with this usage.
fn openai(usage: Value) -> Value {
    let mut answer = Wire::OpenAi.answer("hello");
    answer["usage"] = usage;
    answer
}

/// The same as a stream, the usage in a chunk of its own.
fn openai_stream(usage: &Value) -> Vec<String> {
    let last = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage});
    let mut events: Vec<String> = Wire::OpenAi.stream(&["hel", "lo"]);
    events.retain(|event| !event.contains("\"usage\":{") && !event.contains("[DONE]"));
    events.extend([format!("data: {last}\n\n"), "data: [DONE]\n\n".to_owned()]);
    events
}

fn anthropic_usage() -> Value {
    json!({"input_tokens": 1000, "output_tokens": 2000, "cache_read_input_tokens": 10_000,
        "cache_creation_input_tokens": 3000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000}})
}

#[tokio::test]
async fn a_whole_answer_says_what_it_cost_also_translated() {
    let openai = openai(json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
        "prompt_tokens_details": {"cached_tokens": 800}}));
    let mut anthropic = Wire::Anthropic.answer("hello");
    anthropic["usage"] = anthropic_usage();
    for (wire, answer, input, output, total) in [
        // 200 at 0.15, 800 at 0.075, 10 at 0.60 dollars for a million.
        (Wire::OpenAi, openai, "0.00009", "0.000006", "0.000096"),
        // 1,000 at 3, 10,000 at 0.30, 1,000 at 3.75, 2,000 at 6, 2,000 at 15.
        (Wire::Anthropic, anthropic, "0.02175", "0.03", "0.05175"),
    ] {
        let upstream = FakeUpstream::replying(Reply::json(200, &answer));
        let gateway = gateway().model("model", wire.model(), &wire.base(&upstream)).start().await;
        let got = gateway.client().chat("model", "hi").await;
        assert_eq!(got.status, 200, "{}", got.text());
        assert_eq!(got.header(COST), Some(total), "{wire:?}");
        assert_eq!(got.header("x-litellm-response-cost-input"), Some(input), "{wire:?}");
        assert_eq!(got.header("x-litellm-response-cost-output"), Some(output), "{wire:?}");
        assert_eq!(got.header("x-litellm-response-cost-original"), None, "{wire:?}");
        let entry = gateway.entry(got.header("x-litellm-call-id").expect("an id")).await;
        assert_eq!(entry["cost_usd"].to_string(), total, "{wire:?}: {entry}");
        assert_eq!(entry["usage_estimated"], Value::Null, "{wire:?}: {entry}");
    }
}

#[tokio::test]
async fn a_stream_says_what_it_cost_in_its_last_chunk_to_who_asks_and_in_the_log_always() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010});
    let native = Reply::events(openai_stream(&usage));
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-6", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 1000, "output_tokens": 1, "cache_read_input_tokens": 10_000,
            "cache_creation_input_tokens": 3000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000}}}});
    let events = [
        ("message_start", start),
        (
            "content_block_start",
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}),
        ),
        ("content_block_stop", json!({"type": "content_block_stop", "index": 0})),
        (
            "message_delta",
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 2000}}),
        ),
        ("message_stop", json!({"type": "message_stop"})),
    ];
    let translated = Reply::events(events.map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")));
    for (wire, reply, total) in [(Wire::OpenAi, native, "0.000156"), (Wire::Anthropic, translated, "0.05175")] {
        let upstream = FakeUpstream::replying(reply);
        let gateway = gateway().model("model", wire.model(), &wire.base(&upstream)).start().await;
        for asks in [true, false] {
            let more = json!({"stream": true, "stream_options": {"include_usage": asks}});
            let got = gateway.client().chat_with("model", "hi", more).await;
            let text = got.text();
            assert_eq!(got.status, 200, "{text}");
            assert_eq!(got.header(COST), None, "nobody knows at the head");
            assert_eq!(text.contains(&format!("\"cost\":{total}}}")), asks, "{wire:?}: {text}");
            assert_eq!(text.contains("\"usage\":{"), asks, "{wire:?}: {text}");
            let entry = gateway.entry(got.header("x-litellm-call-id").expect("an id")).await;
            assert_eq!(entry["cost_usd"].to_string(), total, "{wire:?}: {entry}");
        }
    }
}

#[tokio::test]
async fn what_nobody_knows_is_not_told_as_nothing() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let base = Wire::OpenAi.base(&upstream);
    let free = json!({"input_cost_per_token": 0, "output_cost_per_token": 0});
    let gateway =
        gateway().model("unknown", "openai/of-our-own", &base).model_with("free", "openai/of-our-own", &base, free);
    let gateway = gateway.start().await;
    for _ in 0..2 {
        let got = gateway.client().chat("unknown", "hi").await;
        assert_eq!((got.status, got.header(COST)), (200, None));
        let entry = gateway.entry(got.header("x-litellm-call-id").expect("an id")).await;
        assert_eq!(entry["cost_usd"], Value::Null, "{entry}");
    }
    assert_eq!(gateway.client().chat("free", "hi").await.header(COST), Some("0"));
    let told = gateway.log().matches("nobody knows what openai/of-our-own costs").count();
    assert_eq!(told, 1, "{}", gateway.log());
}

#[tokio::test]
async fn a_picture_of_which_nobody_says_the_tokens_and_a_cost_beyond_measure_are_unknown() {
    let picture = json!({"created": 1, "data": [{"b64_json": "aGk="}]});
    let absurd = openai(json!({"prompt_tokens": i64::MAX, "completion_tokens": 1, "total_tokens": i64::MAX}));
    let upstream = FakeUpstream::answering(move |request| match request.path.contains("images") {
        true => Reply::json(200, &picture),
        false => Reply::json(200, &absurd),
    });
    let base = Wire::OpenAi.base(&upstream);
    let dear = json!({"input_cost_per_token": 1, "output_cost_per_token": 1});
    let gateway = gateway()
        .model("pictures", "openai/chatgpt-image-latest", &base)
        .model_with("dear", "openai/dear", &base, dear)
        .start()
        .await;
    let body = json!({"model": "pictures", "prompt": "a cat"});
    let got = gateway.client().post("/v1/images/generations", &body).await;
    assert_eq!((got.status, got.header(COST)), (200, None), "{}", got.text());
    gateway.logged("nobody knows what openai/chatgpt-image-latest costs").await;

    let got = gateway.client().chat("dear", "hi").await;
    assert_eq!((got.status, got.header(COST)), (200, None), "{}", got.text());
    gateway.logged("openai/dear says that a call used costs more than can be counted").await;
    assert!(!gateway.log().contains("nobody knows what openai/dear"), "{}", gateway.log());
}

#[tokio::test]
async fn the_operator_has_the_last_word_on_prices_and_what_goes_on_top() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let base = Wire::OpenAi.base(&upstream);
    let own = json!({"input_cost_per_token": "1e-3", "output_cost_per_token": 0.01});
    let gateway = gateway()
        .model_with("own", "openai/gpt-4o-mini", &base, own)
        .set("litellm_settings", "cost_discount_config", json!({"openai/gpt-4o*": 0.2, "openai": 0.9}))
        .set(
            "litellm_settings",
            "cost_margin_config",
            json!({"global": 7, "openai": {"percentage": 0.5, "fixed_amount": 0.1}}),
        )
        .start()
        .await;
    // 5 × 0.001 + 2 × 0.01 = 0.025; 20 % off is 0.02; half of that and 0.1 on top.
    let got = gateway.client().chat("own", "hi").await;
    let told = ["", "-original", "-discount-amount", "-margin-amount", "-input", "-output"]
        .map(|what| got.header(&format!("{COST}{what}")).unwrap_or_default().to_owned());
    assert_eq!(told, ["0.13", "0.025", "0.005", "0.11", "0.005", "0.02"]);
    let info = gateway.client().get("/model/info").await.ok();
    assert_eq!(info["data"][0]["model_info"]["output_cost_per_token"], 0.01, "{info}");
}

#[tokio::test]
async fn the_tier_that_served_is_the_one_that_is_billed() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000});
    let upstream = FakeUpstream::answering(move |request| {
        let mut answer = openai(usage.clone());
        match &request.json()["user"] {
            Value::Null => {}
            served => answer["service_tier"] = served.clone(),
        }
        Reply::json(200, &answer)
    });
    let prices = json!({"input_cost_per_token": 2e-6, "output_cost_per_token": 4e-6,
        "input_cost_per_token_flex": 1e-6, "output_cost_per_token_flex": 2e-6, "input_cost_per_token_priority": 8e-6});
    let gateway = gateway().model_with("m", "openai/mine", &Wire::OpenAi.base(&upstream), prices).start().await;
    for (asked, served, total) in [
        (json!({}), None, "0.006"),
        (json!({"service_tier": "flex"}), None, "0.003"),
        (json!({"service_tier": "flex"}), Some("default"), "0.006"),
        (json!({"service_tier": "auto"}), Some("priority"), "0.012"),
    ] {
        let mut more = asked.clone();
        if let Some(served) = served {
            more["user"] = json!(served);
        }
        let got = gateway.client().chat_with("m", "hi", more).await;
        assert_eq!(got.header(COST), Some(total), "{asked} {served:?}: {}", got.text());
    }
}

#[tokio::test]
async fn a_stream_that_was_cut_costs_what_it_must_have_come_to() {
    let words: Vec<String> = (0..100).map(|_| Wire::OpenAi.text("word ")).collect();
    let opening = Wire::OpenAi.opening().expect("OpenAI's streams have one");
    let cut = Reply::events([vec![opening], words].concat()).step(Step::Break);
    let upstream = FakeUpstream::replying(cut);
    let gateway = gateway()
        .model("model", "openai/gpt-4o-mini", &Wire::OpenAi.base(&upstream))
        .set("router_settings", "num_retries", json!(0))
        .start()
        .await;
    let got = gateway.client().chat_with("model", &"x".repeat(4000), json!({"stream": true})).await;
    let entry = gateway.entry(got.header("x-litellm-call-id").expect("an id")).await;
    assert_eq!((&entry["outcome"], &entry["usage_estimated"]), (&json!("failed"), &json!(true)), "{entry}");
    let tokens = |key: &str| entry[key].as_u64().unwrap_or_default();
    assert!((1000..1050).contains(&tokens("prompt_tokens")), "{entry}");
    assert!((100..130).contains(&tokens("completion_tokens")), "{entry}");
    assert!(entry["cost_usd"].as_f64().is_some_and(|usd| (0.0002..0.0003).contains(&usd)), "{entry}");
}

#[tokio::test]
async fn a_failed_attempt_that_was_billed_is_paid_for() {
    let broken = json!({"error": {"message": "overloaded", "type": "server_error"},
        "usage": {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}});
    let upstream = FakeUpstream::replying_in_turn(vec![Reply::json(500, &broken), Wire::OpenAi.reply("hello")]);
    let prices = json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6});
    let gateway = gateway()
        .model_with("m", "openai/mine", &Wire::OpenAi.base(&upstream), prices)
        .set("router_settings", "num_retries", json!(1))
        .start()
        .await;
    let got = gateway.client().chat("m", "hi").await;
    assert_eq!((got.status, got.header(COST)), (200, Some("0.001007")), "{}", got.text());
    let entry = gateway.entry(got.header("x-litellm-call-id").expect("an id")).await;
    assert_eq!((&entry["cost_usd"], &entry["failed_prompt_tokens"]), (&json!(0.001007), &json!(1000)), "{entry}");
}

#[tokio::test]
async fn pictures_are_billed_by_their_number_size_and_quality() {
    let answer = json!({"created": 1, "data": [{"b64_json": "aGk="}, {"b64_json": "aGk="}]});
    let upstream = FakeUpstream::replying(Reply::json(200, &answer));
    let gateway = gateway().model("pictures", "openai/gpt-image-1", &Wire::OpenAi.base(&upstream)).start().await;
    let body = json!({"model": "pictures", "prompt": "a cat", "n": 2, "size": "1024x1536", "quality": "low"});
    let got = gateway.client().post("/v1/images/generations", &body).await;
    assert_eq!((got.status, got.header(COST)), (200, Some("0.032")), "{}", got.text());
}

#[tokio::test]
async fn a_newer_table_is_read_when_asked_and_a_broken_one_changes_nothing() {
    let folder = TempDir::new();
    let file = folder.path().join("prices.json");
    let write = |text: &str| std::fs::write(&file, text).expect("the folder is writable");
    let table = |usd: &str| {
        format!(
            r#"{{"mine": {{"litellm_provider": "openai", "input_cost_per_token": {usd}, "output_cost_per_token": 0}}}}"#
        )
    };
    write(&table("0.1"));
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway()
        .model("m", "openai/mine", &Wire::OpenAi.base(&upstream))
        .model("mini", "openai/gpt-4o-mini", &Wire::OpenAi.base(&upstream))
        .env("LITELLM_MODEL_COST_MAP_URL", &format!("file://{}", file.display()))
        .start()
        .await;
    let client = gateway.client();
    let cost = async |model: &str| client.chat(model, "hi").await.header(COST).map(str::to_owned);
    assert_eq!(cost("m").await.as_deref(), Some("0.5"));
    assert_eq!(cost("mini").await.as_deref(), Some("0.00000195"), "what the file lacks comes with the gateway");

    write(&table("0.2"));
    let reloaded = client.post("/reload/model_cost_map", &json!({})).await.ok();
    assert_eq!((&reloaded["status"], &reloaded["models_count"]), (&json!("success"), &json!(1)), "{reloaded}");
    assert_eq!(cost("m").await.as_deref(), Some("1"));

    write(&table("\"free\""));
    let refused = client.post("/reload/model_cost_map", &json!({})).await;
    assert!(
        refused.status >= 400 && refused.message().contains("'input_cost_per_token' of 'mine'"),
        "{}",
        refused.text()
    );
    assert_eq!(cost("m").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn what_a_call_would_cost_is_calculated() {
    let upstream = FakeUpstream::replying(Wire::OpenAi.reply("hello"));
    let gateway = gateway()
        .model("sonnet", SONNET, &upstream.origin())
        .model("own", "openai/of-our-own", &Wire::OpenAi.base(&upstream))
        .start()
        .await;
    let ask = async |body: Value| gateway.client().post("/spend/calculate", &body).await;
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100});
    for (body, expected) in [
        (json!({"model": "sonnet", "completion_response": {"usage": usage}}), 0.0045),
        (json!({"completion_response": {"model": "gpt-4o-mini", "usage": usage}}), 0.00021),
        (json!({"model": "anthropic/claude-haiku-4-5", "completion_response": {"usage": usage}}), 0.0015),
    ] {
        assert_eq!(ask(body.clone()).await.ok(), json!({"cost": expected}), "{body}");
    }
    let prompt = ask(json!({"model": "sonnet", "messages": [{"role": "user", "content": "hello world"}]})).await.ok();
    assert_eq!(prompt, json!({"cost": 0.000027}), "9 tokens");
    for (body, says) in [
        (json!({"model": "own", "completion_response": {"usage": usage}}), "its price is unknown, not 0"),
        (json!({"model": "sonnet"}), "'messages'"),
        (json!({"messages": []}), "'model'"),
        (json!({"model": "sonnet", "completion_response": {}}), "'usage'"),
    ] {
        let refused = ask(body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.message().contains(says), "{body}: {}", refused.text());
    }
}

#[tokio::test]
async fn a_prompt_that_its_provider_has_is_paid_for_though_nobody_waits_for_the_answer() {
    let upstream = FakeUpstream::replying(Reply::silence());
    let prices = json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6});
    let gateway = gateway().model_with("m", "openai/mine", &Wire::OpenAi.base(&upstream), prices).start().await;
    let made = gateway.client().post("/key/generate", &json!({"tpm_limit": 7000})).await.ok();
    let client = gateway.client().with_key(made["key"].as_str().expect("a key"));
    let spend = async |client: &ai_api_e2e::Client| {
        let info = client.get("/key/info").await.ok();
        (info["info"]["spend"].as_f64().expect("a number") * 1e6).round()
    };
    let mut last = 0.0;
    for (calls, stream) in [(1, false), (2, true)] {
        let prompt = "x".repeat(10_000);
        let leaving = client.clone();
        let call =
            tokio::spawn(
                async move { leaving.chat_with("m", &prompt, json!({"stream": stream, "max_tokens": 10})).await },
            );
        upstream.asked(calls).await;
        call.abort();
        let now = eventually_async("the prompt to be charged", async || {
            let now = spend(&client).await;
            (now > last).then_some(now)
        });
        let now = now.await;
        assert!((2500.0..2520.0).contains(&(now - last)), "{last}, then {now}");
        last = now;
    }
    let refused = client.chat_with("m", &"x".repeat(10_000), json!({"max_tokens": 10})).await;
    assert_eq!((refused.status, refused.header("rate_limit_type")), (429, Some("tokens")), "{}", refused.text());
}

#[tokio::test]
async fn an_attempt_that_was_not_waited_for_is_paid_for_and_one_that_was_refused_or_never_made_is_not() {
    let prompt = "x".repeat(10_000);
    let answer = |reply| FakeUpstream::replying_in_turn(vec![reply, Wire::OpenAi.reply("hello")]);
    let (slow, refusing) = (answer(Reply::silence()), answer(Reply::json(500, &json!({"error": {"message": "no"}}))));
    let nobody = Port::reserve();
    let nowhere = format!("http://{}/v1", nobody.address());
    for (base, charged) in [(Wire::OpenAi.base(&slow), true), (Wire::OpenAi.base(&refusing), false), (nowhere, false)] {
        let params = json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "timeout": 0.3});
        let gateway = gateway()
            .model_with("m", "openai/mine", &base, params)
            .set("router_settings", "num_retries", json!(0))
            .start()
            .await;
        let got = gateway.client().chat("m", &prompt).await;
        assert!(got.status >= 500 || got.status == 408, "{}", got.text());
        let entry = gateway.entry(got.header("x-litellm-call-id").expect("an id")).await;
        match charged {
            true => {
                assert!(entry["failed_prompt_tokens"].as_u64().is_some_and(|count| count > 2500), "{entry}");
                assert!(entry["cost_usd"].as_f64().is_some_and(|usd| (0.0025..0.00252).contains(&usd)), "{entry}");
                assert_eq!(entry["usage_estimated"], true, "{entry}");
            }
            false => {
                let nothing = (&entry["failed_prompt_tokens"], &entry["cost_usd"], &entry["usage_estimated"]);
                assert_eq!(nothing, (&Value::Null, &Value::Null, &Value::Null), "{entry}");
            }
        }
    }
}
