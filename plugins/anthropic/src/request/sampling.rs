//! Parameters that steer sampling, and OpenAI's parameters that Anthropic doesn't have.

use ai_api_plugin_sdk::Failure;
use ai_api_plugin_sdk::json::{Fields, Number, Object, Path, Text};

use super::Context;

/// OpenAI's parameters without a counterpart, with the value that asks for nothing.
const ABSENT: [(&str, &str); 15] = [
    ("seed", ""),
    ("n", "1"),
    ("logprobs", "false"),
    ("top_logprobs", "0"),
    ("presence_penalty", "0"),
    ("frequency_penalty", "0"),
    ("logit_bias", "{}"),
    ("functions", "[]"),
    ("store", "false"),
    ("prediction", ""),
    ("modalities", r#"["text"]"#),
    ("audio", ""),
    ("verbosity", r#""medium""#),
    ("moderation", ""),
    ("best_of", "1"),
];

/// OpenAI's hints about its own cache: the answer is the same without.
const HINTS: [&str; 2] = ["prompt_cache_key", "prompt_cache_retention"];

/// Takes what Anthropic doesn't have.
pub(super) fn refuse(rest: &mut Fields<'_>, cx: &mut Context) {
    for (key, harmless) in ABSENT {
        let Some(value) = rest.take(key) else { continue };
        let zero = harmless == "0" && value.as_f64() == Some(0.0);
        let text = value.to_string();
        if !zero && text != harmless {
            cx.warnings.unsupported(key);
        }
    }
    // Without functions, there is nothing that these two could allow or forbid.
    if rest.take("function_call").is_some_and(|choice| choice != "none" && choice != "auto") {
        cx.warnings.unsupported("function_call");
    }
    for key in HINTS {
        if rest.take(key).is_some() {
            cx.warnings.dropped(key);
        }
    }
}

/// What the client said about sampling.
pub(super) struct Sampling<'a> {
    pub(super) temperature: Option<Number<'a>>,
    pub(super) top_p: Option<Number<'a>>,
    pub(super) stop: Vec<Text<'a>>,
}

impl<'a> Sampling<'a> {
    /// Writes what the model takes. With `thinking`, and on models without sampling, only the defaults are
    /// allowed: <https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility>.
    pub(super) fn write(
        self,
        rest: &mut Fields<'a>,
        thinking: bool,
        body: &mut Object<'a>,
        cx: &mut Context,
    ) -> Result<(), Failure> {
        let at = &Path::Root;
        let fixed = thinking || !cx.model.samples();
        let number = |number: &Number<'_>| number.as_f64().unwrap_or(0.0);
        if let Some(temperature) = self.temperature {
            let value = number(&temperature);
            if fixed && value != 1.0 {
                cx.warnings.unsupported("temperature");
            } else if value > 1.0 {
                // OpenAI's scale ends at 2, Anthropic's at 1.
                cx.warnings.approximated("temperature");
                body.insert("temperature", 1_u64);
            } else if !fixed {
                body.insert("temperature", temperature);
            }
        }
        match self.top_p {
            // The default.
            Some(top_p) if number(&top_p) == 1.0 => {}
            Some(top_p) => {
                let refused = !cx.model.samples() || (thinking && number(&top_p) < 0.95);
                if refused || (cx.model.one_sampler() && body.contains_key("temperature")) {
                    cx.warnings.unsupported("top_p");
                } else {
                    body.insert("top_p", top_p);
                }
            }
            None => {}
        }
        if let Some(top_k) = rest.number("top_k", at)? {
            if fixed {
                cx.warnings.unsupported("top_k");
            } else {
                body.insert("top_k", top_k);
            }
        }
        let mut stop = Vec::new();
        for (index, text) in self.stop.into_iter().enumerate() {
            // Anthropic refuses these.
            if text.is_blank() {
                cx.warnings.unsupported(at.key("stop").index(index));
            } else {
                stop.push(text);
            }
        }
        if !stop.is_empty() {
            body.insert("stop_sequences", stop);
        }
        match rest.string("service_tier", at)?.as_deref() {
            None => {}
            Some("auto") => body.insert("service_tier", "auto"),
            Some("default" | "standard_only") => body.insert("service_tier", "standard_only"),
            Some(_) => cx.warnings.unsupported("service_tier"),
        }
        Ok(())
    }
}
