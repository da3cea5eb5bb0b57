//! What every plugin is held to, ours and a stranger's: checks with names, each in fresh instances, none with a network.
//!
//! A plugin passes when it can't embarrass a gateway: it takes what clients send, asks for nothing that the gateway
//! refuses, turns every answer, good, bad or broken, into a canonical one or a failure, and never into half a truth.

mod answers;
mod canonical;
mod manifest;
mod recorded;
mod requests;
mod samples;
mod streams;

use std::future::Future;
use std::pin::Pin;

use crate::plugin::{Manifest, Operation, Plugin};
use crate::replay::Scene;

/// What is checked, and by what.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The plugin, deterministic, with an instance a call.
    pub plugin: &'a Plugin,
    /// The same as it would serve: with the machine's clocks, and with instances that serve again where they may.
    pub served: &'a Plugin,
    /// The same with the machine's clocks, and an instance a call.
    pub fresh: &'a Plugin,
    /// The provider's name of a model; by default one is made up that the plugin translates.
    pub model: Option<&'a str>,
    /// The deployment's parameters.
    pub params: &'a [(String, String)],
    /// Recorded exchanges, with the names of their files.
    pub recordings: &'a [(String, Scene)],
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The plugin does as it should; in brackets, what that was seen by.
    Ok(Option<String>),
    /// It doesn't; each sentence is one way in which.
    Fail(Vec<String>),
    /// Neither in this nor in any check of what comes after: it makes nothing of any request.
    Hopeless(Vec<String>),
    /// The check doesn't apply, or lacks something.
    Skip(String),
}

/// One check.
pub struct Check {
    /// Its name, for good.
    pub name: &'static str,
    /// What holds when it is ok.
    pub promise: &'static str,
    run: for<'a> fn(&'a Subject<'a>) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>,
}

/// `name`, the promise, the function.
macro_rules! checks {
    ($($name:literal, $promise:literal, $function:path;)*) => {
        &[$(Check { name: $name, promise: $promise, run: |subject| Box::pin($function(subject)) }),*]
    };
}

/// The check that plays the recordings.
pub const RECORDINGS: &str = "recordings";

/// All checks, in the order of a call.
pub const CHECKS: &[Check] = checks![
    "manifest", "its manifest makes sense and is always the same", manifest::makes_sense;
    "requests", "every canonical request becomes one that the gateway sends, or is refused as the client's fault", requests::are_translated;
    "losses", "what a request loses on its way is told", requests::losses_are_told;
    "model-names", "no model's name leads out of the base URL", requests::model_names_stay_inside;
    "large-prompts", "prompts of 1 MB and 4 MB fit into an instance's time and memory", requests::large_prompts_fit;
    "determinism", "the same call gives the same bytes in another instance, at another time", requests::are_deterministic;
    "errors", "a provider's error is a failure with a status of its own, whatever its body", answers::errors_are_failures;
    "retry-after", "a provider's retry-after reaches the client", answers::retry_after_is_carried;
    "junk-answers", "an answer that makes no sense is a failure, or canonical all the same", answers::junk_is_survived;
    "junk-events", "a stream that makes no sense is a failure, or canonical all the same", streams::junk_is_survived;
    "broken-streams", "a stream that says nothing or breaks off is never a complete answer", streams::silence_is_a_failure;
    "recordings", "what its provider has answered becomes a canonical answer, or what its file expects", recorded::become_what_is_expected;
    "cuts", "a stream means the same however the network cuts it", streams::cuts_do_not_matter;
    "cut-off", "a recorded stream that breaks off is never a complete answer", streams::cut_off_is_never_complete;
    "reuse", "calls in a used instance give the same as in a new one", requests::instances_can_be_used_again;
];

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Check {
    /// Whether it tells nothing of a plugin that makes nothing of any request.
    pub fn needs_requests(&self) -> bool {
        self.name != "manifest"
    }

    /// Does it.
    pub async fn run(&self, subject: &Subject<'_>) -> Verdict {
        (self.run)(subject).await
    }
}

impl Verdict {
    /// Ok where nothing was found.
    fn of(found: Vec<String>) -> Self {
        if found.is_empty() { Self::Ok(None) } else { Self::Fail(found) }
    }
}

impl Subject<'_> {
    fn manifest(&self) -> &Manifest {
        &self.plugin.manifest
    }

    /// The operations that the plugin translates, with a model for which it does. Others never reach it.
    fn translated(&self) -> Vec<(Operation, String)> {
        let operations = self.manifest().operations.iter();
        operations
            .filter_map(|support| {
                let made_up = match &support.native {
                    None => Some("conformance-model".to_owned()),
                    Some(_) => support.translated.first().map(|prefix| format!("{prefix}-conformance")),
                };
                let own = self.model.filter(|model| support.native_path(model).is_none()).map(str::to_owned);
                Some((support.operation, own.or(made_up)?))
            })
            .collect()
    }

    /// A call of this body, without an answer yet.
    fn scene(&self, operation: Operation, model: &str, body: &serde_json::Value) -> Scene {
        let mut body = body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("model".to_owned(), model.into());
        }
        Scene {
            id: "conformance-1".to_owned(),
            created: 1_700_000_000,
            operation,
            model: model.to_owned(),
            requested_model: "the-clients-name".to_owned(),
            streaming: body.get("stream").and_then(serde_json::Value::as_bool).unwrap_or(false),
            body: body.to_string().into_bytes(),
            params: self.params.to_vec(),
            answers: Vec::new(),
            expected: None,
        }
    }
}

/// Why nothing is left to check.
fn never_asked() -> Verdict {
    Verdict::Skip(
        "its provider speaks the canonical wire for all that it serves, so the plugin is never asked".to_owned(),
    )
}
