//! A chat request: <https://platform.openai.com/docs/api-reference/chat/create>.

use super::message::Message;
use crate::json::{Fields, Json, Number, Path, Text, Warnings, missing, wrong_type};
use crate::{Failure, failure};

/// A chat request, taken apart.
#[derive(Clone, Debug)]
pub struct ChatRequest<'a> {
    /// The conversation, oldest first; never empty.
    pub messages: Vec<Message<'a>>,
    /// What the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether and what the model must call.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether the model may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form that the answer must have.
    pub response_format: Option<ResponseFormat<'a>>,
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh` …: not checked here.
    pub reasoning_effort: Option<Text<'a>>,
    /// Texts at which the model stops.
    pub stop: Vec<Text<'a>>,
    /// The most tokens to answer with: `max_completion_tokens`, else its old name `max_tokens`.
    pub max_tokens: Option<u64>,
    /// As the client wrote it.
    pub temperature: Option<Number<'a>>,
    /// As the client wrote it.
    pub top_p: Option<Number<'a>>,
    /// `stream_options.include_usage`: the client wants the usage chunk.
    pub include_usage: bool,
    /// Fields inside the others that the API doesn't have: no translator can carry them over.
    pub lost: Warnings,
    /// Every field that isn't above (`seed`, `n`, `logprobs`, `user`, …) for the translator to take.
    pub rest: Fields<'a>,
}

/// Something that the model may call.
#[derive(Clone, Debug)]
pub enum Tool<'a> {
    /// `{"type": "function", "function": {…}}`
    Function(FunctionTool<'a>),
    /// Any other type: a provider's own tool, such as `web_search_20250305`. With its `type`, which only a tool with
    /// one single field (`{"googleSearch": {}}`) may lack.
    Other(Fields<'a>),
}

/// A function that the client offers.
#[derive(Clone, Debug)]
pub struct FunctionTool<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// What it does.
    pub description: Option<Text<'a>>,
    /// JSON schema of its arguments; absent: it takes none.
    pub parameters: Option<Json<'a>>,
    /// Whether arguments must obey the schema exactly.
    pub strict: Option<bool>,
    /// Anthropic's extension, on the tool or its `function`.
    pub cache_control: Option<Json<'a>>,
    /// What else stood beside `type` and `function`.
    pub rest: Fields<'a>,
    /// What else stood in `function`.
    pub function_rest: Fields<'a>,
}

/// Whether and what the model must call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice<'a> {
    /// The model decides.
    Auto,
    /// It must not call any.
    None,
    /// It must call one or more.
    Required,
    /// It must call this function.
    Function(Text<'a>),
    /// Something newer, such as `allowed_tools`.
    Other(Json<'a>),
}

/// The form that the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat<'a> {
    /// Any text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that obeys a schema.
    JsonSchema(JsonSchema<'a>),
    /// A type that the API didn't have when this was written.
    Other(Json<'a>),
}

/// A schema for the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonSchema<'a> {
    /// What the client calls it.
    pub name: Option<Text<'a>>,
    /// What it is for.
    pub description: Option<Text<'a>>,
    /// The schema itself.
    pub schema: Json<'a>,
    /// Whether it must be obeyed exactly.
    pub strict: Option<bool>,
}

impl<'a> ChatRequest<'a> {
    /// Takes a request apart.
    ///
    /// # Errors
    /// A field that every provider needs is absent, or a field has a type that the API doesn't know.
    pub fn parse(body: &'a [u8]) -> Result<Self, Failure> {
        let at = &Path::Root;
        let value: Json<'a> = Json::parse(body)
            .map_err(|error| failure::invalid("", format!("The request body is not valid JSON: {error}")))?;
        let mut fields = Fields::of(value, at)?;
        let mut lost = Warnings::default();
        // Both are the gateway's: the call says them.
        let _ = (fields.take("model"), fields.take("stream"));

        let messages_at = at.key("messages");
        let Some(messages) = fields.take("messages") else { return Err(missing(&messages_at)) };
        let Json::Array(messages) = messages else { return Err(wrong_type(&messages_at, "an array", &messages)) };
        if messages.is_empty() {
            return Err(failure::invalid(messages_at, "Invalid 'messages': expected at least one message."));
        }
        let messages = messages
            .into_iter()
            .enumerate()
            .map(|(index, message)| Message::parse(message, &messages_at.index(index), &mut lost))
            .collect::<Result<_, _>>()?;

        let tools_at = at.key("tools");
        let tools = fields
            .array("tools", at)?
            .into_iter()
            .enumerate()
            .map(|(index, tool)| Tool::parse(tool, &tools_at.index(index)))
            .collect::<Result<_, _>>()?;

        let max_completion_tokens = fields.unsigned("max_completion_tokens", at)?;
        let max_tokens = fields.unsigned("max_tokens", at)?;
        let include_usage = match fields.object("stream_options", at)? {
            Some(mut options) => {
                let options_at = at.key("stream_options");
                let include_usage = options.boolean("include_usage", &options_at)?.unwrap_or(false);
                lost.dropped_fields(&options, &options_at);
                include_usage
            }
            None => false,
        };
        Ok(Self {
            messages,
            tools,
            tool_choice: fields
                .take("tool_choice")
                .map(|value| ToolChoice::parse(value, &at.key("tool_choice")))
                .transpose()?,
            parallel_tool_calls: fields.boolean("parallel_tool_calls", at)?,
            response_format: fields
                .take("response_format")
                .map(|value| ResponseFormat::parse(value, &at.key("response_format"), &mut lost))
                .transpose()?,
            reasoning_effort: fields.string("reasoning_effort", at)?,
            stop: parse_stop(fields.take("stop"), &at.key("stop"))?,
            max_tokens: max_completion_tokens.or(max_tokens),
            temperature: fields.number("temperature", at)?,
            top_p: fields.number("top_p", at)?,
            include_usage,
            lost,
            rest: fields,
        })
    }
}

impl<'a> Tool<'a> {
    fn parse(value: Json<'a>, at: &Path<'_>) -> Result<Self, Failure> {
        let mut fields = Fields::of(value, at)?;
        let Some(kind) = fields.string("type", at)? else {
            // Google's own tools have no type, and LiteLLM's users write them so: `{"googleSearch": {}}`.
            let alone = fields.left().count() == 1 && fields.left().all(|name| name != "function");
            return if alone { Ok(Self::Other(fields)) } else { Err(missing(&at.key("type"))) };
        };
        if kind != "function" {
            let mut map = fields.into_object();
            map.insert_first("type", Json::String(kind));
            return Ok(Self::Other(map.into()));
        }
        let function_at = at.key("function");
        let Some(mut function) = fields.object("function", at)? else { return Err(missing(&function_at)) };
        let parameters = match function.take("parameters") {
            Some(schema) if !schema.is_object() => {
                return Err(wrong_type(&function_at.key("parameters"), "an object", &schema));
            }
            schema => schema,
        };
        Ok(Self::Function(FunctionTool {
            name: function.required_string("name", &function_at)?,
            description: function.string("description", &function_at)?,
            parameters,
            strict: function.boolean("strict", &function_at)?,
            cache_control: fields.take("cache_control").or_else(|| function.take("cache_control")),
            rest: fields,
            function_rest: function,
        }))
    }
}

impl<'a> ToolChoice<'a> {
    fn parse(value: Json<'a>, at: &Path<'_>) -> Result<Self, Failure> {
        let known = "\"auto\", \"none\", \"required\" or an object";
        match &value {
            Json::String(word) => match word.as_str() {
                "auto" => Ok(Self::Auto),
                "none" => Ok(Self::None),
                "required" => Ok(Self::Required),
                other => Err(failure::invalid(at, format!("Invalid value for '{at}': '{other}'; expected {known}."))),
            },
            Json::Object(choice) => {
                if choice.get("type").and_then(Json::as_str) != Some("function") {
                    return Ok(Self::Other(value));
                }
                match choice.get("function").and_then(|function| function.get("name")) {
                    Some(Json::String(name)) => Ok(Self::Function(name.clone())),
                    _ => Err(missing(&at.key("function").key("name"))),
                }
            }
            other => Err(wrong_type(at, known, other)),
        }
    }
}

impl<'a> ResponseFormat<'a> {
    fn parse(value: Json<'a>, at: &Path<'_>, lost: &mut Warnings) -> Result<Self, Failure> {
        let word = value.get("type").and_then(Json::as_str);
        if word.is_some_and(|word| !["text", "json_object", "json_schema"].contains(&word)) {
            return Ok(Self::Other(value));
        }
        let mut fields = Fields::of(value, at)?;
        match fields.required_string("type", at)?.as_str() {
            "text" => {
                lost.dropped_fields(&fields, at);
                Ok(Self::Text)
            }
            "json_object" => {
                lost.dropped_fields(&fields, at);
                Ok(Self::JsonObject)
            }
            _ => {
                let schema_at = at.key("json_schema");
                let Some(mut format) = fields.object("json_schema", at)? else { return Err(missing(&schema_at)) };
                let Some(schema) = format.take("schema") else { return Err(missing(&schema_at.key("schema"))) };
                if !schema.is_object() {
                    return Err(wrong_type(&schema_at.key("schema"), "an object", &schema));
                }
                let parsed = JsonSchema {
                    name: format.string("name", &schema_at)?,
                    description: format.string("description", &schema_at)?,
                    schema,
                    strict: format.boolean("strict", &schema_at)?,
                };
                lost.dropped_fields(&format, &schema_at);
                lost.dropped_fields(&fields, at);
                Ok(Self::JsonSchema(parsed))
            }
        }
    }
}

/// `stop` is one text or several.
fn parse_stop<'a>(value: Option<Json<'a>>, at: &Path<'_>) -> Result<Vec<Text<'a>>, Failure> {
    match value {
        None => Ok(Vec::new()),
        Some(Json::String(one)) => Ok(vec![one]),
        Some(Json::Array(many)) => many
            .into_iter()
            .enumerate()
            .map(|(index, value)| match value {
                Json::String(text) => Ok(text),
                other => Err(wrong_type(&at.index(index), "a string", &other)),
            })
            .collect(),
        Some(other) => Err(wrong_type(at, "a string or an array of strings", &other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Leaked, for tests only: a request borrows from its body.
    fn parse(value: Value) -> Result<ChatRequest<'static>, Failure> {
        ChatRequest::parse(value.to_string().leak().as_bytes())
    }

    #[test]
    fn what_is_not_known_stays_in_the_rest() {
        let request =
            parse(json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": 1, "foo": {}}));
        assert_eq!(request.unwrap().rest.left().collect::<Vec<_>>(), ["seed", "foo"]);
    }

    #[test]
    fn what_is_not_known_inside_the_others_is_told_by_its_path() {
        let image = json!({"type": "image_url", "image_url": {"url": "https://x/y.png", "crop": true}});
        let request = parse(json!({
            "messages": [{"role": "user", "content": [image]}],
            "stream_options": {"include_usage": true, "include_obfuscation": false},
            "response_format": {"type": "json_object", "response_schema": {}},
        }));
        let lost = request.unwrap().lost.into_vec();
        let paths: Vec<_> = lost.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "messages[0].content[0].image_url.crop",
                "stream_options.include_obfuscation",
                "response_format.response_schema"
            ]
        );
    }

    #[test]
    fn what_openais_sdks_parsed_is_no_loss_when_it_comes_back() {
        let function = json!({"name": "f", "arguments": "{}", "parsed_arguments": {}});
        let call = json!({"id": "a", "type": "function", "function": function, "index": 0});
        let answer = json!({"role": "assistant", "content": "{}", "parsed": {}, "tool_calls": [call]});
        let request = parse(json!({"messages": [{"role": "user", "content": "x", "parsed": {}}, answer]})).unwrap();
        assert!(request.lost.into_vec().is_empty());
        assert_eq!(request.messages[0].rest.left().collect::<Vec<_>>(), ["parsed"]);
        assert_eq!(request.messages[1].rest.left().count(), 0);
    }

    #[test]
    fn a_tool_of_googles_needs_no_type() {
        let body = json!({"messages": [{"role": "user"}], "tools": [{"googleSearch": {}}]});
        let tools = parse(body).unwrap().tools;
        assert!(matches!(tools.as_slice(), [Tool::Other(fields)] if fields.left().eq(["googleSearch"])));
    }

    #[test]
    fn a_wrong_request_is_told_where() {
        let user = json!([{"role": "user", "content": "x"}]);
        for (body, param) in [
            (json!({}), "messages"),
            (json!({"messages": []}), "messages"),
            (json!({"messages": "hi"}), "messages"),
            (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
            (json!({"messages": [{"role": "user", "content": 3}]}), "messages[0].content"),
            (json!({"messages": user, "tools": [{"type": "function"}]}), "tools[0].function"),
            (json!({"messages": user, "tools": [{"function": {}}]}), "tools[0].type"),
            (json!({"messages": user, "tool_choice": "never"}), "tool_choice"),
            (json!({"messages": user, "stop": [1]}), "stop[0]"),
            (json!({"messages": user, "max_tokens": "9"}), "max_tokens"),
            (json!({"messages": user, "response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        ] {
            let failure = parse(body.clone()).expect_err(&body.to_string());
            assert_eq!(failure.param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn the_new_name_of_max_tokens_wins() {
        let request = parse(json!({"messages": [{"role": "user"}], "max_tokens": 1, "max_completion_tokens": 2}));
        assert_eq!(request.unwrap().max_tokens, Some(2));
    }
}
