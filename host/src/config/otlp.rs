//! OpenTelemetry's variables, LiteLLM's names for some of them, and Langfuse's.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT` (or `_TRACES_ENDPOINT`, `_METRICS_ENDPOINT`) turns it on, as everywhere; so does the callback
//! `otel`. `OTEL_ENDPOINT` and `OTEL_HEADERS` are LiteLLM's.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use percent_encoding::percent_decode_str;
#[cfg(test)]
use url::Url;

use super::at::At;
use super::callbacks::http_url;
use super::endpoint::Endpoint;
use super::environment::Environment;
use super::environment_place;
use super::report::{Report, Severity};

/// A receiver of OTLP over HTTP.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// For spans.
    pub traces: Option<Endpoint>,
    /// For metrics.
    pub metrics: Option<Endpoint>,
    /// Which calls have spans.
    pub sampler: Sampler,
    /// `service.name` and `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Vec<(String, String)>,
    /// Spans say a few things twice, the second time in Langfuse's words.
    pub for_langfuse: bool,
}

/// Which calls have spans: `OTEL_TRACES_SAMPLER`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Of traces that begin here, this part.
    pub ratio: f64,
    /// Of traces that the client began, those that it samples: `parentbased_…`.
    pub asks_parent: bool,
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether OpenTelemetry's own variables name a receiver.
pub(super) fn is_asked_for(environment: &Environment) -> bool {
    let names =
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"];
    names.iter().any(|name| environment.get(name).is_some())
}

/// The receiver that OpenTelemetry's variables name.
pub(super) fn generic(environment: &Environment, report: &mut Report) -> Option<Otlp> {
    if environment.flag("OTEL_SDK_DISABLED") || !speaks_http(environment, report) {
        return None;
    }
    let get = |name: &str| environment.get(name).map(str::trim);
    let base = get("OTEL_EXPORTER_OTLP_ENDPOINT");
    let litellm = get("OTEL_ENDPOINT");
    let mut endpoint = |signal: &str, path: &str| {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        let (name, text) = match (get(&own), base, litellm) {
            (Some(whole), _, _) => (own.as_str(), whole.to_owned()),
            (None, Some(base), _) => ("OTEL_EXPORTER_OTLP_ENDPOINT", below(base, path)),
            (None, None, Some(litellm)) => ("OTEL_ENDPOINT", below(litellm, path)),
            (None, None, None) => ("OTEL_EXPORTER_OTLP_ENDPOINT", below("http://localhost:4318", path)),
        };
        let Some(url) = http_url(&text) else {
            report.error(&environment_place(), name, "expected an address that begins with http:// or https://");
            return None;
        };
        let of_signal = |name: &str| {
            get(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}")).or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let millis = of_signal("TIMEOUT").and_then(|text| text.parse().ok()).filter(|millis| *millis > 0);
        let mut endpoint = Endpoint::new(url, millis.map_or(TIMEOUT, Duration::from_millis));
        endpoint.add_headers(get("OTEL_HEADERS").unwrap_or_default(), true);
        endpoint.add_headers(of_signal("HEADERS").unwrap_or_default(), true);
        Some(endpoint)
    };
    let wants = |name: &str| get(name).is_none_or(|exporter| exporter != "none");
    let traces = wants("OTEL_TRACES_EXPORTER").then(|| endpoint("TRACES", "v1/traces")).flatten();
    // LiteLLM's own variables are about spans alone, unless it is told otherwise.
    let has_metrics = get("OTEL_METRICS_EXPORTER") == Some("otlp")
        || environment.flag("LITELLM_OTEL_INTEGRATION_ENABLE_METRICS")
        || is_asked_for(environment);
    let metrics = (has_metrics && wants("OTEL_METRICS_EXPORTER")).then(|| endpoint("METRICS", "v1/metrics")).flatten();
    let sampler = Sampler::read(environment, report);
    Some(Otlp { traces, metrics, sampler, resource: resource(environment), for_langfuse: false })
}

/// Langfuse, which takes spans by OTLP.
pub(super) fn langfuse(environment: &Environment, at: Option<&At<'_>>, report: &mut Report) -> Option<Otlp> {
    let keys = (environment.get("LANGFUSE_PUBLIC_KEY"), environment.get("LANGFUSE_SECRET_KEY"));
    let (Some(public), Some(secret)) = keys else {
        if let Some(at) = at {
            at.error("it needs LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY", report);
        }
        return None;
    };
    let host = ["LANGFUSE_OTEL_HOST", "LANGFUSE_HOST", "LANGFUSE_BASE_URL"].into_iter();
    let (name, host) = host
        .filter_map(|name| Some((name, environment.get(name)?.trim())))
        .next()
        .unwrap_or(("LANGFUSE_HOST", "https://cloud.langfuse.com"));
    let host = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
    let base = match host.contains("/api/public/otel") {
        true => host,
        false => below(&host, "api/public/otel"),
    };
    let Some(url) = http_url(&below(&base, "v1/traces")) else {
        report.error(&environment_place(), name, "expected an address that begins with http:// or https://");
        return None;
    };
    let mut endpoint = Endpoint::new(url, TIMEOUT);
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", public.trim(), secret.trim())));
    endpoint.set(header::AUTHORIZATION, HeaderValue::try_from(basic).ok()?);
    let sampler = Sampler::read(environment, report);
    Some(Otlp { traces: Some(endpoint), metrics: None, sampler, resource: resource(environment), for_langfuse: true })
}

/// A path below an address that may have it already.
fn below(base: &str, path: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.ends_with(path) { base.to_owned() } else { format!("{base}/{path}") }
}

/// OTLP over HTTP in Protocol Buffers is what there is.
fn speaks_http(environment: &Environment, report: &mut Report) -> bool {
    for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER"] {
        let said = environment.get(name).map(str::trim).unwrap_or("http/protobuf");
        if !matches!(said, "http/protobuf" | "otlp_http" | "http" | "otlp") {
            let message = "only http/protobuf is spoken, to port 4318 mostly: nothing is sent";
            report.add(Severity::Warning, &environment_place(), name, message);
            return false;
        }
    }
    true
}

