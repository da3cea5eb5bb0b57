//! The operator's own file runs unchanged: same file, same environment, same clients.

use std::path::PathBuf;

use ai_api_e2e::{Builder, FakeUpstream, Gateway, Reply, Wire};
use serde_json::json;

use crate::trio::provider;

const OPENAI_KEY: &str = "sk-proj-openai-3Fq8Zx71";
const ANTHROPIC_KEY: &str = "sk-ant-api03-anthropic-7Lm2Pw94";
const GEMINI_KEY: &str = "AIzaSyGemini-5Kd0Rt63";
const MASTER: &str = "sk-homestack-master-9Bv4Ny28";

/// Names that clients use, and the model that the provider is asked for.
const MODELS: [(&str, Wire, &str); 6] = [
    ("gpt-4o-mini", Wire::OpenAi, "gpt-4o-mini"),
    ("gpt-3.5", Wire::OpenAi, "gpt-3.5-turbo"),
    ("claude-4", Wire::Anthropic, "claude-sonnet-4-20250514"),
    ("claude-3-5-sonnet", Wire::Anthropic, "claude-3-5-sonnet-20241022"),
    ("claude-3-5-haiku", Wire::Anthropic, "claude-3-5-haiku-20241022"),
    ("gemini-2.0-flash", Wire::Gemini, "gemini-2.0-flash"),
];

struct Stack {
    gateway: Gateway,
    openai: FakeUpstream,
    anthropic: FakeUpstream,
    gemini: FakeUpstream,
}

impl Stack {
    async fn start() -> Self {
        Self::started_with(|builder| builder).await
    }

    async fn started_with(change: impl Fn(Builder) -> Builder) -> Self {
        let openai = FakeUpstream::answering(|request| {
            let chat = request.json();
            if request.path == "/v1/images/generations" {
                return Reply::json(
                    200,
                    &json!({"created": 1, "data": [{"url": "https://img.example/1.png", "revised_prompt": "a cat"}]}),
                );
            }
            if chat["stream"] == true { Wire::OpenAi.stream_reply(&["hello"]) } else { Wire::OpenAi.reply("hello") }
        });
        let (anthropic, gemini) = (provider(Wire::Anthropic, "hello"), provider(Wire::Gemini, "hello"));
        let builder = Gateway::with_file(&file(), MASTER)
            .env("OPENAI_API_KEY", OPENAI_KEY)
            .env("ANTHROPIC_API_KEY", ANTHROPIC_KEY)
            .env("GEMINI_API_KEY", GEMINI_KEY)
            .env("AI_API_MK", MASTER)
            .env("SERVER_ROOT_PATH", "/ai-api")
            .env("OPENAI_BASE_URL", &Wire::OpenAi.base(&openai))
            .env("ANTHROPIC_API_BASE", &Wire::Anthropic.base(&anthropic))
            .env("GEMINI_API_BASE", &Wire::Gemini.base(&gemini));
        let gateway = change(builder).start().await;
        Self { gateway, openai, anthropic, gemini }
    }

