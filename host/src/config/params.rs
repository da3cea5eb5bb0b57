//! `litellm_params`, with the values of `litellm_credential_name` for the keys that it lacks.

use serde_json::Value as Json;

use super::at::At;
use super::node::Value;
use super::report::Report;

/// A deployment's parameters. Its own win over those of the credential that it names.
pub(super) struct Params<'a> {
    own: At<'a>,
    credential: Option<At<'a>>,
}

// === impl Params ===

impl<'a> Params<'a> {
    /// The parameters `own`, completed from `credential_list` of `root`. The error is a reason that a
    /// client may be told.
    pub(super) fn new(own: At<'a>, root: &At<'a>, report: &mut Report) -> (Self, Result<(), String>) {
        let Some(at) = own.get("litellm_credential_name") else {
            return (Self { own, credential: None }, Ok(()));
        };
        let name = at.text(report).unwrap_or_default();
        let credential = credentials(root).find(|(known, _)| *known == name).map(|(_, values)| values);
        let found = if credential.is_some() {
            Ok(())
        } else {
            let reason = "the credential that it names is not in credential_list";
            at.warn(format!("there is no `{name}` in credential_list: calls to this model will fail"), report);
            Err(reason.to_owned())
        };
        (Self { own, credential }, found)
    }

    /// A key that has a value.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        self.raw(key).filter(|at| !at.node.is_none())
    }

    /// A key, whether it has a value or not.
    pub(super) fn raw(&self, key: &str) -> Option<At<'a>> {
        self.own.raw(key).or_else(|| self.credential.as_ref()?.raw(key))
    }

    /// All keys, each once.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> + '_ {
        let inherited = self.credential.iter().flat_map(At::entries).filter(|(key, _)| self.own.raw(key).is_none());
        self.own.entries().chain(inherited)
    }

    /// Where to point at for what is missing: the model, or the whole of it.
    pub(super) fn model_or_self(&self) -> At<'a> {
        self.own.raw("model").unwrap_or_else(|| self.own.clone())
    }
}

/// Names and values of `credential_list`.
fn credentials<'a>(root: &At<'a>) -> impl Iterator<Item = (&'a str, At<'a>)> + use<'a> {
    root.get("credential_list").into_iter().flat_map(|list| list.items()).filter_map(|entry| {
        match &entry.node.get("credential_name")?.value {
            Value::Text(name) => Some((name.as_str(), entry.get("credential_values")?)),
            _ => None,
        }
    })
}

/// A request parameter as the API wants it: LiteLLM's users write numbers and truths in quotes, too.
pub(super) fn unquoted(key: &str, value: Json) -> Json {
    let Json::String(text) = &value else { return value };
    let parsed = serde_json::from_str::<Json>(&text.trim().to_ascii_lowercase()).ok();
    let fits = |parsed: &Json| match key {
        "frequency_penalty"
        | "max_completion_tokens"
        | "max_tokens"
        | "n"
        | "presence_penalty"
        | "seed"
        | "temperature"
        | "top_k"
        | "top_logprobs"
        | "top_p" => parsed.is_number(),
        "logprobs" | "parallel_tool_calls" | "store" | "stream" => parsed.is_boolean(),
        _ => false,
    };
    parsed.filter(fits).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quoted_number_is_one_where_the_api_wants_one() {
        for (key, value, becomes) in [
            ("max_tokens", json!("100"), json!(100)),
            ("temperature", json!(" 0.5"), json!(0.5)),
            ("store", json!("False"), json!(false)),
            ("max_tokens", json!("many"), json!("many")),
            ("user", json!("100"), json!("100")),
            ("seed", json!(7), json!(7)),
        ] {
            assert_eq!(unquoted(key, value), becomes, "{key}");
        }
    }
}