fn resource(environment: &Environment) -> Vec<(String, String)> {
    let list = environment.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let mut attributes: Vec<(String, String)> = list
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), percent_decode_str(value.trim()).decode_utf8_lossy().into_owned()))
        .filter(|(key, _)| !key.is_empty())
        .collect();
    let own = environment.get("OTEL_SERVICE_NAME").map(|name| name.trim().to_owned());
    let has_name = attributes.iter().any(|(key, _)| key == "service.name");
    if own.is_some() || !has_name {
        attributes.retain(|(key, _)| key != "service.name");
        attributes.push(("service.name".to_owned(), own.unwrap_or_else(|| "ai-api".to_owned())));
    }
    if !attributes.iter().any(|(key, _)| key == "service.version") {
        attributes.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    }
    attributes
}

// === impl Sampler ===

impl Sampler {
    fn read(environment: &Environment, report: &mut Report) -> Self {
        let ratio = environment.get("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.trim().parse::<f64>().ok());
        let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or(1.0);
        let name = environment.get("OTEL_TRACES_SAMPLER").map(str::trim).unwrap_or("parentbased_always_on");
        let (asks_parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio,
            _ => {
                let message = "this sampler is unknown; parentbased_always_on is used";
                report.add(Severity::Warning, &environment_place(), "OTEL_TRACES_SAMPLER", message);
                return Self { ratio: 1.0, asks_parent: true };
            }
        };
        Self { ratio, asks_parent }
    }

    /// Whether a trace has spans of ours; `parent`: what the client says, where it began the trace.
    pub fn samples(self, trace: [u8; 16], parent: Option<bool>) -> bool {
        if let (true, Some(sampled)) = (self.asks_parent, parent) {
            return sampled;
        }
        let [.., a, b, c, d, e, f, g, h] = trace;
        // All gateways decide alike, and as OpenTelemetry's own SDKs do: by the last bytes.
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        self.ratio >= 1.0 || (number as f64) < self.ratio * (1_u64 << 63) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<Otlp>, Report) {
        let mut report = Report::default();
        let otlp = generic(&Environment::of(variables.iter().copied()), &mut report);
        (otlp, report)
    }

    fn url(endpoint: &Option<Endpoint>) -> Option<&str> {
        endpoint.as_ref().map(|endpoint| Url::as_str(&endpoint.url))
    }

    #[test]
    fn a_base_has_a_path_for_each_signal_and_a_signal_may_have_an_address_of_its_own() {
        for (variables, traces, metrics) in [
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")][..],
                Some("http://c:4318/v1/traces"),
                Some("http://c:4318/v1/metrics"),
            ),
            (
                &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x"), ("OTEL_METRICS_EXPORTER", "none")],
                Some("http://t/x"),
                None,
            ),
            (&[("OTEL_ENDPOINT", "https://h.io/v1/traces")], Some("https://h.io/v1/traces"), None),
            (&[], Some("http://localhost:4318/v1/traces"), None),
        ] {
            let (otlp, report) = read(variables);
            let otlp = otlp.unwrap();
            assert_eq!((url(&otlp.traces), url(&otlp.metrics)), (traces, metrics), "{variables:?}");
            assert!(!report.has_errors());
        }
    }

