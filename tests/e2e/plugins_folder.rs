//! A `.wasm` in a folder is a provider: dropped in, replaced, broken and taken away while the gateway runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ai_api_e2e::{
    Builder, Client, FakeUpstream, Gate, Gateway, Reply, Step, TempDir, eventually_async, guest, versioned,
};
use serde_json::{Value, json};

const A: &str = "VERSION-AAAA";
const B: &str = "VERSION-BBBB";

/// A provider of any wire.
fn provider() -> FakeUpstream {
    FakeUpstream::answering(|_| Reply::json(200, &json!({})))
}

/// A gateway with the model `model` of the plugin `acme`.
fn gateway(upstream: &FakeUpstream) -> Builder {
    Gateway::builder().model("model", "acme/m", &upstream.origin())
}

fn plugin(marker: &str) -> Vec<u8> {
    versioned("acme", marker)
}

/// Writes beside the folder and renames, as careful tools do.
fn place(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let (temporary, file) = (folder.join(format!(".{name}.part")), folder.join(name));
    fs::write(&temporary, bytes).expect("the folder is writable");
    fs::rename(&temporary, &file).expect("the folder is writable");
    file
}

async fn answers(client: &Client, expected: &str) {
    eventually_async(&format!("an answer of {expected}"), async || {
        let answer = client.chat("model", "hi").await;
        (answer.status == 200 && answer.content() == expected).then_some(())
    })
    .await;
}

async fn refused(client: &Client) {
    eventually_async("a refusal", async || {
        let answer = client.chat("model", "hi").await;
        (answer.status == 503 && answer.message().contains("no plugin serves")).then_some(())
    })
    .await;
}

/// What `GET /plugins` says of a file.
async fn status(client: &Client, file: &Path) -> Option<Value> {
    let list = client.get("/plugins").await.ok();
    let data = list["data"].as_array().expect("a list");
    data.iter().find(|plugin| plugin["file"] == file.display().to_string()).cloned()
}

async fn becomes(client: &Client, file: &Path, standing: &str) -> Value {
    eventually_async(&format!("{} to be {standing}", file.display()), async || {
        status(client, file).await.filter(|plugin| plugin["status"] == standing)
    })
    .await
}

