//! Whether an answer has the OpenAI API's shape: what clients' libraries rely on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plugin::Operation;
use crate::replay::{End, Played, Scene};

const FINISH_REASONS: &[&str] = &["stop", "length", "tool_calls", "content_filter", "function_call"];

/// What is wrong with what a call came to: nothing where it is a failure in order, or canonical.
pub(super) fn faults(scene: &Scene, played: &Played) -> Vec<String> {
    match &played.end {
        End::Broke(what) => vec![what.clone()],
        End::Failed(failure) => match failure.status {
            0 | 400..600 => Vec::new(),
            status => vec![format!("a failure has the status {status}, which no error has")],
        },
        End::Answer(body) => match serde_json::from_slice(body) {
            Ok(answer) => answer_faults(scene, &answer),
            // Numbers out of range, for one: valid JSON that nobody can read.
            Err(error) => vec![format!("the answer can't be read: {error}")],
        },
        End::Stream => stream_faults(scene, &played.chunks_json(), true),
        End::Left | End::Cut | End::Sent => stream_faults(scene, &played.chunks_json(), false),
        End::Verbatim => Vec::new(),
    }
}

/// Looks at fields, and writes down what is wrong.
struct Look<'a> {
    faults: Vec<String>,
    scene: &'a Scene,
}

impl Look<'_> {
    fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(what());
        }
    }

    fn text(&mut self, at: &str, value: &Value) {
        self.must(value.as_str().is_some_and(|text| !text.is_empty()), || format!("{at} is {value}, not a text"));
    }

    fn count(&mut self, at: &str, value: &Value) {
        self.must(value.is_u64(), || format!("{at} is {value}, not a count"));
    }

    fn is(&mut self, at: &str, value: &Value, expected: &str) {
        self.must(value == expected, || format!("{at} is {value}, not \"{expected}\""));
    }

    /// `id`, `object`, `created`, `model`.
    fn head(&mut self, at: &str, value: &Value, object: &str) {
        self.text(&format!("{at}id"), &value["id"]);
        self.is(&format!("{at}object"), &value["object"], object);
        self.count(&format!("{at}created"), &value["created"]);
        let model = self.scene.requested_model.clone();
        self.is(&format!("{at}model"), &value["model"], &model);
    }

    fn usage(&mut self, at: &str, usage: &Value) {
        if usage.is_null() {
            return;
        }
        for key in ["prompt_tokens", "total_tokens"] {
            self.count(&format!("{at}usage.{key}"), &usage[key]);
        }
    }

    fn finish_reason(&mut self, at: &str, value: &Value) {
        let known = value.as_str().is_some_and(|reason| FINISH_REASONS.contains(&reason));
        self.must(known, || format!("{at}finish_reason is {value}, which clients don't know"));
    }
}

fn answer_faults(scene: &Scene, answer: &Value) -> Vec<String> {
    let mut look = Look { faults: Vec::new(), scene };
    match scene.operation {
        Operation::ChatCompletions => chat(&mut look, answer),
        Operation::Completions => completion(&mut look, answer),
        Operation::Embeddings => embeddings(&mut look, answer),
        Operation::ImagesGenerations => images(&mut look, answer),
    }
    look.usage("", &answer["usage"]);
    look.faults
}

fn chat(look: &mut Look<'_>, answer: &Value) {
    look.head("", answer, "chat.completion");
    for (index, choice) in choices(look, answer).iter().enumerate() {
        let at = format!("choices[{index}].");
        look.must(choice["index"] == index, || format!("{at}index is {}", choice["index"]));
        look.finish_reason(&at, &choice["finish_reason"]);
        let message = &choice["message"];
        look.is(&format!("{at}message.role"), &message["role"], "assistant");
        let content = &message["content"];
        look.must(content.is_string() || content.is_null(), || format!("{at}message.content is {content}"));
        for (number, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let at = format!("{at}message.tool_calls[{number}].");
            look.text(&format!("{at}id"), &call["id"]);
            look.is(&format!("{at}type"), &call["type"], "function");
            look.text(&format!("{at}function.name"), function(call, "name"));
            let arguments = function(call, "arguments");
            look.must(arguments.is_string(), || format!("{at}function.arguments is {arguments}, not JSON text"));
        }
    }
}

fn function<'a>(call: &'a Value, field: &str) -> &'a Value {
    call.get("function").and_then(|function| function.get(field)).unwrap_or(&Value::Null)
}

fn completion(look: &mut Look<'_>, answer: &Value) {
    look.head("", answer, "text_completion");
    for (index, choice) in choices(look, answer).iter().enumerate() {
        let at = format!("choices[{index}].");
        look.must(choice["text"].is_string(), || format!("{at}text is {}", choice["text"]));
        look.finish_reason(&at, &choice["finish_reason"]);
    }
}

