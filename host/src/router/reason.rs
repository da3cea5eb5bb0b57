//! Why a deployment was chosen, in words for logs.

use std::fmt;

/// Why a deployment was chosen; its text is for logs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no other.
    Only,
    /// The others can't be called now, or can't serve this.
    OnlyOneLeft(Others),
    /// The others have a higher `order`.
    FirstInOrder {
        /// Its own; `None`: none is set.
        order: Option<i64>,
    },
    /// Its turn, by the weights.
    Turn {
        /// Its own.
        weight: f64,
        /// Of all that could be chosen.
        of: f64,
    },
    /// None has fewer calls under way.
    LeastBusy {
        /// So many.
        in_flight: u32,
    },
    /// Nobody knows how quick it is.
    Unmeasured,
    /// None is quicker, or not by more than the buffer.
    LowestLatency {
        /// Seconds for an output token, or to the first piece of a stream.
        seconds: f64,
        /// It was a stream.
        streaming: bool,
    },
    /// None has used fewer tokens in the last minute.
    FewestTokens {
        /// So many.
        tokens: u64,
    },
    /// None costs less.
    Cheapest {
        /// USD for a token of the prompt and one of the answer.
        usd: f64,
    },
    /// The better of two that were drawn.
    PowerOfTwo {
        /// Calls under way and this one, times the moving average of its latency.
        score: f64,
        /// The other's.
        against: f64,
    },
    /// A second one beside an attempt that is slow.
    Hedge,
    /// It was left alone for a while; this call finds out whether it is well again.
    Probe,
}

/// What kept the others of a group from being chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// They are left alone for a while.
    pub cooling: u32,
    /// They have as many calls under way as they may.
    pub full: u32,
    /// They have had their calls or tokens of this minute.
    pub rate_limited: u32,
    /// They have failed this call.
    pub tried: u32,
    /// A probe without a call found them unwell.
    pub unwell: u32,
    /// They can't serve such a request.
    pub unfit: u32,
    /// The operator has blocked them, or they can't be called at all.
    pub unusable: u32,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the only deployment"),
            Self::Hedge => f.write_str("beside a slow attempt"),
            Self::OnlyOneLeft(others) => write!(f, "the only one left ({others})"),
            Self::FirstInOrder { order: Some(order) } => write!(f, "first in order ({order})"),
            Self::FirstInOrder { order: None } => f.write_str("the only one left without an order"),
            Self::Turn { weight, of } => write!(f, "its turn (weight {weight} of {of})"),
            Self::LeastBusy { in_flight } => write!(f, "least busy ({in_flight} under way)"),
            Self::Unmeasured => f.write_str("not measured yet"),
            Self::LowestLatency { seconds, streaming } => {
                let unit = if *streaming { "to the first piece" } else { "per token" };
                write!(f, "lowest latency ({} ms {unit})", Rounded(seconds * 1000.0))
            }
            Self::FewestTokens { tokens } => write!(f, "fewest tokens this minute ({tokens})"),
            Self::Cheapest { usd } => write!(f, "cheapest ({} USD per token pair)", Rounded(*usd)),
            Self::PowerOfTwo { score, against } => {
                write!(f, "power of two choices (score {} against {})", Rounded(*score), Rounded(*against))
            }
            Self::Probe => f.write_str("probe after a cooldown"),
        }
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.cooling, "cooling"),
            (self.full, "full"),
            (self.rate_limited, "over its rate limit"),
            (self.tried, "tried"),
            (self.unwell, "found unwell by a probe"),
            (self.unfit, "unfit"),
            (self.unusable, "unusable"),
        ];
        let mut separator = "";
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {what}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Three significant digits, without an exponent.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        if number == 0.0 || !number.is_finite() {
            return write!(f, "{number}");
        }
        let magnitude = number.abs().log10().floor() as i32;
        let scale = 10f64.powi(2 - magnitude.min(2));
        write!(f, "{}", (number * scale).round() / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_say_their_figures() {
        let left = Others { cooling: 2, tried: 1, ..Others::default() };
        for (reason, text) in [
            (Reason::Only, "the only deployment"),
            (Reason::OnlyOneLeft(left), "the only one left (2 cooling, 1 tried)"),
            (Reason::FirstInOrder { order: Some(1) }, "first in order (1)"),
            (Reason::Turn { weight: 3.0, of: 4.0 }, "its turn (weight 3 of 4)"),
            (Reason::LeastBusy { in_flight: 2 }, "least busy (2 under way)"),
            (Reason::LowestLatency { seconds: 0.012_04, streaming: false }, "lowest latency (12 ms per token)"),
            (Reason::LowestLatency { seconds: 0.3456, streaming: true }, "lowest latency (346 ms to the first piece)"),
            (Reason::FewestTokens { tokens: 1200 }, "fewest tokens this minute (1200)"),
            (Reason::Cheapest { usd: 0.000_001_2 }, "cheapest (0.0000012 USD per token pair)"),
            (Reason::PowerOfTwo { score: 0.4, against: 1.2 }, "power of two choices (score 0.4 against 1.2)"),
            (Reason::Probe, "probe after a cooldown"),
        ] {
            assert_eq!(reason.to_string(), text);
        }
    }
}
