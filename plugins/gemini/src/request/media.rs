//! Pictures, sound, films and documents in messages: `inlineData` and `fileData`.
//!
//! Google fetches `https:` addresses itself, as it does for YouTube, its Files API and registered Cloud Storage
//! (<https://ai.google.dev/gemini-api/docs/file-input-methods>), so an address is handed on as it is, and no gateway
//! has to download it. Gemini 2.0 can't, and says so.

use std::borrow::Cow;

use ai_api_plugin_sdk::canonical::File;
use ai_api_plugin_sdk::json::{Object, Path, Text};
use ai_api_plugin_sdk::{Failure, failure, object};

/// Where the Files API keeps what was uploaded.
const FILES: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// A part with what stands at `url`; `format` is its media type where the client told it.
///
/// # Errors
/// Google can't read such an address, or it holds broken data.
pub(super) fn from_url<'a>(url: Text<'a>, format: Option<&str>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
    match url.into_cow() {
        Cow::Borrowed(url) => at_url(url, format, at),
        Cow::Owned(url) => at_url(&url, format, at).map(Object::into_owned),
    }
}

fn at_url<'a>(url: &'a str, format: Option<&str>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
    if let Some(data) = strip_prefix_ignore_case(url, "data:") {
        return inline_url(data, format, at);
    }
    let google = ["https://", "gs://"].iter().any(|scheme| strip_prefix_ignore_case(url, scheme).is_some());
    if !google {
        let scheme = url.split_once(':').map_or("no scheme", |(scheme, _)| scheme);
        let message = format!("Gemini reads 'data:', 'https:' and 'gs:' addresses; '{at}' has {scheme:.20}.");
        return Err(failure::unsupported(at, message));
    }
    let mut file = object! {"fileUri": url};
    if let Some(media_type) = format.or_else(|| guess(url)) {
        file.insert("mimeType", plain(media_type));
    }
    Ok(object! {"fileData": file})
}

/// A part with a file, given as a `data:` URL or bare base64, as an address, or as the name of an uploaded one.
///
/// # Errors
/// It is none of these.
pub(super) fn from_file<'a>(file: File<'a>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
    let at = &at.key("file");
    let File { data, id, filename, format } = file;
    let format = format.as_deref();
    let guessed = || filename.as_deref().and_then(guess);
    if let Some(data) = data {
        let at = &at.key("file_data");
        if data.contains(':') {
            return from_url(data, format, at);
        }
        return match format.or_else(guessed) {
            Some(media_type) => Ok(inline(media_type, data)),
            None => {
                Err(failure::invalid(at, format!("'{at}' must be a data: URL, or tell its media type in 'format'.")))
            }
        };
    }
    let id = id.unwrap_or_default();
    let at = &at.key("file_id");
    if let Some(name) = id.strip_prefix("files/") {
        let uploaded = format!("{FILES}files/{name}");
        return from_url(uploaded.into(), format.or_else(guessed), at);
    }
    if id.contains(':') {
        return from_url(id, format.or_else(guessed), at);
    }
    Err(failure::unsupported(at, format!("'{at}' must be an address, or a file of the Gemini API ('files/…').")))
}

/// A part with sound in base64. `mp3` is `audio/mp3` to Google, as its documents have it.
pub(super) fn from_audio<'a>(data: Text<'a>, format: &str) -> Object<'a> {
    if format.contains('/') { inline(format, data) } else { inline(&format!("audio/{format}"), data) }
}

/// The media type by the ending of a name or of an address's path; unknown ones are left for Google to find out.
fn guess(name: &str) -> Option<&'static str> {
    if is_youtube(name) {
        return Some("video/mp4");
    }
    let path = name.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "xml" => "text/xml",
        "json" => "application/json",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "aac" => "audio/aac",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aiff" => "audio/aiff",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "mpeg" | "mpg" => "video/mpeg",
        "mov" => "video/quicktime",
        "avi" => "video/x-msvideo",
        "webm" => "video/webm",
        "wmv" => "video/x-ms-wmv",
        "flv" => "video/x-flv",
        "3gp" | "3gpp" => "video/3gpp",
        _ => return None,
    })
}

fn is_youtube(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    host.is_some_and(|host| host == "youtu.be" || host == "youtube.com" || host.ends_with(".youtube.com"))
}

