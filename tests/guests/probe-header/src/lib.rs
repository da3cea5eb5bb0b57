//! A [probe](ai_api_guest_probe) whose key goes into a header.

use ai_api_guest_probe::Kind;
use ai_api_plugin_sdk::{Credential, Framing, export_provider};

/// What is special about it.
#[derive(Debug)]
pub struct Special;

impl Kind for Special {
    const NAME: &'static str = "probe-header";
    const BASE_URL: &'static str = "";
    const PARAMETERS: &'static [&'static str] = &[];
    const FRAMING: Framing = Framing::Sse;

    fn credential() -> Credential {
        Credential::Header("x-probe-key".to_owned())
    }
}

export_provider!(ai_api_guest_probe::Probe<Special>);
