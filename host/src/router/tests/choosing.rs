use std::time::Duration;

use super::*;

#[test]
fn the_only_deployment_is_chosen_for_that() {
    let bench = Bench::of(1);
    let pick = bench.choose(&[], bench.start).expect("it is free");
    assert_eq!(pick.reason, Reason::Only);
    assert_eq!(bench.choose(&[0], bench.start).map(|_| ()), Err(NoDeployment::Exhausted));
    let again = bench.ask(&Query { tried: &[0], again: true, ..ANY }, bench.start);
    assert!(again.is_ok());
}

#[test]
fn the_untried_come_before_the_tried() {
    let bench = Bench::of(3);
    for _ in 0..10 {
        let query = Query { tried: &[0, 2], again: true, ..ANY };
        let pick = bench.ask(&query, bench.start).expect("one is left");
        assert_eq!(pick.route.target.position, 1);
        assert_eq!(pick.reason.to_string(), "the only one left (2 tried)");
    }
    bench.fail(&[1, 2], FailureKind::RateLimited, bench.start);
    let pick = bench.ask(&Query { tried: &[1], again: true, ..ANY }, bench.start).expect("one is left untried");
    assert_eq!(pick.reason.to_string(), "the only one left (1 cooling, 1 tried)");
    let pick =
        bench.ask(&Query { tried: &[1, 2, 2], again: true, ..ANY }, bench.start).expect("two may be called again");
    assert!(matches!(pick.reason, Reason::Turn { .. }) && pick.route.target.position != 0);
    let query = Query { tried: &[0, 1, 2], again: true, ..ANY };
    assert!(bench.ask(&query, bench.start).is_ok());
    assert_eq!(bench.choose(&[2, 1, 0], bench.start).map(|_| ()), Err(NoDeployment::Exhausted));
}

#[test]
fn the_lowest_order_comes_first_and_the_next_after_it_failed() {
    let orders = [None, Some(2), Some(1), Some(1)];
    let bench =
        Bench::new(Routing::default(), orders.map(|order| DeploymentRouting { order, ..DeploymentRouting::default() }));
    let chosen = |tried: &[usize]| bench.choose(tried, bench.start).map(|pick| pick.route.target.position);
    for _ in 0..10 {
        assert!(matches!(chosen(&[]), Ok(2 | 3)));
    }
    assert_eq!(chosen(&[2]), Ok(3));
    assert_eq!(chosen(&[2, 3]), Ok(1));
    assert_eq!(chosen(&[2, 3, 1]), Ok(0));
    let reason = bench.choose(&[2, 3], bench.start).expect("two are left").reason;
    assert_eq!(reason.to_string(), "first in order (2)");
}

#[test]
fn who_is_left_alone_is_not_called_until_its_time_is_over() {
    let bench = Bench::of(2);
    let limited = Failure { kind: FailureKind::RateLimited, retry_after: Some(Duration::from_secs(30)) };
    let first = bench.choose(&[1], bench.start).expect("it is free");
    assert_eq!(first.flight.fail(limited, bench.start), Consequence::CooledDown(bench.at(30.0)));
    let pick = bench.choose(&[], bench.start).expect("one is left");
    assert_eq!(pick.route.target.position, 1);
    assert_eq!(pick.reason.to_string(), "the only one left (1 cooling)");
    assert_eq!(
        bench.choose(&[1], bench.at(10.0)).map(|_| ()),
        Err(NoDeployment::Cooling { back_in: Duration::from_secs(20), rate_limited: true })
    );
    bench.fail(&[], FailureKind::NotFound, bench.at(28.0));
    let all_cooling = bench.choose(&[], bench.at(29.0)).map(|_| ());
    assert_eq!(all_cooling, Err(NoDeployment::Cooling { back_in: Duration::from_secs(1), rate_limited: false }));
    let probe = bench.choose(&[], bench.at(30.0)).expect("the first is back");
    assert_eq!(probe.reason, Reason::Probe);
    let while_it_runs = bench.choose(&[], bench.at(30.0)).map(|_| ());
    assert!(matches!(while_it_runs, Err(NoDeployment::Cooling { .. })), "{while_it_runs:?}");
}

#[test]
fn a_lone_deployment_is_called_on_after_it_said_no() {
    use FailureKind::{Authentication, NotFound, Permission, Quota, RateLimited};
    for kind in [Authentication, NotFound, Permission, Quota, RateLimited] {
        let bench = Bench::of(1);
        for _ in 0..50 {
            assert_eq!(bench.fail(&[], kind, bench.start), Consequence::Counted, "{kind:?}");
        }
    }
}

/// What each deployment says to a request: that it fits, or why not.
fn misfits(
    bench: &Bench,
    tried: &[usize],
    said: &(dyn Fn(usize) -> Option<Misfit> + Sync),
) -> Result<usize, NoDeployment> {
    let fits = |target: &Target, _: &str| said(target.position).map_or(Ok(()), Err);
    bench.ask(&Query { tried, fits: &fits, ..ANY }, bench.start).map(|pick| pick.route.target.position)
}

#[test]
fn who_cant_serve_a_request_isnt_asked_and_the_nearest_of_all_tells_why() {
    let bench = Bench::of(4);
    let window = |limit| Misfit::ContextWindow { tokens: 9000, limit };
    let said = [Some(Misfit::Tags), Some(window(8000)), Some(window(4000)), None];
    assert_eq!(misfits(&bench, &[], &|position| said[position]), Ok(3));
    assert_eq!(misfits(&bench, &[3], &|position| said[position]), Err(NoDeployment::Exhausted));
    let none = |position: usize| said[position].or(Some(Misfit::Lacks("take pictures")));
    assert_eq!(misfits(&bench, &[], &none), Err(NoDeployment::NoneFits(window(8000))));
    bench.fail(&[0, 1, 2], FailureKind::RateLimited, bench.start);
    let cooling = misfits(&bench, &[], &|position| said[position]);
    assert!(matches!(cooling, Err(NoDeployment::Cooling { .. })), "the one that could serve will be back: {cooling:?}");
}

#[test]
fn a_request_is_looked_at_with_the_providers_own_name_of_the_model() {
    let name = |_: usize, deployment: &mut Deployment| {
        deployment.model_name = "some-*".to_owned();
        deployment.model = "their-*".to_owned();
    };
    let bench = Bench::with(Routing::default(), vec![DeploymentRouting::default(); 2], name);
    let resolved = bench.router.resolve("some-model").expect("the wildcard takes it");
    let fits = |_: &Target, model: &str| if model == "their-model" { Ok(()) } else { Err(Misfit::Tags) };
    let pick = bench.router.choose(&resolved, &Query { fits: &fits, ..ANY }, bench.start).expect("it fits");
    assert_eq!(pick.route.model, "their-model");
    assert_eq!(bench.router.groups().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["some-*"]);
}

#[test]
fn what_cant_be_called_at_all_is_chosen_only_to_tell_why() {
    let no_provider = |broken: usize| {
        move |index: usize, deployment: &mut Deployment| {
            deployment.unusable = (index < broken).then(|| "its provider is unknown".to_owned());
        }
    };
    let bench = Bench::with(Routing::default(), vec![DeploymentRouting::default(); 3], no_provider(2));
    assert!((0..10).all(|_| bench.succeed(&[], bench.start) == 2));
    assert_eq!(bench.choose(&[2], bench.start).map(|_| ()), Err(NoDeployment::Exhausted));
    let bench = Bench::with(Routing::default(), vec![DeploymentRouting::default(); 3], no_provider(3));
    assert!(bench.choose(&[], bench.start).is_ok());
}