#[tokio::test]
async fn a_file_dropped_into_the_folder_of_a_running_gateway_serves() {
    let (upstream, folder) = (provider(), TempDir::new());
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();
    refused(&client).await;
    let dropped = Instant::now();

    let file = folder.write("acme.wasm", plugin(A));

    answers(&client, A).await;
    println!("from file to serving: {:?}", dropped.elapsed());
    let plugin = status(&client, &file).await.expect("it is listed");
    assert_eq!(
        (&plugin["name"], &plugin["version"], &plugin["status"]),
        (&json!("acme"), &json!(A), &json!("serving"))
    );
    assert_eq!((&plugin["credential"], &plugin["operations"]), (&json!("bearer"), &json!(["/v1/chat/completions"])));
    assert_eq!(plugin["digest"].as_str().map(str::len), Some("sha256:".len() + 64));
    assert!(plugin["load_ms"].is_u64() && plugin["since"].as_u64() > Some(1_700_000_000), "{plugin}");
    assert_eq!(upstream.last().path, format!("/chat/{A}"));
    let metrics = client.get("/metrics").await.text();
    for line in [
        format!("ai_api_plugin_loads_total{{file=\"{}\",result=\"success\"}} 1\n", file.display()),
        format!("ai_api_plugin_info{{plugin=\"acme\",version=\"{A}\",digest=\""),
        "ai_api_plugin_versions_alive{plugin=\"acme\"} 1\n".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    gateway.logged("loaded plugin").await;
    assert!(!gateway.log().contains("takes the place"), "{}", gateway.log());
}

#[tokio::test]
async fn a_file_that_is_replaced_removed_and_put_back_is_followed() {
    let (upstream, folder) = (provider(), TempDir::new());
    let file = folder.write("acme.wasm", plugin(A));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();
    assert_eq!(client.chat("model", "hi").await.content(), A, "it is loaded before the first call");

    place(folder.path(), "acme.wasm", &plugin(B));
    answers(&client, B).await;
    fs::remove_file(&file).expect("the file is there");
    refused(&client).await;
    assert_eq!(status(&client, &file).await, None);
    gateway.logged("removed plugin").await;
    place(folder.path(), "acme.wasm", &plugin(A));
    answers(&client, A).await;
}

#[tokio::test]
async fn a_plugin_that_is_removed_ends_the_calls_that_it_began() {
    let (gate, folder) = (Gate::closed(), TempDir::new());
    let event = "data: {}\n\n";
    let reply = Reply::events([event]).step(Step::Wait(gate.clone())).send(event);
    let upstream = FakeUpstream::answering(move |request| match request.json()["stream"] == true {
        true => reply.clone(),
        false => Reply::json(200, &json!({})),
    });
    let file = folder.write("acme.wasm", plugin(A));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();
    let alive = async || client.get("/metrics").await.text().contains("ai_api_plugin_versions_alive{plugin=\"acme\"}");
    let mut stream = client.stream("model", "hi").await;
    assert_eq!(stream.next_text().await.trim(), A);

    fs::remove_file(&file).expect("the file is there");
    refused(&client).await;
    assert!(alive().await, "the stream has it");
    gate.open();

    let transcript = stream.transcript().await;
    assert_eq!((transcript.meaning().text, transcript.done), (format!("{A} {A} "), true));
    eventually_async("the plugin to be gone", async || (!alive().await).then_some(())).await;
}

#[tokio::test]
async fn a_file_that_is_overwritten_slowly_serves_its_old_version_until_it_is_whole() {
    let (upstream, folder) = (provider(), TempDir::new());
    let file = folder.write("acme.wasm", plugin(A));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();
    let bytes = plugin(B);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut writing = fs::File::create(&file).expect("the file is writable");

    writing.write_all(first).expect("the disk has room");
    let stale = becomes(&client, &file, "stale").await;
    assert!(stale["reason"].as_str().is_some_and(|reason| reason.contains("acme.wasm")), "{stale}");
    assert_eq!((&stale["version"], client.chat("model", "hi").await.content()), (&json!(A), A.to_owned()));
    writing.write_all(second).expect("the disk has room");

    answers(&client, B).await;
    assert_eq!(becomes(&client, &file, "serving").await["reason"], Value::Null);
}

#[tokio::test]
async fn a_file_that_is_no_plugin_changes_nothing_and_says_why_once() {
    let (upstream, folder) = (provider(), TempDir::new());
    let file = folder.write("acme.wasm", plugin(A));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();

    for (content, reason) in [
        (b"#!/bin/sh\n".to_vec(), "not WebAssembly"),
        (b"\0asm\x01\0\0\0".to_vec(), "it is a core module; `ai-api plugin build` makes a component of it"),
        (b"\0asm\x0d\0\x01\0".to_vec(), "exports no provider interface"),
        (Vec::new(), "it is empty"),
    ] {
        place(folder.path(), "acme.wasm", &content);
        let found = eventually_async("the reason", async || {
            let plugin = status(&client, &file).await.expect("it is listed");
            plugin["reason"].as_str().is_some_and(|told| told.contains(reason)).then_some(plugin)
        })
        .await;
        assert_eq!((&found["status"], &found["version"]), (&json!("stale"), &json!(A)), "{found}");
        assert!(!found["reason"].as_str().unwrap_or_default().contains('\n'), "one line: {found}");
        assert_eq!(client.chat("model", "hi").await.content(), A);
    }
    gateway.logged("can't load plugin").await;
    let told = gateway.log().matches("can't load plugin").count();
    // Somebody touches the file: it is still the same trouble.
    place(folder.path(), "acme.wasm", b"");
    let good = place(folder.path(), "other.wasm", &versioned("other", A));
    becomes(&client, &good, "serving").await;
    assert_eq!(gateway.log().matches("can't load plugin").count(), told, "{}", gateway.log());
    let metrics = client.get("/metrics").await.text();
    let counted = format!("ai_api_plugin_loads_total{{file=\"{}\",result=\"failure\"}}", file.display());
    assert!(metrics.contains(&counted), "{metrics}");

    place(folder.path(), "acme.wasm", &plugin(B));
    answers(&client, B).await;
}

#[tokio::test]
async fn a_gateway_starts_with_broken_files_and_serves_the_others() {
    let (upstream, folder) = (provider(), TempDir::new());
    let broken = folder.write("a-broken.wasm", "nothing");
    folder.write("b-acme.wasm", plugin(A));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;

    assert_eq!(gateway.client().chat("model", "hi").await.content(), A);
    assert_eq!(becomes(&gateway.client(), &broken, "failed").await["name"], Value::Null);
    gateway.logged("a-broken.wasm").await;
}

#[tokio::test]
async fn a_built_in_plugin_gives_way_and_comes_back() {
    let (upstream, folder) = (provider(), TempDir::new());
    let gateway = Gateway::builder().model("model", "echo/m", &upstream.origin());
    let gateway = gateway.arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();
    assert_eq!(client.chat("model", "hi").await.content(), "hi");

    let file = folder.write("my-echo.wasm", versioned("echo", A));
    answers(&client, A).await;
    gateway.logged("this file takes the place of the built-in plugin echo for echo/…").await;
    let list = client.get("/plugins").await.ok();
    let own = list["data"].as_array().expect("a list").iter().find(|p| p["file"] == "built-in" && p["name"] == "echo");
    let own = own.expect("it is listed");
    assert!(own["status"] == "shadowed" && own["reason"].as_str().is_some_and(|r| r.contains("my-echo.wasm")), "{own}");

    fs::remove_file(file).expect("the file is there");
    answers(&client, "hi").await;
}

#[tokio::test]
async fn a_vendor_of_the_table_gets_a_plugin_of_its_own() {
    let (upstream, folder) = (provider(), TempDir::new());
    let gateway = Gateway::builder().model("model", "groq/m", &upstream.origin());
    let gateway = gateway.arg("--plugins").arg(folder.path().display().to_string()).start().await;

    folder.write("groq.wasm", versioned("groq", A));

    answers(&gateway.client(), A).await;
    gateway.logged("this file takes the place of the built-in plugin openai for groq/…").await;
}

#[tokio::test]
async fn of_two_files_with_one_name_the_first_serves() {
    let (upstream, folder) = (provider(), TempDir::new());
    let first = folder.write("1.wasm", plugin(A));
    let second = folder.write("2.wasm", plugin(B));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();

    assert_eq!(client.chat("model", "hi").await.content(), A);
    let shadowed = becomes(&client, &second, "shadowed").await;
    assert!(shadowed["reason"].as_str().is_some_and(|reason| reason.contains("1.wasm")), "{shadowed}");
    gateway.logged("a plugin does not serve: shadowed by").await;
    fs::remove_file(first).expect("the file is there");
    answers(&client, B).await;
}

#[tokio::test]
async fn a_file_named_on_the_command_line_is_watched_and_wins() {
    let (upstream, folder, own) = (provider(), TempDir::new(), TempDir::new());
    folder.write("acme.wasm", plugin(A));
    let file = own.write("mine.wasm", plugin(B));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).plugin(&file);
    let gateway = gateway.start().await;
    let client = gateway.client();
    assert_eq!(client.chat("model", "hi").await.content(), B);

    place(own.path(), "mine.wasm", &plugin("VERSION-CCCC"));
    answers(&client, "VERSION-CCCC").await;
    fs::remove_file(file).expect("the file is there");
    answers(&client, A).await;
}

