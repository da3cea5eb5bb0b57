//! Tools that the model may call, and whether it must:
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use>.

use std::borrow::Cow;

use ai_api_plugin_sdk::canonical::{FunctionTool, Tool, ToolChoice};
use ai_api_plugin_sdk::json::{Fields, Json, Object, Path, Text, wrong_type};
use ai_api_plugin_sdk::{Failure, failure, object};

use super::Context;
use super::thinking::Thinking;
use crate::schema;

/// Anthropic's own tool for searches is always called so.
pub(super) const WEB_SEARCH: &str = "web_search";

/// Anthropic's own fields of a function, handed through from beside or inside `function`.
const OWN_FIELDS: [&str; 5] =
    ["defer_loading", "input_examples", "allowed_callers", "eager_input_streaming", "cache_control"];

/// Hosted tools that need a beta feature, by the beginning of their type.
const BETAS: [(&str, &str); 14] = [
    ("computer_20241022", "computer-use-2024-10-22"),
    ("bash_20241022", "computer-use-2024-10-22"),
    ("text_editor_20241022", "computer-use-2024-10-22"),
    ("computer_20250124", "computer-use-2025-01-24"),
    ("bash_20250124", "computer-use-2025-01-24"),
    ("text_editor_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
    ("code_execution_20250522", "code-execution-2025-05-22"),
    ("code_execution_20250825", "code-execution-2025-08-25"),
    ("web_fetch_20250910", "web-fetch-2025-09-10"),
    ("memory_", "context-management-2025-06-27"),
    ("tool_search_tool_", "advanced-tool-use-2025-11-20"),
    ("mcp_toolset", "mcp-client-2025-11-20"),
    ("advisor_", "advisor-tool-2026-03-01"),
];

/// `tools` and `tool_choice` of the request to be.
#[derive(Debug, Default)]
pub(super) struct Tools<'a> {
    tools: Vec<Object<'a>>,
    choice: Option<Object<'a>>,
}

/// Translates what the client offers.
pub(super) fn translate<'a>(
    tools: Vec<Tool<'a>>,
    web_search: Option<Json<'a>>,
    cx: &mut Context,
) -> Result<Tools<'a>, Failure> {
    let at = Path::Root;
    let at = at.key("tools");
    let mut all = Tools::default();
    for (index, tool) in tools.into_iter().enumerate() {
        let at = at.index(index);
        match tool {
            Tool::Function(tool) => all.tools.push(function(tool, &at, cx)),
            Tool::Other(fields) => all.tools.extend(hosted(fields, &at, cx)),
        }
    }
    if let Some(options) = web_search {
        let tool = search_tool(options, cx)?;
        if all.tools.iter().any(|other| other.get("name") == tool.get("name")) {
            // The client's own, which says more.
            cx.warnings.dropped("web_search_options");
        } else {
            all.tools.push(tool);
        }
    }
    Ok(all)
}

fn function<'a>(mut tool: FunctionTool<'a>, at: &Path<'_>, cx: &mut Context) -> Object<'a> {
    let mut input = match tool.parameters {
        Some(schema) => schema,
        None => object! {"type": "object", "properties": Object::new()}.into(),
    };
    if let Json::Object(fields) = &mut input {
        fields.insert_first("type", "object");
    }
    let function_at = at.key("function");
    let mut strict = tool.strict == Some(true);
    if strict {
        let closed = cx.model.structured().then(|| closed_if_empty(&input));
        match closed.and_then(|input| schema::for_grammar(&input)) {
            Some(restricted) => {
                if restricted.lossy {
                    cx.warnings.approximated(function_at.key("parameters"));
                }
                input = restricted.schema;
            }
            None => {
                strict = false;
                cx.warnings.dropped(function_at.key("strict"));
            }
        }
    }
    let mut wire = object! {"type": "custom", "name": cx.names.to_wire(tool.name)};
    if let Some(description) = tool.description {
        wire.insert("description", description);
    }
    wire.insert("input_schema", input);
    if strict {
        wire.insert("strict", true);
    }
    if let Some(cache_control) = tool.cache_control {
        wire.insert("cache_control", cache_control);
    }
    for key in OWN_FIELDS {
        if let Some(value) = tool.rest.take(key).or_else(|| tool.function_rest.take(key)) {
            if matches!(key, "defer_loading" | "input_examples" | "allowed_callers") {
                cx.beta("advanced-tool-use-2025-11-20");
            }
            wire.insert(key, value);
        }
    }
    cx.warnings.dropped_fields(&tool.rest, at);
    cx.warnings.dropped_fields(&tool.function_rest, &function_at);
    wire
}

