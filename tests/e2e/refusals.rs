//! A file that is no plugin is refused with a reason in one sentence, and changes nothing for anybody else.

use ai_api_e2e::{Answer, FakeUpstream, Gateway, TempDir, Wire, eventually, guest, patched, within};
use serde_json::{Value, json};

/// A running gateway with a folder of plugins and a well-behaved deployment.
struct House {
    gateway: Gateway,
    folder: TempDir,
    _neighbour: FakeUpstream,
}

impl House {
    async fn open() -> Self {
        Self::with_limits(json!({})).await
    }

    async fn with_limits(limits: Value) -> Self {
        let folder = TempDir::new();
        let neighbour = FakeUpstream::replying(Wire::Anthropic.reply("I'm fine"));
        let gateway = Gateway::builder()
            .arg("--plugins")
            .arg(folder.path().display().to_string())
            .model("good", Wire::Anthropic.model(), &Wire::Anthropic.base(&neighbour))
            .model("hostile/*", "hostile/*", "http://127.0.0.1:9")
            .set("ai_api_settings", "plugin_limits", limits)
            .start()
            .await;
        Self { gateway, folder, _neighbour: neighbour }
    }

    /// Drops a file in. The operator is told each of `says` in one line of the log and in the list of plugins; the
    /// neighbour is served.
    async fn refuses(&mut self, name: &str, bytes: impl AsRef<[u8]>, says: &[&str]) {
        self.folder.write(name, bytes);
        self.refuses_file(name, says).await;
    }

    async fn refuses_file(&mut self, name: &str, says: &[&str]) {
        let told = |line: &str| line.contains("can't load plugin") && line.contains(name);
        let told = || self.gateway.log().lines().find(|line| told(line)).map(str::to_owned);
        let line = eventually(&format!("the log to refuse {name}"), told).await;
        let plugins = self.gateway.client().get("/plugins").await.ok();
        let listed = plugins["data"].as_array().expect("a list").iter();
        let mut listed = listed.filter(|plugin| plugin["file"].as_str().is_some_and(|file| file.ends_with(name)));
        let listed = listed.next().unwrap_or_else(|| panic!("{name} is not in {plugins}"));
        assert_eq!(listed["status"], "failed", "{listed}");
        let reason = listed["reason"].as_str().expect("a reason");
        for word in says.iter().copied().chain([name]) {
            assert!(line.contains(word) && reason.contains(word), "{word:?} is not in {line:?} or not in {reason:?}");
        }
        assert!(!reason.contains('\n') && reason.len() < 2000, "no sentence: {reason}");
        self.neighbour_is_fine().await;
    }

    async fn neighbour_is_fine(&mut self) {
        let answer: Answer = within("the neighbour", self.gateway.client().chat("good", "are you fine?")).await;
        assert_eq!(answer.content(), "I'm fine");
        assert!(self.gateway.is_running());
    }
}

fn hostile() -> Vec<u8> {
    std::fs::read(guest("hostile")).expect("a guest can be read")
}

/// The hostile guest, where `describe` does `word`.
fn describing(word: &str) -> Vec<u8> {
    patched("hostile", &[("DESCRIBE-FINE....", &format!("DESCRIBE-{word:.<8}"))])
}

/// A component, from text.
fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is WebAssembly")
}

/// A component that exports an interface of this name without anything in it, and imports `imports`.
fn exporting(name: &str, imports: &str) -> Vec<u8> {
    component(&format!("(component {imports} (instance $empty) (export \"{name}\" (instance $empty)))"))
}

const PROVIDER: &str = "ai-api:plugin/provider@0.1.0";

#[tokio::test]
async fn a_file_that_is_no_webassembly_is_refused() {
    let mut house = House::open().await;
    house.refuses("junk.wasm", "this is no component", &["it is not WebAssembly"]).await;
    house.refuses("empty.wasm", "", &["it is empty"]).await;
}

#[tokio::test]
async fn a_half_written_file_is_refused() {
    let mut house = House::open().await;
    let whole = hostile();
    house.refuses("half.wasm", &whole[..whole.len() / 2], &["it ends too early"]).await;
    house.refuses("start.wasm", &whole[..5], &["it ends in its first 8 bytes"]).await;
    // Whole, it serves.
    house.folder.write("half.wasm", &whole);
    house.gateway.logged("loaded plugin").await;
    assert_eq!(house.gateway.client().chat("hostile/fine", "hi").await.content(), "fine");
}

