//! One message of a conversation, and the parts that it is made of.

use crate::json::{Fields, Json, Path, Text, Warnings, missing, wrong_type};
use crate::{Failure, failure};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions; older models' word for it.
    System,
    /// Instructions; newer models' word for it.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// A function's result, in the API of 2023.
    Function,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said. A plain string is one text part; `null` or absent is none.
    pub content: Vec<Part<'a>>,
    /// The speaker's or the function's name.
    pub name: Option<Text<'a>>,
    /// What the assistant called.
    pub tool_calls: Vec<CalledTool<'a>>,
    /// Which call a tool's result answers.
    pub tool_call_id: Option<Text<'a>>,
    /// The assistant's earlier reasoning, as text.
    pub reasoning_content: Option<Text<'a>>,
    /// The assistant's earlier reasoning, as the provider's own blocks with their signatures.
    pub thinking_blocks: Vec<Json<'a>>,
    /// The assistant refused.
    pub refusal: Option<Text<'a>>,
    /// Anthropic's extension.
    pub cache_control: Option<Json<'a>>,
    /// What only providers understand.
    pub provider_specific_fields: Option<Fields<'a>>,
    /// Every field that isn't above.
    pub rest: Fields<'a>,
}

/// A part of a message.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// What it is.
    pub kind: PartKind<'a>,
    /// Anthropic's extension.
    pub cache_control: Option<Json<'a>>,
    /// Every field that isn't known.
    pub rest: Fields<'a>,
}