/// A function that lists no arguments takes none. Elsewhere in a schema that means any.
fn closed_if_empty<'s, 'a>(input: &'s Json<'a>) -> Cow<'s, Json<'a>> {
    let mut input = Cow::Borrowed(input);
    let is_empty = input.get("properties").and_then(Json::as_object).is_some_and(Object::is_empty);
    if is_empty && let Json::Object(fields) = input.to_mut() {
        fields.insert_default("additionalProperties", false);
    }
    input
}

/// Anthropic's own tools are handed through; OpenAI's with a free-form input, and other providers', are not.
fn hosted<'a>(fields: Fields<'a>, at: &Path<'_>, cx: &mut Context) -> Option<Object<'a>> {
    let mut fields = fields.into_object();
    let kind = fields.get("type").and_then(Json::as_str).unwrap_or_default();
    // Another provider's, such as `{"googleSearch": {}}`, has no type at all.
    if kind.is_empty() || (kind == "custom" && fields.contains_key("custom")) {
        cx.warnings.unsupported(at);
        return None;
    }
    if let Some((_, beta)) = BETAS.iter().find(|(beginning, _)| kind.starts_with(beginning)) {
        cx.beta(beta);
    }
    if kind == "custom"
        && let Some(Json::String(name)) = fields.get_mut("name")
    {
        *name = cx.names.to_wire(std::mem::take(name));
    }
    Some(fields)
}

/// `web_search_options` as Anthropic's own tool. How much context to search is how often it may search, with
/// LiteLLM's numbers.
fn search_tool<'a>(options: Json<'a>, cx: &mut Context) -> Result<Object<'a>, Failure> {
    let at = Path::Root;
    let at = at.key("web_search_options");
    let mut options = Fields::of(options, &at)?;
    let mut tool = object! {"type": "web_search_20250305", "name": WEB_SEARCH};
    if let Some(size) = options.string("search_context_size", &at)? {
        let max_uses: u64 = match size.as_str() {
            "low" => 1,
            "medium" => 5,
            "high" => 10,
            other => {
                let place = at.key("search_context_size");
                let message = format!("Invalid value for '{place}': '{other}'; expected low, medium or high.");
                return Err(failure::invalid(place, message));
            }
        };
        tool.insert("max_uses", max_uses);
    }
    if let Some(mut location) = options.object("user_location", &at)? {
        let location_at = at.key("user_location");
        let mut place = object! {"type": "approximate"};
        let _ = location.take("type");
        let mut inner = location.object("approximate", &location_at)?.unwrap_or_default();
        for key in ["city", "region", "country", "timezone"] {
            if let Some(value) = inner.take(key).or_else(|| location.take(key)) {
                place.insert(key, value);
            }
        }
        cx.warnings.dropped_fields(&location, &location_at);
        cx.warnings.dropped_fields(&inner, &location_at.key("approximate"));
        tool.insert("user_location", place);
    }
    cx.warnings.dropped_fields(&options, &at);
    Ok(tool)
}

impl<'a> Tools<'a> {
    /// Translates whether the model must call.
    ///
    /// A history with calls needs tools: where the client offers none, one that can't be called stands in.
    pub(super) fn choose(
        &mut self,
        choice: Option<ToolChoice<'a>>,
        parallel: Option<bool>,
        has_tool_blocks: bool,
        cx: &mut Context,
    ) -> Result<(), Failure> {
        if self.tools.is_empty() {
            if matches!(choice, Some(ToolChoice::Required | ToolChoice::Function(_))) {
                let message = "Invalid value for 'tool_choice': it is only allowed when 'tools' are given.";
                return Err(failure::invalid("tool_choice", message));
            }
            if has_tool_blocks {
                self.tools.push(object! {
                    "type": "custom",
                    "name": "dummy_tool",
                    "description": "Stands for the tools of earlier turns. It can't be called.",
                    "input_schema": object! {"type": "object", "properties": Object::new()},
                });
                self.choice = Some(object! {"type": "none"});
            }
            return Ok(());
        }
        self.choice = match choice {
            None => None,
            Some(ToolChoice::Auto) => Some(object! {"type": "auto"}),
            Some(ToolChoice::None) => Some(object! {"type": "none"}),
            Some(ToolChoice::Required) => Some(object! {"type": "any"}),
            Some(ToolChoice::Function(name)) => Some(object! {"type": "tool", "name": cx.names.to_wire(name)}),
            Some(ToolChoice::Other(value)) => self.choose_other(value, cx)?,
        };
        if self.is_forced() && !cx.model.forces_tools() {
            cx.warnings.unsupported("tool_choice");
            self.choice = None;
        }
        if parallel == Some(false) {
            self.one_call_at_most();
        }
        Ok(())
    }

