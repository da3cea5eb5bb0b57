//! Whether a deployment would serve a call, found out without one, and so without paying for one.
//!
//! A probe goes the way that calls go: to the same address, through the same client, with the same credential. What it
//! asks for depends on who is there. A provider that speaks the canonical wire has a list of models, which shows a wrong
//! key; of others the gateway knows no path that costs nothing, so that it only looks whether their server answers.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::binding::Binding;
use super::patience::Limits;
use super::{Answer, Call, GatewayError, Pipeline, Waits, failure};
use crate::canonical::{ProviderError, RequestBody};
use crate::config::{Deployment, ModelTable, Probe};
use crate::plugin::{CallError, Operation, Standing};
use crate::router::{FailureKind, Route, Target};
use crate::upstream::{Base, Outbound, Source, UpstreamError, join};
use crate::usage::{Entry, ServedBy, Terms};

/// Where the list of models is, under the base URL of a provider that speaks the canonical wire.
const MODELS: &str = "models";
/// The longest lists have about a thousand models.
const MAX_LIST_BYTES: usize = 8 << 20;
/// Reasoning models refuse less.
const COMPLETION_TOKENS: u32 = 16;

/// What a probe found.
#[derive(Debug)]
pub struct Probed {
    /// What was done; `None` where nobody had to be asked.
    pub probe: Option<Probe>,
    /// How long it took.
    pub took: Duration,
    /// Whether the provider's list has the deployment's model. Not all lists are whole, so a missing one is no failure.
    pub listed: Option<bool>,
    /// What is worth telling although it is no failure.
    pub note: Option<&'static str>,
    /// Why a call would fail.
    pub error: Option<GatewayError>,
}

/// What a probe that went well has to tell.
#[derive(Default)]
struct Finding {
    listed: Option<bool>,
    note: Option<&'static str>,
}

/// A list of models, in the canonical shape.
#[derive(Deserialize)]
struct ModelList {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

impl Pipeline {
    /// Looks whether `target` would serve a call, within `time`. Nothing is counted for it, and no limit applies.
    pub async fn probe(&self, target: &Target, wanted: Probe, time: Duration) -> Probed {
        let began = Instant::now();
        let deployment = &target.deployment;
        let (probe, done) = match self.bindings.get(target.position) {
            _ if deployment.mock_response.is_some() => (None, Ok(Finding::default())),
            Some(Ok(binding)) => self.look(target, binding, wanted, time).await,
            Some(Err(unbound)) => (None, Err(unbound.error(&deployment.model_name))),
            None => (None, Err(unusable(deployment))),
        };
        let (found, error) = match done {
            Ok(found) => (found, None),
            Err(error) => (Finding::default(), Some(error)),
        };
        Probed { probe, took: began.elapsed(), listed: found.listed, note: found.note, error }
    }

    async fn look(
        &self,
        target: &Target,
        binding: &Binding,
        wanted: Probe,
        time: Duration,
    ) -> (Option<Probe>, Result<Finding, GatewayError>) {
        let deployment = &target.deployment;
        let small_call = (wanted == Probe::Completion).then(|| SmallCall::of(deployment, binding));
        let base = binding.base(&deployment.model_name).ok().map(Base::url);
        let (probe, asked) = match (small_call, base) {
            (Some(Some(call)), _) => (Probe::Completion, self.complete(target, binding, call, time).await),
            (_, None) => return (None, Ok(Finding::default())),
            (_, Some(base)) if wanted != Probe::Connect && binding.speaks_canonical() => {
                (Probe::Models, within(time, deployment, self.list(deployment, binding, base, time)).await)
            }
            (_, Some(base)) => {
                (Probe::Connect, within(time, deployment, self.connect(deployment, binding, base)).await)
            }
        };
        let missing = (wanted == Probe::Completion && probe != Probe::Completion)
            .then_some("there is no small call for this deployment: it serves many models, or makes no text");
        let asked = asked.map(|found| Finding { note: missing.or(found.note), ..found });
        (Some(probe), asked)
    }

