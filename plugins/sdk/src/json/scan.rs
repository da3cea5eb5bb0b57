//! Where a run of characters ends that JSON strings hold as they are.
//!
//! Prompts are nearly all such characters, so that this is most of the time that a parser and a writer take.

/// Bytes that are looked at together, as one vector or four where the target has them.
const BLOCK: usize = 64;

/// How many bytes stand before the first `"`, `\` or control character.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    // Keys and short values end within the first words.
    let mut length = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words.iter().take(BLOCK / 8) {
        match first_special(u64::from_le_bytes(*word)) {
            None => length += 8,
            Some(place) => return length + place,
        }
    }
    length += long_plain_length(bytes.get(length..).unwrap_or_default());
    let rest = bytes.get(length..).unwrap_or_default();
    let (words, _) = rest.as_chunks::<8>();
    for word in words {
        match first_special(u64::from_le_bytes(*word)) {
            None => length += 8,
            Some(place) => return length + place,
        }
    }
    let rest = bytes.get(length..).unwrap_or_default();
    length + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

/// The same in whole blocks: what is left begins with the block that holds the first such byte.
fn long_plain_length(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    // Without a branch inside, the compiler makes vector instructions of it.
    let is_plain = |block: &&[u8; BLOCK]| !block.iter().fold(false, |special, byte| special | is_special(*byte));
    blocks.iter().take_while(is_plain).count() * BLOCK
}

fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

/// The place of the first such byte in a little-endian word.
///
/// A byte is zero if subtracting one borrows; behind the first hit a borrow may make another one, which doesn't matter.
fn first_special(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let special = below(word, b' ') | equal(b'"') | equal(b'\\');
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
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
