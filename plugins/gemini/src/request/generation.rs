//! `generationConfig`: sampling, limits, thinking.
//! <https://ai.google.dev/api/generate-content#v1beta.GenerationConfig>

use ai_api_plugin_sdk::legacy::canonical::ChatRequest;
use ai_api_plugin_sdk::legacy::json::{Fields, Path, Warnings, wrong_type};
use ai_api_plugin_sdk::{Failure, failure};
use serde_json::{Map, Number, Value, json};

use crate::model::Model;

/// How many stop texts Google takes.
const MOST_STOPS: usize = 5;

/// The configuration that the request asks for.
///
/// # Errors
/// A parameter has a type or a value that the OpenAI API doesn't know.
pub(super) fn config(
    chat: &mut ChatRequest,
    model: &Model,
    warnings: &mut Warnings,
) -> Result<Map<String, Value>, Failure> {
    let at = &Path::Root;
    let mut config = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(key.to_owned(), value);
        }
    };
    set("temperature", chat.temperature.take().map(Value::Number));
    set("topP", chat.top_p.take().map(Value::Number));
    set("topK", chat.rest.number("top_k", at)?.map(Value::Number));
    set("topK", chat.rest.number("topK", at)?.map(Value::Number));
    set("maxOutputTokens", chat.max_tokens.map(|tokens| json!(tokens)));
    set("stopSequences", stops(std::mem::take(&mut chat.stop), warnings));
    set("candidateCount", chat.rest.unsigned("n", at)?.map(|n| json!(n)));
    set("seed", chat.rest.number("seed", at)?.map(|seed| fold_seed(seed, warnings)));
    // Models without penalties refuse even a zero.
    let not_zero = |number: &Number| number.as_f64() != Some(0.0);
    set("presencePenalty", chat.rest.number("presence_penalty", at)?.filter(not_zero).map(Value::Number));
    set("frequencyPenalty", chat.rest.number("frequency_penalty", at)?.filter(not_zero).map(Value::Number));

    let logprobs = chat.rest.boolean("logprobs", at)?.unwrap_or(false);
    let top_logprobs = chat.rest.unsigned("top_logprobs", at)?.filter(|top| *top > 0);
    set("responseLogprobs", logprobs.then(|| json!(true)));
    match top_logprobs {
        Some(top) if logprobs => set("logprobs", Some(json!(top))),
        Some(_) => warnings.unsupported("top_logprobs"),
        None => {}
    }

    set("responseModalities", modalities(&mut chat.rest)?);
    set("speechConfig", speech(&mut chat.rest, warnings)?);
    set("thinkingConfig", thinking(chat, model, warnings)?);
    Ok(config)
}

/// Google's seeds have 32 bits. A longer one is folded: what is asked for is only that the same one is the same again.
fn fold_seed(seed: Number, warnings: &mut Warnings) -> Value {
    let range = 1_i128 << 31;
    match seed.as_i128() {
        Some(long) if !(-range..range).contains(&long) => {
            warnings.approximated("seed");
            json!(i64::try_from(long.rem_euclid(range)).unwrap_or_default())
        }
        _ => Value::Number(seed),
    }
}

fn stops(mut stops: Vec<String>, warnings: &mut Warnings) -> Option<Value> {
    if stops.len() > MOST_STOPS {
        stops.truncate(MOST_STOPS);
        warnings.unsupported("stop");
    }
    (!stops.is_empty()).then(|| json!(stops))
}

/// `["text", "audio"]` in Google's capitals.
fn modalities(rest: &mut Fields) -> Result<Option<Value>, Failure> {
    let at = Path::Root.key("modalities");
    let words = rest.array("modalities", &Path::Root)?;
    let words: Vec<Value> = words
        .into_iter()
        .enumerate()
        .map(|(index, word)| match word {
            Value::String(word) => Ok(Value::String(word.to_uppercase())),
            other => Err(wrong_type(&at.index(index), "a string", &other)),
        })
        .collect::<Result<_, _>>()?;
    Ok((!words.is_empty()).then_some(Value::Array(words)))
}

/// `audio`: the voice, by Google's name (<https://ai.google.dev/gemini-api/docs/speech-generation>). The answer is
/// always raw 16-bit samples.
fn speech(rest: &mut Fields, warnings: &mut Warnings) -> Result<Option<Value>, Failure> {
    let at = Path::Root.key("audio");
    let Some(mut audio) = rest.object("audio", &Path::Root)? else { return Ok(None) };
    let voice = audio.string("voice", &at)?;
    if audio.string("format", &at)?.is_some_and(|format| format != "pcm16") {
        warnings.approximated(at.key("format"));
    }
    warnings.dropped_fields(&audio, &at);
    Ok(voice.map(|voice| json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}})))
}

