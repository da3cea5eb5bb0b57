//! The same provider in four languages: each keeps every case of `plugins/examples/cases`, in the sandbox, through the
//! gateway.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ai_api_e2e::{Answer, FakeUpstream, Gateway, Reply, TempDir, example, examples};
use futures_util::future::join_all;
use serde_json::{Value, json};

const KEY: &str = "the-key-of-acme";

/// A gateway with one example, before a stand-in for Acme that answers what the case at hand says.
struct House {
    language: &'static str,
    gateway: Gateway,
    acme: FakeUpstream,
    reply: Arc<Mutex<Reply>>,
}

/// One file of `plugins/examples/cases`.
struct Case {
    name: String,
    json: Value,
}

impl House {
    async fn open(language: &'static str) -> Option<Self> {
        let plugin = example(language)?;
        let reply = Arc::new(Mutex::new(Reply::status(500)));
        let current = Arc::clone(&reply);
        let acme = FakeUpstream::answering(move |_| current.lock().expect("no test panics inside").clone());
        let more = json!({"api_key": KEY, "drop_params": true});
        let gateway = Gateway::builder()
            .model_with("talker", "acme/acme-large", &format!("{}/v2", acme.origin()), more)
            .plugin(&plugin)
            .start()
            .await;
        Some(Self { language, gateway, acme, reply })
    }

    fn acme_answers(&self, reply: Reply) {
        *self.reply.lock().expect("no test panics inside") = reply;
    }

    /// The provider's stream cut into pieces of so many bytes.
    async fn keeps(&self, case: &Case, piece: usize) {
        let what = format!("{} in {}, in pieces of {piece} bytes", case.name, self.language);
        let hits = self.acme.hits();
        if let Some(response) = case.json["responses"].get(0) {
            self.acme_answers(reply(response, piece));
        }
        let request = &case.json["call"]["body"];
        let expected = &case.json["expected"];
        let stream = self.gateway.client().open("/v1/chat/completions", request).await;
        let is_stream = stream.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if is_stream {
            check_stream(&what, stream, expected).await;
        } else {
            check_whole(&what, &stream.answer().await, expected);
        }
        self.check_sent(&what, hits, case);
    }

    /// What went to Acme, if anything was to.
    fn check_sent(&self, what: &str, hits: usize, case: &Case) {
        let Some(expected) = case.json["requests"].get(0) else {
            assert_eq!(self.acme.hits(), hits, "{what}: something went to Acme");
            return;
        };
        let sent = self.acme.requests().pop().unwrap_or_else(|| panic!("{what}: nothing went to Acme"));
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v2/talk"), "{what}");
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!(body, expected["body"], "{what}");
        for (name, value) in expected["headers"].as_object().expect("headers") {
            assert_eq!(sent.header(name), value.as_str(), "{what}: {name}");
        }
        assert_eq!(sent.header("acme-key"), Some(KEY), "{what}");
    }
}

async fn check_stream(what: &str, mut stream: ai_api_e2e::LiveStream, expected: &Value) {
    check_warnings(what, stream.header("x-ai-api-translation-warnings"), expected);
    let transcript = stream.transcript().await;
    let chunks: Vec<Value> = transcript.chunks.iter().map(timeless).collect();
    let wanted: Vec<Value> = expected["chunks"].as_array().expect("a stream has chunks").iter().map(timeless).collect();
    assert_eq!(chunks, wanted, "{what}");
    match expected.get("failure") {
        None => assert!(transcript.done && transcript.error.is_none(), "{what}: {transcript:#?}"),
        Some(failure) => {
            let error = transcript.error.unwrap_or_else(|| panic!("{what}: it should fail"));
            assert_eq!(error["message"], failure["message"], "{what}");
            assert!(!transcript.done, "{what}: [DONE] after an error");
        }
    }
}

fn check_whole(what: &str, answer: &Answer, expected: &Value) {
    let Some(failure) = expected.get("failure") else {
        check_warnings(what, answer.header("x-ai-api-translation-warnings"), expected);
        assert_eq!(timeless(&answer.ok()), timeless(&expected["answer"]), "{what}");
        return;
    };
    let error = answer.error();
    assert_eq!(error["message"], failure["message"], "{what}");
    assert_eq!(error["param"], failure["param"], "{what}");
    let (status, code) = of_kind(failure["kind"].as_str().expect("a kind"));
    let status = failure["status"].as_u64().filter(|status| *status > 0).unwrap_or(status);
    assert_eq!((u64::from(answer.status), error["code"].as_str()), (status, code), "{what}: {error}");
    let wait = failure["retry_after_ms"].as_u64().map(|ms| ms.div_ceil(1000).to_string());
    assert_eq!(answer.header("retry-after"), wait.as_deref(), "{what}");
}

