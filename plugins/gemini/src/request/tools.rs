//! What the model may call: functions of the client, and tools that Google runs itself.
//! <https://ai.google.dev/api/caching#Tool>

use ai_api_plugin_sdk::canonical::{ChatRequest, FunctionTool, Tool, ToolChoice};
use ai_api_plugin_sdk::json::{Fields, Path, Warnings};
use ai_api_plugin_sdk::{Failure, failure};
use serde_json::{Map, Value, json};

use crate::model::Model;

/// Google's tools by every name under which clients ask for them; the first is the wire's.
const GOOGLES: [(&str, &[&str]); 7] = [
    ("googleSearch", &["google_search", "web_search", "web_search_preview"]),
    ("googleSearchRetrieval", &["google_search_retrieval"]),
    ("codeExecution", &["code_execution", "code_interpreter"]),
    ("urlContext", &["url_context", "web_fetch"]),
    ("googleMaps", &["google_maps"]),
    ("fileSearch", &["file_search"]),
    ("computerUse", &["computer_use"]),
];

/// The tools and how the model is to use them.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// `tools`
    pub(super) tools: Vec<Value>,
    /// `toolConfig`
    pub(super) config: Map<String, Value>,
}

// === impl Offer ===

impl Offer {
    /// What the request offers.
    ///
    /// # Errors
    /// `web_search_options` is no object, or a tool says nothing that could be understood.
    pub(super) fn of(chat: &mut ChatRequest, model: &Model, warnings: &mut Warnings) -> Result<Self, Failure> {
        let at = Path::Root.key("tools");
        let (mut functions, mut googles) = (Vec::new(), Vec::new());
        let forced = matches!(chat.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
        for (index, tool) in std::mem::take(&mut chat.tools).into_iter().enumerate() {
            let at = at.index(index);
            match tool {
                Tool::Function(tool) => functions.push(declare(tool, forced, &at, warnings)),
                Tool::Other(fields) => googles.extend(google_tool(fields, &at, warnings)?),
            }
        }
        if let Some(options) = chat.rest.object("web_search_options", &Path::Root)? {
            // Search has no size and no place to be set.
            for key in options.left() {
                warnings.approximated(Path::Root.key("web_search_options").key(key));
            }
            if !googles.iter().any(|tool| tool.get("googleSearch").is_some()) {
                googles.push(json!({"googleSearch": {}}));
            }
        }

        let mut offer = Self::default();
        offer.choose(chat.tool_choice.take(), !functions.is_empty(), warnings);
        if chat.parallel_tool_calls == Some(false) && !functions.is_empty() {
            warnings.dropped("parallel_tool_calls");
        }
        // Gemini 3 mixes both kinds, if it may hand the steps of its own tools to the client.
        // https://ai.google.dev/gemini-api/docs/tool-combination
        if !functions.is_empty() && !googles.is_empty() && model.is_3_or_newer() {
            offer.config.insert("includeServerSideToolInvocations".to_owned(), json!(true));
        }
        if !functions.is_empty() {
            offer.tools.push(json!({"functionDeclarations": functions}));
        }
        offer.tools.extend(googles);
        Ok(offer)
    }

    /// `toolConfig.functionCallingConfig`. Google refuses one where there is no function.
    fn choose(&mut self, choice: Option<ToolChoice>, any_function: bool, warnings: &mut Warnings) {
        let (mode, names) = match choice {
            None => return,
            Some(ToolChoice::Auto | ToolChoice::None) if !any_function => return,
            Some(_) if !any_function => return warnings.unsupported("tool_choice"),
            Some(ToolChoice::Auto) => ("AUTO", Vec::new()),
            Some(ToolChoice::None) => ("NONE", Vec::new()),
            Some(ToolChoice::Required) => ("ANY", Vec::new()),
            Some(ToolChoice::Function(name)) => ("ANY", vec![name]),
            Some(ToolChoice::Other(value)) => match allowed_tools(&value) {
                Some(allowed) => allowed,
                None => return warnings.unsupported("tool_choice"),
            },
        };
        let mut calling = Map::from_iter([("mode".to_owned(), json!(mode))]);
        if !names.is_empty() {
            calling.insert("allowedFunctionNames".to_owned(), json!(names));
        }
        self.config.insert("functionCallingConfig".to_owned(), Value::Object(calling));
    }
}

/// OpenAI's `allowed_tools`: some of the functions only. Google limits them in the modes `ANY` and `VALIDATED`, the
/// latter being `AUTO` with arguments that obey the schema.
fn allowed_tools(value: &Value) -> Option<(&'static str, Vec<String>)> {
    let allowed =
        value.get("allowed_tools").filter(|_| value.get("type").is_some_and(|kind| kind == "allowed_tools"))?;
    let mode = match allowed.get("mode")?.as_str()? {
        "auto" => "VALIDATED",
        "required" => "ANY",
        _ => return None,
    };
    let tools = allowed.get("tools")?.as_array()?.iter();
    let name = |tool: &Value| Some(tool.get("function")?.get("name")?.as_str()?.to_owned());
    Some((mode, tools.map(name).collect::<Option<Vec<_>>>()?))
}

/// A function declaration. Its schema goes into `parametersJsonSchema`, which takes JSON schema as it is, `$ref` and
/// `additionalProperties` included; the older `parameters` knows a part of it only.
fn declare(tool: FunctionTool, forced: bool, at: &Path<'_>, warnings: &mut Warnings) -> Value {
    let function_at = at.key("function");
    let mut declaration = Map::from_iter([("name".to_owned(), json!(tool.name))]);
    if let Some(description) = tool.description {
        declaration.insert("description".to_owned(), json!(description));
    }
    if let Some(schema) = tool.parameters {
        declaration.insert("parametersJsonSchema".to_owned(), schema);
    }
    // A forced call always obeys the schema.
    if tool.strict == Some(true) && !forced {
        warnings.dropped(function_at.key("strict"));
    }
    if tool.cache_control.is_some() {
        warnings.dropped(at.key("cache_control"));
    }
    warnings.dropped_fields(&tool.rest, at);
    warnings.dropped_fields(&tool.function_rest, &function_at);
    Value::Object(declaration)
}

/// A tool that Google runs, in one of three ways of writing: `{"googleSearch": {…}}`,
/// `{"type": "google_search", "google_search": {…}}`, `{"type": "web_search", …}`. None: there is no such tool.
fn google_tool(mut fields: Fields, at: &Path<'_>, warnings: &mut Warnings) -> Result<Option<Value>, Failure> {
    let kind = fields.string("type", at)?;
    let matching = |word: &str| {
        GOOGLES.iter().find(|(wire, aliases)| word == *wire || aliases.contains(&word)).map(|(wire, _)| *wire)
    };
    let named = match &kind {
        Some(kind) => Some(kind.clone()),
        None => fields.left().next().map(str::to_owned),
    };
    let Some(named) = named else {
        return Err(failure::invalid(at, format!("'{at}' names no tool.")));
    };
    // OpenAI's and Anthropic's types end in a date.
    let undated = named.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    let Some(wire) = matching(&named).or_else(|| matching(undated)) else {
        warnings.unsupported(at);
        return Ok(None);
    };
    let googles_own = named == wire || named.replace('_', "") == wire.to_ascii_lowercase();
    let mut config = fields.take(wire);
    for (_, aliases) in GOOGLES.iter().filter(|(name, _)| *name == wire) {
        for alias in *aliases {
            config = config.or_else(|| fields.take(alias));
        }
    }
    let mut config = config.unwrap_or_else(|| json!({}));
    match &mut config {
        // What stands beside a type of Google's is its configuration.
        Value::Object(config) if googles_own && kind.is_some() => config.extend(fields.into_map()),
        _ => {
            for key in fields.left() {
                warnings.approximated(at.key(key));
            }
        }
    }
    Ok(Some(json!({wire: config})))
}
