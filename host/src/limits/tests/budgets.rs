//! Money.

use super::*;
use crate::limits::Allowance;
use crate::store::Total;

fn after(seconds: u64) -> SystemTime {
    beginning() + Duration::from_secs(seconds)
}

fn total(scope: Scope, since: Option<SystemTime>, spent: &str) -> Total {
    Total { scope, since, spent: usd(spent) }
}

#[tokio::test]
async fn a_budget_with_money_left_lets_a_call_in_and_one_that_is_spent_does_not() {
    let (gate, caller) = (Gate::default(), caller(of_money("1")));
    // Dearer than the whole budget: there is money, so it goes in.
    gate.pay(&caller, "5").await.unwrap().settle(cost("0.999999999999"));
    gate.pay(&caller, "5").await.unwrap().settle(cost("0.1"));
    let (scope, spent, resets_in) = budget_of(gate.pay(&caller, "0.1").await);
    assert_eq!((scope, spent, resets_in), (key_scope(), usd("1.099999999999"), None));
}

#[tokio::test]
async fn what_calls_under_way_may_cost_is_reserved_and_what_they_did_not_is_given_back() {
    let (gate, caller) = (Gate::default(), caller(of_money("1")));
    let first = gate.pay(&caller, "0.6").await.unwrap();
    let second = gate.pay(&caller, "0.6").await.unwrap();
    assert_eq!(budget_of(gate.pay(&caller, "0.6").await).1, usd("1.2"));
    first.settle(cost("0.01"));
    let third = gate.pay(&caller, "0.6").await.unwrap();
    drop(second);
    drop(third);
    assert_eq!(gate.spent(&key_scope()), usd("0.01"));
    gate.pay(&caller, "0.6").await.unwrap();
}

#[tokio::test]
async fn without_reservations_a_budget_is_looked_at_all_the_same() {
    let gate = Gate::with(Budgets { reserves: false, ..Budgets::default() });
    let caller = caller(of_money("1"));
    let under_way: Vec<_> = [gate.pay(&caller, "5").await.unwrap(), gate.pay(&caller, "5").await.unwrap()].into();
    for hold in under_way {
        hold.settle(cost("0.5"));
    }
    assert_eq!(budget_of(gate.pay(&caller, "0").await.and(gate.pay(&caller, "5").await)).1, usd("1"));
}

#[tokio::test]
async fn a_free_model_can_be_called_with_no_money_left_and_one_without_a_price_can_not() {
    let (gate, caller) = (Gate::default(), caller(of_money("0")));
    let charged = gate.pay(&caller, "0").await.unwrap().settle(cost("0"));
    assert_eq!(charged[..], [(key_scope(), None)]);
    assert!(gate.ask(Some(&caller), "gpt", beginning(), Estimate::default()).await.is_err());
}

#[tokio::test]
async fn a_free_call_that_falls_back_to_one_that_costs_needs_money() {
    for (max, is_let_in) in [("0", false), ("1", true)] {
        let (gate, caller) = (Gate::default(), caller(of_money(max)));
        let mut hold = gate.pay(&caller, "0").await.unwrap();
        assert!(hold.binds_fallback(&["claude".into()]));
        let ask = Ask {
            caller: Some(&caller),
            model: "claude",
            names: &["claude".into()],
            at: beginning(),
            estimate: costs("0.5"),
        };
        assert_eq!(hold.fall_back(&ask).await.is_ok(), is_let_in, "{max}");
        if is_let_in {
            hold.settle(cost("0.25"));
            assert_eq!(gate.spent(&key_scope()), usd("0.25"), "once");
        }
    }
}

#[tokio::test]
async fn a_budget_is_new_in_the_moment_in_which_its_period_is() {
    let quota = Quota { budget: Some(budget("1", Some("30s"))), ..Quota::default() };
    let (gate, caller) = (Gate::default(), caller(quota.clone()));
    let at = |at| gate.ask(Some(&caller), "gpt", at, costs("1"));
    let last = at(after(29)).await.unwrap();
    assert_eq!(budget_of(at(after(29)).await).2, Some(Duration::from_secs(1)));
    assert_eq!(budget_of(at(after(30) - Duration::from_nanos(1)).await).2, Some(Duration::from_nanos(1)));
    let next = at(after(30)).await.unwrap();
    // One that ends later counts where it began.
    assert_eq!(last.settle(cost("3"))[..], [(key_scope(), Some(after(0)))]);
    assert_eq!(next.settle(cost("0.25"))[..], [(key_scope(), Some(after(30)))]);
    let spent = |at| gate.limiter.spent(&key_scope(), quota.budget.as_ref(), at);
    assert_eq!(
        [spent(after(29)), spent(after(30)), spent(after(60))].map(|spent| spent.to_string()),
        ["3", "0.25", "0"]
    );
}

