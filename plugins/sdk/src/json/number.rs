//! A number of JSON, its digits as they were written.

use std::borrow::Cow;
use std::fmt;

/// A number, its digits as they were written.
#[derive(Clone)]
pub struct Number<'a>(Digits<'a>);

#[derive(Clone)]
enum Digits<'a> {
    /// A parser found them to be a number.
    Written(Cow<'a, str>),
    Whole(u64),
}

impl<'a> Number<'a> {
    /// Digits that are known to be a number.
    pub(super) fn written(digits: impl Into<Cow<'a, str>>) -> Self {
        Self(Digits::Written(digits.into()))
    }

    /// The number, if it is whole, not negative and written so.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Digits::Written(digits) => digits.parse().ok(),
            Digits::Whole(number) => Some(*number),
        }
    }

    /// The number, or the nearest one that there is.
    pub fn as_f64(&self) -> Option<f64> {
        match &self.0 {
            Digits::Written(digits) => digits.parse().ok(),
            Digits::Whole(number) => Some(*number as f64),
        }
    }

    /// A number that borrows nothing.
    pub fn into_owned(self) -> Number<'static> {
        Number(match self.0 {
            Digits::Written(digits) => Digits::Written(Cow::Owned(digits.into_owned())),
            Digits::Whole(number) => Digits::Whole(number),
        })
    }

    /// Appends the number as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Digits::Written(digits) => out.extend_from_slice(digits.as_bytes()),
            Digits::Whole(number) => write_u64(*number, out),
        }
    }
}

/// Appends a whole number.
pub(super) fn write_u64(number: u64, out: &mut Vec<u8>) {
    // As many digits as the largest has.
    let mut digits = [0; 20];
    let mut rest = number;
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

impl From<u64> for Number<'_> {
    fn from(number: u64) -> Self {
        Self(Digits::Whole(number))
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Digits::Written(digits) => f.write_str(digits),
            Digits::Whole(number) => fmt::Display::fmt(number, f),
        }
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As values: `1e1` is `10.0`, and whole numbers are compared exactly.
impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.as_u64(), other.as_u64()) {
            (Some(one), Some(two)) => one == two,
            _ => self.as_f64() == other.as_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_digit_by_digit() {
        for number in [0, 1, 9, 10, 99, 1_700_000_000, u64::MAX] {
            let mut out = Vec::new();
            write_u64(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn only_what_is_written_as_a_whole_number_is_one() {
        for (digits, whole) in
            [("0", Some(0)), ("18446744073709551615", Some(u64::MAX)), ("18446744073709551616", None)]
        {
            assert_eq!(Number::written(digits).as_u64(), whole, "{digits}");
        }
        for digits in ["1.0", "1e3", "-0", "-1"] {
            assert_eq!(Number::written(digits).as_u64(), None, "{digits}");
        }
        assert_eq!(Number::written("-1.5e1").as_f64(), Some(-15.0));
        assert_eq!(Number::written("1e1"), Number::from(10));
    }
}
