//! What the model may call: functions of the client, and tools that Google runs itself.
//! <https://ai.google.dev/api/caching#Tool>

use ai_api_plugin_sdk::canonical::{ChatRequest, FunctionTool, Tool, ToolChoice};
use ai_api_plugin_sdk::json::{Fields, Json, Object, Path, Text, Warnings};
use ai_api_plugin_sdk::names::Names;
use ai_api_plugin_sdk::{Failure, failure, object};

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

/// What a function is told by whose arguments are the answer.
const ANSWER: &str = "Gives the final answer: the arguments of this function are the answer itself. Call it once, alone, \
                      when no other function is needed any more.";

/// The tools and how the model is to use them.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    /// `tools[].functionDeclarations`
    functions: Vec<Object<'a>>,
    /// The other `tools`.
    googles: Vec<Object<'a>>,
    calling: Option<Calling<'a>>,
    /// `toolConfig.includeServerSideToolInvocations`
    tells_steps: bool,
}

/// `toolConfig.functionCallingConfig`
#[derive(Debug)]
struct Calling<'a> {
    mode: &'static str,
    /// The only functions that may be called; empty: all may.
    allowed: Vec<Text<'a>>,
}

// === impl Offer ===

impl<'a> Offer<'a> {
    /// What the request offers.
    ///
    /// # Errors
    /// `web_search_options` is no object, a tool says nothing that could be understood, or the model can't have
    /// Google's tools beside functions.
    pub(super) fn of(
        chat: &mut ChatRequest<'a>,
        names: &Names,
        model: &Model,
        warnings: &mut Warnings,
    ) -> Result<Self, Failure> {
        let at = Path::Root.key("tools");
        let mut offer = Self::default();
        let (mut strict, mut place) = (false, None);
        for (index, tool) in std::mem::take(&mut chat.tools).into_iter().enumerate() {
            let at = at.index(index);
            match tool {
                Tool::Function(tool) => {
                    strict |= tool.strict == Some(true);
                    offer.functions.push(declare(tool, names, &at, warnings));
                }
                Tool::Other(fields) => {
                    if let Some(tool) = google_tool(fields, &at, warnings)? {
                        place.get_or_insert_with(|| at.to_string());
                        offer.googles.push(tool);
                    }
                }
            }
        }
        if let Some(options) = chat.rest.object("web_search_options", &Path::Root)? {
            // Search has no size and no place to be set.
            for key in options.left() {
                warnings.approximated(Path::Root.key("web_search_options").key(key));
            }
            if !offer.googles.iter().any(|tool| tool.contains_key("googleSearch")) {
                place.get_or_insert_with(|| "web_search_options".to_owned());
                offer.googles.push(object! {"googleSearch": Object::new()});
            }
        }
        if let Some(place) = place.filter(|_| offer.has_functions()) {
            if model.is_before_3() {
                let message =
                    format!("Gemini models before 3 can't use Google's own tools ('{place}') beside functions.");
                return Err(failure::unsupported(place, message));
            }
            // Gemini 3 mixes both kinds, if it may hand the steps of its own tools to the client.
            // https://ai.google.dev/gemini-api/docs/tool-combination
            offer.tells_steps = model.is_3_or_newer();
        }

        offer.calling = offer.calling(chat.tool_choice.take(), strict && model.validates_calls(), names, warnings);
        if chat.parallel_tool_calls == Some(false) && offer.has_functions() {
            warnings.dropped("parallel_tool_calls");
        }
        Ok(offer)
    }

