//! Where a run of characters ends that JSON strings hold as they are.
//!
//! Prompts are nearly all such characters, so that this is most of the time that a parser and a writer take.

/// How many bytes stand before the first `"`, `\` or control character.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks::<{ block::BYTES }>();
    let mut length = 0;
    for block in blocks {
        match block::first_special(block) {
            None => length += block::BYTES,
            Some(place) => return length + place,
        }
    }
    length + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

/// Sixteen bytes are looked at together.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod block {
    use core::arch::wasm32::{i8x16_bitmask, i8x16_eq, i8x16_splat, u8x16_lt, u8x16_splat, u64x2, v128_or};

    pub(super) const BYTES: usize = 16;

    /// The place of the first byte that strings don't hold as it is.
    pub(super) fn first_special(block: &[u8; BYTES]) -> Option<usize> {
        let half = |word: u128| word as u64;
        let word = u128::from_le_bytes(*block);
        let bytes = u64x2(half(word), half(word >> 64));
        let quotes = i8x16_eq(bytes, i8x16_splat(b'"' as i8));
        let backslashes = i8x16_eq(bytes, i8x16_splat(b'\\' as i8));
        let controls = u8x16_lt(bytes, u8x16_splat(b' '));
        let special = i8x16_bitmask(v128_or(v128_or(quotes, backslashes), controls));
        (special != 0).then(|| special.trailing_zeros() as usize)
    }
}

/// Eight bytes are looked at together, as one number.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod block {
    pub(super) const BYTES: usize = 8;

    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;

    /// The place of the first byte that strings don't hold as it is.
    ///
    /// Subtracting from a byte that is too small borrows from the next one; behind the first hit that may look like
    /// another, which doesn't matter.
    pub(super) fn first_special(block: &[u8; BYTES]) -> Option<usize> {
        let word = u64::from_le_bytes(*block);
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let special = below(word, b' ') | equal(b'"') | equal(b'\\');
        (special != 0).then(|| special.trailing_zeros() as usize / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for length in (0..40).chain([63, 64, 65, 127, 128, 200, 300]) {
            for plain in [b' ', b'a', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                let mut bytes = vec![plain; length];
                assert_eq!(plain_length(&bytes), length, "{plain} {length}");
                for place in 0..length {
                    for special in [0, b'\n', 0x1f, b'"', b'\\'] {
                        bytes[place] = special;
                        assert_eq!(plain_length(&bytes), place, "{special} in {length}");
                        bytes[place] = plain;
                    }
                }
            }
        }
    }
}
