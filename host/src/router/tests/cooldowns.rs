//! When deployments are left alone, and how they come back.

use std::time::Duration;

use super::*;
use crate::config::routing::ByKind;
use crate::config::{Credential, Secret};
use FailureKind::{InvalidRequest, NotFound, RateLimited, Server, Timeout, Unreachable};

fn routing(change: impl FnOnce(&mut crate::config::routing::Cooldowns)) -> Routing {
    let mut routing = Routing::default();
    change(&mut routing.cooldowns);
    routing
}

fn own(change: impl FnOnce(&mut DeploymentRouting)) -> DeploymentRouting {
    let mut own = DeploymentRouting::default();
    change(&mut own);
    own
}

fn cooled(consequence: Consequence) -> bool {
    matches!(consequence, Consequence::CooledDown(_))
}

/// Which of so many failures in a row cools the first of a group down.
fn cools_at(bench: &Bench, kind: FailureKind) -> Option<usize> {
    let others: Vec<usize> = (1..bench.config.deployments.len()).collect();
    (1..=1200).find(|_| cooled(bench.fail(&others, kind, bench.start)))
}

#[test]
fn one_of_a_group_is_left_alone_after_one_no_and_after_most_of_five_calls_failed() {
    assert_eq!(cools_at(&Bench::of(2), RateLimited), Some(1));
    assert_eq!(cools_at(&Bench::of(2), NotFound), Some(1));
    for kind in [Server, Timeout, Unreachable, FailureKind::Overloaded, FailureKind::Malformed] {
        assert_eq!(cools_at(&Bench::of(2), kind), Some(5), "{kind:?}");
    }
    assert_eq!(cools_at(&Bench::of(1), Server), Some(1000));
}

#[test]
fn half_of_the_calls_may_fail() {
    let bench = Bench::of(2);
    for _ in 0..100 {
        bench.succeed(&[1], bench.start);
        assert_eq!(bench.fail(&[1], Server, bench.start), Consequence::Counted);
    }
    assert!(cooled(bench.fail(&[1], Server, bench.start)));
}

#[test]
fn failures_are_forgotten_after_a_minute() {
    let bench = Bench::of(2);
    for _ in 0..4 {
        bench.fail(&[1], Server, bench.start);
    }
    assert!(!cooled(bench.fail(&[1], Server, bench.at(61.0))));
}

#[test]
fn what_clients_do_wrong_never_counts() {
    let bench = Bench::new(routing(|it| it.allowed_fails = Some(0)), vec![DeploymentRouting::default(); 2]);
    for kind in FailureKind::ALL.into_iter().filter(|kind| !kind.counts()) {
        for _ in 0..20 {
            assert_eq!(bench.fail(&[1], kind, bench.start), Consequence::Exempt);
        }
    }
    assert_eq!(bench.vitals(0).snapshot(bench.start).counts.failures_of(InvalidRequest), 20);
    assert!(cooled(bench.fail(&[1], Server, bench.start)));
}

#[test]
fn a_model_that_a_client_made_up_doesnt_count_against_a_wildcard() {
    let bench =
        Bench::with(Routing::default(), vec![own(|_| ()); 2], |_, deployment| deployment.model = "*".to_owned());
    assert_eq!(bench.fail(&[1], NotFound, bench.start), Consequence::Exempt);
    assert!(cooled(bench.fail(&[1], RateLimited, bench.start)));
}

#[test]
fn so_many_failures_are_forgiven_as_were_allowed() {
    let everybody = |allowed| Bench::new(routing(|it| it.allowed_fails = Some(allowed)), [own(|_| ()), own(|_| ())]);
    assert_eq!(cools_at(&everybody(3), Server), Some(4));
    assert_eq!(cools_at(&everybody(3), RateLimited), Some(4));
    let mixed = everybody(1);
    assert!(!cooled(mixed.fail(&[1], Server, mixed.start)));
    assert!(cooled(mixed.fail(&[1], Timeout, mixed.start)));
    let own_number = own(|it| it.allowed_fails = Some(7));
    let bench = Bench::new(routing(|it| it.allowed_fails = Some(1)), [own_number, own(|_| ())]);
    assert_eq!(cools_at(&bench, Server), Some(8));
}

