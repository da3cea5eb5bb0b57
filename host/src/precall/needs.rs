//! What a request needs of a model, and whether a model has it.

use std::sync::OnceLock;

use serde::Deserialize;

use super::tokens::Counter;
use super::walk::{Piece, tools, walk};
use crate::canonical::RequestBody;
use crate::config::{Capabilities, Deployment, ModelTable};
use crate::plugin::Operation;
use crate::router::Misfit;

/// A message's frame, a name, what leads in the answer, and what frames the tools: LiteLLM's numbers.
const MESSAGE: u64 = 3;
const NAME: u64 = 1;
const ANSWER: u64 = 3;
const TOOLS: u64 = 9;

/// A picture: OpenAI's for low detail, which LiteLLM takes where the request doesn't say `detail: high`; else OpenAI's for
/// one of 1024 × 1024. Pictures are not fetched and not looked into.
const PICTURE: u64 = 85;
const DETAILED_PICTURE: u64 = 765;

/// No body has more tokens to a byte: one for a byte of text, three for a message (`{}`), 765 for a picture in high detail
/// (`{"type":"image_url","image_url":{"detail":"high"}}`), and what frames the whole.
const MOST_PER_BYTE: u64 = 16;

/// So much text is counted by the tokenizer, which takes 4 ms of prose and holds up a thread of the runtime; of a longer
/// text only parts are.
const COUNTED_BYTES: u64 = 64 * 1024;

/// The longest token of the vocabulary is so many spaces: a text of more bytes than this times the limit can't fit.
const MOST_BYTES_PER_TOKEN: u64 = 128;

/// What a request needs. Made for nothing: the body is read when somebody first asks, and once.
#[derive(Debug)]
pub struct Needs<'a> {
    body: &'a RequestBody,
    operation: Operation,
    prompt: OnceLock<Prompt>,
    counted: OnceLock<u64>,
}

/// What a prompt consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Of text; where there are several prompts, of the longest.
    pub(super) text_bytes: u64,
    /// In how many pieces the text comes.
    pub(super) texts: u64,
    /// Tokens of everything else.
    pub(super) other_tokens: u64,
    /// It could be read to its end.
    pub(super) whole: bool,
    pub(super) pictures: bool,
    pub(super) audio: bool,
    pub(super) files: bool,
}

/// What a deployment's model takes and can: worked out once for a deployment, or once for a name that a wildcard stands
/// for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Tokens of the prompt.
    pub max_input_tokens: Option<u64>,
    /// What it can, as far as somebody said.
    pub capabilities: Capabilities,
    /// Its tokens are those that are counted here.
    pub counted_exactly: bool,
}

/// The part of `response_format` that matters.
#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    kind: std::borrow::Cow<'a, str>,
}

// === impl Abilities ===

impl Abilities {
    /// Those of `model` (of a deployment for many, the one that is asked for).
    pub fn of(deployment: &Deployment, model: &str, table: &ModelTable) -> Self {
        Self {
            max_input_tokens: deployment.max_input_tokens(table, model),
            capabilities: deployment.capabilities(table, model),
            counted_exactly: matches!(deployment.provider.as_str(), "openai" | "azure"),
        }
    }
}

// === impl Needs ===

impl<'a> Needs<'a> {
    /// Of a request to `operation`.
    pub fn read(body: &'a RequestBody, operation: Operation) -> Self {
        Self { body, operation, prompt: OnceLock::new(), counted: OnceLock::new() }
    }

    /// Whether a deployment's model can serve the request.
    ///
    /// # Errors
    /// It is known that it can't. What isn't known is no reason.
    pub fn fits(&self, deployment: &Deployment, model: &str, table: &ModelTable) -> Result<(), Misfit> {
        self.suits(&Abilities::of(deployment, model, table))
    }

    /// Whether a model of such abilities can serve the request.
    ///
    /// # Errors
    /// It is known that it can't.
    pub fn suits(&self, abilities: &Abilities) -> Result<(), Misfit> {
        self.is_able(&abilities.capabilities)?;
        match abilities.max_input_tokens {
            Some(limit) => self.is_within(limit, abilities.counted_exactly),
            None => Ok(()),
        }
    }

    /// About how many tokens the prompt has, from its length: a token for four bytes of text.
    pub fn estimate(&self) -> u64 {
        let prompt = self.prompt();
        prompt.other_tokens.saturating_add(prompt.text_bytes / 4)
    }

    /// How many tokens the prompt has, by the tokenizer of OpenAI's models; of a long one, about.
    pub fn tokens(&self) -> u64 {
        *self.counted.get_or_init(|| self.prompt().count(self.body, self.operation, COUNTED_BYTES))
    }