#[tokio::test]
async fn a_file_whose_bytes_were_garbled_is_refused() {
    let mut house = House::open().await;
    let mut garbled = hostile();
    let half = garbled.len() / 2;
    garbled[half..half + 4096].fill(0xff);
    house.refuses("garbled.wasm", garbled, &["not a WebAssembly component"]).await;
}

#[tokio::test]
async fn a_core_module_is_refused_and_what_makes_a_component_of_it_named() {
    let mut house = House::open().await;
    let module = wat::parse_str("(module (func (export \"describe\")))").expect("a module");
    house.refuses("module.wasm", module, &["it is a core module", "`ai-api plugin build`"]).await;
}

#[tokio::test]
async fn a_component_of_another_world_is_refused() {
    let mut house = House::open().await;
    house.refuses("nothing.wasm", component("(component)"), &["exports no provider interface", PROVIDER]).await;
    let proxy = exporting("wasi:http/incoming-handler@0.2.0", "");
    house.refuses("proxy.wasm", proxy, &["exports no provider interface"]).await;
}

#[tokio::test]
async fn an_older_and_a_newer_version_of_the_interface_are_refused_by_name() {
    let mut house = House::open().await;
    for (version, says) in [("0.0.9", "older: build the plugin anew"), ("0.9.0", "newer: update the gateway")] {
        let name = format!("ai-api:plugin/provider@{version}");
        house.refuses(&format!("v{version}.wasm"), exporting(&name, ""), &[&name, says]).await;
    }
}

