//! Parts of a message as Anthropic's blocks: text, images, documents.

use std::borrow::Cow;

use ai_api_plugin_sdk::canonical::{File, Part, PartKind};
use ai_api_plugin_sdk::json::{Fields, Object, Path, Text};
use ai_api_plugin_sdk::{Failure, failure, object};
use base64::prelude::{BASE64_STANDARD, Engine};

use super::Context;

/// Anthropic's own blocks, which clients may put among OpenAI's parts.
const OWN_BLOCKS: [&str; 14] = [
    "image",
    "document",
    "search_result",
    "container_upload",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "tool_reference",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "compaction",
];

/// The block that `part` becomes; none if it is empty.
///
/// # Errors
/// Anthropic can't be given this, and the message would mean something else without.
pub(super) fn block<'a>(part: Part<'a>, at: &Path<'_>, cx: &mut Context) -> Result<Option<Object<'a>>, Failure> {
    let Part { kind, cache_control, mut rest } = part;
    let mut block = match kind {
        PartKind::Text(text) => match text_block(text, at, cx) {
            Some(block) => block,
            None => {
                if cache_control.is_some() {
                    cx.warnings.dropped(at.key("cache_control"));
                }
                return Ok(None);
            }
        },
        PartKind::Refusal(text) => {
            cx.warnings.approximated(at);
            match text_block(text, at, cx) {
                Some(block) => block,
                None => return Ok(None),
            }
        }
        PartKind::Image { url, detail, format } => {
            if detail.is_some_and(|detail| detail != "auto") {
                cx.warnings.dropped(at.key("image_url").key("detail"));
            }
            image(url, format.as_deref(), &at.key("image_url").key("url"))?
        }
        PartKind::File(file) => file_block(file, &mut rest, &at.key("file"), cx)?,
        PartKind::Audio { .. } => {
            return Err(failure::unsupported(at, "Anthropic's models take no audio."));
        }
        PartKind::Other(kind) if OWN_BLOCKS.contains(&kind.as_str()) => std::mem::take(&mut rest).into_object(),
        PartKind::Other(kind) => {
            return Err(failure::unsupported(at, format!("Anthropic takes no content of type '{kind}'.")));
        }
    };
    if let Some(cache_control) = cache_control {
        block.insert("cache_control", cache_control);
    }
    cx.warnings.dropped_fields(&rest, at);
    Ok(Some(block))
}

/// Anthropic refuses text without a visible character.
fn text_block<'a>(text: Text<'a>, at: &Path<'_>, cx: &mut Context) -> Option<Object<'a>> {
    if text.is_blank() {
        if !text.is_empty() {
            cx.warnings.dropped(at);
        }
        return None;
    }
    Some(object! {"type": "text", "text": text})
}

fn image<'a>(url: Text<'a>, format: Option<&str>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
    match url.into_cow() {
        Cow::Borrowed(url) => image_at(url, format, at),
        Cow::Owned(url) => image_at(&url, format, at).map(Object::into_owned),
    }
}

fn image_at<'a>(url: &'a str, format: Option<&str>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
    if let Some(data) = DataUrl::parse(url, at)? {
        return data.block(format, at);
    }
    if starts_with_scheme(url, "https:") {
        return Ok(object! {"type": "image", "source": object! {"type": "url", "url": url}});
    }
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    let message = match scheme {
        "http" => "Anthropic fetches images over https only.".to_owned(),
        _ => "Anthropic takes images as https or data URLs only.".to_owned(),
    };
    Err(failure::unsupported(at, message))
}