    fn choose_other(&mut self, value: Json<'a>, cx: &mut Context) -> Result<Option<Object<'a>>, Failure> {
        match value.get("type").and_then(Json::as_str) {
            // Anthropic's own form.
            Some("auto" | "any" | "none" | "tool") => Ok(value.into_object()),
            Some("allowed_tools") => self.allow_only(value, cx),
            _ => Err(failure::unsupported("tool_choice", "Anthropic has no such choice of tools.")),
        }
    }

    /// `{"type": "allowed_tools", "allowed_tools": {"mode": …, "tools": […]}}`: the others are not offered.
    fn allow_only(&mut self, value: Json<'a>, cx: &mut Context) -> Result<Option<Object<'a>>, Failure> {
        let at = Path::Root;
        let at = at.key("tool_choice");
        let mut fields = Fields::of(value, &at)?;
        let mut inner = fields.object("allowed_tools", &at)?.unwrap_or_default();
        let inner_at = at.key("allowed_tools");
        let mode = inner.string("mode", &inner_at)?;
        let allowed: Vec<String> = inner
            .array("tools", &inner_at)?
            .iter()
            .filter_map(|tool| tool.get("function")?.get("name")?.as_str())
            .map(|name| cx.names.wire(name).to_owned())
            .collect();
        let is_allowed = |tool: &Object<'_>| {
            tool.get("name").and_then(Json::as_str).is_some_and(|name| allowed.iter().any(|other| other == name))
        };
        if !self.tools.iter().any(is_allowed) {
            return Ok(Some(object! {"type": "none"}));
        }
        self.tools.retain(is_allowed);
        Ok(Some(if mode.as_deref() == Some("required") {
            object! {"type": "any"}
        } else {
            object! {"type": "auto"}
        }))
    }

    /// Whether the model must call a tool.
    pub(super) fn is_forced(&self) -> bool {
        matches!(self.choice_type(), Some("any" | "tool"))
    }

    fn choice_type(&self) -> Option<&str> {
        self.choice.as_ref()?.get("type")?.as_str()
    }

    fn one_call_at_most(&mut self) {
        let choice = self.choice.get_or_insert_with(|| object! {"type": "auto"});
        if choice.get("type").is_some_and(|kind| *kind != "none") {
            choice.insert("disable_parallel_tool_use", true);
        }
    }

    /// Adds a tool whose input is the answer, and makes the model call it, or another one if there are any.
    ///
    /// With a thinking budget nothing can be forced: the model is only told to. `has_tool_blocks`: the history has
    /// calls, which Anthropic wants the tools for.
    pub(super) fn answer_in(
        &mut self,
        schema: Json<'a>,
        description: Option<Text<'a>>,
        thinking: &mut Thinking<'_>,
        has_tool_blocks: bool,
        cx: &mut Context,
    ) -> Result<String, Failure> {
        if !schema.is_object() {
            return Err(wrong_type(&Path::Root.key("response_format"), "an object", &schema));
        }
        let name = cx.names.add("json_tool_call");
        let mut text = "Gives the final answer: the input of this tool is the answer itself.".to_owned();
        if let Some(description) = description {
            text = format!("{text} {description}");
        }
        let forbidden = self.choice_type() == Some("none");
        let named = self.choice_type() == Some("tool");
        let callable = !self.tools.is_empty() && !forbidden;
        if forbidden && has_tool_blocks && cx.model.forces_tools() {
            thinking.drop_budget(cx);
        }
        let forced = thinking.budget.is_none() && cx.model.forces_tools();
        if forbidden && !forced {
            // The model could call them, for what is forbidden can't be said beside this tool.
            self.tools.clear();
        }
        self.tools.push(object! {"type": "custom", "name": name.clone(), "description": text, "input_schema": schema});
        if !forced {
            cx.warnings.approximated("response_format");
            self.choice = Some(object! {"type": "auto"});
        } else if !callable {
            self.choice = Some(object! {"type": "tool", "name": name.clone()});
        } else if !named {
            self.choice = Some(object! {"type": "any"});
        }
        if callable && !named {
            self.one_call_at_most();
        }
        Ok(name)
    }

    /// Writes `tools` and `tool_choice`.
    pub(super) fn write(self, body: &mut Object<'a>) {
        if !self.tools.is_empty() {
            body.insert("tools", self.tools);
        }
        if let Some(choice) = self.choice {
            body.insert("tool_choice", choice);
        }
    }
}
