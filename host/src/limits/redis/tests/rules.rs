//! One rule at a time.

use super::*;

fn used(taken: &Result<(Ticket, Standings), NotTaken>) -> Vec<i64> {
    taken.as_ref().expect("it is granted").1.iter().map(|standing| standing.used).collect()
}

fn refusal(taken: Result<(Ticket, Standings), NotTaken>) -> Refusal {
    match taken {
        Err(NotTaken::Refused(refusal)) => refusal,
        other => panic!("it should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn claims_are_taken_together_or_not_at_all_by_all_gateways() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let (a, b) = (bench.gateway().await, bench.gateway().await);
    let claims = [rate("k", Rate::Requests, 1, 3), rate("k", Rate::Parallel, 1, 2), money("k", 7, 100, 40)];

    assert_eq!(used(&a.take(&claims).await), [1, 1, 47]);
    assert_eq!(used(&b.take(&claims).await), [2, 2, 54]);
    let refused = refusal(a.take(&claims).await);
    assert_eq!(refused, Refusal { claim: 1, used: 2, retry_after: None });
    let requests = bench.counter(&claims[0]).await;
    assert_eq!(requests["t"], 2, "what was refused has taken nothing: {requests:?}");
    let spent = bench.counter(&claims[2]).await;
    assert_eq!(spent.iter().filter(|(field, _)| field.starts_with("r:")).map(|(_, sum)| sum).sum::<i64>(), 14);
}

#[tokio::test]
async fn a_window_lets_in_again_when_it_was_said_to() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    let claim = [rate("k", Rate::Requests, 1, 2)];
    a.take(&claim).await.unwrap();
    bench.pass(10_000).await;
    a.reconnect().await;
    let (_, standings) = a.take(&claim).await.unwrap();
    // The second that has begun, and sixty more; it is half over.
    assert_eq!(standings[0], Standing { used: 2, resets_in: Duration::from_millis(60_500) });

    let wait = refusal(a.take(&claim).await).retry_after.unwrap();
    assert_eq!(wait, Duration::from_millis(50_500));
    bench.pass(wait.as_millis() as u64 - 1).await;
    a.reconnect().await;
    assert_eq!(refusal(a.take(&claim).await).retry_after, Some(Duration::from_millis(1)));
    bench.pass(1).await;
    assert_eq!(used(&a.take(&claim).await), [2]);
    assert_eq!(refusal(a.take(&[rate("k", Rate::Requests, 3, 2)]).await).retry_after, None, "never");
    // Long after it, nothing is left; and a clock that is set back by an hour stops nobody.
    bench.pass(1_000_000).await;
    a.reconnect().await;
    assert_eq!(used(&a.take(&claim).await), [1]);
    bench.now -= 3_600_000;
    bench.pass(0).await;
    assert_eq!(used(&a.take(&claim).await), [1]);
}

#[tokio::test]
async fn what_a_call_came_to_is_told_once() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    let claims = [rate("k", Rate::Tokens, 50, 100), rate("k", Rate::Parallel, 1, 9), money("k", 30, 100, 0)];
    let (ticket, _) = a.take(&claims).await.unwrap();
    bench.pass(1).await;
    a.at(bench.now);
    a.settle(ticket, &claims, 20, 5);
    assert!(a.tell().await);
    assert_eq!(used(&a.take(&claims).await), [70, 1, 35]);

    // More than what was reserved counts when it is known; what was reserved by nobody in particular, like nothing.
    let (ticket, _) = a.take(&[rate("k", Rate::Tokens, 1, 100)]).await.unwrap();
    a.settle(ticket, &[rate("k", Rate::Tokens, 1, 100)], 25, 0);
    assert!(a.tell().await);
    assert_eq!(bench.counter(&claims[0]).await["t"], 95);

    // A batch that is sent again changes nothing.
    let link = a.inner.link.load_full().unwrap();
    let batch = ledger::Batch {
        changes: vec![ledger::Change {
            counter: bench.names.counter(&claims[2]),
            what: ledger::What::Spent(bench.now),
            amount: 11,
        }],
    };
    for _ in 0..2 {
        a.keeper.tell(&link, 1000, batch.clone()).await.unwrap();
    }
    assert_eq!(bench.counter(&claims[2]).await["sum"], 16);
}

