//! Requests, tokens and calls at a time.

use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn requests_are_those_of_any_minute() {
    let (gate, caller) = (Gate::default(), caller(of_rates(Some(2), None)));
    drop(gate.talk(&caller, 1).await.unwrap().settle(used(1)));
    advance(30 * SECOND).await;
    let hold = gate.talk(&caller, 1).await.unwrap();
    assert_eq!(rate_of(gate.talk(&caller, 1).await), (Rate::Requests, Some(31 * SECOND)));
    hold.settle(used(1));
    assert_eq!(rate_of(gate.talk(&caller, 1).await), (Rate::Requests, Some(31 * SECOND)));
    advance(31 * SECOND).await;
    gate.talk(&caller, 1).await.unwrap().settle(used(1));
    assert_eq!(rate_of(gate.talk(&caller, 1).await), (Rate::Requests, Some(30 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reserved_before_a_call_and_counted_after_it() {
    let (gate, caller) = (Gate::default(), caller(of_rates(None, Some(100))));
    let hold = gate.talk(&caller, 80).await.unwrap();
    assert_eq!(rate_of(gate.talk(&caller, 30).await), (Rate::Tokens, Some(61 * SECOND)));
    hold.settle(used(70));
    gate.talk(&caller, 30).await.unwrap().settle(used(50));
    match gate.talk(&caller, 1).await {
        Err(Refused::Rate { remaining: 0, limit: 100, wanted: 1, .. }) => {}
        other => panic!("more was used than was left: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_longer_than_a_minute_counts_when_it_began() {
    let (gate, caller) = (Gate::default(), caller(of_rates(None, Some(100))));
    let hold = gate.talk(&caller, 60).await.unwrap();
    advance(120 * SECOND).await;
    hold.settle(used(60));
    gate.talk(&caller, 100).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_beyond_the_whole_limit_is_told_so() {
    let (gate, caller) = (Gate::default(), caller(of_rates(None, Some(100))));
    match gate.talk(&caller, 101).await {
        Err(Refused::Rate { limit: 100, wanted: 101, remaining: 100, retry_after: None, .. }) => {}
        other => panic!("waiting helps nobody: {other:?}"),
    }
    gate.talk(&caller, 100).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_nobody_says_how_long_it_is_fits_a_small_limit() {
    let (gate, caller) = (Gate::default(), caller(of_rates(None, Some(160))));
    let ask = |is_open_ended| Estimate { prompt_tokens: 6, completion_tokens: 4_096, is_open_ended, ..takes(0) };
    let refused = gate.ask(Some(&caller), "gpt", beginning(), ask(false)).await;
    assert_eq!(rate_of(refused), (Rate::Tokens, None), "its client wants more than there ever is");
    let mut under_way = Vec::new();
    for _ in 0..10 {
        under_way.push(gate.ask(Some(&caller), "gpt", beginning(), ask(true)).await.unwrap());
    }
    under_way.drain(..).for_each(|hold| drop(hold.settle(used(16))));
    assert!(gate.ask(Some(&caller), "gpt", beginning(), ask(true)).await.is_err(), "they took all of it");
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_lets_nobody_in() {
    for quota in [of_rates(Some(0), None), of_rates(None, Some(0)), of_parallel(0)] {
        let (gate, caller) = (Gate::default(), caller(quota.clone()));
        let estimate = Estimate::default();
        assert!(gate.ask(Some(&caller), "gpt", beginning(), estimate).await.is_err(), "{quota:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_again_however_a_call_ends() {
    let (gate, caller) = (Gate::default(), caller(of_parallel(2)));
    let (first, second) = (gate.talk(&caller, 1).await.unwrap(), gate.talk(&caller, 1).await.unwrap());
    assert_eq!(rate_of(gate.talk(&caller, 1).await), (Rate::Parallel, Some(SECOND)));
    first.settle(used(1));
    let third = gate.talk(&caller, 1).await.unwrap();
    drop(second);
    let limiter = gate.limiter.clone();
    let in_panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = third;
        panic!("in the middle of a call");
    }));
    assert!(in_panic.is_err());
    let ask = |estimate| gate.ask(Some(&caller), "gpt", beginning(), estimate);
    let both = (ask(takes(1)).await.unwrap(), ask(takes(1)).await.unwrap());
    assert!(ask(takes(1)).await.is_err());
    drop((both, limiter));
}

#[tokio::test(start_paused = true)]
async fn all_is_taken_or_nothing() {
    let gate = Gate::default();
    let caller = in_team(of_rates(Some(10), Some(100)), of_rates(Some(1), None));
    gate.talk(&caller, 40).await.unwrap().settle(used(40));
    for _ in 0..20 {
        assert_eq!(rate_of(gate.talk(&caller, 40).await).0, Rate::Requests);
    }
    // Its team's request is over, and of the key's only one is gone.
    advance(61 * SECOND).await;
    let hold = gate.talk(&caller, 100).await.unwrap();
    let left: Vec<_> = hold.rates().map(|(rate, limit, standing)| (rate, limit, standing.used)).collect();
    assert_eq!(left, [(Rate::Requests, 10, 1), (Rate::Tokens, 100, 100), (Rate::Requests, 1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_made_is_not_counted() {
    let (gate, caller) = (Gate::default(), caller(of_rates(Some(1), Some(10))));
    drop(gate.talk(&caller, 10).await.unwrap());
    gate.talk(&caller, 10).await.unwrap().settle(used(0));
    assert_eq!(rate_of(gate.talk(&caller, 10).await).0, Rate::Requests, "one that failed is");
}

#[tokio::test(start_paused = true)]
async fn a_models_limit_binds_that_model_and_nobody_else() {
    let gate = Gate::default();
    let caller = with_model("gpt", None, Some(Rates { requests: Some(1), tokens: None }));
    let hold = gate.talk(&caller, 1).await.unwrap();
    match gate.talk(&caller, 1).await {
        Err(refused @ Refused::Rate { .. }) => assert!(refused.is_of_model()),
        other => panic!("not refused: {other:?}"),
    }
    gate.ask(Some(&caller), "claude", beginning(), takes(1)).await.unwrap();
    let alias = Ask {
        caller: Some(&caller),
        model: "gpt-4o",
        names: &["gpt-4o".into(), "gpt".into()],
        at: beginning(),
        estimate: takes(1),
    };
    assert!(gate.limiter.admit(&alias, &gate.budgets).await.is_err(), "by the name that it was asked for");
    drop(hold);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_has_to_pass_its_own_models_limits() {
    let gate = Gate::default();
    let caller = with_model("claude", None, Some(Rates { requests: Some(1), tokens: Some(50) }));
    let ask = |model| Ask { caller: Some(&caller), model, names: named(model), at: beginning(), estimate: takes(20) };
    let mut hold = gate.limiter.admit(&ask("gpt"), &gate.budgets).await.unwrap();
    assert!(hold.binds_fallback(&["claude".into()]) && !hold.binds_fallback(&["gpt".into()]));
    hold.fall_back(&ask("claude")).await.unwrap();
    let mut other = gate.limiter.admit(&ask("gpt"), &gate.budgets).await.unwrap();
    assert!(other.fall_back(&ask("claude")).await.is_err_and(|refused| refused.is_of_model()));
    // The next one has none.
    other.fall_back(&ask("gemini")).await.unwrap();
    drop(hold);
    other.fall_back(&ask("claude")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_models_limit_is_gone_may_go_to_another_model() {
    let gate = Gate::default();
    let caller = with_model("gpt", None, Some(Rates { requests: Some(0), tokens: None }));
    let ask = |model| Ask { caller: Some(&caller), model, names: named(model), at: beginning(), estimate: takes(1) };
    assert!(gate.limiter.admit(&ask("gpt"), &gate.budgets).await.is_err());
    let mut hold = gate.limiter.admit_without_model(&ask("gpt"), &gate.budgets).await.unwrap();
    hold.fall_back(&ask("claude")).await.unwrap();
    let charged = hold.settle(cost("0.5"));
    assert_eq!((charged.len(), gate.spent(&key_scope())), (1, usd("0.5")));
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_that_it_used_is_no_reason_to_break() {
    let (gate, caller) = (Gate::default(), caller(of_rates(None, Some(100))));
    for _ in 0..100 {
        gate.talk(&caller, 1).await.unwrap().settle(used(u64::MAX));
        assert!(gate.talk(&caller, 1).await.is_err());
        advance(61 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_not_heard_of_for_a_while_and_owes_nothing_is_forgotten() {
    let gate = Gate::default();
    let caller = caller(of_rates(Some(5), None));
    let hold = gate.talk(&caller, 1).await.unwrap();
    drop(caller);
    gate.limiter.tidy();
    assert_eq!(gate.limiter.counters.len(), 1, "its call is under way");
    hold.settle(used(1));
    gate.limiter.tidy();
    assert_eq!(gate.limiter.counters.len(), 1, "its minute isn't over");
    advance(62 * SECOND).await;
    gate.limiter.tidy();
    assert_eq!(gate.limiter.counters.len(), 0);
}
