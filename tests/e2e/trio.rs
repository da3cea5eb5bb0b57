//! One gateway before three providers of different wires: what holds for one has to hold for all.

use std::future::Future;

use ai_api_e2e::{Client, FakeUpstream, Gateway, Received, Reply, Wire};
use serde_json::{Value, json};

/// The gateway and its upstreams; the deployments are named `OpenAi`, `Anthropic` and `Gemini`.
pub(crate) struct Trio {
    pub(crate) client: Client,
    _gateway: Gateway,
    upstreams: Vec<(Wire, FakeUpstream)>,
}

/// One of the three.
pub(crate) struct Case<'a> {
    pub(crate) wire: Wire,
    pub(crate) name: String,
    pub(crate) upstream: &'a FakeUpstream,
    pub(crate) client: &'a Client,
}

impl Trio {
    /// Every provider answers as `reply` says for its wire.
    pub(crate) async fn replying(reply: impl Fn(Wire) -> Reply) -> Self {
        Self::with(json!({}), |wire| FakeUpstream::replying(reply(wire))).await
    }

    /// The same, each deployment with more `litellm_params`.
    pub(crate) async fn with(params: Value, upstream: impl Fn(Wire) -> FakeUpstream) -> Self {
        let upstreams: Vec<(Wire, FakeUpstream)> = Wire::ALL.map(|wire| (wire, upstream(wire))).into();
        let builder = upstreams.iter().fold(Gateway::builder(), |builder, (wire, upstream)| {
            builder.model_with(&format!("{wire:?}"), wire.model(), &wire.base(upstream), params.clone())
        });
        let gateway = builder.start().await;
        Self { client: gateway.client(), _gateway: gateway, upstreams }
    }

    /// Each in turn; a failure names the wire.
    pub(crate) fn cases(&self) -> impl Iterator<Item = Case<'_>> {
        self.upstreams.iter().map(|(wire, upstream)| {
            eprintln!("--- {wire:?}");
            Case { wire: *wire, name: format!("{wire:?}"), upstream, client: &self.client }
        })
    }
}

/// A provider that answers any chat call with `text`, as a stream where it is asked for one.
pub(crate) fn provider(wire: Wire, text: &'static str) -> FakeUpstream {
    FakeUpstream::answering(
        move |request| if wants_stream(request) { wire.stream_reply(&[text]) } else { wire.reply(text) },
    )
}

fn wants_stream(request: &Received) -> bool {
    request.path.ends_with(":streamGenerateContent") || request.json()["stream"] == true
}

/// What `future` gives, or the text of its panic.
pub(crate) async fn caught<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    tokio::spawn(future).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        }
        Err(error) => error.to_string(),
    })
}
