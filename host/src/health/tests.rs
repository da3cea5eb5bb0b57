use super::background::{Background, is_unwell};
use super::*;
use crate::auth::Authenticator;
use crate::canonical::ProviderError;
use crate::config::{Config, testing};
use crate::pipeline::GatewayError;
use crate::plugin::Registry;
use crate::reload::{ConfigStatus, Live};
use crate::upstream::{Upstream, UpstreamError};

/// Two deployments whose answers are canned, probed in the background, and heeded; and one that isn't.
const THREE: &str = "
model_list:
- {model_name: a, litellm_params: {model: openai/x, mock_response: hi}, model_info: {id: a}}
- {model_name: b, litellm_params: {model: openai/x, mock_response: hi}, model_info: {id: b}}
- model_name: quiet
  litellm_params: {model: openai/x, mock_response: hi}
  model_info: {id: quiet, disable_background_health_check: true}
general_settings: {background_health_checks: true, enable_health_check_routing: true}
";

fn upstream() -> Upstream {
    Upstream::new(Duration::from_secs(10)).expect("a client needs nothing")
}

fn state(pipeline: Pipeline) -> Arc<State> {
    let config = ConfigStatus { loaded_at: SystemTime::UNIX_EPOCH, files: Vec::new(), error: None };
    let authenticator = Authenticator::new(&pipeline.config.general);
    Arc::new(State { pipeline: Arc::new(pipeline), authenticator, plugins: Vec::new(), folder: None, config })
}

fn begun(config: Config) -> Arc<State> {
    state(Pipeline::new(config, Registry::default(), upstream()))
}

fn reloaded(before: &State, text: &str) -> Arc<State> {
    state(before.pipeline.with_config(testing::config(text)))
}

fn targets(state: &State) -> &[Arc<Target>] {
    state.pipeline.router.targets()
}

fn failed() -> Arc<Checked> {
    let source = UpstreamError::Connect("refused".to_owned());
    checked(Some(GatewayError::Upstream { provider: "acme".to_owned(), source }))
}

fn checked(error: Option<GatewayError>) -> Arc<Checked> {
    let probed = Probed { probe: None, took: Duration::ZERO, listed: None, note: None, error };
    Arc::new(Checked { at: SystemTime::UNIX_EPOCH, since: Instant::now(), probed })
}

/// Looks, and lets what begins then end.
async fn look(background: &mut Background, health: &Arc<Health>, state: &Arc<State>) {
    background.look(health, state);
    background.settle(health).await;
}

#[tokio::test(start_paused = true)]
async fn the_background_ends_when_the_gateway_drains() {
    let live = Live::still(Arc::into_inner(begun(testing::config(THREE))).expect("nobody else has it"));
    let health = Arc::new(Health::default());
    let watch = tokio::spawn(health.clone().watch(Arc::new(live)));
    tokio::task::yield_now().await;
    assert!(!watch.is_finished());
    health.drain();
    watch.await.expect("it ends");
}

