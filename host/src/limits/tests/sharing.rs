//! Gateways that count together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::*;
use crate::config::FailClosed;

/// Others who count: let everybody in, or nobody, or can't be reached.
#[derive(Debug, Default)]
struct Others {
    refuse: AtomicBool,
    away: AtomicBool,
    asked: Mutex<Vec<Vec<Claim>>>,
    ended: Mutex<Vec<(Ticket, End)>>,
}

impl Shared for Others {
    fn take<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Result<(Ticket, Standings), NotTaken>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(claims.to_vec());
            if self.away.load(Ordering::Relaxed) {
                return Err(NotTaken::Unreachable);
            }
            if self.refuse.load(Ordering::Relaxed) {
                let retry_after = Some(Duration::from_secs(7));
                return Err(NotTaken::Refused(Refusal { claim: 0, used: claims[0].limit().unwrap(), retry_after }));
            }
            let standing = Standing { used: 4, resets_in: Duration::from_secs(9) };
            Ok((Ticket(claims.len() as u64), claims.iter().map(|_| standing).collect()))
        })
    }

    fn take_alone(&self, _claims: &[Claim]) -> Ticket {
        Ticket(0)
    }

    fn set_spent(&self, _scope: &Scope, _since: Option<SystemTime>, _spent: Money) {}

    fn settle(&self, ticket: Ticket, claims: Arc<[Claim]>, end: End) {
        assert!(ticket.0 == 0 || ticket.0 == claims.len() as u64);
        self.ended.lock().unwrap().push((ticket, end));
    }
}

fn shared(fails_closed: FailClosed) -> (Gate, Arc<Others>) {
    let (gate, others) = (Gate::default(), Arc::new(Others::default()));
    gate.limiter.share(others.clone(), fails_closed);
    (gate, others)
}

#[tokio::test]
async fn what_all_gateways_count_together_decides() {
    let (gate, others) = shared(FailClosed::default());
    let caller = caller(of_rates(Some(5), None));
    for _ in 0..10 {
        // Here alone there would be room for five.
        let hold = gate.talk(&caller, 1).await.unwrap();
        assert_eq!(hold.rates().next().map(|(_, limit, standing)| (limit, standing.used)), Some((5, 4)));
        hold.settle(used(3));
    }
    others.refuse.store(true, Ordering::Relaxed);
    assert_eq!(rate_of(gate.talk(&caller, 1).await), (Rate::Requests, Some(Duration::from_secs(7))));
    let ended = others.ended.lock().unwrap().clone();
    assert_eq!(ended, vec![(Ticket(1), End::Settled { tokens: 3, cost: Money::ZERO }); 10]);
}

#[tokio::test]
async fn while_nobody_can_count_for_all_this_process_does() {
    let (gate, others) = shared(FailClosed { rates: false, budgets: true });
    let caller = caller(of_rates(Some(5), None));
    for _ in 0..3 {
        drop(gate.talk(&caller, 1).await.unwrap().settle(used(1)));
    }
    others.away.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        drop(gate.talk(&caller, 1).await.unwrap().settle(used(1)));
    }
    assert_eq!(rate_of(gate.talk(&caller, 1).await).0, Rate::Requests, "it knows of the calls before");
    let ended: Vec<_> = others.ended.lock().unwrap().iter().map(|(ticket, _)| ticket.0).collect();
    assert_eq!(ended, [1, 1, 1, 0, 0], "the others are told of those too, when they can be");
}

#[tokio::test]
async fn with_fail_closed_a_limited_call_is_refused_then_and_another_is_not() {
    for (fails_closed, quota, is_let_in) in [
        (FailClosed { rates: true, budgets: false }, of_rates(Some(5), None), false),
        (FailClosed { rates: true, budgets: false }, of_money("1"), true),
        (FailClosed { rates: false, budgets: true }, of_money("1"), false),
        (FailClosed { rates: true, budgets: true }, Quota::default(), true),
    ] {
        let (gate, others) = shared(fails_closed);
        others.away.store(true, Ordering::Relaxed);
        let asked = gate.talk(&caller(quota.clone()), 1).await;
        assert_eq!(asked.is_ok(), is_let_in, "{fails_closed:?} {quota:?}");
        assert!(is_let_in || asked.is_err_and(|refused| refused == Refused::Unknown));
    }
}

#[tokio::test]
async fn others_are_told_what_is_known_of_the_money_and_of_calls_without_limits_nothing() {
    let (gate, others) = shared(FailClosed::default());
    gate.talk(&caller(Quota::default()), 1).await.unwrap().settle(cost("1"));
    assert!(others.asked.lock().unwrap().is_empty());
    gate.pay(&caller(of_money("10")), "0.5").await.unwrap().settle(cost("1"));
    let asked = others.asked.lock().unwrap().clone();
    let claim =
        Amount::Money { amount: usd("0.5"), limit: Some(usd("10")), since: None, period: None, known: usd("1") };
    assert_eq!(asked, [[Claim { scope: key_scope(), of: claim }]]);
    assert_eq!(gate.spent(&key_scope()), usd("2"));
}

#[tokio::test]
async fn a_call_that_dies_is_cancelled_there_too() {
    let (gate, others) = shared(FailClosed::default());
    drop(gate.talk(&caller(of_parallel(1)), 1).await.unwrap());
    assert_eq!(*others.ended.lock().unwrap(), [(Ticket(1), End::Cancelled)]);
}
