//! Who is calling: the master key, a key that the gateway has issued, or anybody where there is no master key.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::admission::Tenant;
use crate::config::General;
use crate::keys::{Barred, Caller, Denied, Directory, Key, KeyHash, PROXY_ADMIN, PROXY_ADMIN_VIEWER, RouteKind};
use crate::store::StoreError;

/// Where LiteLLM looks for a key, in this order, after `Authorization`'s own place in it.
const KEY_HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];
const LITELLM_KEY: HeaderName = HeaderName::from_static("x-litellm-api-key");

/// Checks callers' keys.
#[derive(Clone, Debug)]
pub struct Authenticator {
    /// SHA-256 of the master key; without one everybody may call.
    master_key: Option<[u8; 32]>,
    key_header: Option<HeaderName>,
    /// Keys that can't be looked up are let in.
    open_without_database: bool,
}

/// Who is calling.
#[derive(Clone, Debug)]
pub enum Principal {
    /// Holds the master key.
    Admin,
    /// The gateway has no master key.
    Anyone,
    /// Holds a key that the gateway has issued.
    Key(Arc<Caller>),
}

impl Principal {
    /// Whose limits bind.
    pub fn caller(&self) -> Option<Arc<Caller>> {
        match self {
            Self::Key(caller) => Some(caller.clone()),
            Self::Admin | Self::Anyone => None,
        }
    }

    /// Whether it may do everything: with the master key, as a user whose role says so, or where there is no master key.
    pub fn is_admin(&self) -> bool {
        match self {
            Self::Admin | Self::Anyone => true,
            Self::Key(caller) => caller.role() == Some(PROXY_ADMIN),
        }
    }

    /// Whether it may see everything.
    pub fn sees_all(&self) -> bool {
        let is_viewer = |caller: &Caller| caller.role() == Some(PROXY_ADMIN_VIEWER);
        self.is_admin() || matches!(self, Self::Key(caller) if is_viewer(caller))
    }

    /// Whether it may use the route at `path`. What it may do there is asked again where keys, users and teams are managed.
    ///
    /// # Errors
    /// It may not.
    pub fn may_use(&self, path: &str, kind: RouteKind, is_read: bool) -> Result<(), Denied> {
        let Self::Key(caller) = self else { return Ok(()) };
        caller.route(path, kind)?;
        let is_open = match kind {
            RouteKind::Call | RouteKind::Models | RouteKind::Info | RouteKind::Management => true,
            // A key that is made for a monitor has the path of what it reads.
            RouteKind::Spend | RouteKind::Gateway => is_read && (self.sees_all() || caller.has_route(path)),
        };
        if is_open || self.is_admin() {
            return Ok(());
        }
        let role = caller.role().unwrap_or("unknown").to_owned();
        Err(Denied::AdminOnly { route: path.to_owned(), role })
    }
}

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No header had a key.
    #[error("Authentication Error, No api key passed in.")]
    NoKey,
    /// `Authorization` without `Bearer`.
    #[error("Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.")]
    Malformed,
    /// The key is not one of ours.
    #[error("Authentication Error, Invalid API key provided.")]
    WrongKey,
    /// The key is one of ours, and refused.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// Whether it is can't be told at the moment.
    #[error("Whether this key is valid can't be told at the moment: {0}.")]
    Unknown(#[from] StoreError),
}

