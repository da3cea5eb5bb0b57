//! A [probe](ai_api_guest_probe) that uses a Google service account.

use ai_api_guest_probe::Kind;
use ai_api_plugin_sdk::{Credential, Framing, export_provider};

/// What is special about it.
#[derive(Debug)]
pub struct Special;

impl Kind for Special {
    const NAME: &'static str = "probe-google";
    const BASE_URL: &'static str = "https://{vertex_location}-probe.cloud.example/v1/projects/{vertex_project}";
    const PARAMETERS: &'static [&'static str] = &["vertex_location"];
    const FRAMING: Framing = Framing::Sse;

    fn credential() -> Credential {
        Credential::GoogleServiceAccount("https://www.googleapis.com/auth/cloud-platform".to_owned())
    }
}

export_provider!(ai_api_guest_probe::Probe<Special>);