#[tokio::test]
async fn a_file_named_on_the_command_line_that_is_no_plugin_stops_the_start() {
    let own = TempDir::new();
    for (file, reason) in
        [(own.write("broken.wasm", "nothing"), "not WebAssembly"), (own.path().join("none.wasm"), "none.wasm")]
    {
        let run = Gateway::builder().plugin(&file).run().await;
        assert!(!run.success && run.said.contains(reason), "{}", run.said);
    }
}

#[tokio::test]
async fn a_folder_that_comes_and_goes_is_followed() {
    let (upstream, home) = (provider(), TempDir::new());
    let (folder, away) = (home.path().join("plugins"), home.path().join("away"));
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.display().to_string()).start().await;
    let client = gateway.client();
    gateway.logged("isn't there; waiting for it").await;

    fs::create_dir(&folder).expect("a folder can be made");
    fs::write(folder.join("acme.wasm"), plugin(A)).expect("the folder is writable");
    answers(&client, A).await;
    fs::rename(&folder, &away).expect("a folder can be renamed");
    refused(&client).await;
    fs::rename(&away, &folder).expect("a folder can be renamed");
    answers(&client, A).await;
    fs::remove_dir_all(&folder).expect("a folder can be removed");
    refused(&client).await;
    // Another folder takes its place by a rename.
    fs::create_dir(&away).expect("a folder can be made");
    fs::write(away.join("acme.wasm"), plugin(B)).expect("the folder is writable");
    fs::rename(&away, &folder).expect("a folder can be renamed");
    answers(&client, B).await;
}