    /// Google refuses a configuration of calls where there is no function. A call that isn't forced obeys its schema
    /// in the mode `VALIDATED` only; that mode is for all functions, so one that is `strict` decides.
    fn calling(
        &self,
        choice: Option<ToolChoice<'a>>,
        validated: bool,
        names: &Names,
        warnings: &mut Warnings,
    ) -> Option<Calling<'a>> {
        let calling = |mode| Some(Calling { mode, allowed: Vec::new() });
        match choice {
            None | Some(ToolChoice::Auto | ToolChoice::None) if !self.has_functions() => None,
            Some(_) if !self.has_functions() => {
                warnings.unsupported("tool_choice");
                None
            }
            None | Some(ToolChoice::Auto) if validated => calling("VALIDATED"),
            None => None,
            Some(ToolChoice::Auto) => calling("AUTO"),
            Some(ToolChoice::None) => calling("NONE"),
            Some(ToolChoice::Required) => calling("ANY"),
            Some(ToolChoice::Function(name)) => Some(Calling { mode: "ANY", allowed: vec![names.to_wire(name)] }),
            Some(ToolChoice::Other(value)) => {
                let allowed = allowed_tools(&value, names);
                if allowed.is_none() {
                    warnings.unsupported("tool_choice");
                }
                allowed
            }
        }
    }

    /// Whether the client offers functions.
    pub(super) fn has_functions(&self) -> bool {
        !self.functions.is_empty()
    }

    /// Whether there are tools that Google runs.
    pub(super) fn has_googles(&self) -> bool {
        !self.googles.is_empty()
    }

    /// Whether the model must call one of the client's functions.
    pub(super) fn forces_a_call(&self) -> bool {
        self.calling.as_ref().is_some_and(|calling| calling.mode == "ANY")
    }

    /// Adds a function whose arguments are the answer, and makes the model call it or another one that it may call.
    /// Returns its name on the wire.
    pub(super) fn answer_in(&mut self, schema: Json<'a>, description: Option<Text<'a>>, names: &mut Names) -> String {
        let name = names.add("json_tool_call");
        let description = description.map_or_else(|| ANSWER.to_owned(), |more| format!("{ANSWER} {more}"));
        self.functions.push(object! {
            "name": name.clone(),
            "description": description,
            "parametersJsonSchema": schema,
        });
        let mut allowed = Vec::new();
        if let Some(calling) = self.calling.take() {
            allowed = calling.allowed;
            if calling.mode == "NONE" || !allowed.is_empty() {
                allowed.push(name.clone().into());
            }
        }
        self.calling = Some(Calling { mode: "ANY", allowed });
        name
    }

    /// Writes `tools` and `toolConfig`.
    pub(super) fn write(self, body: &mut Object<'a>) {
        let mut tools = Vec::with_capacity(1 + self.googles.len());
        if !self.functions.is_empty() {
            tools.push(object! {"functionDeclarations": self.functions});
        }
        tools.extend(self.googles);
        if !tools.is_empty() {
            body.insert("tools", tools);
        }
        let mut config = Object::new();
        if let Some(Calling { mode, allowed }) = self.calling {
            let mut calling = object! {"mode": mode};
            if !allowed.is_empty() {
                calling.insert("allowedFunctionNames", allowed);
            }
            config.insert("functionCallingConfig", calling);
        }
        if self.tells_steps {
            config.insert("includeServerSideToolInvocations", true);
        }
        if !config.is_empty() {
            body.insert("toolConfig", config);
        }
    }
}

/// OpenAI's `allowed_tools`: some of the functions only. Google limits them in the modes `ANY` and `VALIDATED`, the
/// latter being `AUTO` with arguments that obey the schema.
fn allowed_tools<'a>(value: &Json<'a>, names: &Names) -> Option<Calling<'a>> {
    let allowed =
        value.get("allowed_tools").filter(|_| value.get("type").is_some_and(|kind| *kind == "allowed_tools"))?;
    let mode = match allowed.get("mode")?.as_str()? {
        "auto" => "VALIDATED",
        "required" => "ANY",
        _ => return None,
    };
    let tools = allowed.get("tools")?.as_array()?.iter();
    let name = |tool: &Json<'a>| match tool.get("function")?.get("name")? {
        Json::String(name) => Some(names.to_wire(name.clone())),
        _ => None,
    };
    Some(Calling { mode, allowed: tools.map(name).collect::<Option<_>>()? })
}

/// A function declaration. Its schema goes into `parametersJsonSchema`, which takes JSON schema as it is, `$ref` and
/// `additionalProperties` included; the older `parameters` knows a part of it only.
fn declare<'a>(tool: FunctionTool<'a>, names: &Names, at: &Path<'_>, warnings: &mut Warnings) -> Object<'a> {
    let function_at = at.key("function");
    let mut declaration = object! {"name": names.to_wire(tool.name)};
    if let Some(description) = tool.description {
        declaration.insert("description", description);
    }
    if let Some(schema) = tool.parameters {
        declaration.insert("parametersJsonSchema", schema);
    }
    if tool.cache_control.is_some() {
        warnings.dropped(at.key("cache_control"));
    }
    warnings.dropped_fields(&tool.rest, at);
    warnings.dropped_fields(&tool.function_rest, &function_at);
    declaration
}

/// A tool that Google runs, in one of three ways of writing: `{"googleSearch": {…}}`,
/// `{"type": "google_search", "google_search": {…}}`, `{"type": "web_search", …}`. None: there is no such tool.
fn google_tool<'a>(
    mut fields: Fields<'a>,
    at: &Path<'_>,
    warnings: &mut Warnings,
) -> Result<Option<Object<'a>>, Failure> {
    let kind = fields.string("type", at)?;
    let matching = |word: &str| {
        GOOGLES.iter().find(|(wire, aliases)| word == *wire || aliases.contains(&word)).map(|(wire, _)| *wire)
    };
    let named = match &kind {
        Some(kind) => Some(kind.to_string()),
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
    let mut config = config.unwrap_or_else(|| Object::new().into());
    match &mut config {
        // What stands beside a type of Google's is its configuration.
        Json::Object(config) if googles_own && kind.is_some() => config.extend(fields.into_object()),
        _ => {
            for key in fields.left() {
                warnings.approximated(at.key(key));
            }
        }
    }
    Ok(Some(Object::from_iter([(wire, config)])))
}