/// What follows `data:`, as RFC 2397 has it: `image/png;base64,iVBO…`.
fn inline_url<'a>(data: &'a str, format: Option<&str>, at: &Path<'_>) -> Result<Object<'a>, Failure> {
    let Some((head, data)) = data.split_once(',') else {
        return Err(failure::invalid(at, format!("'{at}' is not a data: URL: it has no comma.")));
    };
    let media_type = match head.trim_end().rsplit_once(';') {
        Some((media_type, encoding)) if encoding.trim().eq_ignore_ascii_case("base64") => media_type,
        _ => {
            let message =
                format!("'{at}' holds its data as text: Gemini takes base64 only, as in 'data:image/png;base64,…'.");
            return Err(failure::invalid(at, message));
        }
    };
    // The client's own word wins: browsers write `application/octet-stream` for what they don't know.
    match format.or(Some(media_type)).filter(|media_type| !media_type.trim().is_empty()) {
        Some(media_type) => Ok(inline(media_type, data.into())),
        None => Err(failure::invalid(at, format!("'{at}' is a data: URL without a media type."))),
    }
}

fn inline<'a>(media_type: &str, data: Text<'a>) -> Object<'a> {
    object! {"inlineData": object! {"mimeType": plain(media_type), "data": data}}
}

/// A media type as Google knows it: without parameters (`text/plain;charset=utf-8`), in lower case, by its registered
/// name. Raw samples keep theirs: nothing else tells their rate.
fn plain(media_type: &str) -> String {
    let name = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "image/jpg" => "image/jpeg".to_owned(),
        "audio/l16" | "audio/pcm" => media_type.trim().to_owned(),
        _ => name,
    }
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

#[cfg(test)]
mod tests {
    use ai_api_plugin_sdk::json::Json;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_becomes_data_or_a_file_or_a_refusal() {
        let inlined = |kind: &str| Some(json!({"inlineData": {"mimeType": kind, "data": "QQ=="}}));
        let at = &Path::Root.key("url");
        for (url, format, expected) in [
            ("data:image/png;base64,QQ==", None, inlined("image/png")),
            ("DATA:image/png;base64,QQ==", None, inlined("image/png")),
            ("data:audio/L16;rate=24000;base64,QQ==", None, inlined("audio/L16;rate=24000")),
            ("data:;base64,QQ==", Some("image/gif"), inlined("image/gif")),
            ("data:IMAGE/JPG;charset=utf-8;Base64,QQ==", None, inlined("image/jpeg")),
            ("data: image/png ;BASE64,QQ==", None, inlined("image/png")),
            ("data:image/png;base64,QQ==", Some(" Image/WebP; q=1"), inlined("image/webp")),
            ("data:;base64,QQ==", None, None),
            ("data:text/plain,hello", None, None),
            ("data:", None, None),
            ("http://e/a.png", None, None),
            ("file:///etc/passwd", None, None),
            ("", None, None),
            (
                "https://e/a.JPG?x=1.pdf",
                None,
                Some(json!({"fileData": {"fileUri": "https://e/a.JPG?x=1.pdf", "mimeType": "image/jpeg"}})),
            ),
            ("https://e/a", None, Some(json!({"fileData": {"fileUri": "https://e/a"}}))),
            (
                "gs://b/a",
                Some("image/jpg"),
                Some(json!({"fileData": {"fileUri": "gs://b/a", "mimeType": "image/jpeg"}})),
            ),
            (
                "https://youtu.be/x",
                None,
                Some(json!({"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}})),
            ),
        ] {
            match from_url(url.into(), format, at) {
                Ok(part) => assert_eq!(Some(Json::Object(part)), expected.map(Json::from), "{url}"),
                Err(failure) => assert_eq!((failure.param.as_deref(), expected), (Some("url"), None), "{url}"),
            }
        }
    }

    #[test]
    fn a_file_is_named_or_brought() {
        let file = |data: Option<&str>, id: Option<&str>, name: Option<&str>| File {
            data: data.map(|data| data.to_owned().into()),
            id: id.map(|id| id.to_owned().into()),
            filename: name.map(|name| name.to_owned().into()),
            format: None,
        };
        let at = &Path::Root;
        for (file, expected) in [
            (file(Some("data:application/pdf;base64,QQ=="), None, None), "inlineData"),
            (file(Some("QQ=="), None, Some("a.pdf")), "inlineData"),
            (file(None, Some("files/abc"), None), "fileData"),
            (file(None, Some("https://e/a.pdf"), None), "fileData"),
            (file(Some("QQ=="), None, None), "file.file_data"),
            (file(None, Some("file-abc"), None), "file.file_id"),
        ] {
            let found = match from_file(file, at) {
                Ok(part) => part.iter().next().map(|(key, _)| key.to_string()),
                Err(failure) => failure.param,
            };
            assert_eq!(found.as_deref(), Some(expected));
        }
    }
}