#[tokio::test]
async fn a_folder_mounted_from_a_config_map_is_swapped_by_its_link() {
    let (upstream, folder) = (provider(), TempDir::new());
    let path = |name: &str| folder.path().join(name);
    let publish = |version: &str, bytes: &[u8]| {
        fs::create_dir(path(version)).expect("a folder can be made");
        fs::write(path(version).join("acme.wasm"), bytes).expect("the folder is writable");
        symlink(version, path("..data_tmp")).expect("a link can be made");
        fs::rename(path("..data_tmp"), path("..data")).expect("a link can be renamed");
    };
    publish("..2026_1", &plugin(A));
    symlink("..data/acme.wasm", path("acme.wasm")).expect("a link can be made");
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;
    let client = gateway.client();
    assert_eq!(client.chat("model", "hi").await.content(), A);

    publish("..2026_2", &plugin(B));
    fs::remove_dir_all(path("..2026_1")).expect("the old version goes");

    answers(&client, B).await;
    assert!(!gateway.log().contains("removed plugin"), "it was never gone: {}", gateway.log());
}

#[tokio::test]
async fn a_change_that_the_system_does_not_tell_is_found_all_the_same() {
    let (upstream, home) = (provider(), TempDir::new());
    let path = |name: &str| home.path().join(name);
    for (version, marker) in [("v1", A), ("v2", B)] {
        fs::create_dir_all(path(version).join("share/plugins")).expect("a folder can be made");
        fs::write(path(version).join("share/plugins/acme.wasm"), plugin(marker)).expect("the folder is writable");
    }
    symlink("v1", path("current")).expect("a link can be made");
    let folder = path("current").join("share/plugins");
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.display().to_string()).start().await;
    assert_eq!(gateway.client().chat("model", "hi").await.content(), A);

    // Two folders up: nothing that is watched has changed.
    symlink("v2", path("next")).expect("a link can be made");
    fs::rename(path("next"), path("current")).expect("a link can be renamed");

    answers(&gateway.client(), B).await;
}