#[tokio::test]
async fn a_component_that_lacks_a_function_is_refused_and_the_function_named() {
    let mut house = House::open().await;
    house.refuses("bare.wasm", exporting(PROVIDER, ""), &[PROVIDER, "lacks the function describe"]).await;
    let describe = format!(
        "(component
            (core module $m (func (export \"describe\") (result i32) i32.const 0) (memory (export \"memory\") 1))
            (core instance $i (instantiate $m))
            (func $describe (result u32) (canon lift (core func $i \"describe\")))
            (instance $provider (export \"describe\" (func $describe)))
            (export \"{PROVIDER}\" (instance $provider)))"
    );
    let says = [PROVIDER, "lacks the function [static]exchange.begin"];
    house.refuses("describes.wasm", component(&describe), &says).await;
}

#[tokio::test]
async fn a_file_of_100_mb_is_refused_before_it_is_read() {
    let mut house = House::open().await;
    let file = std::fs::File::create(house.folder.path().join("large.wasm")).expect("the folder is writable");
    file.set_len(100 << 20).expect("a file may have holes");
    house.refuses_file("large.wasm", &["it has 100 MiB", "may have 80", "max_wasm_mb"]).await;
}

#[tokio::test]
async fn imports_that_plugins_do_not_get_are_refused_by_name() {
    let mut house = House::open().await;
    for (file, import, says) in [
        ("http.wasm", "wasi:http/outgoing-handler@0.2.0", "a plugin has no network"),
        ("tcp.wasm", "wasi:sockets/tcp@0.2.0", "a plugin has no network"),
        ("names.wasm", "wasi:sockets/ip-name-lookup@0.2.3", "a plugin has no network"),
        ("future.wasm", "wasi:random/random@0.3.0", "this host has WASI 0.2"),
        ("store.wasm", "wasi:keyvalue/store@0.2.0", "nothing is shared"),
        ("door.wasm", "acme:backdoor/door@1.0.0", "plugins get ai-api:plugin/log"),
        ("log.wasm", "ai-api:plugin/log@0.2.0", "this host speaks ai-api:plugin@0.1.0"),
    ] {
        let imports = format!("(import \"{import}\" (instance))");
        house.refuses(file, exporting(PROVIDER, &imports), &[import, says]).await;
    }
    let function = exporting(PROVIDER, "(import \"exec\" (func))");
    house.refuses("exec.wasm", function, &["imports exec", "plugins don't get"]).await;
}

#[tokio::test]
async fn a_guest_that_misbehaves_in_describe_is_refused() {
    let mut house = House::with_limits(json!({"*": {"call_time_ms": 200, "memory_mb": 32}})).await;
    for (word, says) in [
        ("TRAP", "trapped"),
        ("LOOP", "ran for longer than"),
        ("HOARD", "wanted more than"),
        ("RECURSE", "trapped"),
        ("ODD-NAME", "is no name"),
    ] {
        house.refuses(&format!("{}.wasm", word.to_lowercase()), describing(word), &[says]).await;
    }
}

#[tokio::test]
async fn a_guest_that_describes_itself_differently_each_time_is_refused() {
    let mut house = House::open().await;
    let unsteady = patched("wasi", &[("DESCRIBES-THE-SAME", "DESCRIBES-ANOTHER!")]);
    house.refuses("unsteady.wasm", unsteady, &["gave two answers"]).await;
}

#[tokio::test]
async fn a_component_that_needs_more_than_its_limits_to_start_is_refused() {
    let wasi = patched("wasi", &[]);
    for (key, says) in [
        ("memory_mb", "MiB of memory to start, and its limit is 1 (plugin_limits: memory_mb)"),
        ("tables", "tables, and its limit is 1 (plugin_limits: tables)"),
        ("table_elements", "table elements, and its limit is 1 (plugin_limits: table_elements)"),
        ("instances", "instance count"),
    ] {
        let mut house = House::with_limits(json!({"wasi": {key: 1}})).await;
        house.refuses("wasi.wasm", &wasi, &[says]).await;
    }
}

#[tokio::test]
async fn a_plugin_that_serves_goes_on_when_its_file_is_replaced_by_a_bad_one() {
    let house = House::open().await;
    house.folder.write("hostile.wasm", hostile());
    house.gateway.logged("loaded plugin").await;
    house.folder.write("hostile.wasm", exporting(PROVIDER, "(import \"wasi:http/types@0.2.0\" (instance))"));
    house.gateway.logged("can't load plugin").await;
    assert!(house.gateway.log().contains("wasi:http/types@0.2.0"), "{}", house.gateway.log());
    assert_eq!(house.gateway.client().chat("hostile/fine", "hi").await.content(), "fine");
}

#[tokio::test]
async fn a_function_that_would_take_minutes_to_compile_is_refused_before_it_is_compiled() {
    let mut house = House::open().await;
    let bomb = component(&format!("(component (core module (func {})))", "(loop)".repeat(1001)));
    house.refuses("bomb.wasm", bomb, &["has 1001 loops", "it would take too long to compile"]).await;
}

#[tokio::test]
async fn a_files_name_forges_no_line_of_the_log() {
    let house = House::open().await;
    house.folder.write("a\n2026-01-01 INFO forged.wasm", b"nothing");
    house.gateway.logged("can't load plugin").await;
    let log = house.gateway.log();
    assert!(log.contains("/a\\n2026-01-01 INFO forged.wasm"), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01 INFO forged")), "{log}");
}

/// A component of one function within the bounds that takes seconds to compile, another one each time: what was
/// compiled once is in the cache.
fn slow() -> Vec<u8> {
    let nonce = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").subsec_nanos();
    let blocks = (0..60_000_u32).map(|turn| {
        let [a, b, c] = [turn * 7 % 29, turn * 11 % 31 % 29, turn * 13 % 37 % 29];
        format!("block local.get {a} br_if 0 local.get {b} local.get {c} i32.add local.set {a} end\n")
    });
    let (locals, blocks) = ("i32 ".repeat(29), blocks.collect::<String>());
    component(&format!("(component (core module (func (local {locals}) i32.const {nonce} local.set 0 {blocks})))"))
}

#[tokio::test]
async fn a_file_that_takes_long_to_compile_holds_up_neither_reloads_nor_other_plugins_nor_the_end() {
    let mut house = House::open().await;
    house.folder.write("slow.wasm", slow());
    // It has settled and is compiling once a file that was dropped in after it serves.
    house.folder.write("z-hostile.wasm", hostile());
    house.gateway.logged("loaded plugin").await;
    let reloaded = house.gateway.client().post("/config/reload", &json!({})).await;
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    house.gateway.terminate();
    let status = house.gateway.ended().await;
    assert!(status.success(), "{status}");
    assert!(!house.gateway.log().contains("slow.wasm"), "it was compiling to the end: {}", house.gateway.log());
}