#[tokio::test]
async fn the_gateways_budget_binds_the_master_key_and_a_keys_budget_does_not() {
    let gateway = Some(Allowance { max: usd("1"), period: None });
    let gate = Gate::with(Budgets { gateway, ..Budgets::default() });
    let caller = caller(of_money("0.5"));
    let master = || gate.ask(None, "gpt", beginning(), costs("0.1"));
    gate.pay(&caller, "0.1").await.unwrap().settle(cost("0.7"));
    assert_eq!(budget_of(gate.pay(&caller, "0.1").await).0, key_scope());
    assert_eq!(master().await.unwrap().settle(cost("0.3"))[..], [(Scope::Gateway, None)]);
    assert_eq!(budget_of(master().await).0, Scope::Gateway);
    assert_eq!(gate.spent(&key_scope()), usd("0.7"));
}

#[tokio::test]
async fn a_models_budget_counts_that_model_and_the_key_counts_all() {
    let (gate, caller) = (Gate::default(), with_model("gpt", Some(budget("1", None)), None));
    let model = Scope::Model(Arc::new(key_scope()), "gpt".into());
    let charged = gate.pay(&caller, "0.1").await.unwrap().settle(cost("1"));
    assert_eq!(charged[..], [(key_scope(), None), (model.clone(), None)]);
    assert_eq!(budget_of(gate.pay(&caller, "0.1").await).0, model);
    gate.ask(Some(&caller), "claude", beginning(), costs("0.1")).await.unwrap().settle(cost("1"));
    assert_eq!((gate.spent(&key_scope()), gate.spent(&model)), (usd("2"), usd("1")));
}

#[tokio::test]
async fn a_deployment_or_a_provider_whose_money_is_spent_is_known_to_be() {
    let allowance = |max| Allowance { max: usd(max), period: Some((Span::parse("30s").unwrap(), beginning())) };
    let gate = Gate::with(Budgets {
        deployments: [("d1".to_owned(), allowance("1"))].into(),
        providers: [("groq".to_owned(), allowance("2"))].into(),
        ..Budgets::default()
    });
    let spent = |deployment, provider, at| gate.limiter.is_spent(&gate.budgets, deployment, provider, at);
    let call = async |deployment: &'static str, text| {
        let hold = gate.ask(None, "gpt", beginning(), costs("0.1")).await.unwrap();
        hold.settle(Spent { served_by: Some((deployment, "groq")), ..cost(text) })
    };
    assert_eq!(spent("d1", "groq", beginning()), None);
    let charged = call("d1", "1").await;
    assert_eq!(charged.len(), 2);
    assert_eq!(spent("d1", "groq", after(10)), Some(Some(Duration::from_secs(20))));
    assert_eq!(spent("d2", "groq", after(10)), None);
    call("d2", "1").await;
    assert_eq!(spent("d2", "groq", after(10)), Some(Some(Duration::from_secs(20))));
    assert_eq!(spent("d2", "openai", after(10)), None);
    assert_eq!(spent("d1", "groq", after(30)), None);
}

#[tokio::test]
async fn what_the_database_knows_and_what_it_does_not_know_yet_are_one_sum() {
    let (gate, caller) = (Gate::default(), caller(of_money("10")));
    gate.limiter.know(&[total(key_scope(), None, "3")]);
    let spends = async |text| drop(gate.pay(&caller, "0.1").await.unwrap().settle(cost(text)));
    spends("1").await;
    assert_eq!(gate.spent(&key_scope()), usd("4"));
    gate.limiter.written(&[total(key_scope(), None, "1")]);
    // Another gateway has added two, and this one two that aren't written.
    spends("2").await;
    gate.limiter.know(&[total(key_scope(), None, "6")]);
    assert_eq!(gate.spent(&key_scope()), usd("8"));
    gate.limiter.set_spent(&key_scope(), None, usd("0"), beginning());
    assert_eq!(gate.spent(&key_scope()), usd("0"));
    spends("1").await;
    assert_eq!(gate.spent(&key_scope()), usd("1"));
}

#[tokio::test]
async fn who_is_gone_has_spent_nothing_and_leaves_no_account_behind() {
    let gate = Gate::default();
    let model = Scope::Model(Arc::new(key_scope()), "gpt-4o".into());
    let other = Scope::Key("4567".into());
    let since = Some(beginning());
    let totals = [(key_scope(), None), (key_scope(), since), (model.clone(), since), (other.clone(), None)];
    gate.limiter.know(&totals.map(|(scope, since)| total(scope, since, "3")));
    let caller = caller(of_money("10"));
    gate.pay(&caller, "0.1").await.unwrap().settle(cost("1"));
    gate.limiter.written(&[total(key_scope(), None, "1")]);
    assert_eq!((gate.spent(&key_scope()), gate.limiter.counters.len()), (usd("4"), 3));

    gate.limiter.begin_anew(&[key_scope()].into(), true);

    let spent = |scope: &Scope, budget: &Budget| gate.limiter.spent(scope, Some(budget), beginning());
    for of in [budget("10", None), budget("10", Some("30d"))] {
        assert_eq!((spent(&key_scope(), &of), spent(&model, &of)), (usd("0"), usd("0")));
    }
    assert_eq!(gate.spent(&other), usd("3"));
    drop(caller);
    gate.limiter.counters.tidy(Instant::now() + Duration::from_secs(120));
    assert_eq!(gate.limiter.counters.len(), 1);
}