#[test]
fn a_policy_speaks_of_one_kind_and_counts_no_other() {
    let policy = ByKind { timeout: Some(1), ..ByKind::default() };
    let bench = Bench::new(routing(|it| (it.policy, it.allowed_fails) = (policy, Some(100))), vec![own(|_| ()); 2]);
    for _ in 0..10 {
        assert!(!cooled(bench.fail(&[1], Server, bench.start)));
    }
    assert_eq!(cools_at(&bench, Timeout), Some(2));
    let lenient = own(|it| it.allowed_fails_policy = ByKind { timeout: Some(5), ..ByKind::default() });
    let bench = Bench::new(routing(|it| it.policy = policy), [lenient, own(|_| ())]);
    assert_eq!(cools_at(&bench, Timeout), Some(6));
}

#[test]
fn a_lone_deployment_is_left_alone_only_if_somebody_said_so_for_it_or_for_the_kind() {
    let alone = |routing, own| cools_at(&Bench::new(routing, [own]), Server);
    assert_eq!(alone(routing(|it| it.allowed_fails = Some(2)), own(|_| ())), None);
    assert_eq!(alone(routing(|_| ()), own(|it| it.allowed_fails = Some(2))), Some(3));
    let policy = ByKind { internal_server: Some(2), rate_limit: Some(4), ..ByKind::default() };
    assert_eq!(alone(routing(|it| it.policy = policy), own(|_| ())), Some(3));
    let limited = |routing, own| cools_at(&Bench::new(routing, [own]), RateLimited);
    assert_eq!(limited(routing(|_| ()), own(|it| it.allowed_fails = Some(2))), None);
    assert_eq!(limited(routing(|it| it.policy = policy), own(|_| ())), Some(5));
}

#[test]
fn whose_number_of_failures_counts_is_decided_by_the_file() {
    let cools_at = |own: &str, settings: &str, kind| {
        let own = format!("{{mock_response: hi, model: openai/x, {own}}}");
        let file = format!("model_list: [{{model_name: m, litellm_params: {own}}}]\nrouter_settings: {settings}\n");
        cools_at(&Bench::of_config(crate::config::testing::config(&file)), kind)
    };
    assert_eq!(cools_at("", "{allowed_fails: 2}", Server), None, "it is alone");
    assert_eq!(cools_at("", "{allowed_fails: 2}", RateLimited), None);
    assert_eq!(cools_at("allowed_fails: 2", "{allowed_fails: 7}", Server), Some(3));
    let policy = "{allowed_fails: 2, allowed_fails_policy: {InternalServerErrorAllowedFails: 4}}";
    assert_eq!(cools_at("", policy, Server), Some(5));
    assert_eq!(
        cools_at("allowed_fails: 2", policy, Server),
        Some(3),
        "its own number comes before the router's policy"
    );
    let own = "allowed_fails: 9, allowed_fails_policy: {TimeoutErrorAllowedFails: 1}";
    assert_eq!((cools_at(own, policy, Timeout), cools_at(own, policy, Server)), (Some(2), Some(10)));
}

#[test]
fn who_is_blocked_is_no_company() {
    let bench = Bench::new(Routing::default(), [own(|_| ()), own(|it| it.blocked = true)]);
    assert_eq!(bench.fail(&[], RateLimited, bench.start), Consequence::Counted);
    let none = Bench::new(Routing::default(), vec![own(|it| it.blocked = true); 2]);
    assert_eq!(none.choose(&[], none.start).map(|_| ()), Err(NoDeployment::Blocked));
}

#[test]
fn cooldowns_can_be_off_and_a_deployments_own_time_comes_first() {
    assert_eq!(cools_at(&Bench::new(routing(|it| it.enabled = false), vec![own(|_| ()); 2]), RateLimited), None);
    let zero = own(|it| it.cooldown_time = Some(Duration::ZERO));
    assert_eq!(cools_at(&Bench::new(Routing::default(), vec![zero; 2]), RateLimited), None);
    let longer = own(|it| it.cooldown_time = Some(Duration::from_secs(40)));
    let bench = Bench::new(Routing::default(), [longer, own(|_| ())]);
    assert_eq!(bench.fail(&[1], RateLimited, bench.start), Consequence::CooledDown(bench.at(40.0)));
}

#[test]
fn the_later_deadline_holds() {
    let bench = Bench::of(2);
    let flights: Vec<Flight> = (0..3).map(|_| bench.choose(&[1], bench.start).expect("it is free").flight).collect();
    let waits = [20, 1, 60];
    let until = [20.0, 20.0, 60.0];
    for ((flight, wait), until) in flights.into_iter().zip(waits).zip(until) {
        let limited = Failure { kind: RateLimited, retry_after: Some(Duration::from_secs(wait)) };
        assert_eq!(flight.fail(limited, bench.start), Consequence::CooledDown(bench.at(until)));
    }
    let state = bench.state(0, bench.at(59.0));
    assert_eq!(state, State::Cooling { remaining: Duration::from_secs(1), because: RateLimited });
    let snapshot = bench.vitals(0).snapshot(bench.start);
    assert_eq!((snapshot.counts.cooldowns, snapshot.attempts), (1, 3), "one cooldown, made longer");
}

