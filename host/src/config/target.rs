//! Which provider serves `litellm_params.model`, and what the model is called there.

use super::providers::{Providers, is_provider_name};

/// A provider's name, and its name for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub provider: String,
    pub model: String,
}

/// Prefixes of names that need no provider in front, as LiteLLM infers them.
const INFERRED: [(&str, &str); 16] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("dall-e", "openai"),
    ("text-embedding-", "openai"),
    ("whisper", "openai"),
    ("tts-", "openai"),
    ("ft:gpt-", "openai"),
    ("omni-moderation", "openai"),
    ("text-moderation", "openai"),
    ("computer-use-", "openai"),
    ("sora", "openai"),
    ("claude", "anthropic"),
    ("gemini", "gemini"),
];

/// The target of `model`, with the provider that `custom_llm_provider` forces, if any. The error is a
/// reason that a client may be told.
pub(super) fn resolve(model: &str, forced: Option<&str>, providers: &Providers) -> Result<Target, String> {
    let target = |provider: &str, model: &str| Target { provider: provider.to_owned(), model: model.to_owned() };
    if let Some(provider) = forced {
        let rest = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
        return checked(target(provider, rest.unwrap_or(model)));
    }
    match model.split_once('/') {
        Some((provider, rest)) if providers.get(provider).is_some() => checked(target(provider, rest)),
        // Not a provider that the table knows: a plugin of this name may be installed.
        Some((provider, rest)) if inferred(model).is_none() => checked(target(provider, rest)),
        _ => match inferred(model) {
            Some(provider) => Ok(target(provider, model)),
            None => Err(format!("its provider can't be told from `{model}`: write provider/{model}")),
        },
    }
}

fn checked(target: Target) -> Result<Target, String> {
    if !is_provider_name(&target.provider) {
        return Err("the provider's name in front of the slash may hold letters, digits, `-` and `_` only".to_owned());
    }
    if target.model.is_empty() {
        return Err(format!("the model's name is missing after `{}/`", target.provider));
    }
    Ok(target)
}

/// The provider that a bare name belongs to.
pub fn inferred(model: &str) -> Option<&'static str> {
    INFERRED.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, provider)| *provider)
}

/// Patterns of the bare names that [`inferred`] gives to `provider`.
pub(super) fn bare_patterns(provider: &str) -> impl Iterator<Item = String> {
    INFERRED.iter().filter(move |(_, owner)| *owner == provider).map(|(prefix, _)| format!("{prefix}*"))
}

#[cfg(test)]
mod tests {
    use super::super::providers::built_in_for_tests;
    use super::*;

    #[test]
    fn the_prefix_names_the_provider_and_known_names_need_none() {
        let providers = built_in_for_tests();

        for (model, forced, provider, name) in [
            ("openai/gpt-4o-mini", None, "openai", "gpt-4o-mini"),
            ("groq/meta-llama/llama-4", None, "groq", "meta-llama/llama-4"),
            ("gpt-4o", None, "openai", "gpt-4o"),
            ("o4-mini", None, "openai", "o4-mini"),
            ("text-embedding-3-small", None, "openai", "text-embedding-3-small"),
            ("gpt-image-1", None, "openai", "gpt-image-1"),
            ("claude-sonnet-4-6", None, "anthropic", "claude-sonnet-4-6"),
            ("gemini-2.5-flash", None, "gemini", "gemini-2.5-flash"),
            ("openai/*", None, "openai", "*"),
            ("my_plugin/model", None, "my_plugin", "model"),
            ("meta-llama/llama-4", Some("groq"), "groq", "meta-llama/llama-4"),
            ("groq/llama", Some("groq"), "groq", "llama"),
            ("llama", Some("hosted_vllm"), "hosted_vllm", "llama"),
        ] {
            let target = resolve(model, forced, &providers).expect(model);
            assert_eq!((target.provider.as_str(), target.model.as_str()), (provider, name), "{model}");
        }
    }

    #[test]
    fn what_names_no_provider_is_refused_with_advice() {
        let providers = built_in_for_tests();

        for (model, forced, reason) in [
            ("llama-4", None, "write provider/llama-4"),
            ("openai/", None, "missing after `openai/`"),
            ("../x/y", None, "letters, digits"),
            ("x", Some("a b"), "letters, digits"),
        ] {
            let error = resolve(model, forced, &providers).expect_err(model);
            assert!(error.contains(reason), "{model}: {error}");
        }
    }
}
