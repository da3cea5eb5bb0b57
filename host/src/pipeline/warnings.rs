//! What a translation lost: refused, or told in a header.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{Call, GatewayError, prepare};
use crate::plugin::{Loss, Warning};

/// Proxies have 4 KiB for all headers together by default.
const MAX_HEADER_BYTES: usize = 1024;
/// What a message names of many losses.
const MAX_TOLD: usize = 100;
/// What would end an item of the list.
const ESCAPED: &AsciiSet = &CONTROLS.add(b',').add(b' ').add(b'%');

/// The header that tells what was lost.
///
/// # Errors
/// The provider lacks a parameter and nobody said to drop it, or something is lost and the deployment is strict.
pub(super) fn judge(call: &Call<'_>, warnings: &[Warning]) -> Result<Option<HeaderValue>, GatewayError> {
    if warnings.is_empty() {
        return Ok(None);
    }
    let deployment = &call.route.target.deployment;
    let unsupported: Vec<String> = warnings
        .iter()
        .filter(|warning| warning.loss == Loss::Unsupported)
        .take(MAX_TOLD)
        .map(|warning| warning.path.clone())
        .collect();
    if !unsupported.is_empty() && !prepare::drops_params(call)? {
        return Err(GatewayError::UnsupportedParams {
            provider: deployment.provider.clone(),
            model: call.route.model.clone(),
            params: unsupported,
        });
    }
    if deployment.strict {
        let losses = warnings
            .iter()
            .take(MAX_TOLD)
            .map(|warning| format!("{} ({})", warning.path, word(warning.loss)))
            .collect();
        return Err(GatewayError::Strict { losses });
    }
    Ok(header(warnings))
}

/// `seed;dropped, messages[1].name;dropped`
fn header(warnings: &[Warning]) -> Option<HeaderValue> {
    let mut text = String::new();
    for (told, warning) in warnings.iter().enumerate() {
        let item = format!("{};{}", utf8_percent_encode(&warning.path, ESCAPED), word(warning.loss));
        if text.len() + item.len() > MAX_HEADER_BYTES {
            text.push_str(&format!(", {} more", warnings.len() - told));
            break;
        }
        if told > 0 {
            text.push_str(", ");
        }
        text.push_str(&item);
    }
    HeaderValue::from_str(&text).ok()
}

/// A parameter that is unsupported and yet sent on its way was dropped.
fn word(loss: Loss) -> &'static str {
    match loss {
        Loss::Unsupported | Loss::Dropped => "dropped",
        Loss::Approximated => "approximated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_each_loss_and_stays_a_header() {
        let warning = |path: &str, loss| Warning { path: path.to_owned(), loss };
        let header = |warnings: &[Warning]| header(warnings).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            header(&[warning("seed", Loss::Unsupported), warning("messages[1].na me,\r\n\u{e9}", Loss::Approximated)]),
            "seed;dropped, messages[1].na%20me%2C%0D%0A%C3%A9;approximated"
        );
        let many: Vec<_> = (0..1000).map(|n| warning(&format!("messages[{n}].name"), Loss::Dropped)).collect();
        assert!(header(&many).len() < MAX_HEADER_BYTES + 20 && header(&many).ends_with(" more"));
    }
}
