//! Requests signed for AWS: Signature Version 4, by AWS's own signer.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. The settings are those
//! of every service but S3: the path is normalised and encoded once more, and the body's digest is in the signature alone.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue};

use super::{CredentialError, Outbound};
use crate::config::AwsKeys;

/// Signs for one service in one region.
pub(super) struct Signer {
    credentials: Credentials,
    region: String,
    service: String,
}

impl Signer {
    pub(super) fn new(keys: &AwsKeys, region: &str, service: &str) -> Self {
        let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
        let (id, secret) = (keys.access_key_id.expose(), keys.secret_access_key.expose());
        Self {
            credentials: Credentials::new(id, secret, token, None, "ai-api"),
            region: region.to_owned(),
            service: service.to_owned(),
        }
    }

    /// Adds the signature's headers to a finished request.
    pub(super) fn sign(&self, request: &mut Outbound, at: SystemTime) -> Result<(), CredentialError> {
        let signed = self.headers(request, at).map_err(|_| CredentialError::Unsigned)?;
        request.headers.extend(signed);
        Ok(())
    }

    /// The errors of the signer may quote the request, so they end here.
    fn headers(
        &self,
        request: &Outbound,
        at: SystemTime,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Box<dyn std::error::Error>> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(at)
            .settings(SigningSettings::default())
            .build()?
            .into();
        // A header that is no text goes unsigned, which AWS allows.
        let headers = request.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(&request.body);
        let request = SignableRequest::new(request.method.as_str(), request.url.as_str(), headers, body)?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        let (headers, _) = instructions.into_parts();
        let sensitive = headers.iter().map(|header| {
            let mut value = HeaderValue::try_from(header.value())?;
            value.set_sensitive(true);
            Ok((HeaderName::try_from(header.name())?, value))
        });
        sensitive.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use url::Url;

    use super::*;
    use crate::config::Secret;

    struct Vector {
        name: &'static str,
        method: &'static str,
        url: &'static str,
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
        token: bool,
        names: &'static str,
        signature: &'static str,
    }

    const GET: Vector = Vector {
        name: "get-vanilla",
        method: "GET",
        url: "/",
        headers: &[],
        body: "",
        token: false,
        names: "host;x-amz-date",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    };

    const VECTORS: &[Vector] = &[
        GET,
        Vector {
            name: "get-vanilla-query-order-encoded",
            url: "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            ..GET
        },
        Vector {
            name: "get-unreserved",
            url: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ..GET
        },
        Vector {
            name: "get-header-key-duplicate",
            headers: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            names: "host;my-header1;x-amz-date",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ..GET
        },
        Vector {
            name: "get-vanilla-with-session-token",
            token: true,
            names: "host;x-amz-date;x-amz-security-token",
            signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ..GET
        },
        Vector {
            name: "post-vanilla-query",
            method: "POST",
            url: "/?Param1=value1",
            signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ..GET
        },
        Vector {
            name: "post-x-www-form-urlencoded",
            method: "POST",
            headers: &[("content-type", "application/x-www-form-urlencoded")],
            body: "Param1=value1",
            names: "content-type;host;x-amz-date",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ..GET
        },
    ];

    /// AWS's published vectors, as they are in `aws-c-auth/tests/aws-signing-test-suite/v4` (Apache-2.0):
    /// <https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4>. All are of
    /// `2015-08-30T12:36:00Z` in `us-east-1` for `service`, with the keys of AWS's documentation. None has a path that is
    /// encoded twice: `tests/e2e/cloud_aws.rs` has.
    #[test]
    fn awss_own_examples_are_signed_as_aws_says() {
        const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let origin = "https://example.amazonaws.com";
        for Vector { name, method, url, headers, body, token, names, signature } in VECTORS {
            let session_token = token.then(|| Secret::new(TOKEN));
            let keys = AwsKeys {
                access_key_id: Secret::new("AKIDEXAMPLE"),
                secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                session_token,
            };
            let mut request = Outbound {
                method: Method::try_from(*method).unwrap(),
                url: Url::parse(&format!("{origin}{url}")).unwrap(),
                headers: HeaderMap::new(),
                body: Bytes::from_static(body.as_bytes()),
            };
            for (name, value) in *headers {
                request.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
            Signer::new(&keys, "us-east-1", "service").sign(&mut request, at).unwrap();
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(request.headers["authorization"], expected, "{name}");
            assert_eq!(request.headers["x-amz-date"], "20150830T123600Z", "{name}");
            assert_eq!(request.headers.get("x-amz-security-token").is_some(), *token, "{name}");
            assert!(!format!("{:?}", request.headers).contains("Signature="), "{name}");
        }
    }
}
