//! Money: decimal, exact, never a float.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

/// How many of what [`Money`] counts make a US dollar.
const PER_DOLLAR: i64 = 1_000_000_000_000;

/// An amount of US dollars, counted in billionths of a thousandth (10⁻¹² USD), so that the price of a single token is
/// exact. It reaches to 9.2 million dollars, and stays there rather than to wrap: the most that one sum may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

// === impl Money ===

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// More than anybody has.
    pub const MAX: Self = Self(i64::MAX);

    /// From 10⁻¹² USD: how it is stored.
    pub const fn from_pico(pico: i64) -> Self {
        Self(pico)
    }

    /// In 10⁻¹² USD.
    pub const fn pico(self) -> i64 {
        self.0
    }

    /// The nearest amount; halves go to the even one. `None`: it is beyond what can be counted.
    pub fn from_usd(usd: Decimal) -> Option<Self> {
        usd.checked_mul(Decimal::from(PER_DOLLAR))?.round().to_i64().map(Self)
    }

    /// The same from a number in somebody's JSON, whose shortest decimal form is what was meant.
    pub fn from_f64(usd: f64) -> Option<Self> {
        Self::from_usd(Decimal::from_f64(usd)?)
    }

    /// In US dollars.
    pub fn usd(self) -> Decimal {
        // Exact: twelve places of 28.
        Decimal::new(self.0, 12).normalize()
    }

    /// For JSON and metrics, which know no other numbers.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PER_DOLLAR as f64
    }

    /// The sum, or the most there is.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or the least there is.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Money {
    /// `0.0001275`: dollars, as many places as it takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.usd().fmt(f)
    }
}

impl FromStr for Money {
    type Err = rust_decimal::Error;

    /// Dollars, also as `1.5e-7`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let usd = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text))?;
        Self::from_usd(usd).ok_or(rust_decimal::Error::ExceedsMaximumPossibleValue)
    }
}

impl serde::Serialize for Money {
    /// A JSON number of dollars.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact() {
        for (text, pico, shown) in [
            ("0.00000015", 150_000, "0.00000015"),
            ("1.5e-7", 150_000, "0.00000015"),
            ("25", 25_000_000_000_000, "25"),
            ("-0.5", -500_000_000_000, "-0.5"),
            ("0", 0, "0"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.pico(), money.to_string().as_str()), (pico, shown), "{text}");
        }
        assert_eq!(Money::from_f64(0.1).unwrap().saturating_add(Money::from_f64(0.2).unwrap()).to_string(), "0.3");
        assert_eq!(serde_json::to_string(&Money::from_pico(127_500_000)).unwrap(), "0.0001275");
    }

    #[test]
    fn what_cant_be_counted_is_none() {
        for text in ["1e30", "99999999", "NaN", "", "1,5"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
        assert_eq!(Money::from_f64(f64::NAN), None);
        assert_eq!(Money::from_f64(f64::INFINITY), None);
        assert_eq!(Money::MAX.saturating_add(Money::MAX), Money::MAX);
    }
}