#[test]
fn what_counts_against_a_deployment_leaves_it_out_and_a_rate_limit_does_not() {
    let found = |error| is_unwell(&checked(Some(error)).probed);
    let provider = "acme".to_owned();
    assert!(found(GatewayError::Upstream { provider, source: UpstreamError::Connect("refused".to_owned()) }));
    let unset = GatewayError::NoCredential { model: "m".to_owned(), variable: "KEY".to_owned() };
    assert!(!found(unset), "no call gets as far as the deployment");
    let limited = ProviderError::new("acme", 429, &http::HeaderMap::new(), b"{}");
    assert!(!found(GatewayError::Provider(Box::new(limited))));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_asked_for_neither_leaves_a_deployment_out_nor_lets_it_in_again() {
    let (health, state) = (Arc::new(Health::default()), begun(testing::config(THREE)));
    let mut background = Background::default();
    look(&mut background, &health, &state).await;
    let target = &targets(&state)[0];
    let revision = state.pipeline.revision(target);
    let paid = What { revision, probe: Probe::Completion };

    health.note(target, paid, &failed());
    background.look(&health, &state);
    assert!(!target.vitals.found_unwell(), "a paid probe that fails is for who pays");
    assert!(health.in_background(&state.pipeline, target).expect("it was probed").probed.error.is_none());
    assert!(health.last(&state.pipeline, target).expect("it was probed").probed.error.is_some());

    health.found().note_in_background(revision, failed());
    for probe in Probe::ALL {
        health.note(target, What { revision, probe }, &checked(None));
    }
    background.look(&health, &state);
    assert!(target.vitals.found_unwell(), "only the background takes its word back");
}

#[tokio::test(start_paused = true)]
async fn what_the_background_leaves_alone_has_no_result_of_its() {
    let (health, state) = (Arc::new(Health::default()), begun(testing::config(THREE)));
    look(&mut Background::default(), &health, &state).await;
    health.check(&state, targets(&state), Probe::Models).await;
    let of = |position: usize| health.in_background(&state.pipeline, &targets(&state)[position]);

    assert!(of(0).is_some() && of(1).is_some());
    assert!(of(2).is_none(), "its result would be told for ever");
    health.drain();
    assert!(of(0).is_none(), "nobody looks again");
}

#[tokio::test(start_paused = true)]
async fn results_are_told_again_for_a_moment_to_whoever_asks_for_some_of_the_same() {
    let (health, state) = (Arc::new(Health::default()), begun(testing::config(THREE)));
    let all = targets(&state);
    let first = health.check(&state, all, Probe::Models).await;
    let is_same = |results: &Results, position: usize| Arc::ptr_eq(&results[0].1, &first[position].1);

    assert!(is_same(&health.check(&state, &all[1..], Probe::Models).await, 1));
    assert!(!is_same(&health.check(&state, &all[1..], Probe::Completion).await, 1), "another question");
    tokio::time::advance(FRESH).await;
    assert!(!is_same(&health.check(&state, &all[1..], Probe::Models).await, 1), "that was a while ago");
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_share_one_limit_and_probes_under_way() {
    let (health, state) = (Arc::new(Health::default()), begun(testing::config(THREE)));
    for concurrency in 1..=1000 {
        assert_eq!(SHARES / (SHARES / concurrency), concurrency);
    }
    let taken = health.shares.acquire_many(SHARES).await.expect("nobody closes it");
    let ask = |from: usize| {
        let (health, state) = (health.clone(), state.clone());
        tokio::spawn(async move { health.check(&state, &targets(&state)[from..], Probe::Completion).await })
    };
    let (all, some) = (ask(0), ask(1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!all.is_finished() && !some.is_finished(), "there is no place");
    drop(taken);
    let (all, some) = (all.await.expect("no panic"), some.await.expect("no panic"));
    assert!(Arc::ptr_eq(&all[1].1, &some[0].1) && Arc::ptr_eq(&all[2].1, &some[1].1));
}

#[tokio::test(start_paused = true)]
async fn what_a_reload_changes_is_forgotten_and_probed_at_once_and_the_rest_stays() {
    let (health, old) = (Arc::new(Health::default()), begun(testing::config(THREE)));
    let mut background = Background::default();
    look(&mut background, &health, &old).await;
    let revisions: Vec<_> = targets(&old).iter().map(|target| old.pipeline.revision(target)).collect();
    health.found().note_in_background(revisions[0], failed());
    health.found().note_in_background(revisions[1], failed());
    background.look(&health, &old);
    assert!(targets(&old).iter().take(2).all(|target| target.vitals.found_unwell()));

    let key = "{model: openai/x, mock_response: hi}, model_info: {id: a}";
    let repaired = THREE.replace(key, "{model: openai/x, mock_response: hi, api_key: sk-new}, model_info: {id: a}");
    let added = "model_list:\n- {model_name: new, litellm_params: {model: openai/x, mock_response: hi}}";
    let new = reloaded(&old, &repaired.replace("model_list:", added));
    background.look(&health, &new);
    let found = |position: usize| health.in_background(&new.pipeline, &targets(&new)[position]);
    let is_left_out = |position: usize| targets(&new)[position].vitals.found_unwell();

    assert!(!is_left_out(1) && found(1).is_none(), "that was another key");
    assert!(is_left_out(2) && found(2).is_some(), "nothing has changed here");
    background.settle(&health).await;
    assert!(found(0).is_some(), "new ones don't wait for the clock");
    assert!(found(1).is_some_and(|checked| checked.probed.error.is_none()), "nor do those that are others now");
    assert!(is_left_out(2) && found(2).is_some_and(|checked| checked.probed.error.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_began_before_a_reload_tells_nothing_of_what_is_after_it() {
    let (health, old) = (Arc::new(Health::default()), begun(testing::config(THREE)));
    let new = reloaded(
        &old,
        &THREE.replace("model_name: a, litellm_params: {", "model_name: a, litellm_params: {api_key: sk-new, "),
    );
    let taken = health.shares.acquire_many(SHARES).await.expect("nobody closes it");
    let ask = |state: &Arc<State>| {
        let (health, state) = (health.clone(), state.clone());
        tokio::spawn(async move { health.check(&state, &targets(&state)[..2], Probe::Models).await })
    };
    let (before, after) = (ask(&old), ask(&new));
    tokio::task::yield_now().await;
    drop(taken);
    let (before, after) = (before.await.expect("no panic"), after.await.expect("no panic"));

    assert!(!Arc::ptr_eq(&before[0].1, &after[0].1), "its key is another one");
    assert!(Arc::ptr_eq(&before[1].1, &after[1].1), "this one is what it was");
    let last = |state: &State| health.last(&state.pipeline, &targets(state)[0]);
    assert!(last(&new).is_some_and(|last| Arc::ptr_eq(&last, &after[0].1)));
    Background::default().look(&health, &new);
    assert!(last(&old).is_none(), "what was is forgotten");
}

#[tokio::test(start_paused = true)]
async fn switched_off_the_background_forgets_what_it_found() {
    let (health, old) = (Arc::new(Health::default()), begun(testing::config(THREE)));
    let mut background = Background::default();
    look(&mut background, &health, &old).await;
    let off = reloaded(&old, &THREE.replace("checks: true", "checks: false"));
    look(&mut background, &health, &off).await;
    let on = reloaded(&off, THREE);
    assert!(health.in_background(&on.pipeline, &targets(&on)[0]).is_none(), "who knows what was in between");
    look(&mut background, &health, &on).await;
    assert!(health.in_background(&on.pipeline, &targets(&on)[0]).is_some());
}
