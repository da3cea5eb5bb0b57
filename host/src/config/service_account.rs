//! A Google service account's key file: `vertex_credentials`.
//!
//! LiteLLM's rule: the path of a JSON file, or the JSON itself; else the variables VERTEXAI_CREDENTIALS and
//! GOOGLE_APPLICATION_CREDENTIALS. No message holds a word of the file.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use rustls::SignatureAlgorithm;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde_json::Value as Json;
use url::Url;

use super::cloud::{Found, Lack};
use super::environment::Environment;
use super::node::Value;
use super::params::Params;
use super::secret::Secret;

/// Real ones have 2 to 3 KiB.
const MAX_FILE_BYTES: u64 = 64 << 10;

const VARIABLES: [&str; 2] = ["VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"];

/// A service account, its private key ready to sign with.
#[derive(Clone)]
pub struct ServiceAccount {
    /// Who it is.
    pub client_email: String,
    /// The project that it belongs to.
    pub project_id: Option<String>,
    /// Which of the account's keys this is.
    pub key_id: Option<String>,
    /// Where it gets its tokens.
    pub token_uri: Url,
    /// The private key as the file has it.
    pub private_key: Secret,
    /// The same, parsed.
    pub key: Arc<dyn SigningKey>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

/// The account of a deployment.
pub(super) fn read(
    params: &Params<'_>,
    ambient: &Result<Arc<ServiceAccount>, Lack>,
) -> Result<Found<Arc<ServiceAccount>>, Lack> {
    let at = ["vertex_credentials", "vertex_ai_credentials"].iter().find_map(|key| params.raw(key));
    let text = match at.as_ref().map(|at| (at.node, &at.node.value)) {
        Some((node, Value::Map(_))) => node.to_json().to_string(),
        Some((_, Value::Text(text))) if !text.trim().is_empty() => text.clone(),
        Some((_, Value::Bool(_) | Value::Number(_) | Value::List(_))) => {
            return Err(Lack::Unusable("vertex_credentials is neither a file's path nor JSON".to_owned()));
        }
        // A deployment that names a variable means that account, not another one.
        Some((node, Value::Unset)) => return Err(Lack::Unset(node.unset_variable().unwrap_or_default().to_owned())),
        Some((_, Value::Null | Value::Text(_))) | None => {
            return ambient.clone().map(|value| Found { value, ambient: true });
        }
    };
    account("vertex_credentials", &text).map(|value| Found { value, ambient: false })
}

/// The account of the environment.
pub(super) fn ambient(environment: &Environment) -> Result<Arc<ServiceAccount>, Lack> {
    match VARIABLES.iter().find_map(|name| Some((*name, environment.get(name)?))) {
        Some((name, text)) => account(name, text),
        None => Err(Lack::Unset("GOOGLE_APPLICATION_CREDENTIALS (or litellm_params.vertex_credentials)".to_owned())),
    }
}

/// The account that `text`, which stands in `source`, is or leads to.
fn account(source: &str, text: &str) -> Result<Arc<ServiceAccount>, Lack> {
    let text = text.trim();
    let json = if text.starts_with('{') { Ok(text.to_owned()) } else { file(text) };
    let account = json.and_then(|json| parse(&json));
    account.map(Arc::new).map_err(|why| Lack::Unusable(format!("{source}: {why}")))
}

/// The path isn't in the message: people put keys where paths should be.
fn file(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let opened = crate::file::open(std::path::Path::new(path));
    let (file, _) = opened.map_err(|error| format!("the file can't be opened: {}", error.kind()))?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| format!("the file can't be read: {}", error.kind()))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("the file is larger than {} KiB, so it is no key file", MAX_FILE_BYTES >> 10));
    }
    Ok(text)
}

fn parse(json: &str) -> Result<ServiceAccount, String> {
    let json: Json = serde_json::from_str(json)
        .map_err(|error| format!("no JSON (line {}, column {})", error.line(), error.column()))?;
    let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned).filter(|text| !text.is_empty());
    let mandatory = |key: &str| text(key).ok_or_else(|| format!("it has no {key}"));
    match text("type").as_deref() {
        Some("service_account") => {}
        Some(
            "authorized_user"
            | "external_account"
            | "impersonated_service_account"
            | "external_account_authorized_user",
        ) => {
            return Err(
                "it is no key of a service account, and other kinds of credentials are not supported yet".to_owned()
            );
        }
        _ => return Err("it is no key of a service account: its type is not `service_account`".to_owned()),
    }
    let token_uri = Url::parse(&mandatory("token_uri")?).map_err(|_| "its token_uri is no URL".to_owned())?;
    if !matches!(token_uri.scheme(), "http" | "https") {
        return Err("its token_uri is no http(s) URL".to_owned());
    }
    let private_key = mandatory("private_key")?;
    Ok(ServiceAccount {
        client_email: mandatory("client_email")?,
        project_id: text("project_id"),
        key_id: text("private_key_id"),
        token_uri,
        key: rsa(&private_key)?,
        private_key: Secret::new(private_key),
    })
}

fn rsa(pem: &str) -> Result<Arc<dyn SigningKey>, String> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "its private_key is no PEM".to_owned())?;
    let key = rustls::crypto::ring::sign::any_supported_type(&der).ok();
    key.filter(|key| key.algorithm() == SignatureAlgorithm::RSA)
        .ok_or_else(|| "its private_key is no RSA key".to_owned())
}
