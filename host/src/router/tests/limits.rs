//! Slots, and calls and tokens of a minute.

use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;

use super::vitals::Obstacle;
use super::*;
use crate::config::routing::Checks;
use crate::usage::Usage;

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(30);

fn binding() -> Routing {
    Routing { checks: Checks { rate_limits: true, ..Checks::default() }, ..Routing::default() }
}

fn rpm(rpm: u64) -> DeploymentRouting {
    DeploymentRouting { rpm: Some(rpm), ..DeploymentRouting::default() }
}

fn slots(max: u32) -> DeploymentRouting {
    DeploymentRouting { max_parallel_requests: Some(max), ..DeploymentRouting::default() }
}

#[test]
fn limits_of_a_minute_bind_if_told_to() {
    let unbound = Bench::new(Routing::default(), [rpm(1)]);
    assert!((0..10).all(|_| unbound.choose(&[], unbound.start).is_ok()));
    let bench = Bench::new(binding(), [rpm(2), rpm(1)]);
    let mut served: Vec<usize> = (0..3).map(|_| bench.succeed(&[], bench.start)).collect();
    served.sort_unstable();
    assert_eq!(served, [0, 0, 1]);
    let over = bench.choose(&[], bench.at(20.0)).map(|_| ());
    assert_eq!(over, Err(NoDeployment::RateLimited { back_in: Duration::from_secs(41) }));
    assert!(bench.choose(&[], bench.at(60.9)).is_err());
    assert!(bench.choose(&[], bench.at(61.0)).is_ok());
}

#[test]
fn tokens_of_a_minute_bind_by_what_a_call_is_thought_to_take() {
    let limited = DeploymentRouting { tpm: Some(100), ..DeploymentRouting::default() };
    let bench = Bench::new(binding(), [limited]);
    let query = Query { tokens: 60, ..ANY };
    let first = bench.ask(&query, bench.start).expect("nothing is used");
    assert!(matches!(bench.ask(&query, bench.start), Err(NoDeployment::RateLimited { .. })));
    first.flight.fail(failure(FailureKind::Server), bench.start);
    assert!(bench.ask(&query, bench.start).is_ok(), "a call that failed took none");
}

#[test]
fn what_a_call_is_known_to_have_used_counts_however_it_ends() {
    let usage = Usage { prompt_tokens: 30, completion_tokens: 10, ..Usage::default() };
    for reserves in [true, false] {
        let limited = DeploymentRouting { tpm: Some(1000), ..DeploymentRouting::default() };
        let routing = if reserves { binding() } else { Routing::default() };
        let bench = Bench::new(routing, [limited]);
        let begin = || bench.ask(&Query { tokens: 500, ..ANY }, bench.start).expect("there is room").flight;
        let mut broken = begin();
        broken.used(&Usage { completion_tokens: 1, ..usage });
        broken.used(&usage);
        broken.fail(failure(FailureKind::Malformed), bench.start);
        assert_eq!(bench.vitals(0).snapshot(bench.start).tokens_per_minute, 40, "the last word counts");
        let mut cancelled = begin();
        cancelled.used(&usage);
        drop(cancelled);
        let mut whole = begin();
        whole.used(&usage);
        whole.succeed(None, bench.start);
        let snapshot = bench.vitals(0).snapshot(bench.start);
        assert_eq!((snapshot.requests_per_minute, snapshot.tokens_per_minute), (3, 120));
    }
}

#[test]
fn a_deployment_that_is_chosen_and_not_called_has_lost_nothing() {
    let limited = DeploymentRouting { tpm: Some(100), max_parallel_requests: Some(1), ..rpm(1) };
    let bench = Bench::new(binding(), [limited, DeploymentRouting::default()]);
    let query = Query { tried: &[1], tokens: 90, ..ANY };
    for _ in 0..3 {
        bench.ask(&query, bench.start).expect("its only call is still to be made").flight.never_mind();
    }
    let snapshot = bench.vitals(0).snapshot(bench.start);
    assert_eq!((snapshot.requests_per_minute, snapshot.tokens_per_minute, snapshot.attempts), (0, 0, 0));
    bench.ask(&query, bench.start).expect("it is").flight.fail(failure(FailureKind::RateLimited), bench.start);
    let later = bench.at(120.0);
    for _ in 0..2 {
        let pick = bench.ask(&query, later).expect("it may be probed");
        assert!(pick.flight.is_probe());
        pick.flight.never_mind();
    }
}

