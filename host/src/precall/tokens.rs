//! How many tokens a text is: counted with OpenAI's tokenizer (`o200k_base`), a share of it where the text is long.

use tiktoken_rs::{CoreBPE, o200k_base_singleton};

/// The tokenizer gets no more than this at once: its regex goes back and forth, and gives up with a panic after a million
/// steps. A cut costs one token at most, and none before a space.
const CHUNK_BYTES: usize = 4096;

/// The same where not all are counted: more, smaller ones are the better sample.
const SAMPLE_BYTES: usize = 1024;

/// What a call of the tokenizer costs at least, as a text's length.
const LEAST_BYTES: u64 = 16;

/// Reads the tokenizer's vocabulary, which takes 0.2 s, so that no call has to wait for it. For a thread that may block.
pub fn warm_up() {
    tokenizer();
}

fn tokenizer() -> &'static CoreBPE {
    o200k_base_singleton()
}

/// Counts texts whose length in bytes is known altogether.
#[derive(Debug)]
pub(super) struct Counter {
    /// One of so many chunks is counted.
    stride: u64,
    chunks: u64,
    bytes: u64,
    counted_bytes: u64,
    counted_tokens: u64,
}

impl Counter {
    /// For so many texts of `bytes` in all, of which `at_most` or little more are counted. A short text takes about as
    /// long as one of [`LEAST_BYTES`].
    pub(super) fn new(texts: u64, bytes: u64, at_most: u64) -> Self {
        let stride = bytes.max(texts.saturating_mul(LEAST_BYTES)).div_ceil(at_most.max(1)).max(1);
        Self { stride, chunks: 0, bytes: 0, counted_bytes: 0, counted_tokens: 0 }
    }

    /// Takes another text.
    pub(super) fn add(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (chunk, rest) = cut(text, if self.stride == 1 { CHUNK_BYTES } else { SAMPLE_BYTES });
            if self.chunks.is_multiple_of(self.stride) {
                self.counted_bytes += chunk.len() as u64;
                self.counted_tokens += tokenizer().count_ordinary(chunk) as u64;
            }
            self.chunks += 1;
            self.bytes += chunk.len() as u64;
            text = rest;
        }
    }

    /// The tokens of all texts; never more than bytes.
    pub(super) fn tokens(&self) -> u64 {
        if self.counted_bytes == self.bytes {
            return self.counted_tokens;
        }
        let tokens = u128::from(self.counted_tokens) * u128::from(self.bytes) / u128::from(self.counted_bytes.max(1));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }
}

/// Cuts off a text's beginning, `at_most` bytes or all that there are.
fn cut(text: &str, at_most: usize) -> (&str, &str) {
    if text.len() <= at_most {
        return (text, "");
    }
    let (chunk, _) = text.split_at(text.floor_char_boundary(at_most));
    let space = chunk.rfind(' ').filter(|space| *space > at_most / 2);
    text.split_at(space.unwrap_or(chunk.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(text: &str, at_most: u64) -> u64 {
        let mut counter = Counter::new(1, text.len() as u64, at_most);
        counter.add(text);
        counter.tokens()
    }

    #[test]
    fn a_text_is_counted_as_openai_does() {
        for (text, tokens) in
            [("", 0), ("hello world", 2), ("antidisestablishmentarianism", 6), ("お誕生日おめでとう", 8)]
        {
            assert_eq!(count(text, u64::MAX), tokens, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_estimated_within_a_tenth() {
        let text: String = include_str!("../../../docs/config.md").chars().cycle().take(600_000).collect();
        let (all, some) = (count(&text, u64::MAX), count(&text, 64 * 1024));
        assert!(all.abs_diff(some) * 10 < all, "{some} is far from {all}");
    }

    #[test]
    fn cutting_a_text_hardly_changes_its_count() {
        let text = include_str!("../../../docs/config.md");
        let (whole, cut) = (tokenizer().count_ordinary(text) as u64, count(text, u64::MAX));
        assert!(text.len() > 2 * CHUNK_BYTES && whole.abs_diff(cut) * 2000 <= whole, "{whole}, {cut}");
    }

    #[test]
    fn texts_that_make_a_regex_go_back_and_forth_are_counted() {
        for text in ["a", " ", "\n", "\u{301}", "!", "7", "漢", "👩‍👩‍👧", "\u{3000}", " \u{a0}", "Aa", "'s"]
        {
            assert!(count(&text.repeat(100_000), 256 * 1024) > 0, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_has_more_tokens_than_bytes(texts in prop::collection::vec("\\PC{0,300}|[ \\t\\n]{0,300}|.{0,50}", 0..20)) {
            let bytes = texts.iter().map(|text| text.len() as u64).sum();
            for at_most in [1, 100, u64::MAX] {
                let mut counter = Counter::new(texts.len() as u64, bytes, at_most);
                texts.iter().for_each(|text| counter.add(text));
                prop_assert!(counter.tokens() <= bytes);
            }
        }
    }
}
