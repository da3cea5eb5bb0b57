//! What a request says that its price depends on.

use crate::canonical::RequestBody;
use crate::plugin::Operation;
use crate::prices::Tier;
use crate::usage::{Image, Quality, SearchSize, Usage};

/// What a client asked for, as far as money is concerned. Read once a call; all of it is at the request's top level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// `service_tier`, but for `auto`.
    tier: Option<Tier>,
    image: Image,
    search_size: SearchSize,
    /// Tokens of the prompt at a glance, should nobody else count them.
    pub prompt_tokens: u64,
}

/// A prompt that is longer may hold pictures, which are many bytes and few tokens.
const GLANCED_AT: usize = 32 << 10;
/// A picture, a sound, a document: nobody can tell at a glance.
const TOKENS_OF_A_FILE: u64 = 1_000;

// === impl Terms ===

impl Terms {
    /// Reads a request's.
    pub fn read(operation: Operation, body: &RequestBody) -> Self {
        let mut terms = Self { prompt_tokens: glance(operation, body), ..Self::default() };
        terms.tier = text(body, "service_tier").and_then(Tier::of);
        match operation {
            Operation::ImagesGenerations => {
                terms.image = Image {
                    size: text(body, "size").and_then(|size| {
                        let (width, height) = size.split_once('x')?;
                        Some((width.parse().ok()?, height.parse().ok()?))
                    }),
                    quality: text(body, "quality").and_then(Quality::of),
                };
            }
            Operation::ChatCompletions => {
                if let Some(options) = body.raw("web_search_options") {
                    terms.search_size = search_size(options);
                }
            }
            Operation::Completions | Operation::Embeddings => {}
        }
        terms
    }

    /// What an attempt used, on these terms: what the provider says goes first.
    #[must_use]
    pub fn of(&self, mut usage: Usage) -> Usage {
        let details = &mut usage.details;
        details.tier = details.tier.or(self.tier);
        details.image = self.image;
        details.search_size = self.search_size;
        usage
    }
}

/// A text without anything to unescape.
fn text<'a>(body: &'a RequestBody, key: &str) -> Option<&'a str> {
    body.raw(key)?.strip_prefix('"')?.strip_suffix('"')
}

fn search_size(options: &str) -> SearchSize {
    #[derive(serde::Deserialize)]
    struct Options<'a> {
        #[serde(borrow, default)]
        search_context_size: Option<std::borrow::Cow<'a, str>>,
    }
    let size = serde_json::from_str::<Options<'_>>(options).ok().and_then(|options| options.search_context_size);
    match size.as_deref() {
        Some("low") => SearchSize::Low,
        Some("high") => SearchSize::High,
        _ => SearchSize::Medium,
    }
}

/// About how many tokens a prompt has, told from its length; of a long one, what is in files is taken out.
fn glance(operation: Operation, body: &RequestBody) -> u64 {
    let keys: &[&str] = match operation {
        Operation::ChatCompletions => &["messages", "tools"],
        Operation::Embeddings => &["input"],
        Operation::Completions | Operation::ImagesGenerations => &["prompt"],
    };
    let texts = keys.iter().filter_map(|key| body.raw(key));
    texts.map(|text| tokens(text, operation == Operation::ChatCompletions)).fold(0, u64::saturating_add)
}

fn tokens(text: &str, has_files: bool) -> u64 {
    let of_bytes = |bytes: usize| (bytes as u64).div_ceil(super::tally::BYTES_OF_A_TOKEN);
    if !has_files || text.len() <= GLANCED_AT {
        return of_bytes(text.len());
    }
    // Text is never so long without a space, a quote or a backslash.
    let (mut files, mut bytes) = (0_u64, text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest.as_bytes(), b"base64,")
        .or_else(|| memchr::memmem::find(rest.as_bytes(), b"\"data\":"))
    {
        let after = rest.get(at + 7..).unwrap_or_default().trim_start_matches([' ', '"']);
        let length = memchr::memchr(b'"', after.as_bytes()).unwrap_or(after.len());
        if length > 512 {
            files += 1;
            bytes -= length;
        }
        rest = after.get(length..).unwrap_or_default();
    }
    of_bytes(bytes).saturating_add(files * TOKENS_OF_A_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(operation: Operation, json: &str) -> Terms {
        Terms::read(operation, &RequestBody::parse(bytes::Bytes::copy_from_slice(json.as_bytes())).unwrap())
    }

    #[test]
    fn what_a_request_says_of_its_price_is_read_and_what_is_odd_is_passed_over() {
        let terms = read(
            Operation::ChatCompletions,
            r#"{"service_tier": "flex", "web_search_options": {"search_context_size": "high"}, "messages": ["abcdefgh"]}"#,
        );
        assert_eq!((terms.tier, terms.search_size, terms.prompt_tokens), (Some(Tier::Flex), SearchSize::High, 3));
        let odd = r#"{"service_tier": 3, "web_search_options": [], "size": "auto", "quality": "auto", "messages": 7}"#;
        let terms = read(Operation::ChatCompletions, odd);
        assert_eq!(terms, Terms { prompt_tokens: 1, ..Terms::default() });
        let image = read(Operation::ImagesGenerations, r#"{"size": "1024x1536", "quality": "hd"}"#).image;
        assert_eq!(image, Image { size: Some((1024, 1536)), quality: Some(Quality::Hd) });
        assert_eq!(read(Operation::ImagesGenerations, odd).image, Image::default());
    }

    #[test]
    fn a_picture_is_a_few_tokens_however_many_bytes_it_has() {
        let picture = format!("data:image/png;base64,{}", "A".repeat(1_000_000));
        let text = "word ".repeat(10_000);
        let body = serde_json::json!({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": text}]}]});
        let tokens = read(Operation::ChatCompletions, &body.to_string()).prompt_tokens;
        assert!((13_000..15_000).contains(&tokens), "{tokens}");
    }

    #[test]
    fn what_the_provider_says_of_the_tier_goes_first() {
        let terms = read(Operation::ChatCompletions, r#"{"service_tier": "flex", "messages": []}"#);
        let mut usage = Usage::default();
        assert_eq!(terms.of(usage).details.tier, Some(Tier::Flex));
        usage.details.tier = Some(Tier::Standard);
        assert_eq!(terms.of(usage).details.tier, Some(Tier::Standard));
    }
}
