//! Reasoning before the answer:
//! <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>,
//! <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>.

use ai_api_plugin_sdk::json::{Json, Object, Path, Text, Warnings, wrong_type};
use ai_api_plugin_sdk::{Failure, failure, object};

use super::Context;

/// What is sent where neither client nor operator said how long an answer may be.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// What the client asked for, and what stands in the way.
pub(super) struct Wanted<'a> {
    pub(super) effort: Option<Text<'a>>,
    /// Anthropic's own parameter.
    pub(super) thinking: Option<Json<'a>>,
    /// The conversation ends in an answer, or in results of its calls, whose reasoning the client didn't send back.
    pub(super) unsigned: bool,
    /// The model must call a tool.
    pub(super) forced_call: bool,
}

/// What became of it.
pub(super) struct Thinking<'a> {
    /// The parameter `thinking`.
    pub(super) field: Option<Object<'a>>,
    /// The model may think, which limits other parameters.
    pub(super) active: bool,
    /// With a budget, no call can be forced.
    pub(super) budget: Option<u64>,
    /// The client's parameter that asked for it.
    path: &'static str,
}

/// How hard to think, in OpenAI's words and Anthropic's `max`, with LiteLLM's budgets for older models.
const EFFORTS: [(&str, u64); 7] =
    [("none", 0), ("minimal", 1024), ("low", 1024), ("medium", 2048), ("high", 4096), ("xhigh", 8192), ("max", 16384)];

/// Decides how the model thinks. An effort goes into `output_config` where the model takes one.
///
/// # Errors
/// `reasoning_effort` or `thinking` makes no sense.
pub(super) fn translate<'a>(
    wanted: Wanted<'a>,
    output_config: &mut Object<'a>,
    cx: &mut Context,
) -> Result<Thinking<'a>, Failure> {
    let model = cx.model;
    let effort = wanted.effort.as_deref().map(effort).transpose()?;
    let effort_budget = effort.map_or(0, |(_, budget)| budget);
    if !model.thinks() {
        if effort_budget > 0 {
            cx.warnings.unsupported("reasoning_effort");
        }
        let disabled = |thinking: &Json<'_>| thinking.get("type").is_some_and(|kind| *kind == "disabled");
        if wanted.thinking.is_some_and(|thinking| !disabled(&thinking)) {
            cx.warnings.unsupported("thinking");
        }
        return Ok(Thinking { field: None, active: false, budget: None, path: "thinking" });
    }

    let (mut field, path) = match wanted.thinking {
        Some(thinking) => (Some(own(thinking, cx)?), "thinking"),
        None if effort_budget == 0 => (None, "reasoning_effort"),
        None if model.adaptive() => (Some(object! {"type": "adaptive", "display": "summarized"}), "reasoning_effort"),
        None => (Some(object! {"type": "enabled", "budget_tokens": effort_budget}), "reasoning_effort"),
    };
    match effort {
        Some((word, budget)) if budget > 0 => {
            if model.adaptive() {
                if !write_effort(word, output_config, cx) && path == "reasoning_effort" {
                    field = None;
                }
            } else if path == "thinking" {
                // The client's own budget is more exact.
                cx.warnings.dropped("reasoning_effort");
            }
        }
        _ => {}
    }

    let kind = field.as_ref().and_then(|field| field.get("type")).and_then(Json::as_str);
    let active = matches!(kind, Some("enabled" | "adaptive"));
    let budget = match &field {
        Some(field) if kind == Some("enabled") => field.get("budget_tokens").and_then(Json::as_u64),
        _ => None,
    };
    // Anthropic refuses both with a 400, and OpenAI's clients, which send no reasoning back, would meet it at
    // every call of a tool. Adaptive thinking has neither limit.
    let mut thinking = Thinking { field, active, budget, path };
    if wanted.unsigned || wanted.forced_call {
        thinking.drop_budget(cx);
    }
    Ok(thinking)
}

