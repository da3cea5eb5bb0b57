//! Whatever several gateways do in whatever order, the sums in Redis are those that a simple model has.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

const GATEWAYS: usize = 3;
/// Two, so that a call takes of several limits, one of which may be used up.
const KEYS: [&str; 2] = ["a", "b"];
const REQUESTS: u64 = 6;
const TOKENS: u64 = 200;
const PARALLEL: u64 = 4;
const BUDGET: i64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    /// A gateway takes claims of one key or both.
    Take { gateway: usize, keys: usize, tokens: u64, cost: i64 },
    /// One of its calls ends.
    Settle { gateway: usize, call: usize, tokens: u64, cost: i64 },
    /// It says that it is there, and what calls came to.
    Tell { gateway: usize },
    /// It is killed; another one takes its place.
    Crash { gateway: usize },
    /// The database learns what is spent.
    Write,
    /// Time passes.
    Pass { ms: u64 },
    /// Redis loses its memory.
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let gateway = 0..GATEWAYS;
    prop_oneof![
        8 => (gateway.clone(), 1usize..4, 0u64..90, 0i64..150)
            .prop_map(|(gateway, keys, tokens, cost)| Step::Take { gateway, keys, tokens, cost }),
        6 => (gateway.clone(), any::<usize>(), 0u64..120, 0i64..200)
            .prop_map(|(gateway, call, tokens, cost)| Step::Settle { gateway, call, tokens, cost }),
        5 => gateway.clone().prop_map(|gateway| Step::Tell { gateway }),
        1 => gateway.prop_map(|gateway| Step::Crash { gateway }),
        3 => Just(Step::Write),
        5 => prop_oneof![1u64..1_500, 1u64..20_000, Just(61_000)].prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Forget),
    ]
}

/// A call that was let in.
#[derive(Clone, Debug)]
struct Call {
    ticket: Ticket,
    claims: Vec<Claim>,
    key: Vec<&'static str>,
    tokens: u64,
    cost: i64,
}

/// What one gateway has, as far as the model goes.
#[derive(Default)]
struct Member {
    calls: Vec<Call>,
    heard: u64,
    /// What it holds in Redis: parallel calls and money, by key.
    held: BTreeMap<&'static str, (i64, i64)>,
    /// What of that it has given back, and not told.
    returned: BTreeMap<&'static str, (i64, i64)>,
    /// What it has to tell: calls that ended, with their tokens, their cost, and when.
    untold: Vec<(Call, u64, i64, u64)>,
}

