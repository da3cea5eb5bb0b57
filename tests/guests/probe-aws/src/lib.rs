//! A [probe](ai_api_guest_probe) whose requests are signed for AWS.

use ai_api_guest_probe::Kind;
use ai_api_plugin_sdk::{Credential, Framing, export_provider};

/// What is special about it.
#[derive(Debug)]
pub struct Special;

impl Kind for Special {
    const NAME: &'static str = "probe-aws";
    const BASE_URL: &'static str = "https://bedrock-runtime.{aws_region_name}.amazonaws.example/v1";
    const PARAMETERS: &'static [&'static str] = &["aws_region_name", "probe_mode", "probe_level", "probe_flag"];
    const FRAMING: Framing = Framing::AwsEventStream;

    fn credential() -> Credential {
        Credential::AwsSigv4("bedrock".to_owned())
    }
}

export_provider!(ai_api_guest_probe::Probe<Special>);
