//! A configuration that is edited while the gateway runs: all of it is in use, or nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use ai_api_e2e::{Client, FakeUpstream, Gate, Gateway, Reply, Step, TempDir, Wire, eventually_async};
use reqwest::Method;
use serde_json::{Value, json};

const KEY: &str = "sk-e2e-reload-71c2";

/// A folder with a configuration, which can be replaced as editors do.
struct Home(TempDir);

impl Home {
    fn with(config: &Value) -> Self {
        let home = Self(TempDir::new());
        home.write(config);
        home
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.yml")
    }

    fn write(&self, config: &Value) {
        self.write_text("config.yml", &serde_json::to_string_pretty(config).expect("a value is JSON"));
    }

    fn write_text(&self, name: &str, text: &str) {
        let temporary = self.0.write(&format!(".{name}.swp"), text);
        fs::rename(temporary, self.0.path().join(name)).expect("the folder is writable");
    }

    async fn start(&self) -> Gateway {
        Gateway::with_file(&self.file(), KEY).start().await
    }
}

/// Models that answer with their provider's word.
fn config(models: &[(&str, &FakeUpstream)]) -> Value {
    let list: Vec<Value> = models.iter().map(|(name, upstream)| model(name, upstream)).collect();
    json!({"model_list": list, "general_settings": {"master_key": KEY}})
}

fn model(name: &str, upstream: &FakeUpstream) -> Value {
    let params = json!({"model": "openai/gpt-4o-mini", "api_base": Wire::OpenAi.base(upstream), "api_key": "sk-up"});
    json!({"model_name": name, "litellm_params": params})
}

fn provider(word: &str) -> FakeUpstream {
    FakeUpstream::replying(Wire::OpenAi.reply(word))
}

async fn answers(client: &Client, model: &str, expected: &str) {
    eventually_async(&format!("{model} to answer {expected}"), async || {
        let answer = client.chat(model, "hi").await;
        (answer.status == 200 && answer.content() == expected).then_some(())
    })
    .await;
}