#[tokio::test]
async fn another_folder_in_the_configuration_is_gone_over_to_at_once() {
    let (upstream, home) = (provider(), TempDir::new());
    for (folder, marker) in [("one", A), ("two", B)] {
        fs::create_dir(home.path().join(folder)).expect("a folder can be made");
        fs::write(home.path().join(folder).join("acme.wasm"), plugin(marker)).expect("the folder is writable");
    }
    let config = |folder: &str| {
        json!({
            "model_list": [{"model_name": "model", "litellm_params": {"model": "acme/m", "api_base": upstream.origin()}}],
            "general_settings": {"master_key": "sk-e2e-folder-3"},
            "ai_api_settings": {"plugins": folder},
        })
        .to_string()
    };
    let file = home.write("config.yml", config("one"));
    let gateway = Gateway::with_file(&file, "sk-e2e-folder-3").start().await;
    let client = gateway.client();
    assert_eq!(client.chat("model", "hi").await.content(), A);

    home.write("config.yml", config("two"));

    // In between there is no moment without a plugin.
    eventually_async("the other folder's plugin", async || {
        (client.chat("model", "hi").await.content() == B).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_no_plugins_file_is_left_alone() {
    let (upstream, folder) = (provider(), TempDir::new());
    for name in [".acme.wasm", "acme.wasm~", "acme.wasm.part", "acme.txt"] {
        folder.write(name, "nothing");
    }
    fs::create_dir(folder.path().join("sub.wasm")).expect("a folder can be made");
    fs::write(folder.path().join("sub.wasm/acme.wasm"), plugin(A)).expect("the folder is writable");
    symlink("nowhere", folder.path().join("dangling.wasm")).expect("a link can be made");
    let gateway = gateway(&upstream).arg("--plugins").arg(folder.path().display().to_string()).start().await;

    let list = gateway.client().get("/plugins").await.ok();
    let files: Vec<&Value> = list["data"].as_array().expect("a list").iter().map(|plugin| &plugin["file"]).collect();
    assert!(files.iter().all(|file| **file == "built-in"), "{files:?}");
    refused(&gateway.client()).await;
}

#[tokio::test]
async fn the_folder_is_named_by_flag_variable_or_configuration_or_lies_beside_it() {
    let upstream = provider();
    let config = |more: Value| {
        let mut config = json!({
            "model_list": [{"model_name": "model", "litellm_params": {"model": "acme/m", "api_base": upstream.origin()}}],
            "general_settings": {"master_key": "sk-e2e-folder-1"},
        });
        if !more.is_null() {
            config["ai_api_settings"] = more;
        }
        config.to_string()
    };
    let (named, other) = (TempDir::new(), TempDir::new());
    named.write("acme.wasm", plugin(A));
    other.write("acme.wasm", plugin(B));
    let in_config = json!({"plugins": other.path()});
    for (what, more, flag, variable) in [
        ("flag", in_config.clone(), true, Some(other.path())),
        ("variable", in_config, false, Some(named.path())),
        ("absolute path", json!({"plugins": named.path()}), false, None),
        ("relative path", json!({"plugins": "mine"}), false, None),
        ("beside", Value::Null, false, None),
    ] {
        let home = TempDir::new();
        let file = home.write("config.yml", config(more));
        let beside = if what == "relative path" { "mine" } else { "plugins.d" };
        if matches!(what, "relative path" | "beside") {
            fs::create_dir(home.path().join(beside)).expect("a folder can be made");
            fs::write(home.path().join(beside).join("acme.wasm"), plugin(A)).expect("the folder is writable");
        }
        let mut gateway = Gateway::with_file(&file, "sk-e2e-folder-1");
        if flag {
            gateway = gateway.arg("--plugins").arg(named.path().display().to_string());
        }
        if let Some(variable) = variable {
            gateway = gateway.env("AI_API_PLUGINS", &variable.display().to_string());
        }
        let gateway = gateway.start().await;
        assert_eq!(gateway.client().chat("model", "hi").await.content(), A, "{what}");
        assert!(!gateway.log().contains("is not in the table"), "its plugin is there: {}", gateway.log());
    }
}

#[tokio::test]
async fn a_folder_beside_the_configuration_may_appear_later() {
    let (upstream, home) = (provider(), TempDir::new());
    let config = json!({
        "model_list": [{"model_name": "model", "litellm_params": {"model": "acme/m", "api_base": upstream.origin()}}],
        "general_settings": {"master_key": "sk-e2e-folder-2"},
    });
    let file = home.write("config.yml", config.to_string());
    let gateway = Gateway::with_file(&file, "sk-e2e-folder-2").start().await;
    refused(&gateway.client()).await;

    fs::create_dir(home.path().join("plugins.d")).expect("a folder can be made");
    fs::write(home.path().join("plugins.d/acme.wasm"), plugin(A)).expect("the folder is writable");

    answers(&gateway.client(), A).await;
}

#[tokio::test]
async fn check_loads_every_file_and_says_what_becomes_of_it() {
    let home = TempDir::new();
    let config = json!({
        "model_list": [{"model_name": "model", "litellm_params": {"model": "acme/m", "api_base": "http://127.0.0.1:9"}}],
        "general_settings": {"master_key": "sk-e2e-check-1"},
    });
    let config = home.write("config.yml", config.to_string()).display().to_string();
    let folder = TempDir::new();
    let plugins = folder.path().display().to_string();
    let check = async || Gateway::run(&["check", &config, "--plugins", &plugins], &[]).await;
    let without = check().await;
    assert!(without.success && without.said.contains("`acme` is not in the table"), "{}", without.said);

    folder.write("acme.wasm", plugin(A));
    let with = check().await;
    assert!(
        with.success && with.said.contains("acme.wasm  honoured: serves acme/…: version VERSION-AAAA"),
        "{}",
        with.said
    );
    assert!(!with.said.contains("not in the table"), "{}", with.said);

    folder.write("acme2.wasm", plugin(B));
    folder.write("hostile.wasm", fs::read(guest("hostile")).expect("a guest can be read"));
    folder.write("broken.wasm", "nothing");
    let broken = check().await;
    assert!(!broken.success, "{}", broken.said);
    for line in
        ["broken.wasm  error: ", "hostile.wasm  honoured: serves hostile/…", "acme2.wasm  warning: shadowed by "]
    {
        assert!(broken.said.contains(line), "{line}: {}", broken.said);
    }
}

#[tokio::test]
async fn check_loads_the_files_that_are_named_one_by_one_and_the_last_one_wins() {
    let home = TempDir::new();
    let config = json!({"model_list": [], "general_settings": {"master_key": "sk-e2e-check-2"}});
    let config = home.write("config.yml", config.to_string()).display().to_string();
    let (first, last) = (home.write("a.wasm", plugin(A)), home.write("b.wasm", plugin(B)));
    let (first, last) = (first.display().to_string(), last.display().to_string());

    let both = Gateway::run(&["check", &config, "--plugin", &first, "--plugin", &last], &[]).await;
    assert!(both.success, "{}", both.said);
    for line in
        ["b.wasm  honoured: serves acme/…: version VERSION-BBBB".to_owned(), format!("warning: shadowed by {last}")]
    {
        assert!(both.said.contains(&line), "{line}: {}", both.said);
    }

    let gone = home.path().join("gone.wasm").display().to_string();
    let missing = Gateway::run(&["check", &config, "--plugin", &first, "--plugin", &gone], &[]).await;
    assert!(!missing.success && missing.said.contains("gone.wasm  error: can't be read: "), "{}", missing.said);
}
