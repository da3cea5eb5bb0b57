//! Whatever happens, in whatever order.

use std::collections::VecDeque;

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A call comes that may take so many tokens and cents, of a key or of another one of the same team.
    Ask { other: bool, tokens: u64, cents: i64 },
    /// The oldest call ends and took this much.
    Settle { tokens: u64, cents: i64 },
    /// The youngest call ends and took this much; nobody knows what it cost.
    SettleUnpriced { tokens: u64 },
    /// The oldest is gone before it was made.
    Cancel,
    /// The youngest dies.
    Crash,
    /// Time goes by.
    Wait { millis: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), 0u64..60, 0i64..50).prop_map(|(other, tokens, cents)| Step::Ask { other, tokens, cents }),
        2 => (0u64..90, 0i64..80).prop_map(|(tokens, cents)| Step::Settle { tokens, cents }),
        1 => (0u64..90).prop_map(|tokens| Step::SettleUnpriced { tokens }),
        1 => Just(Step::Cancel),
        1 => Just(Step::Crash),
        2 => (0u64..20_000).prop_map(|millis| Step::Wait { millis }),
    ];
    prop::collection::vec(step, 1..120)
}

/// What there should be.
#[derive(Default)]
struct Model {
    /// Calls that were let in: when, the tokens that count then, the key. Those that were never made are gone.
    admitted: Vec<Option<(u64, u64, bool)>>,
    spent: [i64; 2],
    under_way: VecDeque<(Hold, bool, i64, usize)>,
}

impl Model {
    /// A call took so many tokens: no more than were reserved count when it began.
    fn took(&mut self, index: usize, tokens: u64) {
        if let Some((_, reserved, _)) = &mut self.admitted[index] {
            *reserved = tokens.min(*reserved);
        }
    }
}

const CENT: i64 = 10_000_000_000;
const REQUESTS: u64 = 6;
const TOKENS: u64 = 150;
const PARALLEL: usize = 4;
const BUDGET: i64 = 200;

fn keys() -> [Arc<Caller>; 2] {
    let of_team = Quota {
        budget: Some(Budget { max: Money::from_pico(BUDGET * CENT), period: None }),
        parallel: Some(PARALLEL as u32),
        rates: Rates { requests: None, tokens: Some(TOKENS) },
    };
    ["a", "b"].map(|name| {
        let team = Team { id: "core".to_owned(), quota: of_team.clone(), ..Team::default() };
        let quota = of_rates(Some(REQUESTS), None);
        let scopes = vec![(Scope::Key(name.into()), quota.clone()), (Scope::Team("core".into()), of_team.clone())];
        Arc::new(Caller { key: key(quota), user: None, team: Some(Arc::new(team)), scopes, tab: Tab::default() })
    })
}

fn spent(cents: Option<i64>, tokens: u64) -> Spent<'static> {
    Spent { cost: cents.map(|cents| Money::from_pico(cents * CENT)), ..used(tokens) }
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (gate, keys) = (Gate::default(), keys());
    let mut model = Model::default();
    let began = Instant::now();
    let team = Scope::Team("core".into());
    for step in steps {
        match step {
            Step::Ask { other, tokens, cents } => {
                let cost = Some(Money::from_pico(cents * CENT));
                let estimate =
                    Estimate { prompt_tokens: tokens, cost, is_free: cost == Some(Money::ZERO), ..Estimate::default() };
                let now = began.elapsed().as_millis() as u64;
                let asked = gate.ask(Some(&keys[usize::from(other)]), "gpt", beginning(), estimate).await;
                let reserved: i64 = model.under_way.iter().map(|(_, _, cents, _)| cents).sum();
                let sum = model.spent.iter().sum::<i64>() + reserved;
                match asked {
                    Ok(hold) => {
                        prop_assert!(cents == 0 || sum < BUDGET, "{sum} cents are gone");
                        prop_assert!(model.under_way.len() < PARALLEL);
                        model.under_way.push_back((hold, other, cents, model.admitted.len()));
                        model.admitted.push(Some((now, tokens.max(1), other)));
                    }
                    Err(Refused::Budget { .. }) => prop_assert!(sum >= BUDGET, "only {sum} cents are gone"),
                    Err(Refused::Rate { what: Rate::Parallel, .. }) => prop_assert_eq!(model.under_way.len(), PARALLEL),
                    Err(Refused::Rate { what: Rate::Requests, .. }) => {
                        let lately =
                            model.admitted.iter().flatten().filter(|(at, _, key)| at + 61_000 > now && *key == other);
                        prop_assert!(lately.count() as u64 >= REQUESTS);
                    }
                    Err(Refused::Rate { .. } | Refused::Unknown) => {}
                }
                // In no sixty seconds more than the limits.
                for key in [false, true] {
                    let lately = model.admitted.iter().flatten().filter(|(at, _, of)| at + 60_000 > now && *of == key);
                    prop_assert!(lately.count() as u64 <= REQUESTS);
                }
                let tokens: u64 =
                    model.admitted.iter().flatten().filter(|(at, ..)| at + 60_000 > now).map(|(_, n, _)| n).sum();
                prop_assert!(tokens <= TOKENS, "{tokens} tokens");
            }
            Step::Settle { tokens, cents } => {
                if let Some((hold, key, _, index)) = model.under_way.pop_front() {
                    hold.settle(spent(Some(cents), tokens));
                    model.spent[usize::from(key)] += cents;
                    model.took(index, tokens);
                }
            }
            Step::SettleUnpriced { tokens } => {
                if let Some((hold, _, _, index)) = model.under_way.pop_back() {
                    hold.settle(spent(None, tokens));
                    model.took(index, tokens);
                }
            }
            Step::Cancel => {
                if let Some((hold, _, _, index)) = model.under_way.pop_front() {
                    drop(hold);
                    model.admitted[index] = None;
                }
            }
            Step::Crash => {
                if let Some((hold, _, _, index)) = model.under_way.pop_back() {
                    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                        let _hold = hold;
                        std::panic::resume_unwind(Box::new("it dies"));
                    }));
                    prop_assert!(died.is_err());
                    model.admitted[index] = None;
                }
            }
            Step::Wait { millis } => advance(Duration::from_millis(millis)).await,
        }
        let of_key = |name: &str| gate.spent(&Scope::Key(name.into())).pico();
        prop_assert_eq!([of_key("a"), of_key("b")], model.spent.map(|cents| cents * CENT));
        prop_assert_eq!(gate.spent(&team).pico(), model.spent.iter().sum::<i64>() * CENT);
    }
    model.under_way.clear();
    let account = gate.limiter.counters.account(&team);
    let mut state = account.lock();
    let since = None;
    prop_assert_eq!(state.spent_or_reserved(since), state.spent(since), "nothing is reserved any more");
    prop_assert_eq!(state.used(Rate::Parallel, Instant::now()), 0);
    prop_assert!(state.used(Rate::Tokens, Instant::now()) >= 0);
    Ok(())
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order_the_sums_are_right(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(run(steps))?;
    }
}