fn choices<'a>(look: &mut Look<'_>, answer: &'a Value) -> &'a [Value] {
    let choices = answer["choices"].as_array().map_or(&[][..], Vec::as_slice);
    look.must(!choices.is_empty(), || "the answer has no choices".to_owned());
    choices
}

fn embeddings(look: &mut Look<'_>, answer: &Value) {
    look.is("object", &answer["object"], "list");
    let model = look.scene.requested_model.clone();
    look.is("model", &answer["model"], &model);
    look.must(answer["data"].is_array(), || "the answer has no data".to_owned());
    for (index, vector) in answer["data"].as_array().into_iter().flatten().enumerate() {
        let at = format!("data[{index}].");
        look.is(&format!("{at}object"), &vector["object"], "embedding");
        look.must(vector["index"] == index, || format!("{at}index is {}", vector["index"]));
        let numbers = vector["embedding"].as_array().is_some_and(|list| list.iter().all(Value::is_number));
        look.must(numbers || vector["embedding"].is_string(), || format!("{at}embedding is no vector"));
    }
}

fn images(look: &mut Look<'_>, answer: &Value) {
    look.count("created", &answer["created"]);
    look.must(answer["data"].is_array(), || "the answer has no data".to_owned());
    for (index, image) in answer["data"].as_array().into_iter().flatten().enumerate() {
        let there = image["url"].is_string() || image["b64_json"].is_string();
        look.must(there, || format!("data[{index}] has neither url nor b64_json"));
    }
}

/// What a choice of a stream has had so far.
#[derive(Default)]
struct Seen {
    roles: usize,
    finished: usize,
    calls: usize,
}

fn stream_faults(scene: &Scene, chunks: &[Value], complete: bool) -> Vec<String> {
    let mut look = Look { faults: Vec::new(), scene };
    let is_chat = scene.operation == Operation::ChatCompletions;
    let object = if is_chat { "chat.completion.chunk" } else { "text_completion" };
    let mut seen: BTreeMap<u64, Seen> = BTreeMap::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let at = format!("chunks[{number}].");
        look.head(&at, chunk, object);
        let first = chunks.first().map(|first| &first["id"]);
        look.must(first == Some(&chunk["id"]), || format!("{at}id differs from the first chunk's"));
        look.usage(&at, &chunk["usage"]);
        look.must(chunk["choices"].is_array(), || format!("{at}choices is {}, not a list", chunk["choices"]));
        for (place, choice) in chunk["choices"].as_array().into_iter().flatten().enumerate() {
            let at = format!("{at}choices[{place}].");
            let Some(index) = choice["index"].as_u64() else {
                look.must(false, || format!("{at}index is {}", choice["index"]));
                continue;
            };
            let seen = seen.entry(index).or_default();
            look.must(seen.finished == 0, || format!("{at}comes after the choice's finish_reason"));
            if is_chat {
                delta(&mut look, &at, &choice["delta"], seen);
            } else {
                look.must(choice["text"].is_string(), || format!("{at}text is {}", choice["text"]));
            }
            if !choice["finish_reason"].is_null() {
                seen.finished += 1;
                look.finish_reason(&at, &choice["finish_reason"]);
            }
        }
    }
    if complete {
        look.must(!seen.is_empty(), || "a complete stream has no choices".to_owned());
        for (index, seen) in &seen {
            look.must(seen.finished == 1, || format!("choice {index} of a complete stream has no finish_reason"));
        }
    }
    look.faults
}

fn delta(look: &mut Look<'_>, at: &str, delta: &Value, seen: &mut Seen) {
    look.must(delta.is_object(), || format!("{at}delta is {delta}, not an object"));
    if !delta["role"].is_null() {
        seen.roles += 1;
        look.is(&format!("{at}delta.role"), &delta["role"], "assistant");
        look.must(seen.roles == 1, || format!("{at}delta.role comes again"));
    }
    let content = &delta["content"];
    look.must(content.is_string() || content.is_null(), || format!("{at}delta.content is {content}"));
    for (place, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}delta.tool_calls[{place}].");
        match call["index"].as_u64().and_then(|index| usize::try_from(index).ok()) {
            Some(index) if index < seen.calls => {}
            Some(index) if index == seen.calls => {
                seen.calls += 1;
                look.text(&format!("{at}id"), &call["id"]);
                look.text(&format!("{at}function.name"), function(call, "name"));
            }
            _ => look.must(false, || format!("{at}index is {}, where {} is next", call["index"], seen.calls)),
        }
    }
}