/// What a part is.
#[derive(Clone, Debug)]
pub enum PartKind<'a> {
    /// Text.
    Text(Text<'a>),
    /// An image.
    Image {
        /// `https:` or `data:`.
        url: Text<'a>,
        /// `low`, `high`, `auto`.
        detail: Option<Text<'a>>,
        /// LiteLLM's extension: the media type, where the URL doesn't tell.
        format: Option<Text<'a>>,
    },
    /// A file, such as a PDF.
    File(File<'a>),
    /// Sound.
    Audio {
        /// Base64.
        data: Text<'a>,
        /// `wav`, `mp3`.
        format: Text<'a>,
    },
    /// The assistant refused.
    Refusal(Text<'a>),
    /// Any other type; its fields, `type` included, are in the part's `rest`.
    Other(Text<'a>),
}

/// A file that stands in a message.
#[derive(Clone, Debug, Default)]
pub struct File<'a> {
    /// A `data:` URL.
    pub data: Option<Text<'a>>,
    /// The id of an uploaded file, or (LiteLLM's extension) its URL.
    pub id: Option<Text<'a>>,
    /// Its name.
    pub filename: Option<Text<'a>>,
    /// LiteLLM's extension: the media type.
    pub format: Option<Text<'a>>,
}

/// A call that the assistant made.
#[derive(Clone, Debug)]
pub struct CalledTool<'a> {
    /// The call's id.
    pub id: Text<'a>,
    /// The function's name.
    pub name: Text<'a>,
    /// The arguments, as the JSON text that the model wrote. May be empty, may be no JSON.
    pub arguments: Text<'a>,
    /// Anthropic's extension.
    pub cache_control: Option<Json<'a>>,
    /// What only providers understand.
    pub provider_specific_fields: Option<Fields<'a>>,
    /// Every field that isn't above.
    pub rest: Fields<'a>,
}

impl<'a> Message<'a> {
    /// Takes a message apart.
    pub(super) fn parse(value: Json<'a>, at: &Path<'_>, lost: &mut Warnings) -> Result<Self, Failure> {
        let mut fields = Fields::of(value, at)?;
        let role = Role::parse(&fields.required_string("role", at)?, &at.key("role"))?;
        // OpenAI's SDKs write what they parsed beside the text that they parsed, and send both back.
        if role == Role::Assistant {
            let _ = fields.take("parsed");
        }
        let calls_at = at.key("tool_calls");
        let tool_calls = fields
            .array("tool_calls", at)?
            .into_iter()
            .enumerate()
            .map(|(index, call)| CalledTool::parse(call, &calls_at.index(index), lost))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            role,
            content: parse_content(fields.take("content"), &at.key("content"), lost)?,
            name: fields.string("name", at)?,
            tool_calls,
            tool_call_id: fields.string("tool_call_id", at)?,
            reasoning_content: fields.string("reasoning_content", at)?,
            thinking_blocks: fields.array("thinking_blocks", at)?,
            refusal: fields.string("refusal", at)?,
            cache_control: fields.take("cache_control"),
            provider_specific_fields: fields.object("provider_specific_fields", at)?,
            rest: fields,
        })
    }

    /// All text parts, joined without a separator.
    pub fn text(&self) -> String {
        self.content
            .iter()
            .filter_map(|part| match &part.kind {
                PartKind::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

impl Role {
    fn parse(word: &str, at: &Path<'_>) -> Result<Self, Failure> {
        Ok(match word {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" => Self::Tool,
            "function" => Self::Function,
            other => {
                let known = "'system', 'developer', 'user', 'assistant', 'tool' or 'function'";
                return Err(failure::invalid(at, format!("Invalid value for '{at}': '{other}'; expected {known}.")));
            }
        })
    }
}

/// Content is a text, parts, or nothing.
fn parse_content<'a>(value: Option<Json<'a>>, at: &Path<'_>, lost: &mut Warnings) -> Result<Vec<Part<'a>>, Failure> {
    match value {
        None => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(vec![Part::text(text)]),
        Some(Json::Array(parts)) => {
            parts.into_iter().enumerate().map(|(index, part)| Part::parse(part, &at.index(index), lost)).collect()
        }
        Some(other) => Err(wrong_type(at, "a string or an array of content parts", &other)),
    }
}

impl<'a> Part<'a> {
    fn text(text: Text<'a>) -> Self {
        Self { kind: PartKind::Text(text), cache_control: None, rest: Fields::default() }
    }

    fn parse(value: Json<'a>, at: &Path<'_>, lost: &mut Warnings) -> Result<Self, Failure> {
        // Some clients put bare strings among the parts.
        if let Json::String(text) = value {
            return Ok(Self::text(text));
        }
        let mut fields = Fields::of(value, at)?;
        let cache_control = fields.take("cache_control");
        let word = fields.required_string("type", at)?;
        let kind = match word.as_str() {
            "text" | "input_text" | "output_text" => PartKind::Text(fields.required_string("text", at)?),
            "image_url" => parse_image(&mut fields, at, lost)?,
            "file" => parse_file(&mut fields, at, lost)?,
            "input_audio" => parse_audio(&mut fields, at, lost)?,
            "refusal" => PartKind::Refusal(fields.required_string("refusal", at)?),
            _ => {
                let mut map = fields.into_object();
                map.insert_first("type", Json::String(word.clone()));
                return Ok(Self { kind: PartKind::Other(word), cache_control, rest: map.into() });
            }
        };
        Ok(Self { kind, cache_control, rest: fields })
    }
}

fn parse_image<'a>(fields: &mut Fields<'a>, at: &Path<'_>, lost: &mut Warnings) -> Result<PartKind<'a>, Failure> {
    let image_at = at.key("image_url");
    match fields.take("image_url") {
        None => Err(missing(&image_at)),
        // Not in the API, but LiteLLM takes it and clients send it.
        Some(Json::String(url)) => Ok(PartKind::Image { url, detail: None, format: None }),
        Some(value) => {
            let mut image = Fields::of(value, &image_at)?;
            let kind = PartKind::Image {
                url: image.required_string("url", &image_at)?,
                detail: image.string("detail", &image_at)?,
                format: image.string("format", &image_at)?,
            };
            lost.dropped_fields(&image, &image_at);
            Ok(kind)
        }
    }
}

fn parse_file<'a>(fields: &mut Fields<'a>, at: &Path<'_>, lost: &mut Warnings) -> Result<PartKind<'a>, Failure> {
    let file_at = at.key("file");
    let Some(mut file) = fields.object("file", at)? else { return Err(missing(&file_at)) };
    let parsed = File {
        data: file.string("file_data", &file_at)?,
        id: file.string("file_id", &file_at)?,
        filename: file.string("filename", &file_at)?,
        format: file.string("format", &file_at)?,
    };
    lost.dropped_fields(&file, &file_at);
    if parsed.data.is_none() && parsed.id.is_none() {
        return Err(missing(&file_at.key("file_data")));
    }
    Ok(PartKind::File(parsed))
}

fn parse_audio<'a>(fields: &mut Fields<'a>, at: &Path<'_>, lost: &mut Warnings) -> Result<PartKind<'a>, Failure> {
    let audio_at = at.key("input_audio");
    let Some(mut audio) = fields.object("input_audio", at)? else { return Err(missing(&audio_at)) };
    let kind = PartKind::Audio {
        data: audio.required_string("data", &audio_at)?,
        format: audio.required_string("format", &audio_at)?,
    };
    lost.dropped_fields(&audio, &audio_at);
    Ok(kind)
}

impl<'a> CalledTool<'a> {
    fn parse(value: Json<'a>, at: &Path<'_>, lost: &mut Warnings) -> Result<Self, Failure> {
        let mut fields = Fields::of(value, at)?;
        if let Some(kind) = fields.string("type", at)?.filter(|kind| kind != "function") {
            let place = at.key("type");
            return Err(failure::unsupported(place, format!("Tool calls of type '{kind}' can't be translated.")));
        }
        let function_at = at.key("function");
        let Some(mut function) = fields.object("function", at)? else { return Err(missing(&function_at)) };
        // Position in the list says the same, and so do the arguments.
        let _ = (fields.take("index"), function.take("parsed_arguments"));
        let call = Self {
            id: fields.required_string("id", at)?,
            name: function.required_string("name", &function_at)?,
            arguments: function.string("arguments", &function_at)?.unwrap_or_default(),
            cache_control: fields.take("cache_control"),
            provider_specific_fields: match fields.object("provider_specific_fields", at)? {
                Some(own) => Some(own),
                None => function.object("provider_specific_fields", &function_at)?,
            },
            rest: fields,
        };
        lost.dropped_fields(&function, &function_at);
        Ok(call)
    }
}