/// How much to think: Anthropic's `thinking`, or `reasoning_effort`. Where both are given, the number of tokens wins.
fn thinking(chat: &mut ChatRequest, model: &Model, warnings: &mut Warnings) -> Result<Option<Value>, Failure> {
    let at = Path::Root.key("thinking");
    let effort = chat.reasoning_effort.take();
    let Some(mut thinking) = chat.rest.object("thinking", &Path::Root)? else {
        return match effort {
            Some(effort) => from_effort(&effort, model, warnings),
            None => Ok(None),
        };
    };
    if effort.is_some() {
        warnings.dropped("reasoning_effort");
    }
    let kind = thinking.required_string("type", &at)?;
    let budget = thinking.unsigned("budget_tokens", &at)?;
    warnings.dropped_fields(&thinking, &at);
    match kind.as_str() {
        "disabled" => Ok(if model.thinks() { Some(no_thinking(model, &at, warnings)) } else { None }),
        "enabled" | "adaptive" if !model.thinks() => {
            warnings.unsupported(at);
            Ok(None)
        }
        "enabled" | "adaptive" => {
            let mut config = json!({"includeThoughts": true});
            if let (Value::Object(fields), Some(budget)) = (&mut config, budget) {
                fields.insert("thinkingBudget".to_owned(), json!(budget));
            }
            Ok(Some(config))
        }
        other => {
            let place = at.key("type");
            let known = "'enabled', 'adaptive' or 'disabled'";
            Err(failure::invalid(
                place.to_string(),
                format!("Invalid value for '{place}': '{other}'; expected {known}."),
            ))
        }
    }
}

/// LiteLLM's table (`_map_reasoning_effort_to_thinking_budget`, `_map_reasoning_effort_to_thinking_level`): tokens up
/// to Gemini 2.5 and for names that tell no generation, for Gemini 3 takes tokens too; words from Gemini 3 on.
fn from_effort(effort: &str, model: &Model, warnings: &mut Warnings) -> Result<Option<Value>, Failure> {
    let at = &Path::Root.key("reasoning_effort");
    let off = matches!(effort, "none" | "disable");
    let effort = match effort {
        "xhigh" | "max" => {
            warnings.approximated(at);
            "high"
        }
        "none" | "disable" | "minimal" | "low" | "medium" | "high" => effort,
        other => {
            let known = "'none', 'minimal', 'low', 'medium', 'high' or 'xhigh'";
            return Err(failure::invalid(at, format!("Invalid value for '{at}': '{other}'; expected {known}.")));
        }
    };
    if !model.thinks() {
        if !off {
            warnings.unsupported(at);
        }
        return Ok(None);
    }
    if off {
        return Ok(Some(no_thinking(model, at, warnings)));
    }
    if model.is_3_or_newer() {
        let level = match effort {
            "minimal" if model.is_pro() => "low",
            // The first Gemini 3 Pro has two levels only.
            "medium" if model.is_pro() && !model.is_3_1_or_newer() => "high",
            same => same,
        };
        if level != effort {
            warnings.approximated(at);
        }
        return Ok(Some(json!({"thinkingLevel": level, "includeThoughts": true})));
    }
    let budget = match effort {
        "minimal" if model.is_pro() => 128,
        "minimal" if model.is_flash_lite() => 512,
        "minimal" => 1,
        "low" => 1024,
        "medium" => 2048,
        _ => 4096,
    };
    Ok(Some(json!({"thinkingBudget": budget, "includeThoughts": true})))
}

/// No thinking, or as little as the model can: Gemini 3 always thinks, and 2.5 Pro takes no less than 128 tokens
/// (<https://ai.google.dev/gemini-api/docs/thinking>).
fn no_thinking(model: &Model, at: &Path<'_>, warnings: &mut Warnings) -> Value {
    if model.is_3_or_newer() || model.is_pro() {
        warnings.approximated(at);
    }
    match model.is_3_or_newer() {
        true if model.is_pro() => json!({"thinkingLevel": "low", "includeThoughts": false}),
        true => json!({"thinkingLevel": "minimal", "includeThoughts": false}),
        false if model.is_pro() => json!({"thinkingBudget": 128, "includeThoughts": false}),
        false => json!({"thinkingBudget": 0, "includeThoughts": false}),
    }
}