    /// Whether the provider's server answers at all. No key goes there: whatever it says is an answer.
    async fn connect(&self, deployment: &Deployment, binding: &Binding, base: &Url) -> Result<Finding, GatewayError> {
        let name = &binding.plugin.manifest.name;
        if let Standing::Out(retry_after) = binding.plugin.standing() {
            return Err(GatewayError::plugin(name, CallError::Quarantined { retry_after }));
        }
        let outbound =
            Outbound { method: Method::HEAD, url: base.clone(), headers: HeaderMap::new(), body: Bytes::new() };
        self.send_probe(deployment, outbound).await?;
        Ok(Finding::default())
    }

    /// Asks for the provider's list of models.
    async fn list(
        &self,
        deployment: &Deployment,
        binding: &Binding,
        base: &Url,
        time: Duration,
    ) -> Result<Finding, GatewayError> {
        let url = join(base, MODELS, &[]).map_err(|error| GatewayError::path(&binding.plugin.manifest.name, &error))?;
        let headers = deployment.extra_headers.clone();
        let mut outbound = Outbound { method: Method::GET, url, headers, body: Bytes::new() };
        let provider = &deployment.provider;
        let authenticated = binding.authenticator.apply(&mut outbound, time).await;
        let redactor =
            authenticated.map_err(|source| GatewayError::Credential { provider: provider.clone(), source })?;
        let mut source = self.send_probe(deployment, outbound).await?.without(redactor);
        let status = source.status();
        let refused = |body: &[u8], headers: &HeaderMap| {
            Err(GatewayError::Provider(Box::new(ProviderError::new(provider, status.as_u16(), headers, body))))
        };
        match status {
            _ if status.is_success() => {
                let body = source.whole(MAX_LIST_BYTES, time).await;
                let body = body.map_err(|error| GatewayError::upstream(provider, error))?;
                Ok(read_list(&body, deployment))
            }
            _ if status.is_redirection() => Err(GatewayError::not_an_answer(provider, status.as_u16())),
            // A key may serve calls and not be allowed to list models.
            StatusCode::FORBIDDEN => Ok(note("the provider doesn't show its list of models to this key (403)")),
            StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::TOO_MANY_REQUESTS => {
                let body = source.whole(MAX_LIST_BYTES, time).await.unwrap_or_default();
                refused(&body, source.headers())
            }
            StatusCode::NOT_IMPLEMENTED => Ok(note(NO_LIST)),
            _ if status.is_server_error() => {
                let body = source.whole(MAX_LIST_BYTES, time).await.unwrap_or_default();
                refused(&body, source.headers())
            }
            _ => Ok(note(NO_LIST)),
        }
    }

    async fn send_probe(&self, deployment: &Deployment, outbound: Outbound) -> Result<Source, GatewayError> {
        // The limit is the whole probe's.
        let sent = self.upstream.send(outbound, Duration::MAX).await;
        sent.map_err(|error| GatewayError::upstream(&deployment.provider, error))
    }

