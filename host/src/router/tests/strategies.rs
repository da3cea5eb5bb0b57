//! How calls spread over deployments that are all well.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::routing::{StrategyArgs, StrategyKind};
use crate::usage::Usage;

const ALL: [StrategyKind; 6] = [
    StrategyKind::SimpleShuffle,
    StrategyKind::LeastBusy,
    StrategyKind::Latency,
    StrategyKind::Usage,
    StrategyKind::Cost,
    StrategyKind::PowerOfTwo,
];

fn by(strategy: StrategyKind) -> Routing {
    Routing { strategy, ..Routing::default() }
}

fn usage(tokens: u64) -> Usage {
    Usage { completion_tokens: tokens, ..Usage::default() }
}

fn plain(count: usize) -> Vec<DeploymentRouting> {
    vec![DeploymentRouting::default(); count]
}

/// How many of so many calls, one after the other, each deployment gets; one takes it so long for 10 tokens.
fn shares(bench: &Bench, calls: usize, takes: impl Fn(usize) -> Duration) -> Vec<usize> {
    let mut shares = vec![0; bench.config.deployments.len()];
    let mut now = bench.start;
    for _ in 0..calls {
        let pick = bench.choose(&[], now).expect("all are well");
        let position = pick.route.target.position;
        shares[position] += 1;
        now += takes(position);
        pick.flight.succeed(Some(&usage(10)), now);
    }
    shares
}

fn slow_first(position: usize) -> Duration {
    Duration::from_millis(if position == 0 { 1000 } else { 100 })
}

#[test]
fn equal_deployments_all_get_calls_under_every_strategy() {
    for strategy in ALL {
        let bench = Bench::new(by(strategy), plain(4));
        let shares = shares(&bench, 400, |_| Duration::from_millis(10));
        assert!(shares.iter().all(|share| *share > 10), "{strategy:?}: {shares:?}");
    }
}

#[test]
fn a_slow_deployment_is_left_for_quick_ones() {
    for strategy in [StrategyKind::Latency, StrategyKind::PowerOfTwo] {
        for count in [2, 3] {
            let bench = Bench::new(by(strategy), plain(count));
            let shares = shares(&bench, 500, slow_first);
            assert!((1..25).contains(&shares[0]), "{strategy:?}: {shares:?}");
        }
    }
}

#[test]
fn one_that_has_become_quick_is_found_out_after_a_while() {
    let bench = Bench::new(by(StrategyKind::PowerOfTwo), plain(2));
    shares(&bench, 300, slow_first);
    let mut quick = 0;
    for call in 0..2000 {
        let now = bench.at(100.0 + f64::from(call));
        let pick = bench.choose(&[], now).expect("all are well");
        quick += usize::from(pick.route.target.position == 0);
        pick.flight.succeed(Some(&usage(10)), now + Duration::from_millis(100));
    }
    assert!((600..1400).contains(&quick), "{quick} of 2000");
}

#[test]
fn a_latency_counts_for_its_ttl_and_near_ones_share_within_the_buffer() {
    let args = StrategyArgs { ttl: Duration::from_secs(60), lowest_latency_buffer: 0.5 };
    let bench = Bench::new(Routing { strategy_args: args, ..by(StrategyKind::Latency) }, plain(3));
    let takes = [100, 140, 200].map(Duration::from_millis);
    let near = shares(&bench, 300, |position| takes[position]);
    assert!(near[0] > 100 && near[1] > 100 && near[2] < 20, "{near:?}");
    let later = bench.at(1000.0);
    let reasons: Vec<Reason> = (0..3).map(|_| bench.choose(&[], later).expect("all are well").reason).collect();
    assert_eq!(reasons, [Reason::Unmeasured; 3]);
}

#[test]
fn who_timed_out_is_avoided_by_latency() {
    let bench = Bench::new(by(StrategyKind::Latency), plain(2));
    let flight = bench.choose(&[1], bench.start).expect("it is free").flight;
    flight.fail(failure(FailureKind::Timeout), bench.at(1.0));
    bench.succeed(&[0], bench.at(1.0));
    assert!((0..50).all(|_| bench.succeed(&[], bench.at(2.0)) == 1));
}

#[test]
fn the_least_busy_is_chosen() {
    let bench = Bench::new(by(StrategyKind::LeastBusy), plain(3));
    let held: Vec<Pick> = (0..9).map(|_| bench.choose(&[], bench.start).expect("all are free")).collect();
    assert!((0..3).all(|position| bench.vitals(position).in_flight() == 3));
    let (of_one, _others): (Vec<Pick>, Vec<Pick>) = held.into_iter().partition(|pick| pick.route.target.position == 1);
    drop(of_one);
    let mut more = Vec::new();
    for under_way in 0..3 {
        let pick = bench.choose(&[], bench.start).expect("all are free");
        assert_eq!(pick.reason, Reason::LeastBusy { in_flight: under_way });
        assert_eq!(pick.route.target.position, 1);
        more.push(pick);
    }
}

