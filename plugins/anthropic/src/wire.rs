//! Anthropic's JSON into the types that stand for it.

use ai_api_plugin_sdk::json::{Json, Object, Text};
use serde::Deserialize;

/// Reads a document as `T`. `object` is what the SDK's parser made of it, if it is one.
///
/// What is as documented is put together by `quick`, field by field from what the parser borrows, in half the time that
/// serde takes. What isn't is left to serde, which says why, or takes it after all.
///
/// # Errors
/// In serde's words.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    document: &'a [u8],
    object: Option<Object<'a>>,
    quick: impl FnOnce(Object<'a>) -> Option<T>,
) -> Result<T, serde_json::Error> {
    object.and_then(quick).map_or_else(|| serde_json::from_slice(document), Ok)
}

/// A text or nothing; none if it is something else.
pub(crate) fn text(value: Json<'_>) -> Option<Option<Text<'_>>> {
    match value {
        Json::Null => Some(None),
        Json::String(text) => Some(Some(text)),
        _ => None,
    }
}

/// A count or nothing; none if it is something else.
pub(crate) fn count(value: &Json<'_>) -> Option<Option<u64>> {
    if value.is_null() { Some(None) } else { value.as_u64().map(Some) }
}

/// What isn't `null`.
pub(crate) fn some(value: Json<'_>) -> Option<Json<'_>> {
    Some(value).filter(|value| !value.is_null())
}

/// An object read by `quick`, or nothing; none if it is something else.
pub(crate) fn object<'a, T>(value: Json<'a>, quick: impl FnOnce(Object<'a>) -> Option<T>) -> Option<Option<T>> {
    match value {
        Json::Null => Some(None),
        Json::Object(object) => quick(object).map(Some),
        _ => None,
    }
}