    /// A small call, straight to this deployment: no retry, no fallback. It is in the log, with what it used.
    async fn complete(
        &self,
        target: &Target,
        binding: &Binding,
        small: SmallCall,
        time: Duration,
    ) -> Result<Finding, GatewayError> {
        let deployment = &target.deployment;
        let SmallCall { operation, model, body } = small;
        let body = RequestBody::parse(body.to_string().into())?;
        // The route owns its target; a probe has it on loan only.
        let target = self.router.targets().get(target.position).cloned().ok_or_else(|| unusable(deployment))?;
        let mut entry = Entry::new(uuid::Uuid::new_v4().to_string(), "PROBE", operation.path());
        entry.model = Some(deployment.model_name.clone());
        entry.served_by = Some(ServedBy {
            deployment: deployment.id.clone(),
            provider: deployment.provider.clone(),
            model: model.clone(),
        });
        let route = Route { target, model };
        let now = Instant::now();
        let call = Call {
            operation,
            body: &body,
            route: &route,
            binding,
            plugin: &binding.plugin,
            requested_model: &deployment.model_name,
            id: &entry.call_id,
            streaming: false,
            include_usage: false,
            terms: Terms::default(),
            patience: Limits { total: Some(time), first: None }.patience(deployment, false, now, now + time),
            meter: None,
            waits: &Waits::default(),
            trace: None,
        };
        let native = binding.plugin.manifest.support(operation).and_then(|support| support.native_path(&route.model));
        let mut spent = None;
        let ask = async {
            match native {
                Some(_) => self.native(&call, &mut spent).await,
                None => self.exchange(&call, &mut spent).await,
            }
        };
        // The clock is in here: an entry that is dropped half-way would be one of a client that left.
        let answered: Result<Answer, GatewayError> = within(time, deployment, ask).await;
        entry.usage = spent;
        match answered {
            Ok(_) => {
                entry.status = StatusCode::OK.as_u16();
                entry.complete();
                Ok(Finding::default())
            }
            Err(error) => {
                entry.fail(&error);
                Err(error)
            }
        }
    }
}

const NO_LIST: &str = "the provider's server answers, but has no list of models there; check api_base if calls fail";

/// The smallest call that a provider charges for.
struct SmallCall {
    operation: Operation,
    /// The provider's own name.
    model: String,
    body: Value,
}

impl SmallCall {
    /// `None` where there is none: a deployment of many models without `health_check_model`, one that draws pictures.
    fn of(deployment: &Deployment, binding: &Binding) -> Option<Self> {
        let (operation, body) = small_body(deployment.mode(ModelTable::embedded(), &deployment.model))?;
        binding.plugin.manifest.support(operation)?;
        let model = match &deployment.health.model {
            Some(model) => model.strip_prefix(&format!("{}/", deployment.provider)).unwrap_or(model).to_owned(),
            None => deployment.model.clone(),
        };
        (!model.contains('*')).then_some(Self { operation, model, body })
    }
}

/// What a model of this mode is asked; what isn't known is a chat model, mostly.
fn small_body(mode: Option<&str>) -> Option<(Operation, Value)> {
    let ping = json!([{"role": "user", "content": "ping"}]);
    match mode {
        None | Some("chat" | "responses") => {
            Some((Operation::ChatCompletions, json!({"messages": ping, "max_tokens": COMPLETION_TOKENS})))
        }
        Some("completion") => {
            Some((Operation::Completions, json!({"prompt": "ping", "max_tokens": COMPLETION_TOKENS})))
        }
        Some("embedding") => Some((Operation::Embeddings, json!({"input": "ping"}))),
        Some(_) => None,
    }
}

async fn within<T>(
    time: Duration,
    deployment: &Deployment,
    probe: impl Future<Output = Result<T, GatewayError>>,
) -> Result<T, GatewayError> {
    let timeout = || {
        let source = UpstreamError::Timeout { waiting_for: "answer", after: time };
        GatewayError::upstream(&deployment.provider, source)
    };
    tokio::time::timeout(time, probe).await.unwrap_or_else(|_| Err(timeout()))
}

fn note(text: &'static str) -> Finding {
    Finding { note: Some(text), ..Finding::default() }
}

fn read_list(body: &[u8], deployment: &Deployment) -> Finding {
    let Ok(ModelList { data }) = serde_json::from_slice(body) else {
        return note("the provider's server answers, but not with a list of models; check api_base if calls fail");
    };
    let listed = (!deployment.model.contains('*')).then(|| data.iter().any(|model| model.id == deployment.model));
    let note = (listed == Some(false)).then_some("the provider's list of models doesn't have this one");
    Finding { listed, note }
}

fn unusable(deployment: &Deployment) -> GatewayError {
    GatewayError::Unusable { model: deployment.model_name.clone(), reason: "it is unknown".to_owned() }
}

impl Probed {
    /// In which way a call would fail.
    pub fn failure(&self) -> Option<FailureKind> {
        self.error.as_ref().map(|error| failure::of(error).kind)
    }
}
