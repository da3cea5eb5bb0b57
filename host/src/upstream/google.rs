//! Access tokens of Google service accounts.
//!
//! An assertion signed with the account's key is exchanged for a token at the `token_uri` of the key's file:
//! <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>. A token serves all calls until
//! shortly before its end. One exchange runs at a time, in a task of its own, so that a client that leaves doesn't stop it; as long as
//! the old token is good, nobody waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::{HeaderMap, HeaderValue, Method, header};
use rustls::SignatureScheme;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::credentials::sensitive;
use super::{CredentialError, Outbound, Redactor, Upstream};
use crate::config::ServiceAccount;

/// How long a token is asked for, in seconds: the longest that Google gives.
const LIFETIME: u64 = 3600;

/// A token is renewed this long before its end, and no longer used this long before it.
const RENEWED_BEFORE: Duration = Duration::from_secs(300);
const UNUSED_BEFORE: Duration = Duration::from_secs(10);

/// After a failed renewal of a token that is still good.
const NEXT_TRY_AFTER: Duration = Duration::from_secs(10);

/// How long an exchange may take, and how much its answer may be.
const PATIENCE: Duration = Duration::from_secs(15);
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The accounts in use, by account, scope and what else is secret; a new configuration finds the tokens of the old one.
#[derive(Default)]
pub(super) struct Accounts(Mutex<HashMap<[u8; 32], Weak<Tokens>>>);

/// The tokens of one account for one scope.
pub(super) struct Tokens {
    account: Arc<ServiceAccount>,
    scope: String,
    /// Finds the deployment's other secrets.
    redactor: Redactor,
    upstream: Upstream,
    state: Mutex<State>,
}

/// An exchange under way, which any number of calls can wait for.
type Exchange = Shared<BoxFuture<'static, Result<Arc<Token>, CredentialError>>>;

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    exchange: Option<Exchange>,
    /// No earlier than this is the next exchange begun in the background.
    next_try: Option<Instant>,
}

/// An access token.
pub(super) struct Token {
    /// `Bearer TOKEN`
    pub(super) header: HeaderValue,
    /// Finds it, the one before it, and the deployment's other secrets.
    pub(super) redactor: Redactor,
    /// Finds it alone, beside the deployment's.
    own: Redactor,
    life: Life,
}

/// When a token is to be renewed, and from when on it isn't used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    renew_at: Instant,
    unused_at: Instant,
}

impl ServiceAccount {
    /// What of the account may be in no provider's answer: the lines of its key.
    pub(super) fn needles(account: &Self) -> impl Iterator<Item = &str> {
        let lines = account.private_key.expose().lines();
        lines.map(str::trim).filter(|line| line.len() >= 16 && !line.starts_with("--"))
    }
}

impl Upstream {
    pub(super) fn tokens(&self, account: Arc<ServiceAccount>, scope: &str, redactor: &Redactor) -> Arc<Tokens> {
        let mut hash = Sha256::new();
        let of_account = [&account.client_email, account.token_uri.as_str(), account.private_key.expose(), scope];
        // Deployments with other secrets beside the account's have tokens, and so redactors, of their own.
        for part in of_account.into_iter().chain(redactor.needles()) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let mut accounts = self.accounts.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, tokens| tokens.strong_count() > 0);
        let known = accounts.entry(hash.finalize().into()).or_default();
        if let Some(tokens) = known.upgrade() {
            return tokens;
        }
        let (scope, redactor) = (scope.to_owned(), redactor.clone());
        let tokens = Arc::new(Tokens { account, scope, redactor, upstream: self.clone(), state: Mutex::default() });
        *known = Arc::downgrade(&tokens);
        tokens
    }
}

impl Tokens {
    /// A token that is good now.
    pub(super) async fn token(self: &Arc<Self>, patience: Duration) -> Result<Arc<Token>, CredentialError> {
        let exchange = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let good = state.token.clone().filter(|token| now < token.life.unused_at);
            if let Some(token) = good {
                if token.life.renew_at <= now && state.next_try.is_none_or(|next| next <= now) {
                    drop(self.exchange(&mut state));
                }
                return Ok(token);
            }
            self.exchange(&mut state)
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or(Err(CredentialError::Slow))
    }

