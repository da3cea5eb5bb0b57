//! `ai-api record`: what passed a plugin is on the disk, complete, for its owner alone, and without a key.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ai_api_e2e::{FakeUpstream, Gateway, MASTER_KEY, Reply, Step, TempDir, Wire, eventually, shipped};
use serde_json::{Value, json};

const KEY: &str = "sk-upstream-of-the-recorded";

/// The recordings in a folder, by the client's name of the model.
fn recorded(folder: &Path) -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    files
        .map(|file| {
            let json: Value = serde_json::from_slice(&std::fs::read(&file).expect("readable")).expect("JSON");
            (json["call"]["requested_model"].as_str().expect("a name").to_owned(), json)
        })
        .collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn what_passed_a_plugin_is_recorded_and_gives_the_same_when_it_is_played() {
    let wire = Wire::Anthropic;
    let upstream = FakeUpstream::answering(move |request| {
        let asked = request.text();
        let said = |word: &str| asked.contains(&format!("claude-{word}"));
        if said("error") {
            let slow_down = wire.error(429, &format!("slow down, {KEY}"));
            return Reply::json(429, &slow_down).header("retry-after", "3").header("x-echo", KEY);
        }
        match () {
            () if said("stream") => wire.stream_reply(&["one", KEY, "two"]),
            () if said("cut") => Reply::events(wire.opening()).send(wire.text("half")).step(Step::Break),
            () => wire.reply(&format!("your key is {KEY}")).header("request-id", "req_1").header("set-cookie", "a=1"),
        }
    });
    let home = TempDir::new();
    let folder = home.path().join("recordings");
    let builder =
        Gateway::builder().recording(&folder).model("native", Wire::OpenAi.model(), &Wire::OpenAi.base(&upstream));
    let builder = ["whole", "stream", "error", "cut"].iter().fold(builder, |builder, name| {
        let key = json!({"api_key": KEY});
        builder.model_with(name, &format!("anthropic/claude-{name}"), &wire.base(&upstream), key)
    });
    let mut gateway = builder.start().await;
    gateway.logged("prompts and answers are written to").await;
    gateway.logged("pass no plugin and aren't recorded").await;

    let client = gateway.client();
    assert_eq!(client.chat("whole", "the prompt").await.status, 200);
    assert!(client.stream("stream", "hi").await.transcript().await.done);
    assert_eq!(client.chat("error", "hi").await.status, 429);
    assert!(client.stream("cut", "hi").await.transcript().await.error.is_some());
    assert_eq!(client.chat("native", "hi").await.status, 200);
    // Written while it serves, not only at the end.
    eventually("four recordings", || (recorded_count(&folder) == 4).then_some(())).await;
    gateway.terminate();
    gateway.ended().await;
    gateway.logged("recorded").await;

    let found = recorded(&folder);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["cut", "error", "stream", "whole"]);
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder).expect("a folder") {
        let file = file.expect("a file").path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        let text = std::fs::read_to_string(&file).expect("text");
        for secret in [KEY, MASTER_KEY, "Bearer", "x-api-key", "authorization", "cookie"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    let whole = &found["whole"];
    assert_eq!(whole["version"], 1);
    assert_eq!(whole["call"]["model"], "claude-whole");
    assert_eq!(whole["call"]["body"]["messages"][0]["content"], "the prompt");
    assert_eq!(whole["requests"][0]["path"], "v1/messages");
    assert_eq!(whole["responses"][0]["headers"]["request-id"], "req_1");
    assert_eq!(whole["responses"][0]["body"]["content"][0]["text"], "your key is [redacted]");
    assert_eq!(found["error"]["responses"][0]["status"], 429);
    assert_eq!(found["cut"]["responses"][0]["ending"], "cut");
    assert_eq!(found["stream"]["responses"][0]["events"][0]["name"], "message_start");

    let (plugin, folder) = (shipped("anthropic"), folder.to_str().expect("UTF-8").to_owned());
    let plugin = plugin.to_str().expect("UTF-8");
    let run = Gateway::run(&["plugin", "check", plugin, "--against", plugin, "--recordings", &folder], &[]).await;
    assert!(run.success && run.said.contains("4 recordings, 0 with differences"), "{}", run.said);
    let run = Gateway::run(&["plugin", "check", plugin, "--recordings", &folder], &[]).await;
    assert!(run.success && run.said.contains("ok    cuts"), "{}", run.said);
    // Played, a recording gives what the client got.
    let request = home.write("request.json", whole["call"]["body"].to_string());
    let mut files = std::fs::read_dir(&folder).expect("a folder").map(|file| file.expect("a file").path());
    let file = files.find(|file| std::fs::read_to_string(file).expect("text").contains("claude-whole"));
    let (request, file) = (request.to_str().expect("UTF-8"), file.expect("one of them"));
    let upstream = file.to_str().expect("UTF-8");
    let run =
        Gateway::run(&["plugin", "call", plugin, request, "--model", "claude-whole", "--upstream", upstream], &[])
            .await;
    assert!(run.success && run.said.contains("your key is [redacted]"), "{}", run.said);
}

fn recorded_count(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
    files.filter(|name| name.to_string_lossy().ends_with(".json") && !name.to_string_lossy().starts_with('.')).count()
}

#[tokio::test]
async fn recording_stops_at_the_limit_and_serving_goes_on() {
    let upstream = FakeUpstream::replying(Wire::Anthropic.reply("hi"));
    let home = TempDir::new();
    let folder = home.path().join("recordings");
    let builder = Gateway::builder().recording(&folder).arg("--max").arg("2");
    let mut gateway = builder.model("m", Wire::Anthropic.model(), &Wire::Anthropic.base(&upstream)).start().await;
    for _ in 0..5 {
        assert_eq!(gateway.client().chat("m", "hi").await.content(), "hi");
    }
    gateway.terminate();
    gateway.ended().await;
    assert_eq!(recorded_count(&folder), 2);
    assert!(
        gateway.log().contains("a recording was dropped: there are as many as were asked for"),
        "{}",
        gateway.log()
    );
}

#[tokio::test]
async fn a_call_that_is_too_large_to_record_is_served_all_the_same() {
    let upstream = FakeUpstream::replying(Wire::Anthropic.reply("hi"));
    let home = TempDir::new();
    let folder = home.path().join("recordings");
    let builder = Gateway::builder().recording(&folder);
    let mut gateway = builder.model("m", Wire::Anthropic.model(), &Wire::Anthropic.base(&upstream)).start().await;
    assert_eq!(gateway.client().chat("m", &"x".repeat(9 << 20)).await.content(), "hi");
    assert_eq!(gateway.client().chat("m", "small").await.content(), "hi");
    gateway.terminate();
    gateway.ended().await;
    assert_eq!(recorded_count(&folder), 1);
    assert!(gateway.log().contains("larger than 8 MiB"), "{}", gateway.log());
}

#[tokio::test]
async fn a_folder_that_others_can_read_is_refused() {
    let home = TempDir::new();
    let folder = home.path().join("open");
    std::fs::create_dir(&folder).expect("a temporary folder is writable");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let run = Gateway::builder().recording(&folder).run().await;
    assert!(!run.success && run.said.contains("chmod 700"), "{}", run.said);
}
