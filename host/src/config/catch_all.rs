//! `model_name: "*"` with `model: "*"`: every model of every provider whose key is set.
//!
//! LiteLLM finds the provider of each call then. Here it is found once: such an entry becomes one
//! deployment for `provider/*`, for each provider with a key in the environment, and one for each kind of
//! bare name (`gpt-*`, `claude*`) that stands for one of them.

use super::model_list::Context;
use super::target::{Target, bare_patterns};

/// Names for clients, and what they stand for. Empty when no key is set.
pub(super) fn targets(model_name: &str, context: &Context<'_>) -> Vec<(String, Target)> {
    let with_key = context
        .providers
        .iter()
        .filter(|(_, row)| row.unsupported.is_none() && context.environment.first(&row.api_key_env).is_some());
    let mut targets = Vec::new();
    for (provider, _) in with_key {
        let target = |model: &str| Target { provider: provider.to_owned(), model: model.to_owned() };
        let bare = bare_patterns(provider).map(|pattern| (named(model_name, &pattern), target(&pattern)));
        targets.extend(bare);
        targets.push((named(model_name, &format!("{provider}/*")), target("*")));
    }
    targets
}

/// The pattern in the place of the `*`: `team-a/*` and `gpt-*` make `team-a/gpt-*`.
fn named(model_name: &str, pattern: &str) -> String {
    model_name.replacen('*', pattern, 1)
}
