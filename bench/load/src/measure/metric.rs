//! The figures of one run, and those that follow from the runs beside it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::proxy::Target;

/// The figures of one run.
pub(crate) type Run = BTreeMap<Metric, f64>;

/// What a figure says. Times are in nanoseconds, memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    AnswersPerSecond,
    /// Of the proxy: all its processes, user and kernel.
    CpuPerAnswer,
    CpuPerChunk,
    /// The share of its core that the proxy used.
    ProxyBusy,
    /// The share of theirs that load and fake used.
    LoadBusy,
    /// The share of the busier of the two cores that others used.
    OthersBusy,
    LatencyP50,
    LatencyP99,
    LatencyP999,
    /// From the request to the first text of a stream.
    FirstP50,
    FirstP99,
    /// From the fake's write of a chunk to its arrival at the client.
    LagP50,
    LagP99,
    ResidentIdle,
    ResidentPeak,
    ResidentPerStream,
    OpenStreams,
    ColdStart,
    WarmStart,
    /// The same beyond what a direct call takes, in the same round.
    AddedP50,
    AddedP99,
    AddedP999,
    AddedFirstP50,
    AddedFirstP99,
    AddedLagP50,
    AddedLagP99,
    /// The same beyond what nginx takes, in the same round.
    BeyondNginxP50,
    BeyondNginxP99,
    BeyondNginxP999,
    /// In multiples of nginx's figure, in the same round.
    AnswersRatio,
    CpuRatio,
}

/// What is taken off a figure of the direct run, and where the difference goes.
const ADDED: [(Metric, Metric); 7] = [
    (Metric::LatencyP50, Metric::AddedP50),
    (Metric::LatencyP99, Metric::AddedP99),
    (Metric::LatencyP999, Metric::AddedP999),
    (Metric::FirstP50, Metric::AddedFirstP50),
    (Metric::FirstP99, Metric::AddedFirstP99),
    (Metric::LagP50, Metric::AddedLagP50),
    (Metric::LagP99, Metric::AddedLagP99),
];
const BEYOND_NGINX: [(Metric, Metric); 3] = [
    (Metric::LatencyP50, Metric::BeyondNginxP50),
    (Metric::LatencyP99, Metric::BeyondNginxP99),
    (Metric::LatencyP999, Metric::BeyondNginxP999),
];
const RATIOS: [(Metric, Metric); 2] =
    [(Metric::AnswersPerSecond, Metric::AnswersRatio), (Metric::CpuPerAnswer, Metric::CpuRatio)];

/// Adds to the runs of one round what they are beside each other.
pub(crate) fn compare(round: &mut BTreeMap<Target, Run>) {
    let beside = [
        (Target::Direct, &ADDED[..], difference as fn(f64, f64) -> f64),
        (Target::Nginx, &BEYOND_NGINX[..], difference),
        (Target::Nginx, &RATIOS[..], ratio),
    ];
    for (other, pairs, relation) in beside {
        let Some(base) = round.get(&other).cloned() else { continue };
        // Direct calls are what others are compared with.
        let compared = |target: Target| target != other && target != Target::Direct;
        for run in round.iter_mut().filter(|(target, _)| compared(**target)).map(|(_, run)| run) {
            for (from, to) in pairs {
                if let (Some(own), Some(its)) = (run.get(from).copied(), base.get(from).copied()) {
                    run.insert(*to, relation(own, its));
                }
            }
        }
    }
}

fn difference(own: f64, other: f64) -> f64 {
    own - other
}

fn ratio(own: f64, other: f64) -> f64 {
    own / other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_round_are_compared_with_direct_and_with_nginx() {
        let run = |rate, latency, cpu: Option<f64>| {
            let mut run = Run::from([(Metric::AnswersPerSecond, rate), (Metric::LatencyP50, latency)]);
            run.extend(cpu.map(|cpu| (Metric::CpuPerAnswer, cpu)));
            run
        };
        let mut round = BTreeMap::from([
            (Target::Direct, run(100.0, 10.0, None)),
            (Target::Nginx, run(50.0, 30.0, Some(20.0))),
            (Target::Gateway, run(25.0, 70.0, Some(50.0))),
        ]);

        compare(&mut round);

        let gateway = &round[&Target::Gateway];
        assert_eq!(gateway[&Metric::AddedP50], 60.0);
        assert_eq!(gateway[&Metric::BeyondNginxP50], 40.0);
        assert_eq!(gateway[&Metric::AnswersRatio], 0.5);
        assert_eq!(gateway[&Metric::CpuRatio], 2.5);
        assert_eq!(round[&Target::Nginx][&Metric::AddedP50], 20.0);
        assert!(!round[&Target::Direct].contains_key(&Metric::AddedP50));
        assert!(!round[&Target::Direct].contains_key(&Metric::AnswersRatio));
    }

    #[test]
    fn without_nginx_nothing_is_compared_with_it() {
        let run = Run::from([(Metric::LatencyP50, 1.0)]);
        let mut round = BTreeMap::from([(Target::Direct, run.clone()), (Target::Gateway, run)]);
        compare(&mut round);
        assert_eq!(round[&Target::Gateway].get(&Metric::BeyondNginxP50), None);
        assert_eq!(round[&Target::Gateway].get(&Metric::AddedP50), Some(&0.0));
    }
}
