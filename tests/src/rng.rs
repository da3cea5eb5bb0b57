//! Numbers that look random and are the same in each run.

/// Xorshift; the seed is part of the test.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for `seed`, which may be any number.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Cuts `bytes` into pieces of 1 to `longest` bytes.
    pub fn pieces(&mut self, bytes: &[u8], longest: usize) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + self.below(longest)).min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_same_for_the_same_seed_and_lose_nothing() {
        let bytes: Vec<u8> = (0..=255).collect();
        let pieces = Rng::new(7).pieces(&bytes, 9);
        assert_eq!(pieces.concat(), bytes);
        assert!(pieces.iter().all(|piece| (1..=9).contains(&piece.len())));
        assert_eq!(pieces, Rng::new(7).pieces(&bytes, 9));
    }
}