fn effort(word: &str) -> Result<(&str, u64), Failure> {
    EFFORTS.iter().copied().find(|(known, _)| *known == word).ok_or_else(|| {
        let known: Vec<&str> = EFFORTS.iter().map(|(known, _)| *known).collect();
        let message = format!("Invalid value for 'reasoning_effort': '{word}'; expected one of {}.", known.join(", "));
        failure::invalid("reasoning_effort", message)
    })
}

/// Anthropic's own `thinking`, in the form that this model takes.
fn own<'a>(thinking: Json<'a>, cx: &mut Context) -> Result<Object<'a>, Failure> {
    let Json::Object(mut fields) = thinking else {
        return Err(wrong_type(&Path::Root.key("thinking"), "an object", &thinking));
    };
    match fields.get("type").and_then(Json::as_str) {
        Some("enabled") if !cx.model.budgets() => {
            cx.warnings.approximated("thinking");
            let _ = fields.remove("budget_tokens");
            fields.insert("type", "adaptive");
        }
        Some("adaptive") if !cx.model.adaptive() => {
            cx.warnings.approximated("thinking");
            fields = object! {"type": "enabled", "budget_tokens": 4096_u64};
        }
        _ => {}
    }
    Ok(fields)
}

/// `output_config.effort`, for models that decide themselves how much to think. False if the model has no such
/// effort.
fn write_effort(word: &str, output_config: &mut Object<'_>, cx: &mut Context) -> bool {
    if output_config.contains_key("effort") {
        cx.warnings.dropped("reasoning_effort");
        return true;
    }
    if word == "xhigh" && !cx.model.xhigh() {
        cx.warnings.unsupported("reasoning_effort");
        return false;
    }
    if word == "minimal" {
        cx.warnings.approximated("reasoning_effort");
    }
    output_config.insert("effort", if word == "minimal" { "low" } else { word }.to_owned());
    true
}

impl Thinking<'_> {
    /// Leaves the reasoning out if it has a budget: something else in the request doesn't go with that.
    pub(super) fn drop_budget(&mut self, cx: &mut Context) {
        if self.budget.is_some() {
            cx.warnings.approximated(self.path);
            *self = Self { field: None, active: false, budget: None, path: self.path };
        }
    }

    /// How long the answer may be: what the client said, else the model's `limit`, else 4096.
    ///
    /// Anthropic counts the reasoning in and refuses a budget that isn't smaller. Room for the answer is added
    /// then: what the client asked for, else as much as LiteLLM adds.
    pub(super) fn max_tokens(&self, asked: Option<u64>, limit: Option<u64>, warnings: &mut Warnings) -> u64 {
        let Some(budget) = self.budget else { return asked.or(limit).unwrap_or(DEFAULT_MAX_TOKENS) };
        let room = asked.unwrap_or(DEFAULT_MAX_TOKENS).max(1);
        match asked {
            Some(asked) if asked > budget => return asked,
            Some(_) => warnings.approximated("max_tokens"),
            None => {}
        }
        let wanted = budget.saturating_add(room);
        match limit {
            Some(limit) if limit > budget => wanted.min(limit),
            _ => wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_always_has_room_beside_the_budget() {
        for (budget, asked, limit, expected, told) in [
            (None, None, None, 4096, 0),
            (None, None, Some(64000), 64000, 0),
            (None, Some(77), Some(64000), 77, 0),
            (Some(4096), None, None, 8192, 0),
            (Some(4096), None, Some(6000), 6000, 0),
            (Some(4096), Some(5000), None, 5000, 0),
            (Some(2000), Some(1500), None, 3500, 1),
            (Some(u64::MAX), Some(1500), Some(10), u64::MAX, 1),
        ] {
            let mut warnings = Warnings::default();
            let thinking = Thinking { field: None, active: true, budget, path: "thinking" };
            assert_eq!(thinking.max_tokens(asked, limit, &mut warnings), expected, "{budget:?} {asked:?} {limit:?}");
            assert_eq!(warnings.into_vec().len(), told, "{budget:?} {asked:?} {limit:?}");
        }
    }
}
