//! A provider that repeats its key in every place where it can: nobody sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ai_api_e2e::{FakeUpstream, Gateway, Reply, Wire, guest};
use serde_json::json;

const KEY: &str = "sk-upstream-echoed-8Xq2Lm5Rt";

/// `reply` with the key in headers that a gateway may look at or hand on.
fn echoing(reply: Reply) -> Reply {
    [
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-tokens",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "request-id",
        "openai-organization",
        "openai-version",
        "llm_provider-note",
        "set-cookie",
        "location",
        "www-authenticate",
        "x-key",
    ]
    .into_iter()
    .fold(reply, |reply, name| reply.header(name, KEY))
    .header("x-ratelimit-limit-requests", &format!("10;key={KEY}"))
}

/// Everything that a provider could say it in.
fn replies(wire: Wire) -> Vec<(String, Reply)> {
    let mut replies = Vec::new();
    let mut add = |what: String, reply: Reply| replies.push((format!("{wire:?} {what}"), echoing(reply)));
    add("answer".into(), wire.reply(KEY));
    add(
        "answer, content-type".into(),
        wire.reply("hello").header("content-type", &format!("application/json; k={KEY}")),
    );
    add("answer that is none".into(), Reply::status(200).header("content-type", &format!("text/{KEY}")).send(KEY));
    for status in [302, 400, 401, 403, 404, 429, 500, 503, 600] {
        add(format!("error {status}"), Reply::json(status, &wire.error(status, &format!("bad key {KEY}."))));
        let html = Reply::status(status).header("content-type", "text/html").send(format!("<p>{KEY}</p>"));
        add(format!("page {status}"), html);
    }
    let mut odd = json!({"error": {"message": KEY, "type": KEY, "param": KEY, "code": KEY, KEY: KEY, "status": KEY}});
    odd["type"] = json!("error");
    add("error with it in every field".into(), Reply::json(401, &odd));
    add("error with a key of that name".into(), Reply::json(200, &json!({KEY: KEY, "error": KEY})));
    add("stream".into(), wire.stream_reply(&["a ", KEY, " b"]));
    add(
        "stream, content-type".into(),
        wire.stream_reply(&["a"]).header("content-type", &format!("text/event-stream; k={KEY}")),
    );
    let opened = || Reply::events(wire.opening()).send(wire.text("said"));
    for (what, event) in [
        ("event name", format!("event: {KEY}\ndata: {{\"k\": 1}}\n\n")),
        ("comment", format!(": {KEY}\n\n")),
        ("id", format!("id: {KEY}\nretry: {KEY}\n{}", wire.text("x"))),
        ("field", format!("{KEY}: {KEY}\n{}", wire.text("x"))),
        ("malformed", format!("data: {{{KEY}\n\n")),
        ("error", wire.error_event(KEY)),
        ("odd error", format!("event: error\ndata: {odd}\n\n")),
    ] {
        let whole = wire.ending().into_iter().fold(opened().send(event.clone()), Reply::send);
        add(format!("stream, {what}"), whole);
        add(format!("stream, {what} first"), Reply::events([event]));
    }
    replies
}

#[tokio::test]
async fn a_key_that_the_provider_repeats_reaches_neither_client_nor_guest_nor_log() {
    for wire in Wire::ALL {
        let replies = Arc::new(replies(wire));
        let turn = Arc::new(AtomicUsize::new(0));
        let (answers, now) = (Arc::clone(&replies), Arc::clone(&turn));
        let upstream = FakeUpstream::answering(move |_| answers[now.load(Ordering::SeqCst)].1.clone());
        let key = json!({"api_key": KEY});
        let gateway = Gateway::builder()
            .model_with("model", wire.model(), &wire.base(&upstream), key.clone())
            .model_with("hostile/*", "hostile/*", &upstream.origin(), key)
            .plugin(&guest("hostile"))
            .env("LITELLM_LOG", "DEBUG")
            .env("JSON_LOGS", "true")
            .start()
            .await;
        let mut leaks = Vec::new();
        for (index, (what, _)) in replies.iter().enumerate() {
            turn.store(index, Ordering::SeqCst);
            for model in ["model", "hostile/hunt"] {
                for stream in [false, true] {
                    let answer = gateway.client().chat_with(model, "hi", json!({"stream": stream})).await;
                    let id = answer.header("x-litellm-call-id").expect("an id").to_owned();
                    gateway.entry(&id).await;
                    let seen = format!("{:?} {}", answer.headers, answer.text());
                    if seen.contains(KEY) {
                        leaks.push(format!("{what}, {model}, stream {stream}: {} {seen}", answer.status));
                    }
                }
            }
        }
        assert!(upstream.hits() >= replies.len() * 4, "every reply was given");
        assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
        let log = gateway.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(KEY)).collect();
        assert!(lines.is_empty(), "the log has it:\n{}", lines.join("\n"));
    }
}