#[test]
fn a_provider_may_ask_for_an_hour_and_no_more() {
    let bench = Bench::of(2);
    let limited = Failure { kind: RateLimited, retry_after: Some(Duration::from_secs(86_400)) };
    let flight = bench.choose(&[1], bench.start).expect("it is free").flight;
    assert_eq!(flight.fail(limited, bench.start), Consequence::CooledDown(bench.at(3600.0)));
}

#[test]
fn a_failed_probe_doubles_the_time_up_to_eight_times_and_a_good_one_ends_it() {
    let bench = Bench::of(2);
    let mut now = bench.start;
    bench.fail(&[1], RateLimited, now);
    for seconds in [10, 20, 40, 40] {
        now = bench.vitals(0).returns_at().expect("it is cooling");
        let probe = bench.choose(&[1], now).expect("its time is over");
        assert!(probe.flight.is_probe());
        let consequence = probe.flight.fail(failure(Server), now);
        assert_eq!(consequence, Consequence::CooledDown(now + Duration::from_secs(seconds)));
    }
    now = bench.vitals(0).returns_at().expect("it is cooling");
    let mut probe = bench.choose(&[1], now).expect("its time is over").flight;
    assert_eq!(bench.state(0, now), State::HalfOpen { because: Server });
    assert!(bench.choose(&[1], now).is_err());
    probe.first_byte(now);
    assert_eq!(bench.state(0, now), State::Closed);
    assert!(bench.choose(&[1], now).is_ok(), "nobody waits for the rest of a long answer");
    probe.succeed(None, now);
    let consequence = bench.fail(&[1], RateLimited, now);
    assert_eq!(consequence, Consequence::CooledDown(now + Duration::from_secs(5)), "all is forgiven");
}

#[test]
fn a_probe_that_says_nothing_gives_its_permit_back() {
    let bench = Bench::of(2);
    bench.fail(&[1], RateLimited, bench.start);
    let now = bench.at(5.0);
    drop(bench.choose(&[1], now).expect("its time is over"));
    let next = bench.choose(&[1], now).expect("the permit is back");
    assert!(next.flight.is_probe());
    assert_eq!(next.flight.fail(failure(InvalidRequest), now), Consequence::Exempt);
    let next = bench.choose(&[1], now).expect("the permit is back");
    assert!(next.flight.is_probe());
    let panicking = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = next;
        panic!("in the middle of an attempt");
    }));
    assert!(panicking.is_err() && bench.choose(&[1], now).expect("the permit is back").flight.is_probe());
    assert_eq!(bench.vitals(0).in_flight(), 0);
}

#[test]
fn a_probe_that_takes_long_shuts_nobody_out_for_longer_than_a_cooldown() {
    let bench = Bench::of(2);
    let half_open = || {
        let (start, begin) = (Instant::now(), |now| bench.choose(&[1], now).map(|pick| pick.flight));
        bench.fail(&[1], RateLimited, start);
        let at = |seconds| start + Duration::from_secs_f64(seconds);
        let slow = begin(at(5.0)).expect("its time is over");
        for (seconds, back_in) in [(5.0, 100), (9.0, 100), (9.95, 50)] {
            let (back_in, rate_limited) = (Duration::from_millis(back_in), true);
            assert_eq!(begin(at(seconds)).map(|_| ()), Err(NoDeployment::Cooling { back_in, rate_limited }));
        }
        assert_eq!(bench.vitals(0).returns_at(), Some(at(10.0)));
        let second = begin(at(10.0)).expect("the first probe says nothing yet");
        assert!(slow.is_probe() && second.is_probe() && begin(at(10.0)).is_err());
        (slow, second, at(11.0))
    };

    let (slow, second, now) = half_open();
    slow.succeed(None, now);
    assert_eq!(bench.state(0, now), State::Closed, "any probe's answer is one");
    assert_eq!(second.fail(failure(Server), now), Consequence::Counted, "it is well since then");

    let (slow, second, now) = half_open();
    let next = now + Duration::from_secs(10);
    assert_eq!(second.fail(failure(Server), now), Consequence::CooledDown(next));
    slow.fail(failure(Server), now);
    assert_eq!(bench.vitals(0).returns_at(), Some(next), "it isn't doubled twice");
    bench.choose(&[1], next).expect("its time is over").flight.succeed(None, next);

    let (slow, second, now) = half_open();
    drop(slow);
    assert!(bench.choose(&[1], now).is_err(), "the second one is still under way");
    drop(second);
    bench.choose(&[1], now).expect("nobody probes any longer").flight.succeed(None, now);

    let (slow, second, now) = half_open();
    second.fail(failure(Server), now);
    slow.succeed(None, now);
    assert!(matches!(bench.state(0, now), State::Cooling { .. }), "what began before a cooldown doesn't end it");
}

