//! How much the gateway takes on at a time, and how patient it is with clients.
//!
//! ```yaml
//! general_settings:
//!   max_in_flight_requests_per_worker: 200   # or global_max_parallel_requests: one process, so both are the same
//!   max_queued_requests_per_worker: 200
//!   admission_queue_timeout_seconds: 1.0
//!   max_parallel_requests: 50                # of one caller
//! ai_api_settings:
//!   client_limits: {max_connections: 5000, header_timeout_seconds: 10}
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use super::at::At;
use super::known::{Support, nearest};
use super::report::Report;

/// What is taken on at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls: `general_settings`.
    pub admission: AdmissionLimits,
    /// Connections: `ai_api_settings.client_limits`.
    pub client: ClientLimits,
}

/// How many calls are under way, and how many wait. LiteLLM's keys, its meanings, but limits without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Calls under way at a time: the lower of `max_in_flight_requests_per_worker` and
    /// `global_max_parallel_requests`. The default bounds memory and sockets, not what a provider is asked.
    pub max_in_flight: usize,
    /// Calls of one caller, those that wait included: `max_parallel_requests`; by default there is no such limit.
    pub max_per_caller: Option<usize>,
    /// Calls that wait for a place: `max_queued_requests_per_worker`. By default as many as may be under way, as in
    /// LiteLLM, but no more than 1,000.
    pub max_queued: usize,
    /// How long one may wait: `admission_queue_timeout_seconds`.
    pub queue_timeout: Duration,
}

/// What clients may do to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// From the first byte of a request to the end of its headers, and to the first byte of a new connection:
    /// `header_timeout_seconds`.
    pub header_timeout: Duration,
    /// How long a connection without a call is kept: `idle_timeout_seconds`. Longer than proxies keep theirs (Traefik
    /// and Go 90 s, nginx and AWS's ALB 60 s), or they send a call on one that is just being closed. It has to be raised
    /// behind those that keep theirs longer: Google's load balancers 600 s, Envoy 1 h.
    pub idle_timeout: Duration,
    /// How long a client may be silent in the middle of its body, and its head start on the rate:
    /// `body_timeout_seconds`.
    pub body_timeout: Duration,
    /// The slowest that a body may come, once the head start is over: `min_body_bytes_per_second`; 0 for any.
    pub min_body_rate: u32,
    /// How long a client may take nothing of an answer that is there: `write_timeout_seconds`.
    pub write_timeout: Duration,
    /// Connections at a time: `max_connections`; by default half of the files that the process may open, so that each
    /// may have a call with a connection of its own to a provider.
    pub max_connections: Option<usize>,
    /// Connections of one address at a time: `max_connections_per_ip`; by default any number, for behind a proxy all
    /// have one address.
    pub max_connections_per_ip: Option<usize>,
}

const COUNT: RangeInclusive<u32> = 1..=10_000_000;
const DEFAULT_IN_FLIGHT: usize = 10_000;
const MOST_QUEUED_BY_DEFAULT: usize = 1000;
/// Beyond it a limit of time is none.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

// === impl Load ===

impl Load {
    pub(super) fn read(root: &At<'_>, report: &mut Report) -> Self {
        Self { admission: AdmissionLimits::read(root, report), client: ClientLimits::read(root, report) }
    }
}

// === impl AdmissionLimits ===

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self::of(DEFAULT_IN_FLIGHT)
    }
}

impl AdmissionLimits {
    /// The defaults where so many calls may be under way.
    fn of(max_in_flight: usize) -> Self {
        Self {
            max_in_flight,
            max_per_caller: None,
            max_queued: max_in_flight.min(MOST_QUEUED_BY_DEFAULT),
            queue_timeout: Duration::from_secs(1),
        }
    }

    fn read(root: &At<'_>, report: &mut Report) -> Self {
        let Some(section) = root.map("general_settings", report) else { return Self::default() };
        let mut count =
            |key: &str, range: RangeInclusive<u32>| section.get(key).and_then(|at| whole(&at, range, report));
        let in_flight =
            [count("max_in_flight_requests_per_worker", COUNT), count("global_max_parallel_requests", COUNT)];
        let max_queued = count("max_queued_requests_per_worker", 0..=*COUNT.end());
        let max_per_caller = count("max_parallel_requests", COUNT);
        let queue_timeout = section.get("admission_queue_timeout_seconds").and_then(|at| span(&at, report));
        let mut limits = Self::of(in_flight.into_iter().flatten().min().unwrap_or(DEFAULT_IN_FLIGHT));
        limits.max_per_caller = max_per_caller;
        limits.max_queued = max_queued.unwrap_or(limits.max_queued);
        limits.queue_timeout = queue_timeout.unwrap_or(limits.queue_timeout);
        limits
    }
}

// === impl ClientLimits ===

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(60),
            min_body_rate: 500,
            write_timeout: Duration::from_secs(60),
            max_connections: None,
            max_connections_per_ip: None,
        }
    }
}

impl ClientLimits {
    const KEYS: [&'static str; 7] = [
        "header_timeout_seconds",
        "idle_timeout_seconds",
        "body_timeout_seconds",
        "min_body_bytes_per_second",
        "write_timeout_seconds",
        "max_connections",
        "max_connections_per_ip",
    ];

    fn read(root: &At<'_>, report: &mut Report) -> Self {
        let mut limits = Self::default();
        let section = root.map("ai_api_settings", report).and_then(|own| own.map("client_limits", report));
        for (name, at) in section.iter().flat_map(At::entries).filter(|(_, at)| !at.node.is_none()) {
            limits.set(name, &at, report);
        }
        limits
    }

