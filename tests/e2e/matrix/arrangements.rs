//! The gateway before one provider, with a model group for each cell, so that no cell sees what another did.

use std::collections::HashMap;
use std::sync::Arc;

use ai_api_e2e::{FakeUpstream, Gate, Gateway, NoTls, Port, Received, Reply, Wire};
use serde_json::{Value, json};

use super::faults::{self, Fault, WHOLE};

/// What stands beside the deployment that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// Nothing.
    Lone,
    /// A healthy deployment in the same group, that comes second by its `order`.
    Group,
    /// A healthy deployment in another group, its fallback.
    Fallback,
    /// A healthy deployment in the same group, which may go on with a stream that broke: an operator has to want that,
    /// for all models of a gateway.
    Continuation,
}

/// A cell of the matrix, for any wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) fault: Fault,
    pub(super) streaming: bool,
    pub(super) arrangement: Arrangement,
}

/// A gateway and the provider behind it, for all cases of one wire.
pub(super) struct House {
    pub(super) gateway: Gateway,
    pub(super) upstream: FakeUpstream,
    /// Opened when the client has read the first text, by the name of the case.
    pub(super) gates: Arc<HashMap<String, Gate>>,
    no_tls: HashMap<String, NoTls>,
    /// Nobody listens there.
    closed: Port,
}

/// The two deployments of a case, as their address has them.
const FAULTY: &str = "faulty";
const HEALTHY: &str = "healthy";

// === impl Arrangement ===

impl Arrangement {
    pub(super) const ALL: [Self; 4] = [Self::Lone, Self::Group, Self::Fallback, Self::Continuation];
}

// === impl Case ===

impl Case {
    /// Those that are something of their own, in the order of the table.
    pub(super) fn all() -> Vec<Case> {
        let mut all = Vec::new();
        for arrangement in Arrangement::ALL {
            for fault in faults::ALL {
                let own = |streaming: &bool| match arrangement {
                    // It is for nothing else.
                    Arrangement::Continuation => *streaming && fault.shows_text(),
                    _ => *streaming || !fault.only_streams(),
                };
                let modes = [false, true].into_iter().filter(own);
                all.extend(modes.map(|streaming| Case { fault, streaming, arrangement }));
            }
        }
        all
    }

    /// Whether streams that break are gone on with.
    pub(super) fn continues(self) -> bool {
        self.arrangement == Arrangement::Continuation
    }

    /// The model that its client names.
    pub(super) fn name(self) -> String {
        let mode = if self.streaming { "stream" } else { "whole" };
        format!("{:?}-{:?}-{mode}", self.arrangement, self.fault).replace(['(', ')'], "-").to_lowercase()
    }
}

// === impl House ===

impl House {
    /// Starts it; `continues`: streams that break are gone on with.
    pub(super) async fn open(wire: Wire, cases: &[Case], continues: bool) -> Self {
        let gates: HashMap<String, Gate> = cases.iter().map(|case| (case.name(), Gate::closed())).collect();
        let gates = Arc::new(gates);
        let upstream = provider(wire, cases, &gates);
        let closed = Port::reserve();
        let mut no_tls = HashMap::new();
        let mut fallbacks = Vec::new();
        // What limits all calls together is not this test's subject: its cells are not to see each other.
        let budget = json!({"percent": 100, "min_per_second": 100_000});
        let mut builder = Gateway::builder().env("JSON_LOGS", "true").set("router_settings", "retry_budget", budget);
        for case in cases {
            let name = case.name();
            let faulty = match case.fault {
                Fault::Refused => format!("http://{}", closed.address()),
                // No name server has to be asked: a label has 63 characters at most.
                Fault::Dns => format!("http://{}.invalid", "x".repeat(64)),
                Fault::Tls => no_tls.entry(name.clone()).or_insert_with(NoTls::start).origin(),
                _ => format!("{}/{name}/{FAULTY}", upstream.origin()),
            };
            let healthy = wire.base_of(&format!("{}/{name}/{HEALTHY}", upstream.origin()));
            let mut params = case.fault.patience(case.streaming);
            params["order"] = json!(1);
            builder = builder.model_with(&name, wire.model(), &wire.base_of(&faulty), params);
            match case.arrangement {
                Arrangement::Lone => {}
                Arrangement::Group | Arrangement::Continuation => {
                    builder = builder.model_with(&name, wire.model(), &healthy, json!({"order": 2}));
                }
                Arrangement::Fallback => {
                    let other = format!("{name}-fallback");
                    builder = builder.model(&other, wire.model(), &healthy);
                    fallbacks.push(json!({name: [other]}));
                }
            }
        }
        // The default, which the harness turns off.
        let builder = builder.set("router_settings", "num_retries", json!(2));
        let builder = builder.set("router_settings", "enable_mid_stream_fallback_continuation", json!(continues));
        let gateway = builder.set("router_settings", "fallbacks", Value::Array(fallbacks)).start().await;
        Self { gateway, upstream, gates, no_tls, closed }
    }

    /// How many calls the failing and the healthy deployment got, by the name of the case. A connection counts as a
    /// call where none gets further.
    pub(super) fn calls(&self) -> HashMap<String, [usize; 2]> {
        let mut calls: HashMap<String, [usize; 2]> = HashMap::new();
        for request in self.upstream.requests() {
            let (name, healthy) = addressee(&request);
            calls.entry(name.to_owned()).or_default()[usize::from(healthy)] += 1;
        }
        for (name, server) in &self.no_tls {
            calls.entry(name.clone()).or_default()[0] += server.connections();
        }
        calls
    }

    /// What no client may be told: where the providers are.
    pub(super) fn secrets(&self) -> [String; 2] {
        [self.upstream.authority(), self.closed.address().to_string()]
    }
}

/// Fails or serves, as the path of a request says.
fn provider(wire: Wire, cases: &[Case], gates: &Arc<HashMap<String, Gate>>) -> FakeUpstream {
    let cases: HashMap<String, Case> = cases.iter().map(|case| (case.name(), *case)).collect();
    let gates = Arc::clone(gates);
    FakeUpstream::answering(move |request| {
        let (name, healthy) = addressee(request);
        let Some(case) = cases.get(name) else { return Reply::status(418) };
        match (healthy, case.streaming) {
            (false, streaming) => case.fault.reply(wire, streaming, &gates[name]),
            (true, false) => wire.reply(WHOLE),
            (true, true) => wire.stream_reply(&[WHOLE]),
        }
    })
}

/// The case, and whether its healthy deployment is meant.
fn addressee(request: &Received) -> (&str, bool) {
    let mut segments = request.path.trim_start_matches('/').split('/');
    let name = segments.next().unwrap_or_default();
    (name, segments.next() == Some(HEALTHY))
}
