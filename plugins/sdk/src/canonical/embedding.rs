//! Embeddings: <https://platform.openai.com/docs/api-reference/embeddings>.

use crate::json::{Fields, Json, ObjectWriter, Path, Text, missing, wrong_type};
use crate::{Call, Completion, Failure, Usage, failure, object};
use base64::prelude::{BASE64_STANDARD, Engine};

/// A request for embeddings, taken apart.
#[derive(Clone, Debug)]
pub struct EmbeddingRequest<'a> {
    /// What to embed; never empty.
    pub input: Vec<EmbeddingInput<'a>>,
    /// How long the vectors shall be.
    pub dimensions: Option<u64>,
    /// Whether the client wants vectors as base64 of little-endian 32-bit floats, as OpenAI's SDKs do.
    pub base64: bool,
    /// Every field that isn't above.
    pub rest: Fields<'a>,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput<'a> {
    /// A text.
    Text(Text<'a>),
    /// Token numbers of one of OpenAI's tokenizers.
    Tokens(Vec<Json<'a>>),
}

impl<'a> EmbeddingRequest<'a> {
    /// Takes a request apart.
    ///
    /// # Errors
    /// `input` is absent or empty, or a field has a type that the API doesn't know.
    pub fn parse(body: &'a [u8]) -> Result<Self, Failure> {
        let at = &Path::Root;
        let value = Json::parse(body)
            .map_err(|error| failure::invalid("", format!("The request body is not valid JSON: {error}")))?;
        let mut fields = Fields::of(value, at)?;
        let _ = fields.take("model");
        let input_at = at.key("input");
        let input = match fields.take("input") {
            None => return Err(missing(&input_at)),
            Some(Json::String(text)) => vec![EmbeddingInput::Text(text)],
            Some(Json::Array(tokens)) if tokens.first().is_some_and(Json::is_number) => {
                vec![EmbeddingInput::Tokens(tokens)]
            }
            Some(Json::Array(values)) => values
                .into_iter()
                .enumerate()
                .map(|(index, value)| match value {
                    Json::String(text) => Ok(EmbeddingInput::Text(text)),
                    Json::Array(tokens) => Ok(EmbeddingInput::Tokens(tokens)),
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
    let mut body = Vec::new();
    let mut fields = ObjectWriter::new(&mut body);
    fields.field("object", "list").value_of("data").push(b'[');
    for (index, vector) in vectors.iter().enumerate() {
        let out = fields.out();
        if index > 0 {
            out.push(b',');
        }
        write_embedding(index, vector, base64, out);
    }
    fields.out().push(b']');
    fields.field("model", &call.requested_model);
    fields.field("usage", &object! {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens});
    fields.end();
    Completion { body, usage: Some(usage) }
}

fn write_embedding(index: usize, vector: &[f32], base64: bool, out: &mut Vec<u8>) {
    let mut fields = ObjectWriter::new(out);
    fields.field("object", "embedding").field("index", &(index as u64));
    if base64 {
        fields.field("embedding", &encode_base64(vector));
    } else {
        fields.field("embedding", vector);
    }
    fields.end();
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
        fn parse(body: &str) -> Result<Vec<EmbeddingInput<'_>>, Failure> {
            EmbeddingRequest::parse(body.as_bytes()).map(|request| request.input)
        }
        assert_eq!(parse(r#"{"input":"a"}"#).unwrap(), [EmbeddingInput::Text("a".into())]);
        assert_eq!(parse(r#"{"input":["a","b"]}"#).unwrap().len(), 2);
        assert!(matches!(parse(r#"{"input":[1,2]}"#).unwrap().as_slice(), [EmbeddingInput::Tokens(_)]));
        for (body, param) in [("{}", "input"), (r#"{"input":[]}"#, "input"), (r#"{"input":[{}]}"#, "input[0]")] {
            assert_eq!(parse(body).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn numbers_are_written_with_their_own_precision() {
        let call = Call {
            id: "x".to_owned(),
            created: 1,
            operation: crate::Operation::Embeddings,
            model: "m".to_owned(),
            requested_model: "m".to_owned(),
            streaming: false,
            body: Vec::new(),
            params: Vec::new(),
        };
        let usage = Usage {
            prompt_tokens: 3,
            completion_tokens: 0,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
        };
        let body = embeddings(&call, &[vec![0.1, 1.0], vec![-2e-9, f32::NAN]], false, usage).body;
        let expected = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,1.0]},{"object":"embedding","index":1,"embedding":[-2e-9,null]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