#[test]
fn what_began_before_a_cooldown_doesnt_end_it() {
    let bench = Bench::of(2);
    let slow = bench.choose(&[1], bench.start).expect("it is free");
    bench.fail(&[1], RateLimited, bench.at(1.0));
    slow.flight.succeed(None, bench.at(2.0));
    assert!(matches!(bench.state(0, bench.at(2.0)), State::Cooling { .. }));
}

#[test]
fn who_names_a_deployment_by_its_id_gets_its_answer_though_it_is_cooling() {
    let bench = Bench::of(2);
    bench.fail(&[1], RateLimited, bench.start);
    let resolved = bench.router.resolve("d0").expect("there is such a deployment");
    let pick = bench.router.choose(&resolved, &ANY, bench.at(1.0)).expect("as was wished");
    assert!(!pick.flight.is_probe());
    pick.flight.fail(failure(Server), bench.at(1.0));
    assert!(matches!(bench.state(0, bench.at(1.0)), State::Cooling { .. }));
}

#[test]
fn vitals_and_budgets_outlive_a_reload_and_those_of_other_deployments_dont_mix() {
    let bench = Bench::of(2);
    bench.fail(&[1], RateLimited, bench.start);
    let under_way = bench.choose(&[], bench.start).expect("one is left");
    let budget = |router: &Router| {
        let group = router.resolve("m").expect("there is such a group").group;
        (0..1000).take_while(|_| group.retry_budget.try_withdraw(bench.start)).count()
    };
    assert_eq!(budget(&bench.router), 100);
    let mut config = bench.config.clone();
    config.deployments.reverse();
    let after = Router::new(&config, Some(&bench.router));
    let pick = after.choose(&after.resolve("m").expect("it is still there"), &ANY, bench.at(1.0));
    assert_eq!(pick.expect("one is left").route.target.deployment.id, "d1");
    let d1 = after.targets()[0].vitals.snapshot(bench.start);
    assert_eq!((d1.in_flight, d1.counts.cancelled), (1, 1));
    drop(under_way);
    assert_eq!(after.targets()[0].vitals.in_flight(), 0);
    assert_eq!(budget(&after), 0);
}

#[test]
fn a_repaired_key_ends_a_cooldown_and_the_old_keys_calls_begin_no_other() {
    let key = |text: &str| Credential::Key(Secret::new(text));
    let with_key = |text| Bench::with(Routing::default(), vec![own(|_| ()); 2], move |_, it| it.credential = key(text));
    let bench = with_key("sk-old");
    let late = [0, 0].map(|_| bench.choose(&[1], bench.start).expect("it is free").flight);
    bench.fail(&[1], FailureKind::Authentication, bench.start);

    let untouched = Router::new(&with_key("sk-old").config, Some(&bench.router));
    assert!(matches!(untouched.targets()[0].vitals.snapshot(bench.start).state, State::Cooling { .. }));

    let repaired = Router::new(&with_key("sk-new").config, Some(&untouched));
    let vitals = &repaired.targets()[0].vitals;
    let snapshot = vitals.snapshot(bench.start);
    assert_eq!((snapshot.state, snapshot.in_flight, snapshot.counts.all_failures()), (State::Closed, 2, 1));
    for flight in late {
        assert_eq!(flight.fail(failure(FailureKind::Authentication), bench.start), Consequence::Exempt);
    }
    let resolved = repaired.resolve("m").expect("there is such a group");
    let call = || repaired.choose(&resolved, &Query { tried: &[1], ..ANY }, bench.start).expect("it is called");
    call().flight.succeed(None, bench.start);
    assert!(cooled(call().flight.fail(failure(FailureKind::Authentication), bench.start)), "its own failures count");

    let mut moved = with_key("sk-new").config;
    moved.deployments[0].api_base = Some("http://127.0.0.1:9/v1".parse().expect("an address"));
    let moved = Router::new(&moved, Some(&repaired));
    assert_eq!(moved.targets()[0].vitals.snapshot(bench.start).state, State::Closed);
}