#[test]
fn the_one_with_the_fewest_tokens_is_chosen() {
    let bench = Bench::new(by(StrategyKind::Usage), plain(2));
    let flight = bench.choose(&[1], bench.start).expect("it is free").flight;
    flight.succeed(Some(&usage(1000)), bench.start);
    for _ in 0..10 {
        let pick = bench.choose(&[], bench.at(1.0)).expect("all are free");
        assert_eq!(pick.route.target.position, 1);
        pick.flight.succeed(Some(&usage(99)), bench.at(1.0));
    }
    let (now, query) = (bench.at(2.0), Query { tokens: 50, ..ANY });
    let held: Vec<Pick> = (0..2).map(|_| bench.ask(&query, now).expect("all are free")).collect();
    assert_eq!(
        held.iter().map(|pick| pick.route.target.position).collect::<Vec<_>>(),
        [1, 0],
        "what is under way counts"
    );
}

#[test]
fn the_cheapest_is_chosen_and_what_has_no_price_is_dear() {
    let priced = |prices| DeploymentRouting { prices, ..DeploymentRouting::default() };
    let prices = [None, Some((3e-6, 15e-6)), Some((1e-6, 5e-6))];
    let bench = Bench::new(by(StrategyKind::Cost), prices.map(priced));
    assert!((0..10).all(|_| bench.succeed(&[], bench.start) == 2));
    let reason = bench.choose(&[], bench.start).expect("all are free").reason;
    assert_eq!(reason.to_string(), "cheapest (0.000006 USD per token pair)");
    assert!((0..10).all(|_| bench.succeed(&[2], bench.start) == 1));
}

#[test]
fn rpm_then_tpm_are_weights_where_no_weight_is_given() {
    let limits = [(Some(300), Some(1)), (Some(100), Some(1))];
    let limited = |(rpm, tpm)| DeploymentRouting { rpm, tpm, ..DeploymentRouting::default() };
    let first_of_400 = |bench: &Bench| shares(bench, 400, |_| Duration::ZERO)[0];
    let bench = Bench::new(Routing::default(), limits.map(limited));
    assert!((298..=302).contains(&first_of_400(&bench)));
    let bench = Bench::new(Routing::default(), [(None, Some(10)), (None, Some(30))].map(limited));
    assert!((98..=102).contains(&first_of_400(&bench)));
    let weigh = |index: usize, deployment: &mut Deployment| deployment.weight = Some([1.0, 4.0][index]);
    let bench = Bench::with(Routing::default(), limits.map(limited), weigh);
    assert!((78..=82).contains(&first_of_400(&bench)));
}

#[test]
fn who_has_no_weight_serves_when_the_others_cant() {
    let weigh = |index: usize, deployment: &mut Deployment| deployment.weight = [Some(1.0), None, None][index];
    let bench = Bench::with(Routing::default(), plain(3), weigh);
    assert_eq!(shares(&bench, 50, |_| Duration::ZERO), [50, 0, 0]);
    let mut served: Vec<usize> = (0..10).map(|_| bench.succeed(&[0], bench.start)).collect();
    served.sort_unstable();
    served.dedup();
    assert_eq!(served, [1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_converge_to_weights(weights in prop::collection::vec(0u32..20, 2..8)) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let weigh = |index: usize, deployment: &mut Deployment| deployment.weight = Some(f64::from(weights[index]));
        let bench = Bench::with(Routing::default(), plain(weights.len()), weigh);
        let calls = 1000;
        let total: u32 = weights.iter().sum();
        for (share, weight) in shares(&bench, calls, |_| Duration::ZERO).into_iter().zip(&weights) {
            let due = calls as f64 * f64::from(*weight) / f64::from(total);
            prop_assert!((share as f64 - due).abs() < 8.0, "{share} of {due}");
        }
    }
}

#[test]
fn a_slow_reader_of_a_stream_makes_nobody_look_slow() {
    let bench = Bench::of(1);
    let mut stream = bench.ask(&Query { streaming: true, ..ANY }, bench.start).expect("it is free").flight;
    stream.first_byte(bench.at(0.5));
    stream.succeed(Some(&usage(10)), bench.at(600.0));
    let snapshot = bench.vitals(0).snapshot(bench.at(0.5));
    assert_eq!((snapshot.seconds_per_token, snapshot.seconds_to_first_piece), (None, Some(0.5)));
    bench.choose(&[], bench.start).expect("it is free").flight.succeed(Some(&usage(10)), bench.at(2.0));
    assert_eq!(bench.vitals(0).snapshot(bench.at(2.0)).seconds_per_token, Some(0.2));
}
