//! What a client's headers ask of the routing: LiteLLM's `x-litellm-…`.

use std::time::Duration;

use http::HeaderMap;

use crate::pipeline::{GatewayError, MAX_RETRIES, Wishes, waiting_time};

/// Reads them.
///
/// # Errors
/// One of them is no sensible value.
pub(super) fn read(headers: &HeaderMap) -> Result<Wishes, GatewayError> {
    Ok(Wishes {
        timeout: seconds(headers, "x-litellm-timeout")?,
        stream_timeout: seconds(headers, "x-litellm-stream-timeout")?,
        num_retries: retries(headers)?,
        tags: text(headers, "x-litellm-tags").map(str::to_owned),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().unwrap_or_default().trim())
}

fn seconds(headers: &HeaderMap, name: &'static str) -> Result<Option<Duration>, GatewayError> {
    let Some(text) = text(headers, name) else { return Ok(None) };
    let duration = text.parse().ok().and_then(waiting_time);
    let wrong = || GatewayError::invalid(name, format!("The header '{name}' must be a number of seconds above 0."));
    duration.map(Some).ok_or_else(wrong)
}

fn retries(headers: &HeaderMap) -> Result<Option<u32>, GatewayError> {
    let name = "x-litellm-num-retries";
    let Some(text) = text(headers, name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| f64::from(*number) <= MAX_RETRIES);
    let wrong =
        || GatewayError::invalid(name, format!("The header '{name}' must be a whole number from 0 to {MAX_RETRIES}."));
    number.map(Some).ok_or_else(wrong)
}
