//! Embeddings: <https://ai.google.dev/api/embeddings#method:-models.batchembedcontents>.

use ai_api_plugin_sdk::canonical::{EmbeddingInput, EmbeddingRequest, embeddings};
use ai_api_plugin_sdk::json::{Object, Path, Warnings, WriteJson};
use ai_api_plugin_sdk::{Call, Completion, Failure, HttpResponse, Usage, failure, object};

use crate::model::Model;
use crate::request::Translated;
use crate::usage::Counts;
use crate::wire::Embeddings;

/// Translates the request: one of Google's for each text.
///
/// # Errors
/// An input is made of tokens: they are another model's.
pub(crate) fn translate(request: EmbeddingRequest<'_>, model: &Model) -> Result<Translated, Failure> {
    let EmbeddingRequest { input, dimensions, base64: _, mut rest } = request;
    let mut warnings = Warnings::default();
    let at = &Path::Root;
    let mut shared = Object::new();
    if let Some(dimensions) = dimensions {
        shared.insert("outputDimensionality", dimensions);
    }
    for (key, names) in [("taskType", ["taskType", "task_type"]), ("title", ["title", "title"])] {
        for name in names {
            if let Some(value) = rest.string(name, at)? {
                shared.insert(key, value);
            }
        }
    }
    warnings.dropped_fields(&rest, at);

    let model = model.resource();
    let input_at = at.key("input");
    let requests = input
        .into_iter()
        .enumerate()
        .map(|(index, input)| match input {
            EmbeddingInput::Text(text) => {
                let content = object! {"parts": vec![object! {"text": text}]};
                let mut request = object! {"model": model.as_str(), "content": content};
                request.extend(shared.clone());
                Ok(request)
            }
            EmbeddingInput::Tokens(_) => {
                let place = input_at.index(index);
                let message = "Gemini embeds texts; token numbers mean nothing to it. Send the texts themselves; LangChain's \
                               OpenAIEmbeddings does so with check_embedding_ctx_length=False.";
                Err(failure::unsupported(place, message))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Translated { body: object! {"requests": requests}.to_json(), warnings })
}

/// Translates the answer.
///
/// # Errors
/// It holds anything but one vector for each of `inputs`.
pub(crate) fn answer(call: &Call, inputs: usize, base64: bool, response: &HttpResponse) -> Result<Completion, Failure> {
    let malformed = || failure::malformed("gemini answered with something that is no BatchEmbedContentsResponse");
    let answer: Embeddings<'_> = serde_json::from_slice(&response.body).map_err(|_| malformed())?;
    let vectors: Vec<Vec<f32>> = answer
        .embeddings
        .unwrap_or_default()
        .into_iter()
        .map(|embedding| embedding.values.ok_or_else(malformed))
        .collect::<Result<_, _>>()?;
    if vectors.len() != inputs {
        return Err(failure::malformed(format!("gemini answered with {} vectors for {inputs} texts", vectors.len())));
    }
    // Older models count nothing.
    let usage = answer.usage_metadata.map(|metadata| Counts::of(&metadata).usage(false)).unwrap_or(Usage {
        prompt_tokens: 0,
        completion_tokens: 0,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
    });
    Ok(embeddings(call, &vectors, base64, usage))
}
