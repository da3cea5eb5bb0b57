//! Whose a call is, as far as its body says and its headers didn't; and what of it is kept to be told.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::canonical::RequestBody;
use crate::usage::CallEntry;

/// What LiteLLM's clients put into `metadata`, or `litellm_metadata`.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    tags: Value,
    #[serde(default)]
    user: Value,
    #[serde(default)]
    user_id: Value,
    #[serde(default)]
    session_id: Value,
    #[serde(default, rename = "no-log")]
    no_log: Value,
}

/// Notes what `body` says.
pub(super) fn read(call: &mut CallEntry, body: &RequestBody) {
    if call.end_user.is_none() {
        call.end_user = body.raw("user").and_then(text);
    }
    if let Some(tags) = body.raw("tags").and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        add_tags(call, &tags);
    }
    let is_true = |text: Option<&str>| text == Some("true");
    let mut no_log = is_true(body.raw("no-log"));
    let mut silent = is_true(body.raw("turn_off_message_logging"));
    for key in ["metadata", "litellm_metadata"] {
        let Some(text) = body.raw(key).filter(|text| text.starts_with('{')) else { continue };
        let Ok(metadata) = serde_json::from_str::<Metadata>(text) else { continue };
        add_tags(call, &metadata.tags);
        no_log |= metadata.no_log == Value::Bool(true);
        call.end_user = call.end_user.take().or_else(|| short(&metadata.user)).or_else(|| short(&metadata.user_id));
        call.session_id = call.session_id.take().or_else(|| short(&metadata.session_id));
    }
    call.session_id = call.session_id.take().or_else(|| body.raw("litellm_session_id").and_then(self::text));
    if call.end_user.is_none() {
        call.end_user = body.raw("safety_identifier").and_then(self::text);
    }
    call.no_log = no_log && !call.accounts.tellers.ignore_no_log;
    silent |= call.no_log;
    if silent {
        call.messages = None;
    }
    if let Some(messages) = &mut call.messages {
        messages.set_request(body.bytes());
    }
    let caller = call.caller.clone();
    let of_key = caller.iter().flat_map(|caller| &caller.key.tags);
    let of_team = caller.iter().filter_map(|caller| caller.team.as_ref()).flat_map(|team| &team.tags);
    call.add_tags(of_key.chain(of_team).map(String::as_str));
}

fn add_tags(call: &mut CallEntry, tags: &Value) {
    let tags = tags.as_array().into_iter().flatten();
    call.add_tags(tags.filter_map(Value::as_str));
}

fn text(json: &str) -> Option<String> {
    short(&serde_json::from_str(json).ok()?)
}

/// A name that a client has for somebody or something; numbers are names too.
fn short(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().chars().take(256).collect(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text: &String| !text.is_empty())
}

/// The answer, if it is kept.
pub(super) fn answered(call: Option<&mut CallEntry>, body: &Bytes) {
    if let Some(messages) = call.and_then(|call| call.messages.as_mut()) {
        messages.add_response(body);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plugin::Operation;
    use crate::usage::{Messages, samples};

    fn read_of(json: &str) -> CallEntry {
        let mut call = CallEntry::new(Operation::ChatCompletions, Some(samples::caller(1)), Arc::default());
        call.messages = Some(Messages::default());
        read(&mut call, &RequestBody::parse(Bytes::copy_from_slice(json.as_bytes())).unwrap());
        call
    }

    #[test]
    fn a_body_says_whose_it_is_in_any_of_litellms_ways() {
        for (json, user, session) in [
            (r#"{"user":"a","metadata":{"user_id":"b","session_id":"s"}}"#, Some("a"), Some("s")),
            (r#"{"metadata":{"user_id":"b"},"litellm_session_id":"t"}"#, Some("b"), Some("t")),
            (r#"{"litellm_metadata":{"user":7}}"#, Some("7"), None),
            (r#"{"safety_identifier":"c"}"#, Some("c"), None),
            (r#"{"user":["x"],"metadata":"text"}"#, None, None),
            (r#"{"user":"  "}"#, None, None),
        ] {
            let call = read_of(json);
            assert_eq!((call.end_user.as_deref(), call.session_id.as_deref()), (user, session), "{json}");
        }
    }

    #[test]
    fn tags_are_gathered_once_each_and_no_more_than_reason_allows() {
        let call = read_of(r#"{"tags":["a","b",7],"metadata":{"tags":["b","c"]}}"#);
        assert_eq!(call.tags, ["a", "b", "c"]);
        let many: Vec<String> = (0..1_000).map(|n| format!("\"t{n}\"")).collect();
        assert_eq!(read_of(&format!("{{\"tags\":[{}]}}", many.join(","))).tags.len(), 64);
    }

    #[test]
    fn a_client_can_keep_its_messages_and_the_call_to_itself() {
        assert_eq!(&read_of(r#"{"model":"m"}"#).messages.unwrap().request[..], br#"{"model":"m"}"#);
        for (json, no_log) in [
            (r#"{"turn_off_message_logging":true}"#, false),
            (r#"{"no-log":true}"#, true),
            (r#"{"metadata":{"no-log":true}}"#, true),
        ] {
            let call = read_of(json);
            assert!(call.messages.is_none() && call.no_log == no_log, "{json}");
        }
    }
}
