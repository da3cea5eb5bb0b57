//! Where an answer got what it says: grounding with Google Search, Maps and fetched pages, as citations.
//!
//! <https://ai.google.dev/api/generate-content#GroundingMetadata>

use ai_api_plugin_sdk::json::{Json, Text};
use ai_api_plugin_sdk::object;

/// Whether Google Search or Maps was used, whose results are not counted as prompt tokens.
pub(crate) fn searched(metadata: &Json<'_>) -> bool {
    let has = |key: &str| metadata.get(key).and_then(Json::as_array).is_some_and(|list| !list.is_empty());
    has("webSearchQueries") || list(metadata, "groundingChunks").any(|chunk| chunk.get("maps").is_some())
}

/// OpenAI's `url_citation` annotations: each claim with each page that supports it. A source without an address, such
/// as a file search store's, can't be told so.
pub(crate) fn annotations<'a>(metadata: &Json<'a>, content: &str) -> Vec<Json<'a>> {
    let chunks: Vec<&Json<'a>> = list(metadata, "groundingChunks").collect();
    let mut annotations = Vec::new();
    for support in list(metadata, "groundingSupports") {
        let Some((start, end)) = support.get("segment").and_then(|segment| place(segment, content)) else { continue };
        for index in list(support, "groundingChunkIndices") {
            let chunk = index.as_u64().and_then(|index| chunks.get(usize::try_from(index).ok()?));
            let Some((url, title)) = chunk.and_then(|chunk| source(chunk)) else { continue };
            let cited = object! {"start_index": start, "end_index": end, "url": url, "title": title};
            annotations.push(object! {"type": "url_citation", "url_citation": cited}.into());
        }
    }
    annotations
}

/// Address and title of a source.
fn source<'a>(chunk: &Json<'a>) -> Option<(Text<'a>, Text<'a>)> {
    let source = ["web", "maps", "retrievedContext", "image"].iter().find_map(|kind| chunk.get(kind))?;
    let text = |key: &str| match source.get(key) {
        Some(Json::String(text)) => Some(text.clone()),
        _ => None,
    };
    Some((text("uri")?, text("title").unwrap_or_default()))
}

/// Where a segment stands in the content, counted in characters as OpenAI does. Google counts the bytes of one part;
/// which of the parts that came here joined isn't always told, so the segment's own text decides.
fn place(segment: &Json<'_>, content: &str) -> Option<(u64, u64)> {
    let number = |key: &str| segment.get(key).and_then(Json::as_u64).and_then(|number| usize::try_from(number).ok());
    let (start, end) = (number("startIndex").unwrap_or(0), number("endIndex")?);
    let text = segment.get("text").and_then(Json::as_str).filter(|text| !text.is_empty());
    let fits = content.get(start..end).is_some_and(|found| text.is_none_or(|text| text == found));
    let start = if fits { start } else { content.find(text?)? };
    let end = if fits { end } else { start + text?.len() };
    let characters = |bytes: usize| content.get(..bytes).map(|before| before.chars().count() as u64);
    Some((characters(start)?, characters(end)?))
}

fn list<'v, 'a>(value: &'v Json<'a>, key: &str) -> impl Iterator<Item = &'v Json<'a>> {
    value.get(key).and_then(Json::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json(value: &Value) -> Json<'static> {
        Json::from(value.clone())
    }

    #[test]
    fn a_segment_is_placed_by_characters() {
        let content = "Größe: 5 m. Ja.";
        for (segment, placed) in [
            (json!({"startIndex": 0, "endIndex": 7, "text": "Größe"}), Some((0, 5))),
            (json!({"endIndex": 7}), Some((0, 5))),
            (json!({"startIndex": 40, "endIndex": 44, "text": "Ja."}), Some((12, 15))),
            (json!({"startIndex": 3, "endIndex": 7}), None),
            (json!({"startIndex": 9, "endIndex": 4, "text": "weg"}), None),
            (json!({}), None),
        ] {
            assert_eq!(place(&json(&segment), content), placed, "{segment}");
        }
    }

    #[test]
    fn a_source_that_is_not_there_is_left_out() {
        let metadata = json!({
            "groundingChunks": [{"web": {"uri": "https://e", "title": "E"}}, {"retrievedContext": {"text": "t"}}],
            "groundingSupports": [{"segment": {"endIndex": 1, "text": "x"}, "groundingChunkIndices": [0, 1, 7, -1, "2"]}],
        });
        assert_eq!(annotations(&json(&metadata), "x").len(), 1);
        assert_eq!(annotations(&json(&json!({"groundingChunks": 3})), "x").len(), 0);
    }
}
