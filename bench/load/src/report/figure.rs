//! Figures as people read them.

use crate::measure::{Metric, Spread};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Micros,
    Millis,
    Kilobytes,
    Megabytes,
    Percent,
    Times,
}

/// A median, and the least and the most behind it if they differ.
pub(super) fn with_range(metric: Metric, spread: Spread) -> String {
    let (median, min, max) = (number(metric, spread.median), number(metric, spread.min), number(metric, spread.max));
    if min == max { median } else { format!("{median} ({min}–{max})") }
}

/// A figure without its unit, which the heading has.
pub(super) fn number(metric: Metric, value: f64) -> String {
    let scaled = value / unit(metric).size();
    // Three digits that say something; more would be noise.
    let decimals = match scaled.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let decimals = if matches!(unit(metric), Unit::Percent | Unit::Count) { 0 } else { decimals };
    grouped(&format!("{scaled:.decimals$}"))
}

/// What a heading says of the unit.
pub(super) fn unit_name(metric: Metric) -> &'static str {
    match unit(metric) {
        Unit::Count => "",
        Unit::Micros => "µs",
        Unit::Millis => "ms",
        Unit::Kilobytes => "KB",
        Unit::Megabytes => "MB",
        Unit::Percent => "%",
        Unit::Times => "×",
    }
}

fn unit(metric: Metric) -> Unit {
    use Metric as M;
    match metric {
        M::AnswersPerSecond | M::OpenStreams => Unit::Count,
        M::CpuPerAnswer | M::CpuPerChunk => Unit::Micros,
        M::ProxyBusy | M::LoadBusy | M::OthersBusy => Unit::Percent,
        M::ResidentIdle | M::ResidentPeak => Unit::Megabytes,
        M::ResidentPerStream => Unit::Kilobytes,
        M::AnswersRatio | M::CpuRatio => Unit::Times,
        M::LatencyP50 | M::LatencyP99 | M::LatencyP999 | M::FirstP50 | M::FirstP99 | M::LagP50 | M::LagP99 => {
            Unit::Millis
        }
        M::AddedP50 | M::AddedP99 | M::AddedP999 | M::AddedFirstP50 | M::AddedFirstP99 => Unit::Millis,
        M::AddedLagP50 | M::AddedLagP99 | M::BeyondNginxP50 | M::BeyondNginxP99 | M::BeyondNginxP999 => Unit::Millis,
        M::ColdStart | M::WarmStart => Unit::Millis,
    }
}

/// With commas between thousands.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

// === impl Unit ===

impl Unit {
    fn size(self) -> f64 {
        match self {
            Self::Count | Self::Times => 1.0,
            Self::Micros => 1e3,
            Self::Millis => 1e6,
            Self::Kilobytes => 1024.0,
            Self::Megabytes => 1_048_576.0,
            Self::Percent => 0.01,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_say_something() {
        for (metric, value, text) in [
            (Metric::AnswersPerSecond, 45_812.4, "45,812"),
            (Metric::AnswersPerSecond, 1_234_567.0, "1,234,567"),
            (Metric::CpuPerAnswer, 21_345.0, "21.3"),
            (Metric::CpuPerAnswer, 1_234_567.0, "1,235"),
            (Metric::AddedP50, 62_400.0, "0.062"),
            (Metric::BeyondNginxP99, -12_400.0, "-0.012"),
            (Metric::ResidentIdle, 13.0 * 1_048_576.0, "13.0"),
            (Metric::LoadBusy, 0.974, "97"),
            (Metric::CpuRatio, 2.345, "2.35"),
        ] {
            assert_eq!(number(metric, value), text);
        }
    }

    #[test]
    fn a_range_is_shown_where_there_is_one() {
        let spread = |median, min, max| Spread { median, min, max };
        assert_eq!(with_range(Metric::CpuRatio, spread(2.0, 1.5, 2.5)), "2.00 (1.50–2.50)");
        assert_eq!(with_range(Metric::CpuRatio, spread(2.0, 2.0, 2.0)), "2.00");
    }
}