#[tokio::test]
async fn what_a_gateway_held_that_is_gone_is_given_back() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let claims = [rate("k", Rate::Parallel, 1, 1), money("k", 100, 100, 0)];
    let crashed = bench.gateway().await;
    crashed.take(&claims).await.unwrap();
    drop(crashed);

    let mut other = bench.gateway().await;
    bench.pass(4_999).await;
    assert!(other.tell().await);
    assert_eq!(refusal(other.take(&claims).await).claim, 0);
    bench.pass(1).await;
    assert_eq!(used(&other.take(&claims).await), [1, 100]);
    assert_eq!(bench.counter(&claims[0]).await.len(), 1, "nothing is left of the one that is gone");
}

#[tokio::test]
async fn a_gateway_that_was_paused_comes_back_with_what_it_holds_and_counts_it_once() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let claims = [rate("k", Rate::Parallel, 1, 3), money("k", 10, 100, 0)];
    let mut paused = bench.gateway().await;
    let (first, _) = paused.take(&claims).await.unwrap();
    let (second, _) = paused.take(&claims).await.unwrap();
    bench.pass(60_000).await;
    let other = bench.gateway().await;
    assert_eq!(used(&other.take(&claims).await), [1, 10], "what it holds is void");

    // It goes on where it was: one of its calls is over, and it is told that it was given up.
    paused.at(bench.now);
    paused.settle(first, &claims, 0, 4);
    assert!(!paused.tell().await);
    assert_eq!(bench.counter(&claims[0]).await.len(), 1, "it changes nothing under its old name");
    let lost = paused.take_anyway(&claims).await.unwrap();
    assert_eq!(lost, (ALONE, Standings::new()), "until it is back it counts for itself");
    paused.reconnect().await;
    assert_eq!(bench.counter(&claims[1]).await["sum"], 4, "what it has spent counts, once");
    assert_eq!(refusal(other.take(&claims).await), Refusal { claim: 0, used: 3, retry_after: None });

    for ticket in [second, lost.0] {
        paused.settle(ticket, &claims, 0, 1);
    }
    assert!(paused.tell().await);
    assert_eq!(bench.counter(&claims[1]).await["sum"], 6);
    assert_eq!(used(&other.take(&claims).await), [2, 26]);
}

#[tokio::test]
async fn a_sum_begins_with_the_databases_and_is_never_less() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    let (ticket, _) = a.take(&[money("k", 1, 100, 50)]).await.unwrap();
    bench.pass(1).await;
    a.at(bench.now);
    a.settle(ticket, &[money("k", 1, 100, 50)], 0, 20);
    a.tell().await;
    // The database is behind, then it knows it too, then it knows more: of a gateway that could not tell it here.
    for (known, expected) in [(50, 70), (70, 70), (85, 85)] {
        let (ticket, standings) = a.take(&[money("k", 0, 100, known)]).await.unwrap();
        assert_eq!(standings[0].used, expected);
        a.settle(ticket, &[money("k", 0, 100, known)], 0, 0);
    }

    // Redis loses its memory while something spent is untold: the database has it, and it isn't counted twice.
    let (ticket, _) = a.take(&[money("k", 1, 100, 85)]).await.unwrap();
    a.settle(ticket, &[money("k", 1, 100, 85)], 0, 10);
    bench.forget().await;
    bench.pass(1_000).await;
    let b = bench.gateway().await;
    assert_eq!(used(&b.take(&[money("k", 0, 100, 95)]).await), [95]);
    a.at(bench.now);
    assert!(!a.tell().await, "it isn't known any more");
    a.reconnect().await;
    assert_eq!(used(&b.take(&[money("k", 0, 100, 95)]).await), [95]);
    assert_eq!(refusal(b.take(&[money("k", 0, 95, 0)]).await), Refusal { claim: 0, used: 95, retry_after: None });
}

