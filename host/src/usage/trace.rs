//! W3C Trace Context: the client's trace, our place in it, and what providers are told of it.

use std::time::Duration;

use http::HeaderValue;

use super::ServedBy;

/// Whose span the call's is a child of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub parent: [u8; 8],
    /// Whether it is recorded.
    pub sampled: bool,
}

/// An attempt at a deployment, where calls are traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which deployment.
    pub by: ServedBy,
    /// Since the call came in.
    pub began: Duration,
    /// Until it failed; `None`: it answered, and went on to the end of the call.
    pub took: Option<Duration>,
    /// How it failed, if it did.
    pub kind: Option<&'static str>,
}

/// What a call's own span is known by: its id is made of the call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// The client's trace, or the call's own.
    pub trace: [u8; 16],
    /// The call's span.
    pub span: [u8; 8],
}

// === impl TraceParent ===

impl TraceParent {
    /// Reads `traceparent`; `None`: it is none, which by the standard is as if it weren't there.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Version 00 ends here, and later ones may go on.
        let is_known = version != "ff" && (version != "00" || parts.next().is_none());
        let [_] = bytes::<1>(version).filter(|_| is_known)?;
        let (trace, parent) = (bytes::<16>(trace)?, bytes::<8>(parent)?);
        let [flags] = bytes::<1>(flags)?;
        let is_valid = trace != [0; 16] && parent != [0; 8];
        is_valid.then_some(Self { trace, parent, sampled: flags & 1 == 1 })
    }
}

/// So many bytes in lower-case hexadecimal.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hexadecimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 2 * N || !is_hexadecimal {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

// === impl SpanIds ===

impl SpanIds {
    /// Those of a call.
    pub fn of(call_id: &str, parent: Option<TraceParent>) -> Self {
        let own = uuid::Uuid::parse_str(call_id).unwrap_or_default().into_bytes();
        let [.., a, b, c, d, e, f, g, h] = own;
        Self { trace: parent.map_or(own, |parent| parent.trace), span: [a, b, c, d, e, f, g, h] }
    }

    /// The span of an attempt.
    pub fn attempt(self, index: usize) -> [u8; 8] {
        u64::from_be_bytes(self.span).wrapping_add(1 + index as u64).max(1).to_be_bytes()
    }

    /// `traceparent` for those whom the call asks.
    pub fn header(self, sampled: bool) -> Option<HeaderValue> {
        let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (trace, span) = (hexadecimal(&self.trace), hexadecimal(&self.span));
        HeaderValue::try_from(format!("00-{trace}-{span}-0{}", u8::from(sampled))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_trace_is_taken_as_the_standard_says() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = TraceParent::parse(&format!("00-{id}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!((read.trace[0], read.parent[1], read.sampled), (0x4b, 0xf0, true));
        for (text, sampled) in [
            (format!("00-{id}-00f067aa0ba902b7-00"), Some(false)),
            (format!("cc-{id}-00f067aa0ba902b7-01-more"), Some(true)),
            (format!("00-{id}-00f067aa0ba902b7-01-more"), None),
            (format!("ff-{id}-00f067aa0ba902b7-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-{id}-0000000000000000-01"), None),
            (format!("00-{id}-00f067aa0ba902b7"), None),
            (format!("00-{id}é-0f067aa0ba902b7-01"), None),
            (String::new(), None),
        ] {
            assert_eq!(TraceParent::parse(&text).map(|parent| parent.sampled), sampled, "{text}");
        }
    }

    #[test]
    fn what_providers_are_told_is_the_clients_trace_and_our_span() {
        let parent = TraceParent { trace: [7; 16], parent: [9; 8], sampled: true };
        let ids = SpanIds::of("01234567-89ab-4def-8123-456789abcdef", Some(parent));
        let header = ids.header(true).unwrap();
        assert_eq!(header, format!("00-{}-8123456789abcdef-01", "07".repeat(16)).as_str());
        assert_eq!(ids.attempt(0), 0x8123_4567_89ab_cdf0_u64.to_be_bytes());
    }
}
