//! Keys onto requests: the last thing that happens before one is sent.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

/// Where a provider takes its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It takes none.
    None,
    /// `authorization: Bearer KEY`
    Bearer,
    /// A header of its own.
    Header(HeaderName),
    /// A query parameter.
    Query(String),
    /// AWS Signature Version 4 over the whole request.
    AwsSigV4 {
        /// The service's name: `bedrock`.
        service: String,
    },
    /// A bearer token, got with the key of a Google service account.
    GoogleServiceAccount {
        /// The OAuth scope.
        scope: String,
    },
}

/// Puts `key` on a request. Header values are marked as sensitive, so that nothing prints them.
///
/// # Errors
/// The key can't stand in a header. The key itself isn't in the error.
pub fn place(placement: &Placement, key: &str, url: &mut Url, headers: &mut HeaderMap) -> Result<(), &'static str> {
    let sensitive = |text: String| {
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
            .map(|mut value| {
                value.set_sensitive(true);
                value
            })
            .map_err(|_| "the provider's key has characters that no header can hold")
    };
    match placement {
        Placement::None => {}
        Placement::Bearer => drop(headers.insert(header::AUTHORIZATION, sensitive(format!("Bearer {key}"))?)),
        Placement::Header(name) => drop(headers.insert(name, sensitive(key.to_owned())?)),
        Placement::Query(name) => drop(url.query_pairs_mut().append_pair(name, key)),
        Placement::AwsSigV4 { .. } => return Err("the gateway can't sign requests for AWS yet"),
        Placement::GoogleServiceAccount { .. } => return Err("the gateway can't get tokens from Google yet"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_where_the_provider_takes_it_and_is_never_printed() {
        let placed = |placement: &Placement| {
            let mut url = Url::parse("https://x/v1?a=b").unwrap();
            let mut headers = HeaderMap::new();
            place(placement, "s3cret", &mut url, &mut headers).unwrap();
            (url.query().unwrap_or_default().to_owned(), headers)
        };
        let (_, headers) = placed(&Placement::Bearer);
        assert_eq!(headers["authorization"], "Bearer s3cret");
        assert!(!format!("{headers:?}").contains("s3cret"));
        let (_, headers) = placed(&Placement::Header(HeaderName::from_static("x-api-key")));
        assert_eq!(headers["x-api-key"], "s3cret");
        assert_eq!(placed(&Placement::Query("key".into())).0, "a=b&key=s3cret");
    }

    #[test]
    fn a_key_that_would_split_the_header_is_refused() {
        let mut url = Url::parse("https://x").unwrap();
        let error = place(&Placement::Bearer, "a\r\nb", &mut url, &mut HeaderMap::new()).unwrap_err();
        assert!(!error.contains("a\r\nb"));
    }
}
