//! How long an answer is whose provider doesn't say, or was kept from saying.

/// What of a stream went by: an addition a chunk, and what it comes to is worked out once, at the end, if at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    chunks: u64,
    bytes: u64,
    smallest: u64,
}

/// A chunk is hardly more than that beside its text; one that is alone can't be compared.
const MOST_AROUND: u64 = 250;
/// A chunk of one token is so much longer than the smallest, which may have no text and not even a field for it.
const OF_ONE_TOKEN: u64 = 40;
/// Bytes of an answer's text for each token.
pub(crate) const BYTES_OF_A_TOKEN: u64 = 4;

// === impl Tally ===

impl Tally {
    /// A chunk, or a whole answer, went by.
    pub fn add(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.smallest = if self.chunks == 0 { bytes } else { self.smallest.min(bytes) };
        self.chunks += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// What went by beside it, or after it.
    pub fn add_all(&mut self, other: Self) {
        if other.chunks > 0 {
            self.smallest = if self.chunks == 0 { other.smallest } else { self.smallest.min(other.smallest) };
            self.chunks += other.chunks;
            self.bytes = self.bytes.saturating_add(other.bytes);
        }
    }

    /// Whether anything went by.
    pub fn is_empty(&self) -> bool {
        self.chunks == 0
    }

    /// How many chunks went by.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// About how many tokens that is: most providers send one a chunk, and some send more at once. What is around the
    /// text is about the same in all chunks.
    pub fn tokens(&self) -> u64 {
        let around = self.smallest.min(MOST_AROUND).saturating_mul(self.chunks);
        let text = self.bytes.saturating_sub(around).saturating_sub(OF_ONE_TOKEN.saturating_mul(self.chunks));
        self.chunks.saturating_add(text.div_ceil(BYTES_OF_A_TOKEN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chunks: &[usize]) -> u64 {
        let mut tally = Tally::default();
        chunks.iter().for_each(|bytes| tally.add(*bytes));
        tally.tokens()
    }

    #[test]
    fn tokens_are_chunks_or_the_bytes_of_their_text() {
        for (chunks, tokens) in [
            (&[][..], 0),
            (&[180], 1),
            (&[182, 184, 183, 180], 4),
            (&[250, 1250, 1250], 473),
            // One token each, a role in each, and an end without either.
            (&[218, 216, 219, 217, 182], 5),
            // Alone: a quarter of what is beyond the usual.
            (&[1250], 241),
        ] {
            assert_eq!(of(chunks), tokens, "{chunks:?}");
        }
    }

    #[test]
    fn two_halves_of_a_stream_are_the_stream() {
        let (mut first, mut second) = (Tally::default(), Tally::default());
        [300, 400].into_iter().for_each(|bytes| first.add(bytes));
        [200, 500].into_iter().for_each(|bytes| second.add(bytes));
        first.add_all(second);
        first.add_all(Tally::default());
        assert_eq!(first.tokens(), of(&[300, 400, 200, 500]));
    }
}