fn starts_with_scheme(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fn file_block<'a>(
    file: File<'a>,
    rest: &mut Fields<'a>,
    at: &Path<'_>,
    cx: &mut Context,
) -> Result<Object<'a>, Failure> {
    let File { data, id, filename, format } = file;
    let mut block = match (data, id) {
        (Some(data), _) => match data.into_cow() {
            Cow::Borrowed(data) => file_in(data, format.as_deref(), &at.key("file_data"))?,
            Cow::Owned(data) => file_in(&data, format.as_deref(), &at.key("file_data"))?.into_owned(),
        },
        (None, Some(id)) => {
            let is_image = format.as_deref().is_some_and(|format| format.starts_with("image/"));
            let kind = if is_image { "image" } else { "document" };
            if starts_with_scheme(&id, "https:") {
                object! {"type": kind, "source": object! {"type": "url", "url": id}}
            } else if id.contains(':') {
                let message = "Anthropic takes files as https URLs, or as ids of its own Files API, only.";
                return Err(failure::unsupported(at.key("file_id"), message));
            } else {
                cx.beta("files-api-2025-04-14");
                object! {"type": kind, "source": object! {"type": "file", "file_id": id}}
            }
        }
        (None, None) => return Err(failure::invalid(at, format!("Missing required parameter: '{at}.file_data'."))),
    };
    if block.get("type").is_some_and(|kind| *kind == "document") {
        describe_document(&mut block, filename, rest);
    }
    Ok(block)
}

/// A file as a data URL, or as bare base64 where the type is known or the first bytes say `%PDF-`.
fn file_in<'a>(data: &'a str, format: Option<&str>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
    if let Some(url) = DataUrl::parse(data, at)? {
        return url.block(format, at);
    }
    let pdf = data.starts_with("JVBERi0").then_some("application/pdf");
    let Some(media_type) = format.or(pdf) else {
        let message = format!("Invalid '{at}': expected a data URL (data:application/pdf;base64,…).");
        return Err(failure::invalid(at, message));
    };
    DataUrl { media_type, data }.block(None, at)
}

/// A document's title is its file's name. `citations` and `context` are Anthropic's own.
fn describe_document<'a>(block: &mut Object<'a>, filename: Option<Text<'a>>, rest: &mut Fields<'a>) {
    if let Some(filename) = filename.filter(|name| !name.is_blank()) {
        block.insert("title", filename.chars().take(500).collect::<String>());
    }
    for key in ["title", "context", "citations"] {
        if let Some(value) = rest.take(key) {
            block.insert(key, value);
        }
    }
}

/// `data:image/png;base64,…`
struct DataUrl<'t, 'a> {
    media_type: &'t str,
    /// Base64.
    data: &'a str,
}

impl<'a> DataUrl<'a, 'a> {
    /// None if it is no data URL at all.
    fn parse(url: &'a str, at: &Path<'_>) -> Result<Option<Self>, Failure> {
        let Some(rest) = url.get("data:".len()..).filter(|_| starts_with_scheme(url, "data:")) else {
            return Ok(None);
        };
        let base64 = rest.split_once(',').and_then(|(head, data)| {
            let (types, encoding) = head.rsplit_once(';')?;
            let media_type = types.split(';').next().unwrap_or_default();
            encoding.trim().eq_ignore_ascii_case("base64").then_some(Self { media_type, data })
        });
        let Some(url) = base64 else {
            let message = format!("Invalid '{at}': expected a data URL in base64 (data:image/png;base64,…).");
            return Err(failure::invalid(at, message));
        };
        Ok(Some(url))
    }
}

impl<'a> DataUrl<'_, 'a> {
    /// An image or a document, by its media type; the client's own word for that wins.
    fn block(&self, format: Option<&str>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
        let media_type = format.unwrap_or(self.media_type).trim().to_ascii_lowercase();
        let kind = match media_type.as_str() {
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/jpg" => "image",
            "application/pdf" => "document",
            text if text.starts_with("text/") || text == "application/json" => return self.text(at),
            other => return Err(failure::unsupported(at, format!("Anthropic takes no files of type '{other}'."))),
        };
        let media_type = if media_type == "image/jpg" { "image/jpeg".to_owned() } else { media_type };
        let source = object! {"type": "base64", "media_type": media_type, "data": self.data};
        Ok(object! {"type": kind, "source": source})
    }

    fn text(&self, at: &Path<'_>) -> Result<Object<'a>, Failure> {
        let bytes = BASE64_STANDARD.decode(self.data).ok();
        let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Err(failure::invalid(at, format!("Invalid '{at}': not the base64 of UTF-8 text.")));
        };
        let source = object! {"type": "text", "media_type": "text/plain", "data": text};
        Ok(object! {"type": "document", "source": source})
    }
}
