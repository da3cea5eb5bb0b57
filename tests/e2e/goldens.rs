//! The plugins' own request fixtures, sent through the real component: what the sandbox makes of a request is what the
//! native goldens say.

use std::path::{Path, PathBuf};

use ai_api_e2e::{FakeUpstream, Gateway, Wire};
use serde_json::{Value, json};

use crate::trio::provider;

/// One fixture of a plugin with its snapshot.
struct Golden {
    name: String,
    model: String,
    body: Value,
    expected: Value,
}

#[tokio::test]
async fn a_request_to_anthropic_leaves_the_sandbox_as_the_goldens_say() {
    let snapshots = |name: &str| format!("anthropic/tests/snapshots/golden__requests_are_translated@{name}.json.snap");
    check(Wire::Anthropic, &goldens("anthropic", snapshots)).await;
}

#[tokio::test]
async fn a_request_to_gemini_leaves_the_sandbox_as_the_goldens_say() {
    check(Wire::Gemini, &goldens("gemini", |name| format!("gemini/golden/request/snapshots/request@{name}.json.snap")))
        .await;
}

async fn check(wire: Wire, goldens: &[Golden]) {
    assert!(goldens.len() > 30, "only {} fixtures were found", goldens.len());
    let upstream = provider(wire, "hello");
    let builder = goldens.iter().fold(Gateway::builder(), |builder, golden| {
        let provider = wire.model().split('/').next().unwrap_or_default();
        let params = json!({"drop_params": true});
        builder.model_with(&golden.name, &format!("{provider}/{}", golden.model), &wire.base(&upstream), params)
    });
    let gateway = builder.start().await;
    for golden in goldens {
        let mut body = golden.body.clone();
        body["model"] = json!(golden.name);
        let before = upstream.hits();
        let answer = gateway.client().post("/v1/chat/completions", &body).await;
        if golden.expected.get("body").is_none() {
            assert!((400..500).contains(&answer.status.into()), "{}: {}", golden.name, answer.text());
            assert_eq!(upstream.hits(), before, "{}", golden.name);
            continue;
        }
        assert_eq!(answer.status, 200, "{}: {}", golden.name, answer.text());
        compare(golden, &upstream);
    }
}

fn compare(golden: &Golden, upstream: &FakeUpstream) {
    let sent = upstream.last();
    let path = golden.expected["path"].as_str().unwrap_or_default();
    assert!(sent.path.ends_with(path), "{}: {} is not {path}", golden.name, sent.path);
    let (mut seen, mut expected) = (sent.json(), golden.expected["body"].clone());
    // Without a limit from the client, the gateway takes the model table's, which natively nobody has.
    if golden.body.get("max_tokens").is_none() {
        for body in [&mut seen, &mut expected] {
            body.as_object_mut().map(|body| body.shift_remove("max_tokens"));
        }
    }
    assert_eq!(seen, expected, "{}", golden.name);
}

/// The chat fixtures of a plugin whose snapshot says what becomes of them.
fn goldens(plugin: &str, snapshot: impl Fn(&str) -> String) -> Vec<Golden> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let folder = plugins.join(plugin).join("golden/request");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the plugin has fixtures")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
        .iter()
        .filter_map(|file| {
            let name = file.file_stem()?.to_string_lossy().into_owned();
            let fixture: Value = serde_json::from_str(&read(file)).expect("a fixture is JSON");
            let snapshot = read(&plugins.join(snapshot(&name)));
            let expected: Value = serde_json::from_str(snapshot.splitn(3, "---").nth(2)?).expect("a snapshot is JSON");
            let model = fixture["model"].as_str()?.to_owned();
            let chat = fixture["body"].get("messages").is_some();
            let body = fixture["body"].clone();
            chat.then_some(Golden { name, model, body, expected })
        })
        .collect()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