impl Authenticator {
    /// Checks against the config's master key.
    pub fn new(general: &General) -> Self {
        let master_key = general.master_key.as_ref().map(|key| digest(key.expose().as_bytes()));
        let open_without_database = general.allow_requests_on_db_unavailable;
        Self { master_key, key_header: general.key_header.clone(), open_without_database }
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// Nobody that we know.
    pub async fn authenticate(&self, headers: &HeaderMap, directory: &Directory) -> Result<Principal, AuthError> {
        let Some(master_key) = &self.master_key else { return Ok(Principal::Anyone) };
        let key = self.key(headers)?;
        let digest = digest(key);
        // Digests are compared: all are of one length, and where they differ says nothing about the key.
        if bool::from(digest.ct_eq(master_key)) {
            return Ok(Principal::Admin);
        }
        let caller = match directory.find(&KeyHash(digest)).await {
            Ok(caller) => caller.ok_or(AuthError::WrongKey)?,
            Err(error) if self.open_without_database => return Ok(self.stranger(digest, &error)),
            Err(error) => return Err(error.into()),
        };
        match caller.barred(SystemTime::now()) {
            Some(barred) => Err(barred.into()),
            None => Ok(Principal::Key(caller)),
        }
    }

    /// Somebody with a key that can't be looked up, where the operator wants calls to go on then: it may call models, and
    /// nothing limits it.
    fn stranger(&self, digest: [u8; 32], error: &StoreError) -> Principal {
        // Once a call: the directory has said at once and louder that it can't be followed.
        tracing::debug!(%error, "a key that can't be checked is let in, without limits: allow_requests_on_db_unavailable");
        let allowed_routes = vec!["llm_api_routes".to_owned()];
        let key = Key { hash: KeyHash(digest), name: "sk-...".to_owned(), allowed_routes, ..Key::default() };
        Principal::Key(Arc::new(Caller::new(key, None, None)))
    }

    /// Whose calls these are, where callers take turns.
    pub fn tenant(&self, principal: &Principal) -> Tenant {
        match principal {
            Principal::Key(caller) => Tenant::of_digest(&caller.key.hash.0),
            Principal::Admin => self.master_key.as_ref().map_or(Tenant::ANYONE, Tenant::of_digest),
            Principal::Anyone => Tenant::ANYONE,
        }
    }

    fn key<'a>(&self, headers: &'a HeaderMap) -> Result<&'a [u8], AuthError> {
        let own = self.key_header.iter().chain([&LITELLM_KEY]).find_map(|name| headers.get(name));
        if let Some(value) = own {
            let value = value.as_bytes();
            return Ok(bearer(value).unwrap_or(value));
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let value = value.as_bytes();
            return bearer(value).or_else(|| basic(value)).ok_or(AuthError::Malformed);
        }
        let other = KEY_HEADERS.iter().find_map(|name| headers.get(name));
        other.map(|value| value.as_bytes()).ok_or(AuthError::NoKey)
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

/// `Basic sk-…`, as LiteLLM takes it: clients of Langfuse put the key there as it is.
fn basic(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| key.trim_ascii())
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::keys::tests::Memory;
    use crate::store::Edit;

    async fn authenticate(headers: &[(&str, &str)]) -> Result<Principal, AuthError> {
        let authenticator =
            Authenticator { master_key: Some(digest(b"sk-right")), key_header: None, open_without_database: false };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        authenticator.authenticate(&map, &Directory::default()).await
    }

    #[tokio::test]
    async fn a_key_is_taken_from_where_clients_put_it() {
        for (name, value) in [
            ("authorization", "Bearer sk-right"),
            ("authorization", "bearer  sk-right"),
            ("authorization", "Basic sk-right"),
            ("x-api-key", "sk-right"),
            ("api-key", "sk-right"),
            ("x-litellm-api-key", "sk-right"),
            ("x-litellm-api-key", "Bearer sk-right"),
            ("x-goog-api-key", "sk-right"),
            ("ocp-apim-subscription-key", "sk-right"),
        ] {
            assert!(matches!(authenticate(&[(name, value)]).await, Ok(Principal::Admin)), "{name}: {value}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_cant_be_looked_up_is_refused_or_let_in_to_models_as_the_operator_wants() {
        let store = Arc::new(Memory::default());
        let directory = Directory::open(store.clone()).await.unwrap();
        let known = Key { hash: KeyHash::of(b"sk-known"), ..Key::default() };
        let edits = vec![Edit::PutKey(Box::new(known))];
        directory.change(|_| Ok::<_, StoreError>((edits, ()))).await.unwrap();
        store.is_down.store(true, Ordering::SeqCst);
        let of = |key: &str| HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap())]);
        for open_without_database in [false, true] {
            let master_key = Some(digest(b"sk-right"));
            let authenticator = Authenticator { master_key, key_header: None, open_without_database };
            assert!(matches!(authenticator.authenticate(&of("sk-right"), &directory).await, Ok(Principal::Admin)));
            assert!(matches!(authenticator.authenticate(&of("sk-known"), &directory).await, Ok(Principal::Key(_))));
            match authenticator.authenticate(&of("sk-unknown"), &directory).await {
                Ok(who) => {
                    assert!(open_without_database && !who.is_admin() && !who.sees_all());
                    assert_eq!(who.may_use("/v1/chat/completions", RouteKind::Call, false), Ok(()));
                    assert!(who.may_use("/key/info", RouteKind::Info, true).is_err());
                }
                Err(error) => assert!(!open_without_database && matches!(error, AuthError::Unknown(_)), "{error}"),
            }
        }
    }

    #[tokio::test]
    async fn everybody_else_is_refused() {
        for (headers, error) in [
            (&[][..], AuthError::NoKey),
            (&[("authorization", "sk-right")], AuthError::Malformed),
            (&[("authorization", "Bearer ")], AuthError::WrongKey),
            (&[("authorization", "Bearer sk-wrong")], AuthError::WrongKey),
            (&[("authorization", "Bearer sk-right2")], AuthError::WrongKey),
            (&[("authorization", "Bearer sk-wrong"), ("x-api-key", "sk-right")], AuthError::WrongKey),
        ] {
            assert_eq!(authenticate(headers).await.unwrap_err().to_string(), error.to_string(), "{headers:?}");
        }
    }
}
