//! `generationConfig`: sampling, limits, thinking.
//! <https://ai.google.dev/api/generate-content#v1beta.GenerationConfig>

use ai_api_plugin_sdk::canonical::ChatRequest;
use ai_api_plugin_sdk::json::{Fields, Json, Number, Object, Path, Text, Warnings, wrong_type};
use ai_api_plugin_sdk::{Failure, failure, object};

use crate::model::Model;

/// How many stop texts Google takes.
const MOST_STOPS: usize = 5;

/// The configuration that the request asks for.
///
/// # Errors
/// A parameter has a type or a value that the OpenAI API doesn't know.
pub(super) fn config<'a>(
    chat: &mut ChatRequest<'a>,
    model: &Model,
    warnings: &mut Warnings,
) -> Result<Object<'a>, Failure> {
    let at = &Path::Root;
    let mut config = Object::new();
    let mut set = |key: &'static str, value: Option<Json<'a>>| {
        if let Some(value) = value {
            config.insert(key, value);
        }
    };
    set("temperature", chat.temperature.take().map(Json::Number));
    set("topP", chat.top_p.take().map(Json::Number));
    set("topK", chat.rest.number("top_k", at)?.map(Json::Number));
    set("topK", chat.rest.number("topK", at)?.map(Json::Number));
    set("maxOutputTokens", chat.max_tokens.map(Json::from));
    set("stopSequences", stops(std::mem::take(&mut chat.stop), warnings));
    set("candidateCount", chat.rest.unsigned("n", at)?.map(Json::from));
    set("seed", chat.rest.number("seed", at)?.map(|seed| fold_seed(seed, warnings)));
    // Models without penalties refuse even a zero.
    let not_zero = |number: &Number<'a>| number.as_f64() != Some(0.0);
    set("presencePenalty", chat.rest.number("presence_penalty", at)?.filter(not_zero).map(Json::Number));
    set("frequencyPenalty", chat.rest.number("frequency_penalty", at)?.filter(not_zero).map(Json::Number));

    let logprobs = chat.rest.boolean("logprobs", at)?.unwrap_or(false);
    let top_logprobs = chat.rest.unsigned("top_logprobs", at)?.filter(|top| *top > 0);
    set("responseLogprobs", logprobs.then_some(Json::Bool(true)));
    match top_logprobs {
        Some(top) if logprobs => set("logprobs", Some(top.into())),
        Some(_) => warnings.unsupported("top_logprobs"),
        None => {}
    }

    set("responseModalities", modalities(&mut chat.rest)?);
    set("speechConfig", speech(&mut chat.rest, warnings)?);
    set("thinkingConfig", thinking(chat, model, warnings)?);
    Ok(config)
}

/// Google's seeds have 32 bits. A longer one is folded: what is asked for is only that the same one is the same again.
fn fold_seed<'a>(seed: Number<'a>, warnings: &mut Warnings) -> Json<'a> {
    let range = 1_i128 << 31;
    match seed.to_string().parse::<i128>() {
        Ok(long) if !(-range..range).contains(&long) => {
            warnings.approximated("seed");
            u64::try_from(long.rem_euclid(range)).unwrap_or_default().into()
        }
        _ => seed.into(),
    }
}

fn stops<'a>(mut stops: Vec<Text<'a>>, warnings: &mut Warnings) -> Option<Json<'a>> {
    if stops.len() > MOST_STOPS {
        stops.truncate(MOST_STOPS);
        warnings.unsupported("stop");
    }
    (!stops.is_empty()).then(|| stops.into())
}

/// `["text", "audio"]` in Google's capitals.
fn modalities<'a>(rest: &mut Fields<'a>) -> Result<Option<Json<'a>>, Failure> {
    let at = Path::Root.key("modalities");
    let words = rest.array("modalities", &Path::Root)?;
    let words: Vec<Json<'_>> = words
        .into_iter()
        .enumerate()
        .map(|(index, word)| match word {
            Json::String(word) => Ok(word.to_uppercase().into()),
            other => Err(wrong_type(&at.index(index), "a string", &other)),
        })
        .collect::<Result<_, _>>()?;
    Ok((!words.is_empty()).then_some(Json::Array(words)))
}

/// `audio`: the voice, by Google's name (<https://ai.google.dev/gemini-api/docs/speech-generation>). The answer is
/// always raw 16-bit samples.
fn speech<'a>(rest: &mut Fields<'a>, warnings: &mut Warnings) -> Result<Option<Json<'a>>, Failure> {
    let at = Path::Root.key("audio");
    let Some(mut audio) = rest.object("audio", &Path::Root)? else { return Ok(None) };
    let voice = audio.string("voice", &at)?;
    if audio.string("format", &at)?.is_some_and(|format| format != "pcm16") {
        warnings.approximated(at.key("format"));
    }
    warnings.dropped_fields(&audio, &at);
    Ok(voice.map(|voice| {
        let voice = object! {"prebuiltVoiceConfig": object! {"voiceName": voice}};
        object! {"voiceConfig": voice}.into()
    }))
}

/// How much to think: Anthropic's `thinking`, or `reasoning_effort`. Where both are given, the number of tokens wins.
fn thinking(
    chat: &mut ChatRequest<'_>,
    model: &Model,
    warnings: &mut Warnings,
) -> Result<Option<Json<'static>>, Failure> {
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
            let mut config = object! {"includeThoughts": true};
            if let Some(budget) = budget {
                config.insert("thinkingBudget", budget);
            }
            Ok(Some(config.into()))
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
fn from_effort(effort: &str, model: &Model, warnings: &mut Warnings) -> Result<Option<Json<'static>>, Failure> {
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
        return Ok(Some(object! {"thinkingLevel": level.to_owned(), "includeThoughts": true}.into()));
    }
    let budget = match effort {
        "minimal" if model.is_pro() => 128_u64,
        "minimal" if model.is_flash_lite() => 512,
        "minimal" => 1,
        "low" => 1024,
        "medium" => 2048,
        _ => 4096,
    };
    Ok(Some(object! {"thinkingBudget": budget, "includeThoughts": true}.into()))
}

/// No thinking, or as little as the model can: Gemini 3 always thinks, and 2.5 Pro takes no less than 128 tokens
/// (<https://ai.google.dev/gemini-api/docs/thinking>).
fn no_thinking(model: &Model, at: &Path<'_>, warnings: &mut Warnings) -> Json<'static> {
    if model.is_3_or_newer() || model.is_pro() {
        warnings.approximated(at);
    }
    let config = match model.is_3_or_newer() {
        true if model.is_pro() => object! {"thinkingLevel": "low", "includeThoughts": false},
        true => object! {"thinkingLevel": "minimal", "includeThoughts": false},
        false if model.is_pro() => object! {"thinkingBudget": 128_u64, "includeThoughts": false},
        false => object! {"thinkingBudget": 0_u64, "includeThoughts": false},
    };
    config.into()
}
