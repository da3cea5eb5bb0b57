//! OpenTelemetry's exporters over the gateway's own HTTP client.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};

use crate::config::Endpoint;
use crate::telemetry::outbox::NotSent;
use crate::telemetry::webhook::post;

/// Sends what an exporter has encoded to one address. The exporter's own address and headers are not used: it reads them from
/// the process's environment, of which two receivers would get each other's keys.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Endpoint,
    /// Why the last request failed, which the exporter would turn into a text.
    why: Mutex<Option<NotSent>>,
}

// === impl Http ===

impl Http {
    pub(super) fn new(client: reqwest::Client, endpoint: Endpoint) -> Self {
        Self { client, endpoint, why: Mutex::default() }
    }

    /// Why the last request failed, if it did.
    pub(super) fn take_failure(&self) -> Option<NotSent> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn send(&self, body: Bytes) -> Result<Response<Bytes>, HttpError> {
        match post(&self.client, &self.endpoint, "application/x-protobuf", body).await {
            // Nothing of the answer is of use, and it may be of any size.
            Ok(_) => Ok(Response::new(Bytes::new())),
            Err(why) => {
                let error = why.to_string();
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                Err(error.into())
            }
        }
    }
}

impl HttpClient for Http {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.send(request.into_body()))
    }
}
