//! Embeddings: <https://platform.openai.com/docs/api-reference/embeddings>.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::to_json;
use crate::legacy::json::{Fields, Path, missing, wrong_type};
use crate::{Call, Completion, Failure, Usage, failure};

/// A request for embeddings, taken apart.
#[derive(Clone, Debug)]
pub struct EmbeddingRequest {
    /// What to embed; never empty.
    pub input: Vec<EmbeddingInput>,
    /// How long the vectors shall be.
    pub dimensions: Option<u64>,
    /// Whether the client wants vectors as base64 of little-endian 32-bit floats, as OpenAI's SDKs do.
    pub base64: bool,
    /// Every field that isn't above.
    pub rest: Fields,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// A text.
    Text(String),
    /// Token numbers of one of OpenAI's tokenizers.
    Tokens(Vec<Value>),
}

impl EmbeddingRequest {
    /// Takes a request apart.
    ///
    /// # Errors
    /// `input` is absent or empty, or a field has a type that the API doesn't know.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let at = &Path::Root;
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| failure::invalid("", format!("The request body is not valid JSON: {error}")))?;
        let mut fields = Fields::of(value, at)?;
        let _ = fields.take("model");
        let input_at = at.key("input");
        let input = match fields.take("input") {
            None => return Err(missing(&input_at)),
            Some(Value::String(text)) => vec![EmbeddingInput::Text(text)],
            Some(Value::Array(tokens)) if tokens.first().is_some_and(Value::is_number) => {
                vec![EmbeddingInput::Tokens(tokens)]
            }
            Some(Value::Array(values)) => values
                .into_iter()
                .enumerate()
                .map(|(index, value)| match value {
                    Value::String(text) => Ok(EmbeddingInput::Text(text)),
                    Value::Array(tokens) => Ok(EmbeddingInput::Tokens(tokens)),
                    other => Err(wrong_type(&input_at.index(index), "a string or an array of tokens", &other)),
                })
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(wrong_type(&input_at, "a string or an array", &other)),
        };
        if input.is_empty() {
            return Err(failure::invalid(input_at, "Invalid 'input': expected at least one text."));
        }
        let base64 = match fields.string("encoding_format", at)?.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                let message = format!("Invalid value for 'encoding_format': '{other}'; expected 'float' or 'base64'.");
                return Err(failure::invalid("encoding_format", message));
            }
        };
        Ok(Self { input, dimensions: fields.unsigned("dimensions", at)?, base64, rest: fields })
    }
}

/// The answer to a request for embeddings, one vector for each input.
pub fn embeddings(call: &Call, vectors: &[Vec<f32>], base64: bool, usage: Usage) -> Completion {
    let data = vectors.iter().enumerate().map(|(index, vector)| Embedding {
        object: "embedding",
        index,
        embedding: if base64 { Vector::Base64(encode_base64(vector)) } else { Vector::Numbers(vector) },
    });
    let body = Embeddings {
        object: "list",
        data: data.collect(),
        model: &call.requested_model,
        usage: json!({"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens}),
    };
    Completion { body: to_json(&body), usage: Some(usage) }
}

#[derive(Serialize)]
struct Embeddings<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    usage: Value,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

/// Written as they are: a JSON value would hold 64-bit floats, and 0.1 read 0.10000000149011612.
#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Base64(String),
    Numbers(&'a [f32]),
}

/// Base64 of the vector's little-endian bytes.
fn encode_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_encoded_as_openai_encodes_them() {
        // 1.0 is 00 00 80 3f, 0.5 is 00 00 00 3f.
        assert_eq!(encode_base64(&[1.0]), "AACAPw==");
        assert_eq!(encode_base64(&[1.0, 0.5]), "AACAPwAAAD8=");
        assert_eq!(encode_base64(&[1.0, 0.5, 1.0]), "AACAPwAAAD8AAIA/");
    }

    #[test]
    fn input_may_be_a_text_texts_or_tokens() {
        let parse = |body: &str| EmbeddingRequest::parse(body.as_bytes()).map(|request| request.input);
        assert_eq!(parse(r#"{"input":"a"}"#).unwrap(), [EmbeddingInput::Text("a".into())]);
        assert_eq!(parse(r#"{"input":["a","b"]}"#).unwrap().len(), 2);
        assert!(matches!(parse(r#"{"input":[1,2]}"#).unwrap().as_slice(), [EmbeddingInput::Tokens(_)]));
        for (body, param) in [("{}", "input"), (r#"{"input":[]}"#, "input"), (r#"{"input":[{}]}"#, "input[0]")] {
            assert_eq!(parse(body).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
    }
}