    fn upstream(&self, wire: Wire) -> &FakeUpstream {
        match wire {
            Wire::OpenAi => &self.openai,
            Wire::Anthropic => &self.anthropic,
            Wire::Gemini => &self.gemini,
        }
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/examples/homestack/config.yml")
}

#[tokio::test]
async fn all_models_answer_at_the_operators_url_and_without_its_prefix_streamed_and_whole() {
    let stack = Stack::start().await;
    for prefix in ["/ai-api", ""] {
        let client = stack.gateway.client().below(prefix);
        for (name, wire, model) in MODELS {
            let body = json!({"model": name, "messages": [{"role": "user", "content": "Explain containerization"}]});
            let answer = client.post("/chat/completions", &body).await;
            assert_eq!(answer.content(), "hello", "{prefix} {name}");
            let sent = stack.upstream(wire).last();
            if wire == Wire::Gemini {
                assert_eq!(sent.path, format!("/v1beta/models/{model}:generateContent"));
            } else {
                assert_eq!(sent.json()["model"], model);
            }
            let transcript = client.stream(name, "Explain containerization").await.transcript().await;
            assert_eq!(transcript.flaws(false), [""; 0], "{prefix} {name}: {transcript:#?}");
            assert_eq!(transcript.meaning().text, "hello", "{prefix} {name}");
        }
        let image = client
            .post("/v1/images/generations", &json!({"model": "dalle3", "prompt": "a cat", "size": "1024x1024"}))
            .await;
        assert_eq!(image.ok()["data"][0]["url"], "https://img.example/1.png");
        assert_eq!(stack.openai.last().json(), json!({"model": "dall-e-3", "prompt": "a cat", "size": "1024x1024"}));
    }
}

#[tokio::test]
async fn the_seven_models_are_listed_by_the_operators_names() {
    let stack = Stack::start().await;
    let list = stack.gateway.client().below("/ai-api").get("/v1/models").await.ok();
    let ids: Vec<&str> =
        list["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    let mut wanted: Vec<&str> = MODELS.iter().map(|(name, ..)| *name).collect();
    wanted.push("dalle3");
    assert_eq!(ids, wanted);
}

#[tokio::test]
async fn each_key_reaches_its_own_provider_in_the_right_header_and_nobody_else() {
    let stack = Stack::start().await;
    let client = stack.gateway.client().below("/ai-api");
    for (name, ..) in MODELS {
        client.chat(name, "hi").await.ok();
        client.stream(name, "hi").await.transcript().await;
        // What a client says in its own headers is not the provider's business.
        client.with_key("sk-wrong").chat(name, "hi").await.error();
    }
    for (wire, key) in [(Wire::OpenAi, OPENAI_KEY), (Wire::Anthropic, ANTHROPIC_KEY), (Wire::Gemini, GEMINI_KEY)] {
        let (header, value) = wire.credential(key);
        assert!(stack.upstream(wire).hits() > 0);
        for sent in stack.upstream(wire).requests() {
            assert_eq!(sent.header(header), Some(value.as_str()), "{wire:?}");
            assert_eq!(sent.text().matches(key).count(), 1, "once, in that header: {sent:?}");
            for other in [OPENAI_KEY, ANTHROPIC_KEY, GEMINI_KEY, MASTER].into_iter().filter(|other| *other != key) {
                assert!(!sent.text().contains(other), "{wire:?} got somebody else's key: {sent:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_key_is_ever_printed_at_any_level_of_detail() {
    for change in [(|builder| builder) as fn(Builder) -> Builder, |builder| {
        builder.env("LITELLM_LOG", "DEBUG").env("RUST_LOG", "trace").env("DETAILED_DEBUG", "true")
    }] {
        let stack = Stack::started_with(change).await;
        let client = stack.gateway.client().below("/ai-api");
        for (name, ..) in MODELS {
            let answer = client.chat(name, "hi").await;
            stack.gateway.logged(answer.header("x-litellm-call-id").expect("an id")).await;
            client.with_key("sk-wrong-guess-of-somebody").chat(name, "hi").await.error();
            let info = client.get("/model/info").await.text();
            for secret in [OPENAI_KEY, ANTHROPIC_KEY, GEMINI_KEY, MASTER, "sk-wrong-guess-of-somebody"] {
                assert!(!stack.gateway.log().contains(secret), "{secret} in the log:\n{}", stack.gateway.log());
                assert!(!info.contains(secret), "{secret} in {info}");
            }
        }
    }
}

#[tokio::test]
async fn a_prompt_is_not_logged_unless_asked_for() {
    let stack = Stack::start().await;
    let answer = stack.gateway.client().chat("claude-4", "a secret plan about pelicans").await;
    stack.gateway.logged(answer.header("x-litellm-call-id").expect("an id")).await;
    assert!(!stack.gateway.log().contains("pelicans"), "{}", stack.gateway.log());
}

#[tokio::test]
async fn models_that_are_shut_down_are_named_with_their_successors_at_start_and_by_check() {
    let stack = Stack::start().await;
    let env = [
        ("OPENAI_API_KEY", OPENAI_KEY),
        ("ANTHROPIC_API_KEY", ANTHROPIC_KEY),
        ("GEMINI_API_KEY", GEMINI_KEY),
        ("AI_API_MK", MASTER),
    ];
    let check = Gateway::run(&["check", &file().display().to_string()], &env).await;
    let checked = check.said;
    assert!(check.success, "{checked}");
    for model in
        ["claude-sonnet-4-20250514", "claude-3-5-sonnet-20241022", "claude-3-5-haiku-20241022", "gemini-2.0-flash"]
    {
        stack.gateway.logged(model).await;
        assert!(checked.contains(model), "{checked}");
    }
    for secret in [OPENAI_KEY, ANTHROPIC_KEY, GEMINI_KEY, MASTER] {
        assert!(!checked.contains(secret), "{checked}");
    }
}

#[tokio::test]
async fn a_missing_provider_key_is_named_at_start_and_spoils_only_its_own_models() {
    let stack = Stack::started_with(|builder| builder.env("GEMINI_API_KEY", "")).await;
    stack.gateway.logged("GEMINI_API_KEY").await;
    let answer = stack.gateway.client().chat("gemini-2.0-flash", "hi").await;
    assert!((400..=599).contains(&answer.status), "{}", answer.text());
    assert!(answer.message().contains("GEMINI_API_KEY"), "it must say what to do: {}", answer.text());
    assert_eq!(stack.gemini.hits(), 0, "no empty key is sent");
    assert_eq!(stack.gateway.client().chat("claude-4", "hi").await.content(), "hello");
}
