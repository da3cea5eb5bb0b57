//! Whether a deployment is called as before: at the same address, with the same keys.
//!
//! Its id says nothing of keys, and what a provider said to the old one needn't hold for the new one. Keys are compared
//! in memory and shown to nobody.

use crate::config::{AwsKeys, Cloud, Credential, Deployment, Found, Lack, Secret, ServiceAccount};

/// Whether both are called at the same address with the same keys.
pub(super) fn is_same(one: &Deployment, other: &Deployment) -> bool {
    one.api_base == other.api_base
        && one.extra_headers == other.extra_headers
        && same_credential(&one.credential, &other.credential)
        && same_cloud(&one.cloud, &other.cloud)
}

fn same_credential(one: &Credential, other: &Credential) -> bool {
    match (one, other) {
        (Credential::Key(one), Credential::Key(other)) => same_secret(one, other),
        (Credential::None, Credential::None) => true,
        (Credential::Missing { variable: one }, Credential::Missing { variable: other }) => one == other,
        _ => false,
    }
}

fn same_cloud(one: &Cloud, other: &Cloud) -> bool {
    one.aws_region == other.aws_region
        && same_found(&one.aws, &other.aws, same_aws)
        && same_found(&one.google, &other.google, |one, other| same_account(one, other))
}

fn same_found<T>(
    one: &Result<Found<T>, Lack>,
    other: &Result<Found<T>, Lack>,
    same: impl FnOnce(&T, &T) -> bool,
) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => same(&one.value, &other.value),
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

fn same_aws(one: &AwsKeys, other: &AwsKeys) -> bool {
    let same_token = match (&one.session_token, &other.session_token) {
        (Some(one), Some(other)) => same_secret(one, other),
        (None, None) => true,
        _ => false,
    };
    same_token
        && same_secret(&one.access_key_id, &other.access_key_id)
        && same_secret(&one.secret_access_key, &other.secret_access_key)
}

fn same_account(one: &ServiceAccount, other: &ServiceAccount) -> bool {
    one.client_email == other.client_email
        && one.token_uri == other.token_uri
        && same_secret(&one.private_key, &other.private_key)
}

fn same_secret(one: &Secret, other: &Secret) -> bool {
    one.expose() == other.expose()
}
