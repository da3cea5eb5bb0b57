//! Where credentials may go that nobody named for a deployment, where a plugin alone says where to: over TLS to those
//! services of their cloud that run models. Another service's answer could be worth more than an answer, for a plugin
//! reads it: that of `sts` is a key.

use url::Url;

/// AWS's services: the name that is signed for, and what stands before the region in their hosts.
const AWS_SERVICES: &[(&str, &[&str])] = &[
    (
        "bedrock",
        &[
            "bedrock-runtime",
            "bedrock-runtime-fips",
            "bedrock",
            "bedrock-fips",
            "bedrock-agent-runtime",
            "bedrock-agent-runtime-fips",
        ],
    ),
    ("sagemaker", &["runtime.sagemaker", "runtime-fips.sagemaker"]),
];

/// What stands behind it.
const AWS_DOMAINS: &[&str] = &["amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn"];

/// Google's hosts, and what hosts may end with that begin with a region.
const GOOGLE_HOSTS: &[&str] = &["aiplatform.googleapis.com", "generativelanguage.googleapis.com"];
const GOOGLE_REGIONAL: &str = "-aiplatform.googleapis.com";

/// What Google's tokens may be for. Of the second there are kinds: `generative-language.retriever`.
const CLOUD_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const LANGUAGE_SCOPE: &str = "https://www.googleapis.com/auth/generative-language";

/// Whether `base` is where AWS runs models in `region`, and `service` what is signed for there.
pub(super) fn is_aws(base: &Url, service: &str, region: &str) -> bool {
    let Some(host) = tls_host(base) else { return false };
    let begins = AWS_SERVICES.iter().filter(|(name, _)| *name == service).flat_map(|(_, begins)| *begins);
    // The whole host, for with another word for the region it may be anybody's: `bedrock.s3.amazonaws.com`.
    begins.into_iter().any(|begin| AWS_DOMAINS.iter().any(|domain| host == format!("{begin}.{region}.{domain}")))
}

/// Whether `base` is where Google runs models, and a token for `scope` is for that.
pub(super) fn is_google(base: &Url, scope: &str) -> bool {
    let Some(host) = tls_host(base) else { return false };
    let plain =
        |text: &str, also: char| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == also);
    let regional = host.strip_suffix(GOOGLE_REGIONAL).is_some_and(|region| !region.is_empty() && plain(region, '-'));
    let kind = scope.strip_prefix(LANGUAGE_SCOPE);
    let fits =
        scope == CLOUD_SCOPE || kind.is_some_and(|kind| kind.is_empty() || (kind.starts_with('.') && plain(kind, '.')));
    fits && (regional || GOOGLE_HOSTS.contains(&host))
}

/// The host, if nobody on the way can read what it is sent.
fn tls_host(base: &Url) -> Option<&str> {
    base.host_str().filter(|_| base.scheme() == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_aws_keys_sign_for_models_only() {
        for (base, service, fine) in [
            ("https://bedrock-runtime.eu-west-1.amazonaws.com", "bedrock", true),
            ("https://bedrock-runtime.eu-west-1.amazonaws.com/model", "bedrock", true),
            ("https://bedrock.eu-west-1.amazonaws.com", "bedrock", true),
            ("https://bedrock-agent-runtime.eu-west-1.amazonaws.com.cn", "bedrock", true),
            ("https://bedrock-runtime.eu-west-1.api.aws", "bedrock", true),
            ("https://runtime.sagemaker.eu-west-1.amazonaws.com", "sagemaker", true),
            ("http://bedrock-runtime.eu-west-1.amazonaws.com", "bedrock", false),
            ("http://sts.amazonaws.com", "sts", false),
            ("https://sts.amazonaws.com", "sts", false),
            ("https://sts.eu-west-1.amazonaws.com", "sts", false),
            ("https://sts.eu-west-1.amazonaws.com", "bedrock", false),
            ("https://bedrock-runtime.eu-west-1.amazonaws.com", "sts", false),
            ("https://bedrock-runtime.eu-west-1.amazonaws.com", "sagemaker", false),
            ("https://runtime.sagemaker.eu-west-1.amazonaws.com", "bedrock", false),
            ("https://bedrock.s3.amazonaws.com", "bedrock", false),
            ("https://bedrock-runtime.us-east-1.amazonaws.com", "bedrock", false),
            ("https://bedrock-runtime.eu-west-1.amazonaws.com.example.com", "bedrock", false),
            ("https://x.bedrock-runtime.eu-west-1.amazonaws.com", "bedrock", false),
            ("https://bedrock-runtime.eu-west-1.amazonaws.example", "bedrock", false),
        ] {
            assert_eq!(is_aws(&Url::parse(base).unwrap(), service, "eu-west-1"), fine, "{service} at {base}");
        }
    }

    #[test]
    fn the_environments_google_tokens_are_for_models_only() {
        let language = format!("{LANGUAGE_SCOPE}.retriever.readonly");
        for (base, scope, fine) in [
            ("https://aiplatform.googleapis.com/v1", CLOUD_SCOPE, true),
            ("https://europe-west4-aiplatform.googleapis.com/v1", CLOUD_SCOPE, true),
            ("https://generativelanguage.googleapis.com/v1beta", LANGUAGE_SCOPE, true),
            ("https://generativelanguage.googleapis.com/v1beta", &language, true),
            ("http://aiplatform.googleapis.com/v1", CLOUD_SCOPE, false),
            ("https://storage.googleapis.com", CLOUD_SCOPE, false),
            ("https://iamcredentials.googleapis.com", CLOUD_SCOPE, false),
            ("https://-aiplatform.googleapis.com", CLOUD_SCOPE, false),
            ("https://evil.x-aiplatform.googleapis.com", CLOUD_SCOPE, false),
            ("https://aiplatform.googleapis.com.example.com", CLOUD_SCOPE, false),
            ("https://aiplatform.googleapis.com", "https://www.googleapis.com/auth/drive", false),
            (
                "https://aiplatform.googleapis.com",
                "https://www.googleapis.com/auth/generative-language https://www.googleapis.com/auth/drive",
                false,
            ),
            ("https://aiplatform.googleapis.com", "https://www.googleapis.com/auth/generative-languages", false),
        ] {
            assert_eq!(is_google(&Url::parse(base).unwrap(), scope), fine, "{scope} at {base}");
        }
    }
}