#[tokio::test]
async fn sums_beyond_all_bounds_stay_at_the_greatest_number() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    let claims = [money("k", 0, i64::MAX, 0), rate("k", Rate::Tokens, u64::MAX, u64::MAX)];
    let (first, second) = (a.take(&claims).await.unwrap().0, a.take(&claims[..1]).await.unwrap().0);
    for ticket in [first, second] {
        bench.pass(1).await;
        a.at(bench.now);
        a.settle(ticket, &claims[..1], 0, i64::MAX);
        assert!(a.tell().await);
    }
    assert_eq!(bench.counter(&claims[0]).await["sum"], i64::MAX);
    assert_eq!(refusal(a.take(&claims[..1]).await), Refusal { claim: 0, used: i64::MAX, retry_after: None });
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_told_again() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut bench.connection).await.unwrap();
    let claims = [rate("k", Rate::Parallel, 1, 1)];
    let (ticket, standings) = a.take(&claims).await.unwrap();
    assert_eq!(standings.len(), 1);
    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut bench.connection).await.unwrap();
    a.settle(ticket, &claims, 0, 0);
    assert!(a.tell().await);
    assert_eq!(used(&a.take(&claims).await), [1]);
}

#[tokio::test]
async fn what_was_taken_for_somebody_who_left_is_given_back() {
    let Some(server) = RedisServer::start().await else { return };
    let bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    let claims = [rate("k", Rate::Requests, 1, 1), rate("k", Rate::Parallel, 1, 1), money("k", 1, 1, 0)];
    // The question is on its way when the client leaves.
    let asked = tokio::spawn(a.inner.clone().ask(a.inner.link.load_full().unwrap(), claims.to_vec().into()));
    let answer = asked.await.unwrap();
    assert!(matches!(answer, Answer::Taken(_)), "{answer:?}");
    drop(answer);
    assert!(a.tell().await);
    assert_eq!(used(&a.take(&claims).await), [1, 1, 1]);
}

#[tokio::test]
async fn a_sum_that_is_set_stays_so_though_the_database_is_read_late() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    let claims = |known| [money("k", 0, 100, known)];
    let (ticket, _) = a.take(&claims(99)).await.unwrap();
    bench.pass(1).await;
    a.at(bench.now);
    a.settle(ticket, &claims(99), 0, 7);
    a.inner.ledger.set_spent(bench.names.spent(&scope("k"), None), 20);
    assert!(a.tell().await);
    for (ms, known, expected) in [(0, 99, 20), (4_000, 99, 20), (4_000, 15, 20), (4_000, 25, 25)] {
        bench.pass(ms).await;
        a.tell().await;
        assert_eq!(used(&a.take(&claims(known)).await), [expected]);
    }
}

#[tokio::test]
async fn a_place_is_free_for_the_next_call_though_nothing_was_told_yet() {
    let Some(server) = RedisServer::start().await else { return };
    let mut bench = Bench::new(&server).await;
    let mut a = bench.gateway().await;
    let claims = [rate("k", Rate::Parallel, 1, 1), money("k", 60, 100, 0)];
    for _ in 0..3 {
        let (ticket, standings) = a.take(&claims).await.unwrap();
        assert_eq!(standings.iter().map(|standing| standing.used).collect::<Vec<_>>(), [1, 60]);
        assert!(matches!(a.take(&claims).await, Err(NotTaken::Refused(_))));
        a.settle(ticket, &claims, 0, 0);
    }
    assert!(a.tell().await);
    assert_eq!(bench.counter(&claims[0]).await.len(), 0, "it is given back once");
    assert_eq!(used(&a.take(&claims).await), [1, 60]);
}