#[test]
fn no_more_calls_are_under_way_than_may_be_and_the_reason_is_told() {
    let bench = Bench::new(Routing::default(), [slots(1), slots(2)]);
    let mut held: Vec<Pick> = (0..3).map(|_| bench.choose(&[], bench.start).expect("one is free")).collect();
    assert_eq!(bench.choose(&[], bench.start).map(|_| ()), Err(NoDeployment::Full));
    drop(held.pop());
    assert!(bench.choose(&[], bench.start).is_ok());
}

#[tokio::test]
async fn whoever_waits_for_a_slot_is_woken_when_one_is_free() {
    let bench = Bench::new(Routing::default(), [slots(1), DeploymentRouting::default()]);
    let resolved = bench.router.resolve("m").expect("there is such a group");
    let query = Query { tried: &[1], ..ANY };
    let first = bench.router.choose(&resolved, &query, bench.start).expect("it is free");
    assert_eq!(bench.router.choose(&resolved, &query, bench.start).map(|_| ()), Err(NoDeployment::Full));
    assert!(resolved.freed().now_or_never().is_none(), "nothing was given back");
    let reloaded = Router::new(&bench.config, Some(&bench.router));
    let other = reloaded.resolve("m").expect("there is such a group");
    assert_eq!(reloaded.choose(&other, &query, bench.start).map(|_| ()), Err(NoDeployment::Full));
    let give_back = async {
        tokio::task::yield_now().await;
        drop(first);
    };
    let both = async { tokio::join!(resolved.freed(), other.freed(), give_back) };
    tokio::time::timeout(LONG, both).await.expect("both are woken, one of them by a router that came later");
    assert!(bench.router.choose(&resolved, &query, bench.start).is_ok());
}

#[tokio::test]
async fn whoever_loses_the_race_for_a_slot_wakes_nobody() {
    let bench = Bench::new(binding(), [DeploymentRouting { rpm: Some(1), ..slots(1) }]);
    let resolved = bench.router.resolve("m").expect("there is such a group");
    let begin = || Flight::begin(&bench.router.targets()[0], &resolved.group, (false, 0), bench.start);
    let held = bench.router.choose(&resolved, &ANY, bench.start).expect("it is free");
    assert_eq!(bench.router.choose(&resolved, &ANY, bench.start).map(|_| ()), Err(NoDeployment::Full));
    assert_eq!(begin().map(|_| ()), Err(Obstacle::Full));
    assert!(resolved.freed().now_or_never().is_none(), "it had taken none");
    drop(held);
    assert!(matches!(bench.router.choose(&resolved, &ANY, bench.start), Err(NoDeployment::RateLimited { .. })));
    assert!(matches!(begin(), Err(Obstacle::RateLimited { .. })));
    assert!(resolved.freed().now_or_never().is_some(), "it had taken one for a moment");
}

#[tokio::test]
async fn a_slot_that_is_given_back_before_anybody_waits_is_not_missed() {
    let bench = Bench::new(Routing::default(), [slots(1)]);
    let resolved = bench.router.resolve("m").expect("there is such a group");
    let first = bench.router.choose(&resolved, &ANY, bench.start).expect("it is free");
    assert!(bench.router.choose(&resolved, &ANY, bench.start).is_err());
    drop(first);
    assert!(resolved.freed().now_or_never().is_some(), "it is free already");
}

#[tokio::test]
async fn whoever_waits_for_a_slot_is_woken_when_a_cooling_deployment_comes_back() {
    let soon = DeploymentRouting { cooldown_time: Some(Duration::from_millis(50)), ..DeploymentRouting::default() };
    let bench = Bench::new(Routing::default(), [slots(1), soon]);
    let resolved = bench.router.resolve("m").expect("there is such a group");
    bench.fail(&[0], FailureKind::RateLimited, Instant::now());
    let _held = bench.router.choose(&resolved, &Query { tried: &[1], ..ANY }, bench.start).expect("it is free");
    tokio::time::timeout(LONG, async {
        while let Err(NoDeployment::Full) = bench.router.choose(&resolved, &ANY, Instant::now()).map(|_| ()) {
            resolved.freed().await;
        }
    })
    .await
    .expect("it is woken");
}

