//! Credentials onto requests: the last thing that happens before one is sent.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use super::aws::Signer;
use super::google::Tokens;
use super::{CredentialError, Outbound, Redactor, Upstream, ambient, push_query};
use crate::config::{AwsKeys, Credential, Deployment, Lack, Secret, ServiceAccount};

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

/// Authenticates the requests of one deployment. Made once; it has no `Debug` that shows a secret.
#[derive(Clone)]
pub struct Authenticator {
    way: Way,
    /// Finds what is secret about the deployment.
    redactor: Redactor,
}

#[derive(Clone)]
enum Way {
    None,
    Header(HeaderName, HeaderValue),
    Query(String, Secret),
    Aws(Arc<Signer>),
    Google(Arc<Tokens>),
}

/// Why a deployment's requests can't be authenticated; a client may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCredential {
    /// It isn't set; these are the names to set it by.
    Unset(String),
    /// It is set and can't be used.
    Unusable(String),
}

impl Upstream {
    /// What authenticates the requests of `deployment`, which go to `base`, in the way that its plugin wants.
    ///
    /// # Errors
    /// The configuration doesn't have it.
    pub fn authenticator(
        &self,
        placement: &Placement,
        deployment: &Deployment,
        base: Option<&Url>,
    ) -> Result<Authenticator, NoCredential> {
        let no_address = || NoCredential::Unusable(NO_ADDRESS.to_owned());
        let with_headers =
            |redactor| secrets_of(&deployment.extra_headers).fold(redactor, |all: Redactor, one| all.with(one));
        match placement {
            Placement::None | Placement::Bearer | Placement::Header(_) | Placement::Query(_) => {
                let Authenticator { way, redactor } = with_key(placement, &deployment.credential)?;
                Ok(Authenticator { way, redactor: with_headers(redactor) })
            }
            Placement::AwsSigV4 { service } => {
                let (base, keys) = (base.ok_or_else(no_address)?, deployment.cloud.aws.as_ref()?);
                let region = deployment.cloud.aws_region.as_deref();
                let region = region
                    .ok_or_else(|| NoCredential::Unset("AWS_REGION (or litellm_params.aws_region_name)".to_owned()))?;
                if keys.ambient && !deployment.api_base_named && !ambient::is_aws(base, service, region) {
                    return Err(not_sent("AWS keys", service, base, "aws_access_key_id and aws_secret_access_key"));
                }
                let AwsKeys { access_key_id, secret_access_key, session_token } = &keys.value;
                let secrets = [access_key_id, secret_access_key].into_iter().chain(session_token);
                let redactor = with_headers(Redactor::new(secrets.map(Secret::expose)));
                Ok(Authenticator { way: Way::Aws(Arc::new(Signer::new(&keys.value, region, service))), redactor })
            }
            Placement::GoogleServiceAccount { scope } => {
                let (base, account) = (base.ok_or_else(no_address)?, deployment.cloud.google.as_ref()?);
                if account.ambient && !deployment.api_base_named && !ambient::is_google(base, scope) {
                    return Err(not_sent("Google account", scope, base, "vertex_credentials"));
                }
                let redactor = with_headers(Redactor::verbatim(ServiceAccount::needles(&account.value)));
                let tokens = self.tokens(account.value.clone(), scope, &redactor);
                Ok(Authenticator { way: Way::Google(tokens), redactor })
            }
        }
    }
}

/// What a call is told where nobody says where its provider is.
pub const NO_ADDRESS: &str = "it has no api_base, and its provider has no address of its own";

/// A credential that nobody named for this deployment doesn't go wherever a plugin says.
fn not_sent(what: &str, purpose: &str, base: &Url, keys: &str) -> NoCredential {
    let (purpose, scheme, host) = (purpose.escape_debug(), base.scheme(), base.host_str().unwrap_or_default());
    NoCredential::Unusable(format!(
        "its {what} would be those of the environment, which a plugin gets for services that run models only, and not \
         for '{purpose}' at {scheme}://{host}: set {keys}, or api_base, for this model"
    ))
}

