//! Real exchanges with providers, in `../shared/recordings` beside the checkout.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::reply::{Framing, Reply};

/// One recorded exchange: a provider's answer, and what it means.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its name.
    pub id: String,
    /// Whose endpoint answered.
    pub provider: String,
    /// Which endpoint.
    pub operation: String,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The model asked for.
    pub model: String,
    /// The whole file.
    pub file: Value,
}

/// All recordings, or nothing where the folder isn't there. In CI (`CI=true`) it has to be.
pub fn recordings() -> Option<Vec<Recording>> {
    let root = shared("recordings")?;
    let mut all = Vec::new();
    for folder in std::fs::read_dir(&root).expect("a readable folder").flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let text = std::fs::read(file.path()).expect("a readable file");
            all.push(Recording::of(serde_json::from_slice(&text).expect("a recording is JSON")));
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Some(all)
}

/// A JSON file of `../shared`, or nothing where that isn't there.
pub fn shared_json(path: &str) -> Option<Value> {
    let text = std::fs::read(shared(path)?).expect("a readable file");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

fn shared(path: &str) -> Option<PathBuf> {
    let found = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    let missing = format!("{} is missing", found.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}, and CI must not skip it");
    eprintln!("SKIPPED: {missing}");
    None
}

impl Recording {
    fn of(file: Value) -> Self {
        let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
        Self {
            id: text("id"),
            provider: text("provider"),
            operation: text("operation"),
            stream: file["stream"].as_bool().unwrap_or(false),
            model: text("model"),
            file,
        }
    }

    /// What the answer means; null where there is nothing to say.
    pub fn expected(&self) -> &Value {
        &self.file["expected"]
    }

    /// `chat`, `error`, `stream_error`, `embeddings` or nothing.
    pub fn kind(&self) -> &str {
        self.expected()["kind"].as_str().unwrap_or_default()
    }

    /// The recorded request's body.
    pub fn request(&self) -> &Value {
        &self.file["request"]["body"]
    }

    /// The answer's bytes. A JSON array that stands for a stream becomes one.
    pub fn body(&self) -> Vec<u8> {
        let response = &self.file["response"];
        if let Some(text) = response["body_text"].as_str() {
            return text.as_bytes().to_vec();
        }
        match response["body_json"].as_array().filter(|_| self.stream) {
            Some(items) => items.iter().map(|item| format!("data: {item}\r\n\r\n")).collect::<String>().into_bytes(),
            None => response["body_json"].to_string().into_bytes(),
        }
    }

    /// Whether the answer is a stream.
    pub fn answers_with_stream(&self) -> bool {
        self.stream && self.file["response"]["status"] == 200
    }

    /// The recorded answer, its body in these pieces.
    pub fn reply(&self, pieces: Vec<Vec<u8>>) -> Reply {
        let response = &self.file["response"];
        let mut reply = Reply::status(response["status"].as_u64().expect("a status") as u16);
        for (name, value) in response["headers"].as_object().into_iter().flatten() {
            reply = reply.header(&name.to_lowercase(), value.as_str().unwrap_or_default());
        }
        if self.answers_with_stream() {
            reply = reply.header("content-type", "text/event-stream").framing(Framing::Chunked);
        }
        pieces.into_iter().fold(reply, Reply::send)
    }

    /// The tools that the request declared, in OpenAI's form: translated answers may call them.
    pub fn tools(&self) -> Vec<Value> {
        let tools = self.request()["tools"].as_array().cloned().unwrap_or_default();
        let declarations = |tool: &Value| {
            let list = tool["functionDeclarations"].as_array().or_else(|| tool["function_declarations"].as_array());
            list.cloned()
                .unwrap_or_else(|| if tool["input_schema"].is_object() { vec![tool.clone()] } else { Vec::new() })
        };
        let function = |tool: Value| {
            let parameters = [&tool["input_schema"], &tool["parameters"], &tool["parametersJsonSchema"]];
            let parameters = parameters.into_iter().find(|schema| schema.is_object()).cloned();
            let schema = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
            json!({"type": "function", "function": {"name": tool["name"], "parameters": schema}})
        };
        tools.iter().flat_map(declarations).map(function).collect()
    }
}