    /// The exchange under way, or a new one.
    fn exchange(
        self: &Arc<Self>,
        state: &mut State,
    ) -> Shared<BoxFuture<'static, Result<Arc<Token>, CredentialError>>> {
        if let Some(running) = &state.exchange {
            return running.clone();
        }
        let (tokens, before) = (Arc::clone(self), state.token.clone());
        let task = tokio::spawn(async move {
            let fetched = tokens.fetch(before.as_deref()).await.map(Arc::new);
            let mut state = tokens.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.exchange = None;
            match &fetched {
                Ok(token) => (state.token, state.next_try) = (Some(token.clone()), None),
                Err(error) => {
                    state.next_try = Some(Instant::now() + NEXT_TRY_AFTER);
                    tracing::warn!(account = tokens.account.client_email, %error, "no access token from Google");
                }
            }
            fetched
        });
        // A task that panicked has an error, too; its state is as it was, and the next call tries anew.
        let tokens = Arc::downgrade(self);
        let joined = async move {
            task.await.unwrap_or_else(|_| {
                if let Some(tokens) = tokens.upgrade() {
                    tokens.state.lock().unwrap_or_else(PoisonError::into_inner).exchange = None;
                }
                Err(CredentialError::Slow)
            })
        };
        let running = joined.boxed().shared();
        state.exchange = Some(running.clone());
        running
    }

    async fn fetch(&self, before: Option<&Token>) -> Result<Token, CredentialError> {
        let assertion = assertion(&self.account, &self.scope, SystemTime::now()).ok_or(CredentialError::Unsigned)?;
        // Every character of it may stand in a form as it is.
        let body = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form)]);
        let url = self.account.token_uri.clone();
        let asked_at = Instant::now();
        let request = Outbound { method: Method::POST, url, headers, body: body.into() };
        let mut answer = self.upstream.send(request, PATIENCE).await.map_err(CredentialError::Unreachable)?;
        let status = answer.status().as_u16();
        let body = answer.whole(MAX_ANSWER_BYTES, PATIENCE).await.map_err(CredentialError::Unreachable)?;
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status != 200 {
            let reason = reason(&json, &self.redactor.with(&assertion));
            return Err(CredentialError::Refused { status, reason });
        }
        let token = json.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        let token = token.ok_or(CredentialError::Malformed)?;
        let lifetime = json.get("expires_in").and_then(Value::as_u64).unwrap_or(LIFETIME).min(LIFETIME);
        let own = self.redactor.with(token);
        Ok(Token {
            header: sensitive(format!("Bearer {token}")).map_err(|_| CredentialError::Malformed)?,
            redactor: before.map_or_else(|| own.clone(), |before| before.own.with(token)),
            own,
            life: Life::of(asked_at, Duration::from_secs(lifetime)),
        })
    }
}

impl Life {
    /// Of a token that was asked for at `began` and is good for `lifetime`.
    fn of(began: Instant, lifetime: Duration) -> Self {
        let before = |margin| began + lifetime.saturating_sub(margin);
        Self { renew_at: before(RENEWED_BEFORE), unused_at: before(UNUSED_BEFORE) }
    }
}

/// The JWT that is exchanged for a token; `None` where the key can't sign it.
fn assertion(account: &ServiceAccount, scope: &str, at: SystemTime) -> Option<String> {
    let issued = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = match &account.key_id {
        Some(id) => json!({"alg": "RS256", "typ": "JWT", "kid": id}),
        None => json!({"alg": "RS256", "typ": "JWT"}),
    };
    let claims = json!({
        "iss": account.client_email,
        "scope": scope,
        "aud": account.token_uri.as_str(),
        "iat": issued,
        "exp": issued + LIFETIME,
    });
    let encoded = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    let signer = account.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
    let signature = signer.sign(signed.as_bytes()).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// What an OAuth error says, for the log: short, on one line, without secrets.
fn reason(json: &Value, redactor: &Redactor) -> String {
    let texts = ["error", "error_description"].iter().filter_map(|key| json.get(key)?.as_str());
    let said = texts.collect::<Vec<_>>().join(": ");
    let clean = redactor.clean(Bytes::from(said));
    let text = String::from_utf8_lossy(&clean);
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_ends_and_not_used_at_its_end() {
        let began = Instant::now();
        for (lifetime, renewed, unused) in [(3600, 3300, 3590), (310, 10, 300), (200, 0, 190), (10, 0, 0), (0, 0, 0)] {
            let life = Life::of(began, Duration::from_secs(lifetime));
            let after = |at: Instant| at.duration_since(began).as_secs();
            assert_eq!((after(life.renew_at), after(life.unused_at)), (renewed, unused), "of {lifetime} s");
        }
    }

    #[test]
    fn what_the_token_endpoint_says_is_told_without_secrets_on_one_line() {
        let said = json!({"error": "invalid_grant", "error_description": "bad\r\nJWT abc.def.ghi"});
        let reason = reason(&said, &Redactor::new(["abc.def.ghi"]));
        assert_eq!(reason, "invalid_grant: bad\\r\\nJWT [redacted]");
        assert_eq!(super::reason(&json!({"error": {"code": 1}}), &Redactor::default()), "");
    }
}