fn check_warnings(what: &str, header: Option<&str>, expected: &Value) {
    let warnings = expected["warnings"].as_array().expect("warnings").iter();
    let told = |warning: &Value| {
        // What is unsupported and sent all the same, was dropped.
        format!("{};dropped", warning["path"].as_str().expect("a path"))
    };
    let wanted = warnings.map(told).collect::<Vec<_>>().join(", ");
    assert_eq!(header.unwrap_or_default(), wanted, "{what}");
}

/// The status and code of the kinds of failure that the cases have.
fn of_kind(kind: &str) -> (u64, Option<&'static str>) {
    match kind {
        "invalid-request" => (400, None),
        "unsupported" => (400, Some("unsupported_parameter")),
        "authentication" => (401, Some("invalid_api_key")),
        "not-found" => (404, None),
        "rate-limited" => (429, Some("rate_limit_exceeded")),
        "context-window-exceeded" => (400, Some("context_length_exceeded")),
        "overloaded" => (503, Some("overloaded")),
        "upstream" => (502, None),
        other => panic!("no case had the kind {other} when this was written"),
    }
}

/// An answer without what differs from call to call.
fn timeless(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let fields = answer.as_object_mut().expect("an answer is an object");
    let id = fields.remove("id").expect("an id");
    assert!(id.as_str().is_some_and(|id| id.starts_with("chatcmpl-")), "{id}");
    assert!(fields.remove("created").is_some_and(|created| created.is_u64()));
    answer
}

fn reply(response: &Value, piece: usize) -> Reply {
    let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
    let body = response["body_text"].as_str().map_or_else(|| response["body"].to_string(), str::to_owned);
    let reply = match response["headers"]["content-type"].as_str() {
        Some("text/event-stream") => Reply::events(body.as_bytes().chunks(piece)),
        _ => Reply::status(status).send(body),
    };
    let headers = response["headers"].as_object().expect("headers");
    headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value.as_str().expect("text")))
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples/cases");
    let files = std::fs::read_dir(&folder).expect("the cases are there").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|ext| ext == "json")).collect();
    files.sort();
    let case = |file: &PathBuf| Case {
        name: file.file_stem().expect("a name").to_string_lossy().into_owned(),
        json: serde_json::from_slice(&std::fs::read(file).expect("readable")).expect("a case is JSON"),
    };
    files.iter().map(case).collect()
}

async fn keeps_every_case(language: &'static str) {
    let Some(house) = House::open(language).await else { return };
    let cases = cases();
    assert!(cases.len() > 15, "{} cases", cases.len());
    for case in &cases {
        house.keeps(case, 1 << 20).await;
        if case.json["call"]["streaming"] == true {
            house.keeps(case, 7).await;
        }
    }
}

/// `ai-api ARGS`; what it printed.
async fn run(args: &[&str]) -> String {
    let run = Gateway::run(args, &[]).await;
    assert!(run.success, "{args:?}: {}", run.said);
    run.said
}

/// A project of another name, built by its own files, serves under that name.
async fn serves_as_a_new_project(language: &'static str) {
    // Where the example couldn't be built, a project can't be either.
    if example(language).is_none() {
        return;
    }
    // Always the same place: to cargo a crate in another place is another crate, and what it left would pile up.
    let home = examples().join("new").join(language);
    let project = home.join("my_prov-2");
    if let Err(error) = std::fs::remove_dir_all(&project) {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{}: {error}", project.display());
    }
    let folder = home.display().to_string();
    run(&["plugin", "new", "my_prov-2", "--lang", language, "--into", &folder]).await;
    let built = Gateway::build(&project).await;
    assert!(built.success && built.said.contains("plugin check"), "{}", built.said);
    let acme = FakeUpstream::replying(Reply::json(200, &json!({"reply": "Hello!", "ended": "done"})));
    let gateway = Gateway::builder()
        .model("talker", "my_prov-2/acme-large", &format!("{}/v2", acme.origin()))
        .plugin(&project.join("my_prov-2.wasm"))
        .start()
        .await;
    assert_eq!(gateway.client().chat("talker", "Hi").await.content(), "Hello!", "{language}");
    let again = Gateway::run(&["plugin", "new", "my_prov-2", "--into", &folder], &[]).await;
    assert!(!again.success && again.said.contains("not empty"), "{}", again.said);
}

