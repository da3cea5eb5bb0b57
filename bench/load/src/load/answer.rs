//! Looks at an answer's bytes as they arrive: counts marks, reads stamps, keeps the end.

use crate::fake::{MARK, STAMP_DIGITS};

/// Enough for any ending that is asked for, and line ends behind it.
const TAIL_BYTES: usize = 64;

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expect {
    pub(crate) status: u16,
    /// How many marks its body has; `None` where that is open.
    pub(crate) marks: Option<u64>,
    /// How its body ends, but for white space.
    pub(crate) ending: &'static [u8],
    /// How long its body is at least.
    pub(crate) least_bytes: u64,
}

/// What was seen of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    marks: u64,
    bytes: u64,
    tail: Vec<u8>,
    /// The digits of a stamp that isn't complete yet, and how many there are.
    stamp: Option<(u64, usize)>,
}

// === impl Answer ===

impl Answer {
    /// Takes a piece of the body; how many marks were in it. `stamped` is called with each stamp.
    pub(crate) fn take(&mut self, piece: &[u8], mut stamped: impl FnMut(u64)) -> u64 {
        self.bytes += piece.len() as u64;
        self.keep_tail(piece);
        let mut rest = self.digits(piece, &mut stamped);
        let before = self.marks;
        while let Some(at) = memchr::memchr(MARK, rest) {
            self.marks += 1;
            self.stamp = Some((0, 0));
            rest = self.digits(rest.get(at + 1..).unwrap_or_default(), &mut stamped);
        }
        self.marks - before
    }

    /// What is wrong with the answer, now that it ended.
    pub(crate) fn check(&self, expect: &Expect) -> Result<(), String> {
        if let Some(marks) = expect.marks
            && marks != self.marks
        {
            return Err(format!("{} marks instead of {marks}", self.marks));
        }
        if self.bytes < expect.least_bytes {
            return Err(format!("{} bytes instead of {} or more", self.bytes, expect.least_bytes));
        }
        if !self.tail.trim_ascii_end().ends_with(expect.ending) {
            let (ending, tail) = (String::from_utf8_lossy(expect.ending), String::from_utf8_lossy(&self.tail));
            return Err(format!("it doesn't end in {ending:?} but in {tail:?}"));
        }
        Ok(())
    }

    /// Forgets the answer.
    pub(crate) fn clear(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        *self = Self { tail, ..Self::default() };
        self.tail.clear();
    }

    /// The end of what was seen.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Goes on with a stamp, if there is one; what is behind it.
    fn digits<'a>(&mut self, piece: &'a [u8], stamped: &mut impl FnMut(u64)) -> &'a [u8] {
        let Some((mut value, mut count)) = self.stamp.take() else { return piece };
        for (at, byte) in piece.iter().enumerate() {
            if !byte.is_ascii_digit() {
                return piece.get(at..).unwrap_or_default();
            }
            value = value * 10 + u64::from(byte - b'0');
            count += 1;
            if count == STAMP_DIGITS {
                stamped(value);
                return piece.get(at + 1..).unwrap_or_default();
            }
        }
        self.stamp = Some((value, count));
        &[]
    }

    fn keep_tail(&mut self, piece: &[u8]) {
        let kept = piece.get(piece.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let surplus = (self.tail.len() + kept.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"data: \" tides~000001234567890\"\n\ndata: \" and~\"\n\ndata: \" moons~000009876543210\"\n\n\
        data: something that is longer than what is kept of the end of an answer\n\ndata: [DONE]\n\n";

    #[test]
    fn marks_and_stamps_are_seen_wherever_the_bytes_are_cut() {
        for cut in 0..=STREAM.len() {
            let (mut answer, mut stamps) = (Answer::default(), Vec::new());
            let (first, second) = STREAM.split_at(cut);
            let marks =
                answer.take(first, |stamp| stamps.push(stamp)) + answer.take(second, |stamp| stamps.push(stamp));
            assert_eq!((marks, stamps), (3, vec![1_234_567_890, 9_876_543_210]), "cut at {cut}");
            let expect = Expect { status: 200, marks: Some(3), ending: b"data: [DONE]", least_bytes: 100 };
            assert_eq!(answer.check(&expect), Ok(()), "cut at {cut}");
            assert!(answer.tail().len() <= TAIL_BYTES);
        }
    }

    #[test]
    fn an_answer_that_lacks_something_is_wrong() {
        let right = Expect { status: 200, marks: Some(3), ending: b"data: [DONE]", least_bytes: 100 };
        for wrong in [
            Expect { marks: Some(4), ..right },
            Expect { ending: b"}", ..right },
            Expect { least_bytes: 1000, ..right },
        ] {
            let mut answer = Answer::default();
            answer.take(STREAM, |_| ());
            assert_eq!(answer.check(&right), Ok(()));
            assert!(answer.check(&wrong).is_err(), "{wrong:?}");
            answer.clear();
            assert!(answer.check(&right).is_err());
        }
    }
}
