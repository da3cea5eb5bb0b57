//! Bodies: so many bytes, or chunks, taken from a buffer wherever it was cut.

use super::WireError;

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// That many bytes.
    Length(u64),
    /// Chunks, and where in them the reader is.
    Chunked(Chunks),
}

/// Where a reader of chunks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// In a line with a length; the digits so far, and whether they are over.
    Size(u64, bool),
    /// In data, with that many bytes to come.
    Data(u64),
    /// In the line end after data.
    Gap,
    /// In the trailer; how many bytes its current line has.
    Trailer(usize),
    /// Behind the last byte.
    Done,
}

// === impl Body ===

impl Body {
    /// Takes what of `input` belongs to the body and hands its data on; how many bytes that were.
    pub(super) fn take(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, WireError> {
        match self {
            Self::Length(left) => Ok(data(left, input, sink)),
            Self::Chunked(chunks) => chunks.take(input, sink),
        }
    }

    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Done))
    }
}

/// Hands on up to `left` bytes, and counts them down.
fn data(left: &mut u64, input: &[u8], sink: &mut impl FnMut(&[u8])) -> usize {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let piece = input.get(..length).unwrap_or_default();
    if !piece.is_empty() {
        sink(piece);
    }
    *left -= length as u64;
    length
}

// === impl Chunks ===

impl Chunks {
    fn take(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, WireError> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            *self = match *self {
                Self::Done => break,
                Self::Data(mut left) => {
                    at += data(&mut left, input.get(at..).unwrap_or_default(), sink);
                    *self = if left == 0 { Self::Gap } else { Self::Data(left) };
                    continue;
                }
                Self::Size(size, over) => Self::size(size, over, byte)?,
                Self::Gap if byte == b'\n' => Self::Size(0, false),
                Self::Gap if byte == b'\r' => Self::Gap,
                Self::Gap => return Err(WireError::Chunks),
                Self::Trailer(0) if byte == b'\n' => Self::Done,
                Self::Trailer(_) if byte == b'\n' => Self::Trailer(0),
                Self::Trailer(length) if byte == b'\r' => Self::Trailer(length),
                Self::Trailer(length) => Self::Trailer(length + 1),
            };
            at += 1;
        }
        Ok(at)
    }

    fn size(size: u64, over: bool, byte: u8) -> Result<Self, WireError> {
        match (byte, char::from(byte).to_digit(16)) {
            (b'\n', _) if size == 0 => Ok(Self::Trailer(0)),
            (b'\n', _) => Ok(Self::Data(size)),
            (b'\r' | b';' | b' ', _) => Ok(Self::Size(size, true)),
            _ if over => Ok(Self::Size(size, true)),
            (_, Some(digit)) if size < 1 << 40 => Ok(Self::Size(size * 16 + u64::from(digit), false)),
            _ => Err(WireError::Chunks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"5\r\nhello\r\n1c;name=value\r\n, these are chunks of a body\r\n0\r\nx-trailer: 1\r\n\r\nNEXT";

    #[test]
    fn chunks_give_the_same_body_wherever_they_are_cut() {
        for cut in 0..=CHUNKED.len() {
            let (first, second) = CHUNKED.split_at(cut);
            let (mut chunks, mut body) = (Chunks::Size(0, false), Vec::new());
            let mut sink = |piece: &[u8]| body.extend_from_slice(piece);
            let taken = chunks.take(first, &mut sink).unwrap() + chunks.take(second, &mut sink).unwrap();
            assert_eq!(chunks, Chunks::Done, "cut at {cut}");
            assert_eq!(body, b"hello, these are chunks of a body", "cut at {cut}");
            // What follows the body belongs to the next message.
            let unused = taken.min(CHUNKED.len());
            assert_eq!(&CHUNKED[unused..], b"NEXT", "cut at {cut}");
        }
    }

    #[test]
    fn chunks_that_are_none_are_an_error() {
        for wrong in [&b"zz\r\n"[..], b"2\r\nabX", b"fffffffffffffff\r\n"] {
            assert!(Chunks::Size(0, false).take(wrong, &mut |_| ()).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn a_body_of_a_length_ends_there() {
        let (mut body, mut taken) = (Body::Length(5), Vec::new());
        let used = body.take(b"helloNEXT", &mut |piece| taken.extend_from_slice(piece)).unwrap();
        assert_eq!((used, taken.as_slice(), body.is_done()), (5, &b"hello"[..], true));
    }
}
