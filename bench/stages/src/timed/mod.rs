//! `make bench-stages`: how long each stage of a call takes.
//!
//! First the gateway's own stages and whole calls, by divan; then every function of a plugin in the sandbox, beside the
//! same translator without it. Arguments behind `--bench` are divan's filter, and leave the second part out.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is a failed benchmark, with the line that did it"
)]

mod sandbox;
mod upstream;

use std::sync::{Arc, LazyLock};

use ai_api::api::Gateway;
use ai_api::config::Environment;
use ai_api::plugin::Runtime;
use ai_api::reload::{self, Sources};
use ai_api_bench_stages::host::STAGES;
use ai_api_bench_stages::inputs::{bytes, long_prompt, small_chat, streamed};
use ai_api_bench_stages::setup::{Connection, MASTER_KEY, configuration, request, runtime};
use divan::Bencher;
use serde_json::Value;

/// What says that this is asked for; divan wants it too.
pub(crate) const FLAG: &str = "--bench";

/// Measures and prints.
pub(crate) fn main() {
    divan::main();
    if std::env::args().skip(1).eq([FLAG]) {
        sandbox::table();
    }
}

/// The gateway's own stages.
#[divan::bench(args = STAGES.iter().map(|stage| stage.name))]
fn host(bencher: Bencher<'_, '_>, name: &str) {
    let stage = STAGES.iter().find(|stage| stage.name == name).unwrap();
    let run = (stage.set_up)().unwrap();
    bencher.bench_local(run);
}

/// Whole calls: a client in memory, the gateway on this thread, a provider on another and real sockets to it.
#[divan::bench(args = [
    "native: small chat",
    "native: stream of 64",
    "native: 100 KB prompt",
    "anthropic: small chat",
    "anthropic: stream of 64",
    "anthropic: 100 KB prompt",
    "gemini: small chat",
    "gemini: stream of 64",
    "gemini: 100 KB prompt",
], sample_size = 20)]
fn whole_call(bencher: Bencher<'_, '_>, name: &str) {
    let (runtime, gateway) = &*GATEWAY;
    let (model, kind) = name.split_once(": ").unwrap();
    let body = match kind {
        "small chat" => small_chat(),
        "stream of 64" => streamed(small_chat()),
        _ => long_prompt(100),
    };
    let request = request("POST", "/v1/chat/completions", MASTER_KEY, &bytes(&named(body, model)));
    let mut connection = {
        let _inside = runtime.enter();
        Connection::open(Arc::clone(gateway))
    };
    bencher.bench_local(|| {
        let line = runtime.block_on(connection.ask(&request)).unwrap();
        assert!(line.contains("200"), "{line}");
    });
}

fn named(mut body: Value, model: &str) -> Value {
    body["model"] = model.into();
    body
}

/// With all its plugins.
static GATEWAY: LazyLock<(tokio::runtime::Runtime, Arc<Gateway>)> = LazyLock::new(|| {
    let loaded = configuration(&upstream::start()).unwrap();
    let runtime = runtime().unwrap();
    let gateway = runtime.block_on(async {
        let plugins = Arc::new(Runtime::new(None).map_err(|error| format!("{error:#}")).unwrap());
        let upstream = ai_api::upstream::Upstream::new(std::time::Duration::from_secs(10)).unwrap();
        let prepared =
            reload::prepare(plugins, upstream, loaded, &Environment::default(), Sources::default(), Arc::default())
                .await;
        Arc::new(Gateway { live: prepared.unwrap().0, health: Arc::default() })
    });
    (runtime, gateway)
});