    /// More tokens than this it can't have. `None` where the prompt can't be read.
    pub fn at_most(&self) -> Option<u64> {
        let prompt = self.prompt();
        prompt.whole.then(|| prompt.text_bytes.saturating_add(prompt.other_tokens))
    }

    pub(super) fn prompt(&self) -> &Prompt {
        self.prompt.get_or_init(|| Prompt::read(self.body, self.operation))
    }

    fn is_able(&self, can: &Capabilities) -> Result<(), Misfit> {
        if self.operation != Operation::ChatCompletions {
            return Ok(());
        }
        let lacks = |capability: Option<bool>| capability == Some(false);
        if lacks(can.tools) && tools(self.body).next().is_some() {
            return Err(Misfit::Lacks("call tools"));
        }
        if lacks(can.schema) && self.wants_a_schema() {
            return Err(Misfit::Lacks("keep to a JSON schema"));
        }
        if lacks(can.vision) && self.prompt().pictures {
            return Err(Misfit::Lacks("take pictures"));
        }
        if lacks(can.audio) && self.prompt().audio {
            return Err(Misfit::Lacks("take sound"));
        }
        if lacks(can.pdf) && self.prompt().files {
            return Err(Misfit::Lacks("take documents"));
        }
        Ok(())
    }

    /// The cheap bounds come first: the tokenizer runs only where they don't say.
    fn is_within(&self, limit: u64, exactly: bool) -> Result<(), Misfit> {
        let bytes = self.body.bytes().len() as u64;
        if bytes.saturating_mul(MOST_PER_BYTE) <= limit || self.at_most().is_none_or(|tokens| tokens <= limit) {
            return Ok(());
        }
        // Another tokenizer than the model's own may say a tenth too much, and so may a sample. Better a provider that
        // says no than a gateway that is wrong.
        let exactly = exactly && self.prompt().text_bytes <= COUNTED_BYTES;
        let ceiling = if exactly { limit } else { limit.saturating_add(limit / 10) };
        let least = self.prompt().text_bytes / MOST_BYTES_PER_TOKEN;
        let tokens = if least > ceiling { least } else { self.tokens() };
        if tokens <= ceiling { Ok(()) } else { Err(Misfit::ContextWindow { tokens, limit }) }
    }

    pub(super) fn wants_a_schema(&self) -> bool {
        let format = self.body.typed::<ResponseFormat<'_>>("response_format", "an object");
        format.is_ok_and(|format| format.is_some_and(|format| format.kind == "json_schema"))
    }
}

// === impl Prompt ===

impl Prompt {
    pub(super) fn read(body: &RequestBody, operation: Operation) -> Self {
        let mut prompt = Self::default();
        let chat = operation == Operation::ChatCompletions;
        let whole = walk(operation, body, &mut |piece| match piece {
            Piece::Message => prompt.other_tokens += MESSAGE,
            Piece::Name => prompt.other_tokens += NAME,
            Piece::Text(text) if chat => prompt.add(text),
            // Several prompts are as many requests: each has the whole window.
            Piece::Text(text) => prompt.text_bytes = prompt.text_bytes.max(text.len() as u64),
            Piece::Ids(count) => prompt.other_tokens = prompt.other_tokens.max(count),
            Piece::Tools(text) => {
                prompt.add(text);
                prompt.other_tokens += TOOLS;
            }
            Piece::Picture { detailed } => {
                prompt.pictures = true;
                prompt.other_tokens += if detailed { DETAILED_PICTURE } else { PICTURE };
            }
            Piece::Audio => prompt.audio = true,
            Piece::File => prompt.files = true,
        });
        if chat {
            prompt.other_tokens += ANSWER;
        }
        prompt.whole = whole.is_ok();
        prompt
    }

    fn add(&mut self, text: &str) {
        self.texts += 1;
        self.text_bytes += text.len() as u64;
    }

    /// The tokens of a prompt that was read from `body`; of `at_most` bytes of its text, and about where it has more.
    pub(super) fn count(&self, body: &RequestBody, operation: Operation, at_most: u64) -> u64 {
        let chat = operation == Operation::ChatCompletions;
        let mut counter = Counter::new(self.texts, self.text_bytes, at_most);
        let mut counted = false;
        let read = walk(operation, body, &mut |piece| match piece {
            Piece::Text(text) | Piece::Tools(text) if chat => counter.add(text),
            Piece::Text(text) if !counted && text.len() as u64 == self.text_bytes => {
                counted = true;
                counter.add(text);
            }
            _ => {}
        });
        // Where it can't be read to its end, it couldn't the first time.
        drop(read);
        let text = counter.tokens();
        if chat { text.saturating_add(self.other_tokens) } else { text.max(self.other_tokens) }
    }
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