#[test]
fn threads_together_get_no_more_than_there_is() {
    let routing = [DeploymentRouting { rpm: Some(50), ..slots(40) }, DeploymentRouting { rpm: Some(30), ..slots(20) }];
    let bench = Bench::new(binding(), routing);
    let held = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..30 {
                    if let Ok(pick) = bench.choose(&[], bench.start) {
                        held.lock().expect("nobody panics").push(pick);
                    }
                }
            });
        }
    });
    assert_eq!((bench.vitals(0).in_flight(), bench.vitals(1).in_flight()), (40, 20));
    drop(held);
    let rest = (0..100).filter(|_| bench.choose(&[], bench.start).is_ok()).count();
    assert_eq!(rest, 20, "80 in a minute");
    assert_eq!((bench.vitals(0).in_flight(), bench.vitals(1).in_flight()), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Begin,
    FirstByte(usize),
    Succeed(usize),
    Fail(usize, usize),
    Cancel(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u64..20_000).prop_map(Step::Wait),
        6 => Just(Step::Begin),
        1 => any::<usize>().prop_map(Step::FirstByte),
        2 => any::<usize>().prop_map(Step::Succeed),
        2 => (any::<usize>(), 0..FailureKind::ALL.len()).prop_map(|(which, kind)| Step::Fail(which, kind)),
        1 => any::<usize>().prop_map(Step::Cancel),
    ]
}

proptest! {
    #[test]
    fn whatever_becomes_of_calls_no_slot_leaks_no_limit_is_passed_and_no_permit_to_probe_is_lost(
        steps in prop::collection::vec(step(), 1..150)
    ) {
        let limits = [DeploymentRouting { rpm: Some(7), ..slots(3) }, rpm(5), slots(4)];
        let bench = Bench::new(binding(), limits);
        let mut millis = 0u64;
        let mut held: Vec<Pick> = Vec::new();
        let mut begun: Vec<(usize, u64)> = Vec::new();
        for step in steps {
            let now = bench.start + Duration::from_millis(millis);
            let take = |held: &mut Vec<Pick>, which: usize| {
                (!held.is_empty()).then(|| held.swap_remove(which % held.len()).flight)
            };
            match step {
                Step::Wait(time) => millis += time,
                Step::Begin => {
                    if let Ok(pick) = bench.choose(&[], now) {
                        begun.push((pick.route.target.position, millis));
                        held.push(pick);
                    }
                }
                Step::FirstByte(which) => {
                    let length = held.len().max(1);
                    if let Some(pick) = held.get_mut(which % length) {
                        pick.flight.first_byte(now);
                    }
                }
                Step::Succeed(which) => take(&mut held, which).into_iter().for_each(|flight| flight.succeed(None, now)),
                Step::Fail(which, kind) => {
                    let failure = failure(FailureKind::ALL[kind]);
                    take(&mut held, which).into_iter().for_each(|flight| { flight.fail(failure, now); });
                }
                Step::Cancel(which) => drop(take(&mut held, which)),
            }
            for (position, (rpm, slots)) in [(7, 3), (5, u32::MAX), (usize::MAX, 4)].into_iter().enumerate() {
                let lately = |(at, time): &&(usize, u64)| *at == position && time + 60_000 > millis;
                prop_assert!(begun.iter().filter(lately).count() <= rpm);
                let under_way = held.iter().filter(|pick| pick.route.target.position == position).count();
                prop_assert_eq!(bench.vitals(position).in_flight() as usize, under_way);
                prop_assert!(under_way <= slots as usize);
            }
        }
        drop(held);
        // Long after, every deployment is called again.
        let later = bench.start + Duration::from_millis(millis + 3_700_000);
        let all: Vec<Pick> = (0..3).map_while(|_| bench.choose(&[], later).ok()).collect();
        prop_assert_eq!(all.len(), 3);
        let snapshots: Vec<Snapshot> = (0..3).map(|position| bench.vitals(position).snapshot(later)).collect();
        let attempts: u64 = snapshots.iter().map(|snapshot| snapshot.attempts).sum();
        prop_assert_eq!(attempts as usize, begun.len() + 3);
    }
}
