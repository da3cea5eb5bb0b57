//! What models exist, what they are for, how many tokens they take, and what the models can: `config/models.tsv`. What they
//! cost is in [`prices`](crate::prices).
//!
//! A hint where nothing better is known. A model that is not in the table works just as well; the
//! deployment's `model_info` wins over it.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The table of models; [`ModelTable::embedded`] is the one there is.
#[derive(Debug)]
pub struct ModelTable {
    rows: HashMap<&'static str, Row>,
    /// Model names without the provider's prefix, in the order of the alphabet.
    by_provider: HashMap<&'static str, Vec<&'static str>>,
}

#[derive(Debug)]
struct Row {
    provider: &'static str,
    limits: ModelLimits,
    capabilities: Capabilities,
}

/// What the table knows about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    /// LiteLLM's name of the operation: `chat`, `embedding`, `image_generation`, `responses`, …
    pub mode: &'static str,
    /// Tokens of the prompt.
    pub max_input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub max_output_tokens: Option<u64>,
}

/// What a model can, as far as somebody said: `None` is not known, and no reason to keep a request from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `supports_vision`: pictures in a prompt.
    pub vision: Option<bool>,
    /// `supports_function_calling`.
    pub tools: Option<bool>,
    /// `supports_response_schema`: an answer that keeps to a JSON schema.
    pub schema: Option<bool>,
    /// `supports_pdf_input`.
    pub pdf: Option<bool>,
    /// `supports_audio_input`.
    pub audio: Option<bool>,
}

// === impl ModelTable ===

impl ModelTable {
    /// The table that is compiled in, parsed at its first use.
    pub fn embedded() -> &'static Self {
        static TABLE: OnceLock<ModelTable> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(include_str!("../../../config/models.tsv")))
    }

    fn parse(text: &'static str) -> Self {
        let mut table = Self { rows: HashMap::with_capacity(5_000), by_provider: HashMap::new() };
        for (key, row) in text.lines().filter(|line| !line.starts_with('#')).filter_map(parse_line) {
            let name = key.strip_prefix(row.provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
            table.by_provider.entry(row.provider).or_default().push(name);
            table.rows.insert(key, row);
        }
        for names in table.by_provider.values_mut() {
            names.sort_unstable();
            names.dedup();
        }
        table
    }

    /// What is known about a provider's model: looked up as `provider/model`, then as `model` alone
    /// where the table says that it is this provider's.
    pub fn limits(&self, provider: &str, model: &str) -> Option<ModelLimits> {
        self.row(provider, model).map(|row| row.limits)
    }

    /// What a provider's model can, looked up in the same way; nothing is known of one that isn't in the table.
    pub fn capabilities(&self, provider: &str, model: &str) -> Capabilities {
        self.row(provider, model).map(|row| row.capabilities).unwrap_or_default()
    }

    fn row(&self, provider: &str, model: &str) -> Option<&Row> {
        let row = self.rows.get(format!("{provider}/{model}").as_str());
        row.or_else(|| self.rows.get(model).filter(|row| row.provider == provider))
    }

    /// The models of a provider, without its prefix: what `openai/*` stands for.
    pub fn models_of(&self, provider: &str) -> &[&'static str] {
        self.by_provider.get(provider).map_or(&[], Vec::as_slice)
    }
}

fn parse_line(line: &'static str) -> Option<(&'static str, Row)> {
    let mut columns = line.split('\t');
    let (key, provider, mode) = (columns.next()?, columns.next()?, columns.next()?);
    let max_input_tokens = columns.next().and_then(|text| text.parse().ok());
    let max_output_tokens = columns.next().and_then(|text| text.parse().ok());
    let limits = ModelLimits { mode, max_input_tokens, max_output_tokens };
    let capabilities = parse_capabilities(columns.next().unwrap_or_default());
    Some((key, Row { provider, limits, capabilities }))
}

/// `vt!a`: pictures and tools, but no sound.
fn parse_capabilities(text: &str) -> Capabilities {
    let mut capabilities = Capabilities::default();
    let mut can = true;
    for letter in text.bytes() {
        let which = match letter {
            b'v' => &mut capabilities.vision,
            b't' => &mut capabilities.tools,
            b's' => &mut capabilities.schema,
            b'p' => &mut capabilities.pdf,
            b'a' => &mut capabilities.audio,
            b'!' => {
                can = false;
                continue;
            }
            _ => continue,
        };
        *which = Some(can);
    }
    capabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_its_provider_and_name() {
        let table = ModelTable::embedded();

        for (provider, model, output) in [
            ("openai", "gpt-4o-mini", Some(16_384)),
            ("anthropic", "claude-sonnet-4-6", Some(128_000)),
            ("gemini", "gemini-2.5-flash", Some(65_536)),
            ("groq", "gpt-4o-mini", None),
            ("openai", "no-such-model", None),
        ] {
            let found = table.limits(provider, model).and_then(|limits| limits.max_output_tokens);
            assert_eq!(found, output, "{provider}/{model}");
        }
    }

    #[test]
    fn what_a_model_can_is_known_where_the_table_says_so() {
        let table = ModelTable::embedded();
        let some = Capabilities { vision: Some(true), tools: Some(true), ..Capabilities::default() };

        let of = |provider, model| table.capabilities(provider, model);
        assert_eq!(of("openai", "gpt-4o-mini"), Capabilities { schema: Some(true), pdf: Some(true), ..some });
        assert_eq!(of("openai", "o3-mini").vision, Some(false));
        assert_eq!(of("openai", "gpt-4"), Capabilities { tools: Some(true), ..Capabilities::default() });
        assert_eq!(of("openai", "no-such-model"), Capabilities::default());
        assert_eq!(parse_capabilities("vt!a"), Capabilities { audio: Some(false), ..some });
    }

    #[test]
    fn every_line_of_the_table_is_whole() {
        for line in include_str!("../../../config/models.tsv").lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(line.split('\t').count(), 6, "{line}");
            assert!(parse_line(line).is_some_and(|(_, row)| !row.limits.mode.is_empty()), "{line}");
        }
    }

    #[test]
    fn the_models_of_a_provider_have_no_prefix_and_no_repetition() {
        let names = ModelTable::embedded().models_of("gemini");

        assert!(names.contains(&"gemini-2.5-flash"));
        assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(ModelTable::embedded().models_of("nobody").is_empty());
    }
}
