//! A deployment's credentials for clouds, where a key alone doesn't do.
//!
//! Which of them a call needs the plugin's manifest says, and the configuration knows no manifest: so everything that
//! is there is read, and what is not there is a reason, for the day that a plugin asks.

use std::sync::Arc;

use super::environment::Environment;
use super::params::Params;
use super::report::Report;
use super::secret::Secret;
use super::service_account::{self, ServiceAccount};

/// Settings of clouds that are no secrets.
pub(super) const SHOWN: [&str; 3] = ["aws_region_name", "vertex_project", "vertex_location"];

const REGIONS: [&str; 3] = ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];
const PROJECTS: [&str; 1] = ["VERTEXAI_PROJECT"];
const LOCATIONS: [&str; 2] = ["VERTEXAI_LOCATION", "VERTEX_LOCATION"];

/// What a deployment can authenticate itself to clouds with.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// For AWS's signatures.
    pub aws: Result<Found<AwsKeys>, Lack>,
    /// For AWS's signatures, too: `aws_region_name`, else AWS_REGION_NAME, AWS_REGION or AWS_DEFAULT_REGION.
    pub aws_region: Option<String>,
    /// For Google's tokens.
    pub google: Result<Found<Arc<ServiceAccount>>, Lack>,
}

/// A credential, and whose choice it was.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// The credential.
    pub value: T,
    /// Nobody named it for this deployment: it is what the environment has for every program.
    pub ambient: bool,
}

/// AWS's keys.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// `aws_access_key_id`
    pub access_key_id: Secret,
    /// `aws_secret_access_key`
    pub secret_access_key: Secret,
    /// `aws_session_token`, where the keys are temporary.
    pub session_token: Option<Secret>,
}

/// What the environment has for clouds.
pub(super) struct Ambient {
    google: Result<Arc<ServiceAccount>, Lack>,
}

/// Why there is no credential; a client may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It isn't set; these are the names to set it by.
    Unset(String),
    /// It is set and can't be used.
    Unusable(String),
}

// === impl Cloud ===

impl Default for Cloud {
    /// For a deployment that calls nobody.
    fn default() -> Self {
        let unset = |names: &str| Lack::Unset(names.to_owned());
        Self {
            aws: Err(unset("AWS_ACCESS_KEY_ID")),
            aws_region: None,
            google: Err(unset("GOOGLE_APPLICATION_CREDENTIALS")),
        }
    }
}

impl Ambient {
    /// Reads it.
    pub(super) fn read(environment: &Environment) -> Self {
        Self { google: service_account::ambient(environment) }
    }
}

impl Cloud {
    /// Reads what there is, and warns of what is there and can't be used.
    pub(super) fn read(
        params: &Params<'_>,
        provider: &str,
        environment: &Environment,
        ambient: &Ambient,
        report: &mut Report,
    ) -> Self {
        let aws_region =
            text(params, &["aws_region_name"], report).or_else(|| first(environment, &REGIONS).map(str::to_owned));
        let aws = aws(params, environment, report);
        let google = service_account::read(params, &ambient.google);
        let means_google =
            provider.starts_with("vertex") || params.entries().any(|(key, _)| key.starts_with("vertex_"));
        let means_aws = params.entries().any(|(key, _)| key.starts_with("aws_") && key != "aws_region_name");
        let mut warn = |key: &str, lack: Option<&Lack>| {
            if let Some(lack) = lack {
                params
                    .raw(key)
                    .unwrap_or_else(|| params.model_or_self())
                    .warn(format!("{lack}: calls to this model will fail"), report);
            }
        };
        warn("aws_secret_access_key", aws.as_ref().err().filter(|_| means_aws));
        warn("vertex_credentials", google.as_ref().err().filter(|_| means_google));
        Self { aws, aws_region, google }
    }

    /// What a plugin may see of it, where the deployment doesn't say it itself.
    pub(super) fn parameters(&self, environment: &Environment) -> Vec<(&'static str, String)> {
        let variable = |names: &[&str]| first(environment, names).map(str::to_owned);
        let project = || self.google.as_ref().ok()?.value.project_id.clone();
        let all = [
            ("aws_region_name", self.aws_region.clone()),
            ("vertex_project", variable(&PROJECTS).or_else(project)),
            ("vertex_location", variable(&LOCATIONS)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Keys of the deployment, else those of the environment: never half of each.
fn aws(params: &Params<'_>, environment: &Environment, report: &mut Report) -> Result<Found<AwsKeys>, Lack> {
    const NAMES: [(&str, &str); 3] = [
        ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
        ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ("aws_session_token", "AWS_SESSION_TOKEN"),
    ];
    let own = NAMES.map(|(key, _)| text(params, &[key], report));
    let ambient = own.iter().all(Option::is_none);
    let [id, secret, token] =
        if ambient { NAMES.map(|(_, name)| environment.get(name).map(str::to_owned)) } else { own };
    let lacks = |(key, variable): (&str, &str)| {
        Lack::Unset(if ambient {
            format!("{variable} (or litellm_params.{key})")
        } else {
            format!("litellm_params.{key}")
        })
    };
    let [id_names, secret_names, _] = NAMES;
    let key = |value: Option<String>, names| value.map(|text| Secret::new(text.trim())).ok_or_else(|| lacks(names));
    let session_token = token.map(|token| Secret::new(token.trim()));
    let (access_key_id, secret_access_key) = (key(id, id_names)?, key(secret, secret_names)?);
    if http::HeaderValue::try_from(access_key_id.expose()).is_err()
        || session_token.as_ref().is_some_and(|token| http::HeaderValue::try_from(token.expose()).is_err())
    {
        return Err(Lack::Unusable("its AWS keys hold a character that can't be sent".to_owned()));
    }
    Ok(Found { value: AwsKeys { access_key_id, secret_access_key, session_token }, ambient })
}

/// The first of `keys` that holds a text.
fn text(params: &Params<'_>, keys: &[&str], report: &mut Report) -> Option<String> {
    let at = keys.iter().find_map(|key| params.get(key))?;
    at.text(report).filter(|text| !text.trim().is_empty())
}

fn first<'a>(environment: &'a Environment, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| environment.get(name))
}

// === impl Lack ===

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unset(names) => write!(f, "{names} is not set"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}