#[tokio::test]
async fn of_a_period_that_is_over_nobody_wants_to_know() {
    let quota = Quota { budget: Some(budget("10", Some("30s"))), ..Quota::default() };
    let gate = Gate::default();
    let spent = |at| gate.limiter.spent(&key_scope(), quota.budget.as_ref(), at);
    gate.limiter.know(&[total(key_scope(), Some(after(30)), "2"), total(key_scope(), Some(after(0)), "9")]);
    assert_eq!((spent(after(40)), spent(after(10))), (usd("2"), usd("0")));
}

#[tokio::test]
async fn a_soft_budget_is_told_once_and_refuses_nobody() {
    let key = Key { soft_budget: Some(usd("1")), ..key(Quota::default()) };
    let (gate, caller) = (Gate::default(), caller_of(key, None, None));
    for _ in 0..3 {
        gate.pay(&caller, "1").await.unwrap().settle(cost("1"));
    }
    assert!(!gate.limiter.counters.account(&key_scope()).lock().passes(None, usd("1").pico()), "it was told");
}

#[tokio::test]
async fn a_call_without_limits_is_counted_for_its_key_its_user_and_its_team() {
    let (user, team) = (User { id: "u".to_owned(), ..User::default() }, Team { id: "t".to_owned(), ..Team::default() });
    let (gate, caller) = (Gate::default(), caller_of(key(Quota::default()), Some(user), Some(team)));
    assert!(!gate.limiter.binds(Some(&caller), &["gpt".into()], &gate.budgets));
    let charged = gate.pay(&caller, "1").await.unwrap().settle(cost("2"));
    let scopes = [key_scope(), Scope::User("u".into()), Scope::Team("t".into())];
    assert_eq!(charged[..], scopes.clone().map(|scope| (scope, None)));
    assert_eq!(scopes.map(|scope| gate.spent(&scope)), [usd("2"); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_calls_at_a_time_get_a_hundred_calls_worth_of_a_budget() {
    let (gate, caller) = (Arc::new(Gate::default()), in_team(Quota::default(), of_money("1")));
    let (closed, gate_opens) = tokio::sync::watch::channel(false);
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            let (gate, caller, mut opens) = (gate.clone(), caller.clone(), gate_opens.clone());
            tokio::spawn(async move {
                let hold = gate.pay(&caller, "0.01").await.ok()?;
                // Nobody ends before everybody has asked.
                opens.wait_for(|open| *open).await.expect("it opens");
                hold.settle(cost("0.01"));
                Some(())
            })
        })
        .collect();
    drop(gate_opens);
    tokio::task::yield_now().await;
    let asked = async {
        while gate.limiter.counters.account(&Scope::Team("core".into())).lock().spent_or_reserved(None)
            < usd("1").pico()
        {
            tokio::task::yield_now().await;
        }
    };
    asked.await;
    closed.send(true).expect("they wait");
    let mut admitted = 0;
    for call in calls {
        admitted += usize::from(call.await.expect("no panic").is_some());
    }
    assert_eq!((admitted, gate.spent(&Scope::Team("core".into()))), (100, usd("1")));
}

#[tokio::test]
async fn what_a_fallback_cost_is_not_the_first_models_to_pay() {
    let gate = Gate::default();
    let caller = with_model("gpt", Some(budget("0.05", None)), Some(Rates { requests: Some(9), tokens: Some(100) }));
    let of_model = Scope::Model(Arc::new(key_scope()), "gpt".into());
    let estimate = Estimate { cost: Some(usd("0.03")), ..takes(20) };
    let ask = |model| Ask { caller: Some(&caller), model, names: named(model), at: beginning(), estimate };
    let usage = Usage { prompt_tokens: 90, ..Usage::default() };
    for _ in 0..3 {
        let mut hold = gate.limiter.admit(&ask("gpt"), &gate.budgets).await.unwrap();
        hold.fall_back(&ask("claude")).await.unwrap();
        let charged = hold.settle(Spent { usage: Some(usage), ..cost("0.03") });
        assert_eq!(charged[..], [(key_scope(), None)]);
    }
    assert_eq!((gate.spent(&of_model), gate.spent(&key_scope())), (Money::ZERO, usd("0.09")));
    // And one that comes back to it after all is its own.
    let mut hold = gate.limiter.admit(&ask("gpt"), &gate.budgets).await.unwrap();
    hold.fall_back(&ask("claude")).await.unwrap();
    hold.fall_back(&ask("gpt")).await.unwrap();
    hold.settle(cost("0.03"));
    assert_eq!((gate.spent(&of_model), gate.spent(&key_scope())), (usd("0.03"), usd("0.12")));
}
