//! AWS Signature Version 4 worked out anew from a request as it was received, step by step as in
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use ai_api_e2e::Received;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{digest, hmac};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const IN_PATHS: &AsciiSet = &UNRESERVED.remove(b'/');

/// What the header `authorization` says.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) credential: String,
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
}

impl Authorization {
    pub(crate) fn of(received: &Received) -> Self {
        let text = received.header("authorization").expect("a signed request");
        let rest = text.strip_prefix("AWS4-HMAC-SHA256 ").unwrap_or_else(|| panic!("{text}"));
        let part = |name: &str| {
            let found = rest.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {name}: {text}")).to_owned()
        };
        let signed_headers = part("SignedHeaders").split(';').map(str::to_owned).collect();
        Self { credential: part("Credential"), signed_headers, signature: part("Signature") }
    }
}

/// The signature that the request should have.
pub(crate) fn signature(received: &Received, secret: &str, region: &str, service: &str) -> String {
    let authorization = Authorization::of(received);
    let date = received.header("x-amz-date").expect("a date");
    let (day, names) = (&date[..8], authorization.signed_headers.join(";"));
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{names}\n{}",
        received.method,
        utf8_percent_encode(&received.path, IN_PATHS),
        query(&received.query),
        authorization.signed_headers.iter().map(|name| header(received, name)).collect::<String>(),
        hex(digest::digest(&digest::SHA256, &received.body).as_ref()),
    );
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &to_sign))
}

fn query(wire: &str) -> String {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().expect("UTF-8").into_owned();
    let encoded = |text: &str| utf8_percent_encode(&decoded(text), UNRESERVED).to_string();
    let pairs = wire.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<String> = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn header(received: &Received, name: &str) -> String {
    let values = received.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
    let values: Vec<String> = values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(!values.is_empty(), "{name} is signed and wasn't sent");
    format!("{name}:{}\n", values.join(","))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