async fn names(client: &Client) -> Vec<String> {
    let list = client.get("/v1/models").await.ok();
    let names = list["data"].as_array().expect("a list").iter();
    names.map(|model| model["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What `GET /plugins` says of the configuration, once it is `standing`.
async fn becomes(client: &Client, standing: &str) -> Value {
    eventually_async(&format!("the configuration to be {standing}"), async || {
        let config = client.get("/plugins").await.ok()["config"].clone();
        (config["status"] == standing).then_some(config)
    })
    .await
}

#[tokio::test]
async fn an_edited_configuration_is_in_use_and_the_log_says_what_changed() {
    let (one, two) = (provider("one"), provider("two"));
    let home = Home::with(&config(&[("stays", &one), ("goes", &one), ("changes", &one)]));
    let gateway = home.start().await;
    let client = gateway.client();
    answers(&client, "changes", "one").await;

    home.write(&config(&[("stays", &one), ("changes", &two), ("comes", &two)]));

    answers(&client, "comes", "two").await;
    answers(&client, "changes", "two").await;
    assert_eq!(names(&client).await, ["stays", "changes", "comes"]);
    assert_eq!(client.chat("goes", "hi").await.status, 404);
    gateway.logged("reloaded the configuration").await;
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("reloaded the configuration")).expect("it was logged");
    for told in ["models_added=\"comes\"", "models_removed=\"goes\"", "models_changed=\"changes\"", "settings=\"\""] {
        assert!(line.contains(told), "{told}: {line}");
    }
}

#[tokio::test]
async fn a_configuration_with_errors_changes_nothing_and_all_errors_are_told() {
    let one = provider("one");
    let home = Home::with(&config(&[("model", &one)]));
    let gateway = home.start().await;
    let client = gateway.client();

    home.write_text(
        "config.yml",
        "model_list:\n- model_name: bad\n  litellm_params:\n    model: echo/x\n    timeout: soon\n\
         - model_name: worse\n  litellm_params: {}\n",
    );

    let told = becomes(&client, "stale").await;
    let reason = told["reason"].as_str().expect("a reason");
    let file = home.file().display().to_string();
    for error in [format!("{file}:5: model_list[0].litellm_params.timeout: "), "model is missing".to_owned()] {
        assert!(reason.contains(&error), "{error}: {reason}");
        gateway.logged(&error).await;
    }
    assert_eq!(
        (client.chat("model", "hi").await.content(), names(&client).await),
        ("one".into(), vec!["model".into()])
    );
    let asked = client.post("/config/reload", &json!({})).await;
    assert_eq!((asked.status, asked.error()["code"].as_str()), (400, Some("invalid_configuration")));
    assert!(asked.message().contains(&format!("{file}:5: ")) && asked.message().contains("model is missing"));
    let metrics = client.get("/metrics").await.text();
    assert!(metrics.contains("ai_api_config_last_reload_successful 0"), "{metrics}");
    assert!(metrics.contains("ai_api_config_reloads_total{result=\"failure\"} 2"), "{metrics}");

    for text in ["", "model_list: [", "- a\n- b\n"] {
        home.write_text("config.yml", text);
        let asked = client.post("/config/reload", &json!({})).await;
        assert!(asked.status == 400 && asked.message().contains(&file), "{text:?}: {}", asked.text());
    }
    fs::remove_file(home.file()).expect("the file is there");
    assert!(client.post("/config/reload", &json!({})).await.message().contains("can't read"));
    assert_eq!(client.chat("model", "hi").await.content(), "one");

    home.write(&config(&[("model", &one), ("mended", &one)]));
    answers(&client, "mended", "one").await;
    assert_eq!(becomes(&client, "serving").await["reason"], Value::Null);
    let metrics = client.get("/metrics").await.text();
    assert!(metrics.contains("ai_api_config_last_reload_successful 1"), "{metrics}");
}

#[tokio::test]
async fn a_reload_that_is_asked_for_answers_with_what_changed_and_no_secret() {
    let one = provider("one");
    let home = Home::with(&config(&[("goes", &one)]));
    let gateway = home.start().await;
    let client = gateway.client();
    let mut new = config(&[("comes", &one)]);
    new["general_settings"]["max_request_size_mb"] = json!(7);
    new["litellm_settings"] = json!({"json_logs": true});
    new["environment_variables"] = json!({"SOME_SECRET": "sk-very-secret-83"});

    // The gateway may have seen the file before it is asked; then nothing is left to tell.
    let told = eventually_async("an answer that tells the change", async || {
        home.write(&config(&[("goes", &one)]));
        client.post("/config/reload", &json!({})).await.ok();
        home.write(&new);
        let told = client.post("/config/reload", &json!({})).await.ok();
        (told["models"]["added"] != json!([])).then_some(told)
    })
    .await;

    let expected = json!({
        "status": "reloaded",
        "models": {"added": ["comes"], "removed": ["goes"], "changed": []},
        "settings_changed": ["environment_variables.SOME_SECRET", "general_settings.max_request_size_mb",
            "litellm_settings.json_logs"],
        "needs_restart": ["litellm_settings.json_logs"],
    });
    assert_eq!(told, expected);
    assert_eq!(client.chat("comes", "hi").await.content(), "one");
    gateway.logged("json_logs has another value by now: it needs a restart").await;
    let again = client.post("/config/reload", &json!({})).await.ok();
    assert_eq!((&again["models"]["added"], &again["settings_changed"]), (&json!([]), &json!([])));
    assert_eq!(again["needs_restart"], json!(["litellm_settings.json_logs"]), "it is still to come");
    assert!(!gateway.log().contains("sk-very-secret-83"), "{}", gateway.log());
}

#[tokio::test]
async fn a_hangup_reloads_and_does_not_end_the_process() {
    let one = provider("one");
    let home = Home::with(&config(&[("model", &one)]));
    let mut gateway = home.start().await;

    gateway.signal("HUP");

    gateway.logged("reloaded the configuration").await;
    assert!(gateway.is_running());
    assert_eq!(gateway.client().chat("model", "hi").await.content(), "one");
}

#[tokio::test]
async fn an_included_file_is_watched_also_one_that_is_missing_yet() {
    let (one, two) = (provider("one"), provider("two"));
    let home = Home::with(&config(&[("model", &one)]));
    let gateway = home.start().await;
    let client = gateway.client();
    let mut including = config(&[("model", &one)]);
    including["include"] = json!(["more.yml"]);

    home.write(&including);
    let told = becomes(&client, "stale").await;
    assert!(told["reason"].as_str().is_some_and(|reason| reason.contains("more.yml")), "{told}");
    home.write_text("more.yml", &json!({"model_list": [model("included", &one)]}).to_string());
    answers(&client, "included", "one").await;
    home.write_text("more.yml", &json!({"model_list": [model("included", &two)]}).to_string());
    answers(&client, "included", "two").await;
    let files = becomes(&client, "serving").await["files"].clone();
    assert_eq!(files, json!([home.file(), home.0.path().join("more.yml")]));
}

#[tokio::test]
async fn a_configuration_mounted_from_a_config_map_is_swapped_by_its_link() {
    let (one, two) = (provider("one"), provider("two"));
    let folder = TempDir::new();
    let path = |name: &str| folder.path().join(name);
    let publish = |version: &str, config: &Value| {
        fs::create_dir(path(version)).expect("a folder can be made");
        fs::write(path(version).join("config.yml"), config.to_string()).expect("the folder is writable");
        symlink(version, path("..data_tmp")).expect("a link can be made");
        fs::rename(path("..data_tmp"), path("..data")).expect("a link can be renamed");
    };
    publish("..2026_1", &config(&[("model", &one)]));
    symlink("..data/config.yml", path("config.yml")).expect("a link can be made");
    let gateway = Gateway::with_file(&path("config.yml"), KEY).start().await;
    answers(&gateway.client(), "model", "one").await;

    publish("..2026_2", &config(&[("model", &two)]));
    fs::remove_dir_all(path("..2026_1")).expect("the old version goes");

    answers(&gateway.client(), "model", "two").await;
}

#[tokio::test]
async fn another_master_key_holds_for_new_calls_and_leaves_those_under_way_alone() {
    let gate = Gate::closed();
    let mut pieces = Wire::OpenAi.stream(&["first ", "last"]).into_iter();
    let opening: Vec<String> = pieces.by_ref().take(2).collect();
    let reply = Reply::events(opening).step(Step::Wait(gate.clone())).then(Reply::events(pieces));
    let upstream = FakeUpstream::replying(reply);
    let home = Home::with(&config(&[("model", &upstream)]));
    let gateway = home.start().await;
    let (old, new) = (gateway.client(), gateway.client().with_key("sk-e2e-reload-other"));
    let mut stream = old.stream("model", "hi").await;
    assert_eq!(stream.next_text().await, "first ");
    assert_eq!(new.get("/v1/models").await.status, 401);

    let mut changed = config(&[("other", &upstream)]);
    changed["general_settings"]["master_key"] = json!("sk-e2e-reload-other");
    home.write(&changed);

    eventually_async("the new key to be taken", async || (new.get("/v1/models").await.status == 200).then_some(()))
        .await;
    assert_eq!(old.get("/v1/models").await.status, 401);
    assert_eq!(new.chat("model", "hi").await.status, 404, "the model is gone");
    gate.open();
    let transcript = stream.transcript().await;
    assert_eq!((transcript.meaning().text.as_str(), transcript.done), ("last", true));
    for key in [KEY, "sk-e2e-reload-other"] {
        assert!(!gateway.log().contains(key), "{}", gateway.log());
    }
}

#[tokio::test]
async fn a_configuration_that_would_leave_the_gateway_open_is_refused() {
    let one = provider("one");
    let home = Home::with(&config(&[("model", &one)]));
    let gateway = home.start().await;
    let client = gateway.client();

    for general in [json!({}), json!({"master_key": "sk-1234"}), json!({"master_key": "os.environ/NOT_SET_ANYWHERE"})] {
        let mut open = config(&[("model", &one), ("new", &one)]);
        open["general_settings"] = general.clone();
        home.write(&open);
        let answer = client.post("/config/reload", &json!({})).await;
        assert!(answer.status == 400 && answer.message().contains("master"), "{general}: {}", answer.text());
        assert_eq!(client.bare(Method::GET, "/v1/models").send().await.expect("an answer").status(), 401);
        assert_eq!(names(&client).await, ["model"]);
    }
}

#[tokio::test]
async fn what_is_for_operators_asks_for_the_key() {
    let one = provider("one");
    let home = Home::with(&config(&[("model", &one)]));
    let gateway = home.start().await;
    let client = gateway.client();
    let without =
        async |method: Method, path: &str| client.bare(method, path).send().await.expect("an answer").status().as_u16();
    for (method, path) in [(Method::GET, "/plugins"), (Method::POST, "/config/reload"), (Method::GET, "/metrics")] {
        assert_eq!(without(method, path).await, 401, "{path}");
    }
    assert_eq!(client.get("/config/reload").await.status, 405);
    let metrics = client.get("/metrics").await;
    assert!(metrics.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
    assert!(metrics.text().ends_with("# EOF\n"), "{}", metrics.text());
    assert!(metrics.text().contains("ai_api_plugin_info{plugin=\"openai\",version="), "{}", metrics.text());

    let mut open = config(&[("model", &one)]);
    open["litellm_settings"] = json!({"require_auth_for_metrics_endpoint": false});
    home.write(&open);
    client.post("/config/reload", &json!({})).await.ok();
    assert_eq!(without(Method::GET, "/metrics").await, 200);
    assert_eq!(without(Method::GET, "/plugins").await, 401);
}

#[tokio::test]
async fn a_configuration_that_is_no_regular_file_or_too_long_is_refused_and_the_next_one_taken() {
    let (one, two) = (provider("one"), provider("two"));
    let folder = TempDir::new();
    let file = folder.write("config.yaml", config(&[("model", &one)]).to_string());
    let gateway = Gateway::with_file(&file, KEY).start().await;
    let client = gateway.client();
    let refused = async |says: &str| {
        let answer = client.post("/config/reload", &json!({})).await;
        assert!(answer.status != 200 && answer.text().contains(says), "{}: {}", answer.status, answer.text());
    };

    fs::remove_file(&file).expect("it is there");
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.expect("mkfifo is everywhere").success());
    refused("not a regular file").await;

    fs::remove_file(&file).expect("it is there");
    fs::File::create(&file).and_then(|file| file.set_len(3 << 30)).expect("a sparse file");
    refused("larger than 16 MiB").await;

    folder.write("config.yaml", config(&[("model", &two)]).to_string());
    answers(&client, "model", "two").await;
}
