//! How many tokens a text is: counted with OpenAI's tokenizer (`o200k_base`), a share of it where the text is long.

use tiktoken_rs::{CoreBPE, o200k_base_singleton};

/// The tokenizer gets no more than this at once: its regex goes back and forth, and gives up with a panic after a million
/// steps. A cut costs one token at most.
const CHUNK_BYTES: usize = 4096;

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
    /// For texts of `bytes` in all, of which `at_most` or little more are counted.
    pub(super) fn new(bytes: u64, at_most: u64) -> Self {
        let stride = bytes.div_ceil(at_most.max(1)).max(1);
        Self { stride, chunks: 0, bytes: 0, counted_bytes: 0, counted_tokens: 0 }
    }

    /// Takes another text.
    pub(super) fn add(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (chunk, rest) = text.split_at(text.floor_char_boundary(CHUNK_BYTES));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(text: &str, at_most: u64) -> u64 {
        let mut counter = Counter::new(text.len() as u64, at_most);
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
                let mut counter = Counter::new(bytes, at_most);
                texts.iter().for_each(|text| counter.add(text));
                prop_assert!(counter.tokens() <= bytes);
            }
        }
    }
}
