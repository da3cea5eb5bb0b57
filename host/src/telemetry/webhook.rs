//! Calls to an address of the operator's, as JSON: LiteLLM's `generic_api`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header;
use serde_json::Value;

use super::outbox::{Carrier, NotSent, Retries};
use super::payload::{Discretion, payload};
use crate::config::Endpoint;
use crate::config::callbacks::{Format, Webhook};
use crate::usage::CallRecord;

/// Posts calls.
#[derive(Debug)]
pub struct Poster {
    client: reqwest::Client,
    webhook: Webhook,
    discretion: Discretion,
}

// === impl Poster ===

impl Poster {
    /// Posts to `webhook`; whether what was asked and answered is told, and whose key it was.
    pub fn new(client: reqwest::Client, webhook: Webhook, messages: bool, hide_callers: bool) -> Self {
        Self { client, webhook, discretion: Discretion { messages, hide_callers } }
    }

    /// How often it is tried.
    pub fn retries(&self) -> Retries {
        Retries { most: self.webhook.max_retries, delay: self.webhook.retry_delay }
    }

    async fn post_all(&self, calls: &[Arc<CallRecord>]) -> Result<(), NotSent> {
        let payloads = calls.iter().map(|call| payload(call, self.discretion));
        match self.webhook.format {
            Format::JsonArray => self.post(payloads.collect::<Value>().to_string(), "application/json").await,
            Format::Ndjson => {
                let lines: Vec<String> = payloads.map(|payload| payload.to_string()).collect();
                self.post(lines.join("\n"), "application/x-ndjson").await
            }
            Format::Single => {
                for payload in payloads {
                    self.post(payload.to_string(), "application/json").await?;
                }
                Ok(())
            }
        }
    }

    async fn post(&self, body: String, kind: &'static str) -> Result<(), NotSent> {
        post(&self.client, &self.webhook.endpoint, kind, body.into()).await.map(drop)
    }
}

impl Carrier for Poster {
    fn send<'a>(&'a self, calls: &'a [Arc<CallRecord>]) -> BoxFuture<'a, Result<(), NotSent>> {
        Box::pin(self.post_all(calls))
    }
}

/// One POST. Neither the address nor the answer's body is in an error: either may hold a key.
pub(super) async fn post(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    kind: &'static str,
    body: Bytes,
) -> Result<reqwest::Response, NotSent> {
    let request = client.post(endpoint.url.clone()).header(header::CONTENT_TYPE, kind);
    let request = request.headers(endpoint.headers.clone()).timeout(endpoint.timeout).body(body);
    let response = request.send().await.map_err(|error| NotSent::Later(described(&error).to_owned()))?;
    match response.status().as_u16() {
        200..300 => Ok(response),
        status @ (408 | 425 | 429 | 500..) => Err(NotSent::Later(format!("it answered with status {status}"))),
        status => Err(NotSent::Never(format!("it answered with status {status}"))),
    }
}

fn described(error: &reqwest::Error) -> &'static str {
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it didn't answer in time",
        (false, true) => "it can't be reached",
        (false, false) => "the connection broke",
    }
}
