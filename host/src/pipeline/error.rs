//! Everything that can go wrong with a request.

use crate::admission::Shed;
use crate::auth::AuthError;
use crate::canonical::{BadBody, ProviderError};
use crate::keys::{AccountError, Denied};
use crate::limits::Refused;
use crate::plugin::{CallError, Operation};
use crate::router::{Misfit, NoDeployment};
use crate::store::StoreError;
use crate::store::reports::ReportError;
use crate::stream::StreamError;
use crate::upstream::{BadPath, CredentialError, UpstreamError};

/// Why a request was not answered. What the client is told of each, and with which status, is in `api/error.rs`.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nobody that we know.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Its caller may not have it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A key, a user or a team can't be managed like this.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A limit of its caller's stands against it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No such path.
    #[error("unknown path {0}")]
    UnknownPath(String),
    /// The path takes another method.
    #[error("wrong method")]
    WrongMethod {
        /// What it takes.
        allowed: &'static str,
    },
    /// A page in a browser asks for what no page may bring about.
    #[error("asked by a page in a browser")]
    AskedByPage,
    /// The client's body is larger than we take.
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The client's body did not come whole.
    #[error("the request body broke off: {0}")]
    BodyBroken(String),
    /// The client fell silent in the middle of its body, or sends it too slowly.
    #[error("the request body stopped coming, or came too slowly")]
    BodySlow,
    /// The gateway doesn't take on more.
    #[error(transparent)]
    Overloaded(Shed),
    /// The client's body is no request.
    #[error(transparent)]
    Body(#[from] BadBody),
    /// A parameter of the request is wrong.
    #[error("{message}")]
    Invalid {
        /// Which.
        param: String,
        /// For the client.
        message: String,
    },
    /// No deployment has this name.
    #[error("unknown model {model}")]
    UnknownModel {
        /// The name.
        model: String,
        /// A name that is nearly it.
        suggestion: Option<String>,
    },
    /// The provider doesn't serve this endpoint.
    #[error("{provider} does not serve {}", operation.path())]
    UnsupportedOperation {
        /// Which provider.
        provider: String,
        /// Which endpoint.
        operation: Operation,
    },
    /// The provider has no such parameters, and nobody said to drop them.
    #[error("{provider} does not support {params:?}")]
    UnsupportedParams {
        /// Which provider.
        provider: String,
        /// Its model.
        model: String,
        /// Where they stand in the request.
        params: Vec<String>,
    },
    /// A translation would lose something, and the deployment is strict.
    #[error("the translation loses {losses:?}")]
    Strict {
        /// What, and where it stands in the request.
        losses: Vec<String>,
    },
    /// No deployment can be asked now.
    #[error("model {model}: {}", no_deployment(.why))]
    NoDeployment {
        /// The name that the client used.
        model: String,
        /// Why none.
        why: NoDeployment,
    },
    /// The deployment can't serve: its configuration is incomplete.
    #[error("model {model} can't be served: {reason}")]
    Unusable {
        /// The name that the client used.
        model: String,
        /// Why, without secrets.
        reason: String,
    },
    /// The way to authenticate to the provider failed.
    #[error("{provider} can't be authenticated to: {source}")]
    Credential {
        /// Which provider.
        provider: String,
        /// How.
        source: CredentialError,
    },
    /// The deployment's key is in a variable that isn't set.
    #[error("model {model} has no credential: {variable} is not set")]
    NoCredential {
        /// The name that the client used.
        model: String,
        /// The variable.
        variable: String,
    },
    /// The provider refused or failed, in canonical words.
    #[error("the provider answered {}", .0.status)]
    Provider(Box<ProviderError>),
    /// The way to the provider failed.
    #[error("{provider}: {source}")]
    Upstream {
        /// Which provider.
        provider: String,
        /// How.
        source: UpstreamError,
    },
    /// The provider's answer isn't what it should be.
    #[error("{provider} {what}")]
    BadAnswer {
        /// Which provider.
        provider: String,
        /// What it did.
        what: String,
    },
    /// The configuration can't be loaded again; the one in use stays.
    #[error("the configuration was not reloaded")]
    ConfigRefused(String),
    /// What calls have cost can't be told.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The plugin failed, or said that the provider did.
    #[error("{plugin}: {source}")]
    Plugin {
        /// Which plugin.
        plugin: String,
        /// How.
        source: CallError,
    },
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        Self::Account(error.into())
    }
}

impl GatewayError {
    /// A parameter of the request is wrong.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { param: param.into(), message: message.into() }
    }

    /// A parameter of the request is missing.
    pub fn missing(param: &str) -> Self {
        Self::invalid(param, format!("Missing required parameter: '{param}'."))
    }

    pub(super) fn upstream(provider: &str, source: UpstreamError) -> Self {
        Self::Upstream { provider: provider.to_owned(), source }
    }

    pub(super) fn plugin(plugin: &str, source: CallError) -> Self {
        Self::Plugin { plugin: plugin.to_owned(), source }
    }

    pub(super) fn bad_answer(provider: &str, what: impl Into<String>) -> Self {
        Self::BadAnswer { provider: provider.to_owned(), what: what.into() }
    }

    /// The provider answered with a status that is neither success nor an error.
    pub(super) fn not_an_answer(provider: &str, status: u16) -> Self {
        let hint = if (300..400).contains(&status) { ", a redirect; check its api_base" } else { "" };
        Self::bad_answer(provider, format!("answered {status}{hint}"))
    }

    pub(super) fn stream(provider: &str, error: StreamError) -> Self {
        Self::bad_answer(provider, format!("sent a stream that can't be read: {error}"))
    }

    pub(super) fn path(plugin: &str, error: &BadPath) -> Self {
        Self::plugin(plugin, CallError::Refused(error.to_string()))
    }
}

/// Why no deployment can be asked, in words for a caller.
pub fn no_deployment(why: &NoDeployment) -> String {
    match why {
        NoDeployment::Exhausted => "all of its deployments have failed this call".to_owned(),
        NoDeployment::NoneFits(Misfit::ContextWindow { tokens, limit }) => {
            format!("its prompt has about {tokens} tokens, and the largest deployment takes {limit}")
        }
        NoDeployment::NoneFits(Misfit::Lacks(what)) => format!("none of its deployments can {what}"),
        NoDeployment::NoneFits(Misfit::Tags) => "not allowed to access model due to tags configuration".to_owned(),
        NoDeployment::NoneFits(Misfit::Spent { .. }) => "the budget of its deployments is spent".to_owned(),
        NoDeployment::NoneFits(Misfit::Unusable) => "none of its deployments can be used".to_owned(),
        NoDeployment::Cooling { .. } => "all of its deployments failed a moment ago and are left alone".to_owned(),
        NoDeployment::Full => "all of its deployments have as many calls under way as they may".to_owned(),
        NoDeployment::RateLimited { .. } => "all of its deployments have had their calls of this minute".to_owned(),
        NoDeployment::Blocked => "all of its deployments are blocked".to_owned(),
    }
}