/// What Redis should have.
#[derive(Default)]
struct Sums {
    /// By key and second.
    requests: BTreeMap<(&'static str, u64), i64>,
    tokens: BTreeMap<(&'static str, u64), i64>,
    /// By key: what was counted, since when, and the most that the database said.
    spent: BTreeMap<&'static str, (i64, u64, i64)>,
    /// By key: what is really spent, and what of it the database has.
    really: BTreeMap<&'static str, (i64, i64)>,
    /// By key: when each granted call was made, to hold against the limit in any minute.
    granted: BTreeMap<&'static str, Vec<u64>>,
    /// Whether something can't be in Redis' sums, as it was lost or is only in the database's.
    is_behind: bool,
}

impl Member {
    fn give_back(&mut self, key: &'static str, returned: Option<(i64, i64)>) {
        let Some((calls, money)) = returned else { return };
        let held = self.held.entry(key).or_default();
        *held = (held.0 - calls, held.1 - money);
    }

    /// What the next question tells: places, and money unless something was spent of it that is yet to be told.
    fn give_back_at_once(&mut self, key: &'static str) {
        let Some((calls, money)) = self.returned.remove(key) else { return };
        if self.untold.iter().any(|(call, _, cost, _)| *cost > 0 && call.key.contains(&key)) {
            self.returned.insert(key, (0, money));
            self.give_back(key, Some((calls, 0)));
        } else {
            self.give_back(key, Some((calls, money)));
        }
    }
}

impl Sums {
    fn window(sums: &BTreeMap<(&'static str, u64), i64>, key: &'static str, now: u64) -> i64 {
        let second = now / 1000;
        sums.range((key, second - 60)..=(key, second)).map(|(_, sum)| sum).sum()
    }

    fn held(members: &[Member], gone: &[Member], key: &'static str, now: u64) -> (i64, i64) {
        let alive = members.iter().chain(gone).filter(|member| member.heard + LEASE.as_millis() as u64 > now);
        let of_key = alive.filter_map(|member| member.held.get(key));
        of_key.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// The gateways, the real ones and the model's.
struct World {
    bench: Bench,
    gateways: Vec<Gateway>,
    members: Vec<Member>,
    gone: Vec<Member>,
    sums: Sums,
}

impl World {
    async fn new(server: &RedisServer) -> Self {
        let bench = Bench::new(server).await;
        let (mut gateways, mut members) = (Vec::new(), Vec::new());
        for _ in 0..GATEWAYS {
            gateways.push(bench.gateway().await);
            members.push(Member { heard: bench.now, ..Member::default() });
        }
        Self { bench, gateways, members, gone: Vec::new(), sums: Sums::default() }
    }

    fn now(&self) -> u64 {
        self.bench.now
    }

    fn is_heard(&self, gateway: usize) -> bool {
        self.members[gateway].heard + LEASE.as_millis() as u64 > self.now()
    }

    async fn pass(&mut self, ms: u64) {
        self.bench.pass(ms).await;
        self.gateways.iter().for_each(|gateway| gateway.at(self.bench.now));
    }

    async fn step(&mut self, step: Step) {
        self.pass(1).await;
        match step {
            Step::Take { gateway, keys, tokens, cost } => self.take(gateway, keys, tokens, cost).await,
            Step::Settle { gateway, call, tokens, cost } => self.settle(gateway, call, tokens, cost),
            Step::Tell { gateway } => self.tell(gateway).await,
            Step::Crash { gateway } => {
                let member = Member { heard: self.now(), ..Member::default() };
                let crashed = std::mem::replace(&mut self.members[gateway], member);
                self.sums.is_behind |= !crashed.untold.is_empty();
                self.gone.push(crashed);
                self.gateways[gateway] = self.bench.gateway().await;
            }
            Step::Write => self.sums.really.values_mut().for_each(|(real, written)| *written = *real),
            Step::Pass { ms } => self.pass(ms).await,
            Step::Forget => {
                self.bench.forget().await;
                let really = std::mem::take(&mut self.sums.really);
                // As after any start: what the database has by then is where sums begin.
                let really: BTreeMap<_, _> = really.into_iter().map(|(key, (real, _))| (key, (real, real))).collect();
                let granted = BTreeMap::new();
                self.sums = Sums { really, granted, is_behind: true, ..Sums::default() };
                self.gone.clear();
                for member in &mut self.members {
                    (member.heard, member.held) = (0, BTreeMap::new());
                }
            }
        }
    }

    /// It comes back, and tells all that it holds and what it has to tell.
    async fn reconnect(&mut self, gateway: usize) {
        self.gateways[gateway].reconnect().await;
        let now = self.now();
        let member = &mut self.members[gateway];
        (member.heard, member.held) = (now, BTreeMap::new());
        for call in &member.calls {
            for key in &call.key {
                let held = member.held.entry(key).or_default();
                *held = (held.0 + 1, held.1 + call.cost);
            }
        }
        self.told(gateway, false);
    }

    async fn tell(&mut self, gateway: usize) {
        let is_heard = self.is_heard(gateway);
        assert_eq!(self.gateways[gateway].tell().await, is_heard);
        self.told(gateway, is_heard);
        if is_heard {
            self.members[gateway].heard = self.now();
        } else {
            self.reconnect(gateway).await;
        }
    }

    /// What the model makes of what is told.
    fn told(&mut self, gateway: usize, with_held: bool) {
        let now = self.now();
        for key in KEYS {
            let returned = self.members[gateway].returned.remove(key).filter(|_| with_held);
            self.members[gateway].give_back(key, returned);
        }
        let (member, sums) = (&mut self.members[gateway], &mut self.sums);
        // One sum for each counter: it is as old as the first part of it.
        let mut spent: BTreeMap<&'static str, (i64, u64)> = BTreeMap::new();
        let mut late: BTreeMap<&'static str, i64> = BTreeMap::new();
        for (call, tokens, cost, at) in member.untold.drain(..) {
            for key in &call.key {
                if cost > 0 {
                    let sum = spent.entry(key).or_insert((0, at));
                    sum.0 += cost;
                }
                if call.ticket == ALONE {
                    continue;
                }
                let difference = tokens as i64 - call.tokens as i64;
                if difference > 0 {
                    *late.entry(key).or_default() += difference;
                } else if let Some(sum) = sums.tokens.get_mut(&(*key, call.ticket.0)) {
                    *sum += difference;
                }
            }
        }
        for (key, amount) in late {
            *sums.tokens.entry((key, now / 1000)).or_default() += amount;
        }
        for (key, (amount, at)) in spent {
            match sums.spent.get_mut(key) {
                Some((sum, began, _)) if at > *began => *sum += amount,
                _ => sums.is_behind = true,
            }
        }
    }

    fn settle(&mut self, gateway: usize, call: usize, tokens: u64, cost: i64) {
        let now = self.now();
        let member = &mut self.members[gateway];
        if member.calls.is_empty() {
            return;
        }
        let call = member.calls.remove(call % member.calls.len());
        self.gateways[gateway].settle(call.ticket, &call.claims, tokens, cost);
        for key in &call.key {
            self.sums.really.entry(key).or_default().0 += cost;
            let returned = member.returned.entry(key).or_default();
            *returned = (returned.0 + 1, returned.1 + call.cost);
        }
        member.untold.push((call, tokens, cost, now));
    }

    async fn take(&mut self, gateway: usize, keys: usize, tokens: u64, cost: i64) {
        let now = self.now();
        let key: Vec<_> =
            KEYS.into_iter().enumerate().filter(|(at, _)| keys & (1 << at) != 0).map(|(_, key)| key).collect();
        let mut claims = Vec::new();
        for key in &key {
            let known = self.sums.really.get(key).map_or(0, |(_, written)| *written);
            claims.push(rate(key, Rate::Requests, 1, REQUESTS));
            claims.push(rate(key, Rate::Tokens, tokens, TOKENS));
            claims.push(rate(key, Rate::Parallel, 1, PARALLEL));
            claims.push(money(key, cost, BUDGET, known));
        }
        let taken = self.gateways[gateway].take_anyway(&claims).await;
        if !self.is_heard(gateway) {
            let (ticket, standings) = taken.expect("without Redis nothing here says no");
            assert_eq!((ticket, standings.len()), (ALONE, 0));
            self.members[gateway].calls.push(Call { ticket, claims, key, tokens, cost });
            self.reconnect(gateway).await;
            return;
        }
        for key in &key {
            self.members[gateway].give_back_at_once(key);
        }
        // The same question to the model. A sum begins where it is looked at first, even if nothing is taken then.
        let (mut expected, mut refused) = (Vec::new(), None);
        for (position, key) in key.iter().enumerate() {
            let (parallel, reserved) = Sums::held(&self.members, &self.gone, key, now);
            let of_rates = [
                (Sums::window(&self.sums.requests, key, now), 1, REQUESTS as i64),
                (Sums::window(&self.sums.tokens, key, now), tokens as i64, TOKENS as i64),
                (parallel, 1, PARALLEL as i64),
            ];
            for (at, (used, amount, limit)) in of_rates.into_iter().enumerate() {
                if refused.is_none() && used + amount > limit {
                    refused = Some((4 * position + at, used));
                }
                expected.push(used + amount);
            }
            if refused.is_some() {
                break;
            }
            let (real, written) = *self.sums.really.entry(key).or_default();
            let (sum, _, database) = self.sums.spent.entry(key).or_insert((written, now, written));
            *database = written.max(*database);
            let spent = (*database).max(*sum);
            assert!(written <= spent && spent <= real, "{written} {spent} {real}: nothing counts twice");
            if spent + reserved >= BUDGET {
                refused = Some((4 * position + 3, spent + reserved));
                break;
            }
            expected.push(spent + reserved + cost);
        }
        match (taken, refused) {
            (Err(NotTaken::Refused(refusal)), Some(refused)) => assert_eq!((refusal.claim, refusal.used), refused),
            (Ok((ticket, standings)), None) => {
                assert_eq!(ticket.0, now / 1000);
                assert_eq!(standings.iter().map(|standing| standing.used).collect::<Vec<_>>(), expected);
                self.granted(gateway, Call { ticket, claims, key, tokens, cost });
            }
            (taken, refused) => panic!("{taken:?}, expected {refused:?}"),
        }
    }

    fn granted(&mut self, gateway: usize, call: Call) {
        let now = self.now();
        for key in &call.key {
            *self.sums.requests.entry((key, now / 1000)).or_default() += 1;
            *self.sums.tokens.entry((key, now / 1000)).or_default() += call.tokens as i64;
            let held = self.members[gateway].held.entry(key).or_default();
            *held = (held.0 + 1, held.1 + call.cost);
            let granted = self.sums.granted.entry(key).or_default();
            granted.push(now);
            let in_a_minute = granted.iter().filter(|at| **at + 60_000 > now).count();
            assert!(in_a_minute as u64 <= REQUESTS, "{in_a_minute} in a minute");
        }
        self.members[gateway].calls.push(call);
    }

    /// All calls end, and all is told.
    async fn end(mut self) {
        self.pass(1).await;
        for gateway in 0..GATEWAYS {
            while !self.members[gateway].calls.is_empty() {
                self.settle(gateway, 0, 3, 7);
            }
            self.tell(gateway).await;
        }
        for key in KEYS {
            let claims = [
                rate(key, Rate::Parallel, 1, PARALLEL),
                money(key, 0, BUDGET, 0),
                rate(key, Rate::Tokens, 1, TOKENS),
                rate(key, Rate::Requests, 1, REQUESTS),
            ];
            let names = self.gateways.iter().map(|gateway| {
                let link = gateway.inner.link.load();
                format!("r:{}", link.as_ref().expect("it is connected").gateway)
            });
            let names: Vec<_> = names.collect();
            for claim in &claims {
                let counter = self.bench.counter(claim).await;
                assert!(counter.values().all(|sum| *sum >= 0), "{counter:?}");
                assert!(!counter.keys().any(|field| names.contains(field)), "{counter:?}: all is given back");
            }
            let Some((real, _)) = self.sums.really.get(key) else { continue };
            if let Some(sum) = self.bench.counter(&claims[1]).await.get("sum") {
                assert!(sum <= real, "{sum} of {real}");
                assert!(self.sums.is_behind || sum == real, "{sum}, not {real}");
            }
        }
    }
}

#[test]
fn whatever_gateways_do_in_whatever_order_the_sums_are_right() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // One server for all cases, each of which has its own corner of it.
    let Some(server) = runtime.block_on(RedisServer::start()) else { return };
    let config =
        ProptestConfig { cases: 60, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(step(), 1..120), |steps| {
        runtime.block_on(async {
            let mut world = World::new(&server).await;
            for step in steps {
                world.step(step).await;
            }
            world.end().await;
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
