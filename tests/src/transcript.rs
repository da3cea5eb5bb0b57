//! A whole stream, put together and checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::meaning::{Meaning, ToolCall, given, reasoning, texts};
use crate::sse::Event;

/// All events of a streamed chat answer.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// As they came.
    pub events: Vec<Event>,
    /// The chunks' JSON, without error events and `[DONE]`.
    pub chunks: Vec<Value>,
    /// The `error` object of the error event, if one came.
    pub error: Option<Value>,
    /// Whether `[DONE]` came.
    pub done: bool,
}

impl Transcript {
    /// Sorts events into chunks, an error and the end. Panics where one is no JSON.
    pub fn of(events: Vec<Event>) -> Self {
        let mut transcript = Self { events, chunks: Vec::new(), error: None, done: false };
        for event in &transcript.events {
            assert!(!transcript.done, "an event after [DONE]: {event:?}");
            if event.is_done() {
                transcript.done = true;
                continue;
            }
            let data: Value = serde_json::from_str(&event.data)
                .unwrap_or_else(|error| panic!("a chunk is no JSON: {error}: {}", event.data));
            match given(&data["error"]) {
                Some(error) => transcript.error = Some(error),
                None => transcript.chunks.push(data),
            }
        }
        transcript
    }

    /// What it says.
    pub fn meaning(&self) -> Meaning {
        let mut meaning = Meaning::default();
        let mut choices: BTreeMap<u64, (String, Option<String>)> = BTreeMap::new();
        let mut calls: BTreeMap<u64, ToolCall> = BTreeMap::new();
        for chunk in &self.chunks {
            meaning.usage = given(&chunk["usage"]).or(meaning.usage);
            for choice in chunk["choices"].as_array().into_iter().flatten() {
                let delta = &choice["delta"];
                let index = choice["index"].as_u64().unwrap_or(0);
                let (text, thought) = texts(&delta["content"]);
                let entry = choices.entry(index).or_default();
                entry.0.push_str(&text);
                entry.1 = choice["finish_reason"].as_str().map(str::to_owned).or(entry.1.take());
                if index > 0 {
                    continue;
                }
                if let Some(thought) = reasoning(delta).or(thought) {
                    meaning.reasoning.get_or_insert_default().push_str(&thought);
                }
                for (place, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
                    let piece = ToolCall::of(call);
                    let whole = calls.entry(call["index"].as_u64().unwrap_or(place as u64)).or_default();
                    whole.arguments.push_str(&piece.arguments);
                    if !piece.id.is_empty() {
                        whole.id = piece.id;
                    }
                    if !piece.name.is_empty() {
                        whole.name = piece.name;
                    }
                }
            }
        }
        meaning.choices = choices.into_values().collect();
        if let Some((text, finish_reason)) = meaning.choices.first() {
            meaning.text.clone_from(text);
            meaning.finish_reason.clone_from(finish_reason);
        }
        meaning.tool_calls = calls.into_values().collect();
        meaning
    }

    /// Every way in which a translated stream is not what OpenAI itself would send. `usage_asked`: the client
    /// set `stream_options.include_usage`.
    pub fn flaws(&self, usage_asked: bool) -> Vec<String> {
        let mut flaws = Vec::new();
        let mut check = |fine: bool, flaw: &str| {
            if !fine {
                flaws.push(flaw.to_owned());
            }
        };
        check(self.error.is_none(), &format!("an error: {:?}", self.error));
        check(self.done, "no [DONE]");
        check(self.events.iter().all(|event| event.name.is_none()), "an event has a name");
        let ids: BTreeSet<&str> = self.chunks.iter().filter_map(|chunk| chunk["id"].as_str()).collect();
        check(ids.len() == 1, &format!("not one id: {ids:?}"));
        let models: BTreeSet<String> = self.chunks.iter().map(|chunk| chunk["model"].to_string()).collect();
        check(models.len() == 1, &format!("not one model: {models:?}"));
        let object = |chunk: &Value| chunk["object"] == "chat.completion.chunk" && chunk["created"].is_u64();
        check(self.chunks.iter().all(object), "`object` or `created` is wrong");
        let choices: Vec<&Value> =
            self.chunks.iter().flat_map(|chunk| chunk["choices"].as_array().expect("`choices` is an array")).collect();
        for index in choices.iter().map(|choice| choice["index"].as_u64().expect("an index")).collect::<BTreeSet<_>>() {
            let mine: Vec<&&Value> = choices.iter().filter(|choice| choice["index"] == index).collect();
            let roles = mine.iter().filter(|choice| choice["delta"]["role"] == "assistant").count();
            check(roles == 1 && mine[0]["delta"]["role"] == "assistant", &format!("{roles} roles, or not first"));
            let reasons = mine.iter().filter(|choice| choice["finish_reason"].is_string()).count();
            check(reasons == 1, &format!("{reasons} finish reasons"));
            let last = mine[mine.len() - 1];
            check(last["finish_reason"].is_string(), "something after the finish reason");
        }
        check(tool_indexes_count_up(&choices), "tool call indexes don't count up from 0");
        let usages = self.chunks.iter().filter(|chunk| chunk["usage"].is_object()).count();
        let last = self.chunks.last().map(|chunk| (&chunk["choices"], chunk["usage"].is_object()));
        if usage_asked {
            let at_the_end =
                last.is_some_and(|(choices, usage)| usage && choices.as_array().is_some_and(Vec::is_empty));
            check(usages == 1 && at_the_end, &format!("{usages} usages, or not in a last chunk without choices"));
        } else {
            check(usages == 0, "usage for a client that didn't ask");
            check(self.chunks.iter().all(|chunk| chunk["choices"] != Value::Array(Vec::new())), "an empty chunk");
        }
        flaws
    }
}

/// A call's first piece has its id, type and name; later pieces continue it.
fn tool_indexes_count_up(choices: &[&Value]) -> bool {
    let mut known = 0;
    choices.iter().flat_map(|choice| choice["delta"]["tool_calls"].as_array()).flatten().all(|call| {
        let Some(index) = call["index"].as_u64() else { return false };
        let first = index == known;
        known += u64::from(first);
        let named = call["id"].is_string() && call["type"] == "function" && call["function"]["name"].is_string();
        index < known && (!first || named)
    })
}
