//! When a provider says that it may be asked again.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// Nobody's word counts for longer.
const MOST: Duration = Duration::from_secs(24 * 3600);

/// How long to wait before the next call: `retry-after-ms`, else `retry-after` (seconds or a date,
/// <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>), else when a limit of which nothing is left is full again
/// (`x-ratelimit-reset-requests: 6m0s`, <https://platform.openai.com/docs/guides/rate-limits>).
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(seconds).map(|thousand| thousand / 1000);
    let told = milliseconds.or_else(|| {
        let text = text("retry-after")?;
        seconds(text).or_else(|| Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()))
    });
    let reset = || {
        let of = |limit: &str| {
            let is_used_up = text(&format!("x-ratelimit-remaining-{limit}")) == Some("0");
            text(&format!("x-ratelimit-reset-{limit}")).filter(|_| is_used_up).and_then(span)
        };
        of("requests").max(of("tokens"))
    };
    told.or_else(reset).map(|wait| wait.min(MOST))
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// `1s`, `6m0s`, `20ms`, `1h2m3.5s`: Go's way to write a duration; a bare number is seconds.
fn span(text: &str) -> Option<Duration> {
    if let Some(seconds) = seconds(text) {
        return Some(seconds);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn wait(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap()));
        // 1994-11-06 08:49:37, the date of RFC 9110's examples.
        read(&headers.collect(), UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn every_way_to_say_when_is_understood() {
        let ms = Duration::from_millis;
        for (headers, expected) in [
            (&[("retry-after", "7")][..], Some(ms(7000))),
            (&[("retry-after", "0.5")], Some(ms(500))),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], Some(ms(10_000))),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT")], Some(ms(0))),
            (&[("retry-after", "7"), ("retry-after-ms", "6500")], Some(ms(6500))),
            (&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")], Some(ms(360_000))),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "20ms")], Some(ms(20))),
            (&[("x-ratelimit-remaining-tokens", "9"), ("x-ratelimit-reset-tokens", "20ms")], None),
            (&[("x-ratelimit-reset-tokens", "1h")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "1e300")], None),
            (&[("retry-after", "99999999")], Some(MOST)),
            (&[], None),
        ] {
            assert_eq!(wait(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn spans_of_time_are_read_as_go_writes_them() {
        for (text, expected) in
            [("1h2m3.5s", Some(3723.5)), ("5", Some(5.0)), ("1x", None), ("s", None), ("1", Some(1.0)), ("..s", None)]
        {
            assert_eq!(span(text).map(|span| span.as_secs_f64()), expected, "{text}");
        }
    }
}
