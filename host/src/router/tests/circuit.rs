//! The circuit against a model of it that is as simple as can be.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What a deployment of two does, with times in milliseconds.
#[derive(Debug, PartialEq)]
enum Model {
    Closed,
    Cooling { until: u64 },
    Probing { latest: u32, until: u64 },
}

/// A call that probes: of which cooldown, and the how manieth of all.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Probe {
    cooldown: u32,
    number: u32,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Wait(u64),
    /// A call begins and ends.
    Call(End),
    /// A call begins.
    Begin,
    /// The one that began first ends.
    End(End),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Succeeds,
    /// With a 429 and so many seconds to wait.
    IsLimited(Option<u64>),
    ClientsFault,
    IsCancelled,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Succeeds),
        prop::option::of(1u64..20).prop_map(End::IsLimited),
        Just(End::ClientsFault),
        Just(End::IsCancelled),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0u64..12_000).prop_map(Event::Wait),
        end().prop_map(Event::Call),
        Just(Event::Begin),
        end().prop_map(Event::End)
    ]
}

/// The model, and what was counted in it.
struct Run {
    model: Model,
    cooldowns: u32,
    probes: u32,
    failed_probes: u32,
    now: u64,
}

impl Run {
    /// Whether a call may begin, and whether it probes.
    fn begin(&mut self) -> Option<Option<Probe>> {
        match self.model {
            Model::Closed => Some(None),
            Model::Cooling { until } | Model::Probing { until, .. } if until <= self.now => {
                self.probes += 1;
                self.model = Model::Probing { latest: self.probes, until: self.now + 5000 };
                Some(Some(Probe { cooldown: self.cooldowns, number: self.probes }))
            }
            Model::Cooling { .. } | Model::Probing { .. } => None,
        }
    }

    fn end(&mut self, end: End, probe: Option<Probe>) {
        let probe = probe.filter(|probe| self.model != Model::Closed && probe.cooldown == self.cooldowns);
        match end {
            End::Succeeds if probe.is_some() || self.model == Model::Closed => {
                self.model = Model::Closed;
                self.failed_probes = 0;
            }
            End::IsLimited(wait) => {
                if probe.is_some() {
                    self.failed_probes = (self.failed_probes + 1).min(3);
                }
                let until = self.now + wait.map_or(5000 << self.failed_probes, |wait| wait * 1000);
                match &mut self.model {
                    Model::Probing { .. } if probe.is_none() => {}
                    Model::Cooling { until: before } if probe.is_none() => *before = until.max(*before),
                    _ => {
                        self.model = Model::Cooling { until };
                        self.cooldowns += 1;
                    }
                }
            }
            End::ClientsFault | End::IsCancelled => {
                if let (Some(probe), Model::Probing { latest, .. }) = (probe, &self.model)
                    && probe.number == *latest
                {
                    self.model = Model::Cooling { until: self.now };
                }
            }
            End::Succeeds => {}
        }
    }
}

fn finish(flight: Flight, end: End, now: Instant) {
    match end {
        End::Succeeds => flight.succeed(None, now),
        End::IsLimited(wait) => {
            let retry_after = wait.map(Duration::from_secs);
            flight.fail(Failure { kind: FailureKind::RateLimited, retry_after }, now);
        }
        End::ClientsFault => {
            flight.fail(failure(FailureKind::InvalidRequest), now);
        }
        End::IsCancelled => drop(flight),
    }
}

proptest! {
    #[test]
    fn the_circuit_does_what_its_model_does(events in prop::collection::vec(event(), 1..80)) {
        let bench = Bench::of(2);
        let mut run = Run { model: Model::Closed, cooldowns: 0, probes: 0, failed_probes: 0, now: 0 };
        let mut under_way: Vec<(Flight, Option<Probe>)> = Vec::new();
        for event in events {
            let now = bench.start + Duration::from_millis(run.now);
            if let Event::Wait(time) = event {
                run.now += time;
                continue;
            }
            if let Event::Call(_) | Event::Begin = event {
                let flight = bench.choose(&[1], now).map(|pick| pick.flight).ok();
                let expected = run.begin();
                prop_assert_eq!(flight.as_ref().map(Flight::is_probe), expected.map(|probe| probe.is_some()));
                match (event, flight.zip(expected)) {
                    (Event::Call(end), Some((flight, probe))) => {
                        finish(flight, end, now);
                        run.end(end, probe);
                    }
                    (_, begun) => under_way.extend(begun),
                }
            }
            if let Event::End(end) = event && !under_way.is_empty() {
                let (flight, probe) = under_way.remove(0);
                finish(flight, end, now);
                run.end(end, probe);
            }
            let state = bench.state(0, now);
            let as_expected = match run.model {
                Model::Closed => state == State::Closed,
                Model::Cooling { until } if until > run.now => {
                    matches!(state, State::Cooling { remaining, .. } if remaining.as_millis() == u128::from(until - run.now))
                }
                Model::Cooling { .. } | Model::Probing { .. } => matches!(state, State::HalfOpen { .. }),
            };
            prop_assert!(as_expected, "{:?} instead of {:?}", state, run.model);
        }
    }
}
