//! No byte of a secret is ever in a guest's memory: it looks through all of it itself.
//!
//! The upstream echoes every secret wherever it can: in headers, bodies, errors and events. Beside each stands a word that
//! is no secret, which the search has to find; else it would prove nothing. What is looked for the guest is told veiled,
//! so that the question doesn't put the answer into its memory.

use ai_api_e2e::{FakeUpstream, Framing, Gateway, Received, Reply, guest};
use serde_json::{Value, json};

use crate::cloud::{frames, tokens};

const KEY: &str = "sk-probe-Zx81/Qw+77Lk==:0aTbY";
const AWS_ID: &str = "AKIDEXAMPLE0123456789";
const AWS_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const AWS_TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ==";
const GOOGLE_TOKEN: &str = "ya29.c.b0AT7lpjBRmO7ghBEyV18evd016hq53";

/// Of `extra_headers`.
const HEADER: &str = "hdr-5f0c/Ws+31Vq==:9uKpT";

/// What is echoed beside the secrets, and isn't one.
const CONTROL: &str = "a-word-that-is-no-secret";

/// A probe, how its deployment is authenticated, and what of that is secret.
struct Case {
    probe: &'static str,
    params: Value,
    secrets: Vec<String>,
}

#[tokio::test]
async fn no_secret_is_in_a_guests_memory_whatever_the_upstream_echoes() {
    let endpoint = FakeUpstream::replying(tokens::token(GOOGLE_TOKEN, 3600));
    let aws = json!({
        "aws_access_key_id": AWS_ID, "aws_secret_access_key": AWS_SECRET, "aws_session_token": AWS_TOKEN,
        "aws_region_name": "eu-central-1", "extra_headers": {"x-acme-secret": HEADER},
    });
    let google = json!({"vertex_credentials": tokens::key_file(&endpoint), "vertex_location": "l", "extra_headers": {"x-acme-secret": HEADER}});
    let pem_lines = tokens::PRIVATE_KEY.lines().filter(|line| line.len() == 64).map(str::to_owned);
    let google_secrets = [GOOGLE_TOKEN, HEADER].map(str::to_owned).into_iter().chain(pem_lines).collect();
    let key = || vec![KEY.to_owned()];
    let in_header = json!({"api_key": KEY, "extra_headers": {"x-acme-secret": HEADER}});
    let instead = json!({"api_key": null, "extra_headers": {"authorization": format!("Bearer {HEADER}")}});
    let cases = [
        Case { probe: "probe-bearer", params: json!({"api_key": KEY}), secrets: key() },
        Case { probe: "probe-header", params: json!({"api_key": KEY}), secrets: key() },
        Case { probe: "probe-query", params: json!({"api_key": KEY}), secrets: key() },
        Case { probe: "probe-bearer", params: in_header, secrets: vec![KEY.to_owned(), HEADER.to_owned()] },
        Case { probe: "probe-bearer", params: instead, secrets: vec![HEADER.to_owned()] },
        Case {
            probe: "probe-aws",
            params: aws,
            secrets: [AWS_ID, AWS_SECRET, AWS_TOKEN, HEADER].map(str::to_owned).to_vec(),
        },
        Case { probe: "probe-google", params: google, secrets: google_secrets },
    ];
    for case in cases {
        scan(&case).await;
    }
}

async fn scan(Case { probe, params, secrets }: &Case) {
    let echoed = secrets.clone();
    let upstream = FakeUpstream::answering(move |request| echo(request, &echoed));
    let gateway = Gateway::builder()
        .plugin(&guest(probe))
        .model_with("m/*", &format!("{probe}/*"), &upstream.origin(), params.clone())
        .start()
        .await;
    // A part of a secret is one, too.
    let halves = secrets.iter().flat_map(|secret| {
        let (first, second) = secret.split_at(secret.len() / 2);
        [first, second]
    });
    let needles = [CONTROL].into_iter().chain(secrets.iter().map(String::as_str)).chain(halves);
    let prompt = needles.map(veiled).collect::<Vec<_>>().join(",");
    for status in [200, 400, 500] {
        let answer = gateway.client().chat_with("m/scan", &prompt, json!({"user": status.to_string()})).await;
        assert_clean(&format!("{probe}, {status}"), &answer.content(), secrets);
    }
    let transcript = gateway.client().stream_with("m/scan", &prompt, json!({"user": "200"})).await.transcript().await;
    assert!(transcript.done, "{transcript:?}");
    let text = transcript.meaning().text;
    assert_clean(&format!("{probe}, streamed"), text.trim_start_matches('.'), secrets);
    // The calls were real: the credential was on each, as the upstream saw.
    for request in upstream.requests() {
        let text = request.text();
        let arrived = match *probe {
            "probe-aws" => text.contains(AWS_ID) && text.contains(AWS_TOKEN),
            "probe-google" => text.contains(&format!("Bearer {GOOGLE_TOKEN}")),
            "probe-query" => request.query.contains("probe_key=sk-probe-Zx81%2FQw%2B77Lk%3D%3D%3A0aTbY"),
            _ => secrets.iter().all(|secret| text.contains(secret)),
        };
        assert!(arrived, "{probe}: {text}");
    }
}

fn assert_clean(what: &str, findings: &str, secrets: &[String]) {
    let findings: Value = serde_json::from_str(findings).unwrap_or_else(|error| panic!("{what}: {error}: {findings}"));
    let found = findings["found"].as_array().unwrap_or_else(|| panic!("{what}: {findings}"));
    assert_eq!(found.len(), 1 + 3 * secrets.len(), "{what}: {findings}");
    assert_eq!(found[0], true, "{what}: the search doesn't find what is there: {findings}");
    assert!(found[1..].iter().all(|found| *found == false), "{what}: a secret is in the guest's memory: {findings}");
    assert!(findings["memory"].as_u64().is_some_and(|bytes| bytes > 300_000), "{what}: {findings}");
}

/// As hexadecimal digits of the bytes veiled with 0x55.
fn veiled(text: &str) -> String {
    text.bytes().map(|byte| format!("{:02x}", byte ^ 0x55)).collect()
}

/// An answer that says everything it shouldn't.
fn echo(request: &Received, secrets: &[String]) -> Reply {
    let body = request.json();
    let status = body["user"].as_str().and_then(|status| status.parse().ok()).unwrap_or(200);
    let all = secrets.join("\n");
    let said =
        json!({"error": {"message": format!("{CONTROL} {all}")}, "secrets": secrets, "url": request.query}).to_string();
    let reply = if body["stream"] == true {
        match request.header("authorization").unwrap_or_default() {
            signed if signed.starts_with("AWS4") => frames::reply([
                frames::event("first", &said),
                frames::event(&secrets[1], &said),
                frames::frame(&[(":message-type", "error"), (":error-message", &format!("{CONTROL} {all}"))], ""),
            ]),
            // JSON lines for the one whose key is in the query, server-sent events for the others.
            "" if request.query.contains("probe_key") => Reply::status(200)
                .header("content-type", "application/x-ndjson")
                .framing(Framing::Chunked)
                .send(format!("{said}\n{said}\n")),
            _ => Reply::events([format!("event: {}\ndata: {said}\n\n", secrets[0]), format!("data: {said}\n\n")]),
        }
    } else {
        Reply::status(status).header("content-type", "application/json").send(said)
    };
    secrets
        .iter()
        .take(4)
        .enumerate()
        .fold(reply, |reply, (index, secret)| reply.header(&format!("x-echo-{index}"), &format!("{CONTROL} {secret}")))
}