    fn set(&mut self, name: &str, at: &At<'_>, report: &mut Report) {
        let time = match name {
            "header_timeout_seconds" => &mut self.header_timeout,
            "idle_timeout_seconds" => &mut self.idle_timeout,
            "body_timeout_seconds" => &mut self.body_timeout,
            "write_timeout_seconds" => &mut self.write_timeout,
            "min_body_bytes_per_second" => {
                let rate = whole(at, 0..=*COUNT.end(), report).and_then(|rate| u32::try_from(rate).ok());
                self.min_body_rate = rate.unwrap_or(self.min_body_rate);
                return Support::Honoured("").report(at, report);
            }
            "max_connections" | "max_connections_per_ip" => {
                let count = whole(at, COUNT, report);
                let limit = if name == "max_connections" {
                    &mut self.max_connections
                } else {
                    &mut self.max_connections_per_ip
                };
                *limit = count;
                return Support::Honoured("").report(at, report);
            }
            _ => {
                let near = nearest(name, Self::KEYS.into_iter());
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return at.error(format!("there is no such limit{hint}"), report);
            }
        };
        *time = span(at, report).unwrap_or(*time);
        Support::Honoured("").report(at, report);
    }
}

/// A whole number of `range`.
fn whole(at: &At<'_>, range: RangeInclusive<u32>, report: &mut Report) -> Option<usize> {
    let what = format!("a whole number from {} to {}", range.start(), range.end());
    let number = at.number(&what, report)?;
    let fits = number.fract() == 0.0 && (f64::from(*range.start())..=f64::from(*range.end())).contains(&number);
    if fits { Some(number as usize) } else { at.expected(&what, report) }
}

/// A span of time that a clock can be set to.
fn span(at: &At<'_>, report: &mut Report) -> Option<Duration> {
    at.seconds(report).map(|span| span.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::super::{Severity, yaml};
    use super::*;

    fn read(text: &str) -> (Load, Vec<String>) {
        let root = yaml::parse(text, &"config.yml".into()).expect("the text is YAML");
        let mut report = Report::default();
        let load = Load::read(&At::root(&root), &mut report);
        (load, report.of(Severity::Error).map(ToString::to_string).collect())
    }

    #[test]
    fn of_two_limits_for_the_whole_process_the_lower_one_holds_and_the_queue_follows_it() {
        for (settings, in_flight, queued) in [
            ("{}", 10_000, 1000),
            ("{max_in_flight_requests_per_worker: 64}", 64, 64),
            ("{global_max_parallel_requests: '64'}", 64, 64),
            ("{global_max_parallel_requests: 5, max_in_flight_requests_per_worker: 64}", 5, 5),
            ("{global_max_parallel_requests: 99, max_in_flight_requests_per_worker: 64}", 64, 64),
            ("{max_in_flight_requests_per_worker: 5000}", 5000, 1000),
            ("{max_in_flight_requests_per_worker: 64, max_queued_requests_per_worker: 0}", 64, 0),
            ("{max_in_flight_requests_per_worker: null, max_queued_requests_per_worker: 7}", 10_000, 7),
        ] {
            let (load, errors) = read(&format!("general_settings: {settings}\n"));
            assert_eq!(errors, Vec::<String>::new(), "{settings}");
            assert_eq!((load.admission.max_in_flight, load.admission.max_queued), (in_flight, queued), "{settings}");
        }
    }

    #[test]
    fn a_callers_share_and_the_wait_are_read() {
        let (load, errors) =
            read("general_settings: {max_parallel_requests: 3, admission_queue_timeout_seconds: 0.25}\n");
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(load.admission.max_per_caller, Some(3));
        assert_eq!(load.admission.queue_timeout, Duration::from_millis(250));
        assert_eq!(read("").0, Load::default());
    }

    #[test]
    fn what_is_left_out_of_the_clients_limits_stays_at_its_default() {
        let (load, errors) = read(
            "ai_api_settings:\n  client_limits: {header_timeout_seconds: 0.5, max_connections: 10, idle_timeout_seconds: 1e9}\n",
        );
        assert_eq!(errors, Vec::<String>::new());
        let expected = ClientLimits {
            header_timeout: Duration::from_millis(500),
            idle_timeout: LONGEST,
            max_connections: Some(10),
            ..ClientLimits::default()
        };
        assert_eq!(load.client, expected);
    }

    #[test]
    fn what_makes_no_sense_is_an_error_with_its_line() {
        for (text, says) in [
            (
                "general_settings:\n  max_in_flight_requests_per_worker: 0\n",
                "config.yml:2: general_settings.max_in_flight_requests_per_worker: expected a whole number from 1 to 10000000, got 0",
            ),
            ("general_settings: {max_parallel_requests: 1.5}\n", "from 1 to 10000000"),
            ("general_settings: {max_queued_requests_per_worker: -1}\n", "from 0 to 10000000"),
            ("general_settings: {admission_queue_timeout_seconds: 0}\n", "a number of seconds above 0"),
            ("ai_api_settings: {client_limits: 3}\n", "expected a map"),
            ("ai_api_settings: {client_limits: {write_timeout_seconds: never}}\n", "a number of seconds"),
            ("ai_api_settings: {client_limits: {max_connection: 3}}\n", "did you mean `max_connections`?"),
            ("ai_api_settings: {client_limits: {colour: 3}}\n", "there is no such limit"),
        ] {
            let (_, errors) = read(text);
            assert!(errors.len() == 1 && errors[0].contains(says), "{text}: {errors:?}");
        }
    }
}