    #[test]
    fn what_isnt_spoken_or_is_switched_off_is_not_sent() {
        for variables in [
            &[("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")],
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")],
        ] {
            assert!(read(variables).0.is_none(), "{variables:?}");
        }
        let (_, report) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]);
        assert!(report.has_errors(), "an address without a scheme is a mistake");
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let (otlp, _) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:pw@c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc=, x-team=secret"),
        ]);
        let traces = otlp.unwrap().traces.unwrap();
        assert_eq!(traces.headers.get("authorization").unwrap(), "Basic abc=");
        assert_eq!(traces.headers.get("x-team").unwrap(), "secret");
        let shown = format!("{traces:?}");
        assert!(!shown.contains("secret") && !shown.contains("pw") && !shown.contains("abc"), "{shown}");
    }

    #[test]
    fn langfuse_is_a_receiver_with_a_key_in_two_halves() {
        let variables =
            [("LANGFUSE_PUBLIC_KEY", "pk"), ("LANGFUSE_SECRET_KEY", "sk"), ("LANGFUSE_HOST", "http://l:3000/")];
        let otlp = langfuse(&Environment::of(variables), None, &mut Report::default()).unwrap();
        let traces = otlp.traces.unwrap();
        assert_eq!(traces.url.as_str(), "http://l:3000/api/public/otel/v1/traces");
        assert_eq!(traces.headers.get("authorization").unwrap(), "Basic cGs6c2s=");
        assert!(otlp.metrics.is_none());
    }

    #[test]
    fn a_sampler_asks_the_parent_or_the_trace_itself() {
        let of = |name: &str, arg: &str| {
            let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)];
            Sampler::read(&Environment::of(variables), &mut Report::default())
        };
        let (low, high) = ([0; 16], [0xff; 16]);
        for (name, trace, parent, sampled) in [
            ("always_on", high, Some(false), true),
            ("always_off", low, Some(true), false),
            ("parentbased_always_on", low, Some(false), false),
            ("parentbased_always_on", low, None, true),
            ("parentbased_always_off", low, Some(true), true),
            ("traceidratio", low, Some(false), true),
            ("traceidratio", high, Some(true), false),
            ("parentbased_traceidratio", high, None, false),
        ] {
            assert_eq!(of(name, "0.5").samples(trace, parent), sampled, "{name} {parent:?}");
        }
    }
}