#[tokio::test]
async fn a_new_project_goes_into_the_folder_one_is_in() {
    let run = Gateway::run(&["plugin", "new", "acme"], &[]).await;
    assert!(run.success && run.said.contains("cd acme\n"), "{}", run.said);
}

async fn keeps_calls_apart(language: &'static str) {
    let Some(house) = House::open(language).await else { return };
    house.acme_answers(Reply::json(200, &json!({"reply": "Hello!", "ended": "done"})));
    let client = house.gateway.client();
    // Whether an instance is used again or not, nothing of a call is found in another.
    for _ in 0..3 {
        let calls = (0..8).map(|index| {
            let client = &client;
            async move { client.chat("talker", &format!("I am {index}")).await.ok() }
        });
        let answers = join_all(calls).await;
        let mut ids: Vec<String> = answers.iter().map(|answer| answer["id"].to_string()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8, "{language}: {ids:?}");
    }
    let mut said: Vec<String> = Vec::new();
    for sent in house.acme.requests() {
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!(body["turns"].as_array().map(Vec::len), Some(1), "{language}: {body}");
        said.push(body["turns"][0]["says"].to_string());
    }
    said.sort();
    said.dedup();
    assert_eq!((house.acme.hits(), said.len()), (24, 8), "{language}: {said:?}");
}

#[tokio::test]
async fn acme_in_rust_keeps_every_case() {
    keeps_every_case("rust").await;
}

#[tokio::test]
async fn acme_in_python_keeps_every_case() {
    keeps_every_case("python").await;
}

#[tokio::test]
async fn acme_in_javascript_keeps_every_case() {
    keeps_every_case("javascript").await;
}

#[tokio::test]
async fn acme_in_c_keeps_every_case() {
    keeps_every_case("c").await;
}

#[tokio::test]
async fn calls_to_an_example_never_mix() {
    for language in ["rust", "python", "javascript", "c"] {
        keeps_calls_apart(language).await;
    }
}

#[tokio::test]
async fn a_new_project_in_rust_builds_and_serves_under_its_own_name() {
    serves_as_a_new_project("rust").await;
}

#[tokio::test]
async fn a_new_project_in_python_builds_and_serves_under_its_own_name() {
    serves_as_a_new_project("python").await;
}

#[tokio::test]
async fn a_new_project_in_javascript_builds_and_serves_under_its_own_name() {
    serves_as_a_new_project("javascript").await;
}

#[tokio::test]
async fn a_new_project_in_c_builds_and_serves_under_its_own_name() {
    serves_as_a_new_project("c").await;
}

#[tokio::test]
async fn a_project_with_a_name_that_no_plugin_may_have_is_not_made() {
    let home = TempDir::new();
    let folder = home.path().display().to_string();
    for name in ["", "a/b", "..", "a b", "\u{e4}", &"x".repeat(65)] {
        let run = Gateway::run(&["plugin", "new", name, "--into", &folder], &[]).await;
        assert!(!run.success && run.said.contains("no provider's name"), "{name:?}: {}", run.said);
    }
    assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0);
}

#[tokio::test]
async fn what_is_no_plugins_module_is_refused_by_the_build() {
    let home = TempDir::new();
    let out = home.path().join("out.wasm").display().to_string();
    let text = home.write("text.wasm", "no module");
    // An empty module, which has no WIT inside.
    let empty = home.write("empty.wasm", b"\0asm\x01\0\0\0");
    for (module, says) in [(&text, "is not WebAssembly"), (&empty, "is no plugin's module")] {
        let module = module.display().to_string();
        let run = Gateway::run(&["plugin", "build", "--module", &module, "--out", &out], &[]).await;
        assert!(!run.success && run.said.contains(says), "{}", run.said);
    }
    let nowhere = Gateway::run(&["plugin", "build", &home.path().display().to_string()], &[]).await;
    assert!(!nowhere.success && nowhere.said.contains("neither a build.sh nor a Cargo.toml"), "{}", nowhere.said);
}