fn with_key(placement: &Placement, credential: &Credential) -> Result<Authenticator, NoCredential> {
    let key = match credential {
        Credential::Key(key) => key,
        Credential::None => return Ok(Authenticator { way: Way::None, redactor: Redactor::default() }),
        Credential::Missing { variable } => return Err(NoCredential::Unset(variable.clone())),
    };
    let way = match placement {
        Placement::Bearer => Way::Header(header::AUTHORIZATION, sensitive(format!("Bearer {}", key.expose()))?),
        Placement::Header(name) => Way::Header(name.clone(), sensitive(key.expose().to_owned())?),
        Placement::Query(name) => Way::Query(name.clone(), key.clone()),
        _ => Way::None,
    };
    Ok(Authenticator { way, redactor: Redactor::new([key.expose()]) })
}

/// What the operator's own headers hold that may be secret: their values, and what stands behind a `Bearer`.
fn secrets_of(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.values().filter(|value| value.is_sensitive());
    let texts = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    texts.flat_map(|text| [Some(text), text.split_once(' ').map(|(_, key)| key.trim())].into_iter().flatten())
}

/// A header's value that nothing prints.
pub(super) fn sensitive(text: String) -> Result<HeaderValue, NoCredential> {
    let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(text));
    let mut value = value
        .map_err(|_| NoCredential::Unusable("the provider's key has characters that no header can hold".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Authenticator {
    /// Authenticates a request that is complete but for this, within `patience`; returns what finds the secrets that
    /// its answer may not show to anybody.
    ///
    /// # Errors
    /// No token could be got, or the request can't be signed.
    pub async fn apply(&self, request: &mut Outbound, patience: Duration) -> Result<Redactor, CredentialError> {
        match &self.way {
            Way::None => {}
            Way::Header(name, value) => drop(request.headers.insert(name, value.clone())),
            Way::Query(name, key) => push_query(&mut request.url, [(name.as_str(), key.expose())]),
            Way::Aws(signer) => signer.sign(request, SystemTime::now())?,
            Way::Google(tokens) => {
                let token = tokens.token(patience).await?;
                request.headers.insert(header::AUTHORIZATION, token.header.clone());
                return Ok(token.redactor.clone());
            }
        }
        Ok(self.redactor.clone())
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.way {
            Way::None => "Authenticator(none)",
            Way::Header(..) => "Authenticator(header)",
            Way::Query(..) => "Authenticator(query)",
            Way::Aws(_) => "Authenticator(aws)",
            Way::Google(_) => "Authenticator(google)",
        })
    }
}

impl From<&Lack> for NoCredential {
    fn from(lack: &Lack) -> Self {
        match lack {
            Lack::Unset(names) => Self::Unset(names.clone()),
            Lack::Unusable(why) => Self::Unusable(why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;

    fn request() -> Outbound {
        let url = Url::parse("https://x/v1?a=b").unwrap();
        Outbound { method: Method::POST, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    #[tokio::test]
    async fn a_key_goes_where_the_provider_takes_it_and_is_never_printed() {
        let placed = async |placement: Placement| {
            let mut request = request();
            let way = with_key(&placement, &Credential::Key(Secret::new("s3cret & more"))).unwrap();
            way.apply(&mut request, Duration::ZERO).await.unwrap();
            assert!(!format!("{way:?} {:?}", request.headers).contains("s3cret"));
            (request.url.query().unwrap_or_default().to_owned(), request.headers)
        };
        assert_eq!(placed(Placement::Bearer).await.1["authorization"], "Bearer s3cret & more");
        let header = Placement::Header(HeaderName::from_static("x-api-key"));
        assert_eq!(placed(header).await.1["x-api-key"], "s3cret & more");
        assert_eq!(placed(Placement::Query("key".into())).await.0, "a=b&key=s3cret%20%26%20more");
        assert_eq!(placed(Placement::None).await, ("a=b".to_owned(), HeaderMap::new()));
    }

    #[test]
    fn the_secrets_of_headers_are_what_is_marked_with_and_without_its_scheme() {
        let mut headers = HeaderMap::new();
        for (name, value, secret) in
            [("x-plain", "plain", false), ("x-secret", "s3cret", true), ("authorization", "Bearer  k3y", true)]
        {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(secret);
            headers.insert(name, value);
        }
        assert_eq!(secrets_of(&headers).collect::<Vec<_>>(), ["s3cret", "Bearer  k3y", "k3y"]);
    }

    #[test]
    fn a_key_that_would_split_the_header_is_refused() {
        let refused = with_key(&Placement::Bearer, &Credential::Key(Secret::new("a\r\nb"))).unwrap_err();
        assert!(matches!(&refused, NoCredential::Unusable(why) if !why.contains("a\r\nb")), "{refused:?}");
    }
}
