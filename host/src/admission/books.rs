//! The books of admission: who is in, who waits, who is next. No clock, no lock, no task.

use std::collections::HashMap;

use super::fair_queue::{FairQueue, Ticket};
use super::{Shed, Tenant};
use crate::config::AdmissionLimits;

/// Who is in and who waits. `T` is how one that waits is told that it may come in.
#[derive(Debug)]
pub(super) struct Books<T> {
    limits: AdmissionLimits,
    in_flight: usize,
    /// Calls of each tenant that are in; tenants without any are not here.
    of_tenant: HashMap<Tenant, usize>,
    waiting: FairQueue<T>,
}

/// What becomes of a call that knocks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Knock<T> {
    /// It has a place.
    In,
    /// It waits, and may have pushed out one that belonged to a tenant with more than its share.
    Waits { ticket: Ticket, displaced: Option<T> },
    /// It can't be taken on.
    Refused(Shed),
}

// === impl Books ===

impl<T> Books<T> {
    pub(super) fn new(limits: AdmissionLimits) -> Self {
        Self { limits, in_flight: 0, of_tenant: HashMap::new(), waiting: FairQueue::default() }
    }

    pub(super) fn limits(&self) -> AdmissionLimits {
        self.limits
    }

    /// Others hold from now on; who is in stays, and who waits goes on waiting.
    pub(super) fn set_limits(&mut self, limits: AdmissionLimits) {
        self.limits = limits;
    }

    /// Calls that are in, and calls that wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.in_flight, self.waiting.len())
    }

    /// A call comes. `waiter` is made if it has to wait.
    pub(super) fn knock(&mut self, tenant: Tenant, waiter: impl FnOnce() -> T) -> Knock<T> {
        let own = || self.of_tenant.get(&tenant).copied().unwrap_or(0) + self.waiting.len_of(tenant);
        if let Some(limit) = self.limits.max_per_caller.filter(|limit| own() >= *limit) {
            return Knock::Refused(Shed::CallerLimit { limit });
        }
        // Nobody waits while there is a place, so nobody is passed here.
        if self.in_flight < self.limits.max_in_flight {
            self.enter(tenant);
            return Knock::In;
        }
        let displaced = if self.waiting.len() < self.limits.max_queued {
            None
        } else if self.limits.max_queued == 0 {
            return Knock::Refused(Shed::QueueFull);
        } else {
            match self.waiting.displace_for(tenant) {
                Some((_, displaced)) => Some(displaced),
                None => return Knock::Refused(Shed::QueueFull),
            }
        };
        Knock::Waits { ticket: self.waiting.push(tenant, waiter()), displaced }
    }

    /// The next that may come in, if there is a place; it is in then.
    pub(super) fn next(&mut self) -> Option<(Tenant, T)> {
        if self.in_flight >= self.limits.max_in_flight {
            return None;
        }
        let (tenant, waiter) = self.waiting.pop()?;
        self.enter(tenant);
        Some((tenant, waiter))
    }

    /// A call that was in is over.
    pub(super) fn leave(&mut self, tenant: Tenant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(count) = self.of_tenant.get_mut(&tenant) {
            *count -= 1;
            if *count == 0 {
                self.of_tenant.remove(&tenant);
            }
        }
    }

    /// One that waits gives up; nothing where it doesn't wait any more.
    pub(super) fn give_up(&mut self, tenant: Tenant, ticket: Ticket) -> Option<T> {
        self.waiting.remove(tenant, ticket)
    }

    fn enter(&mut self, tenant: Tenant) {
        self.in_flight += 1;
        *self.of_tenant.entry(tenant).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const A: Tenant = Tenant::numbered(1);
    const B: Tenant = Tenant::numbered(2);
    const C: Tenant = Tenant::numbered(3);

    fn limits(max_in_flight: usize, max_queued: usize) -> AdmissionLimits {
        AdmissionLimits { max_in_flight, max_per_caller: None, max_queued, queue_timeout: Duration::from_secs(1) }
    }

    fn waits(knock: &Knock<u32>) -> bool {
        matches!(knock, Knock::Waits { displaced: None, .. })
    }

    #[test]
    fn so_many_are_in_so_many_wait_and_the_next_is_refused() {
        let mut books = Books::new(limits(2, 1));
        assert_eq!((books.knock(A, || 1), books.knock(A, || 2)), (Knock::In, Knock::In));
        assert!(waits(&books.knock(A, || 3)));
        assert_eq!(books.knock(A, || 4), Knock::Refused(Shed::QueueFull));
        assert_eq!((books.counts(), books.next()), ((2, 1), None));
        books.leave(A);
        assert_eq!((books.next(), books.counts()), (Some((A, 3)), (2, 0)));
    }

    #[test]
    fn without_a_queue_nobody_waits() {
        let mut books = Books::new(limits(1, 0));
        assert_eq!(books.knock(A, || 1), Knock::In);
        assert_eq!(books.knock(B, || 2), Knock::Refused(Shed::QueueFull));
    }

    #[test]
    fn a_caller_that_fills_the_queue_makes_room_for_another() {
        let mut books = Books::new(limits(1, 4));
        assert_eq!(books.knock(A, || 0), Knock::In);
        for item in 1..=4 {
            assert!(waits(&books.knock(A, || item)));
        }
        let told = |knock| match knock {
            Knock::Waits { displaced, .. } => Ok(displaced),
            Knock::Refused(shed) => Err(shed),
            Knock::In => Ok(Some(u32::MAX)),
        };
        assert_eq!(told(books.knock(B, || 10)), Ok(Some(4)));
        assert_eq!(told(books.knock(B, || 11)), Ok(Some(3)));
        assert_eq!(told(books.knock(B, || 12)), Err(Shed::QueueFull), "each has half of the queue by now");
        assert_eq!(told(books.knock(A, || 5)), Err(Shed::QueueFull));
        let served = std::iter::repeat_with(|| {
            books.leave(A);
            books.next().map(|(_, item)| item)
        });
        assert_eq!(served.take(5).collect::<Vec<_>>(), [Some(1), Some(10), Some(2), Some(11), None]);
    }

    #[test]
    fn a_callers_own_limit_counts_what_waits_and_is_no_others_business() {
        let mut books = Books::new(AdmissionLimits { max_per_caller: Some(2), ..limits(1, 10) });
        assert_eq!(books.knock(A, || 1), Knock::In);
        assert!(waits(&books.knock(A, || 2)));
        assert_eq!(books.knock(A, || 3), Knock::Refused(Shed::CallerLimit { limit: 2 }));
        assert!(waits(&books.knock(B, || 4)));
        books.leave(A);
        assert_eq!(books.next(), Some((A, 2)));
        assert!(waits(&books.knock(A, || 5)), "one of its two has ended");
    }

    #[test]
    fn other_limits_hold_from_the_next_call_on_and_throw_nobody_out() {
        let mut books = Books::new(limits(2, 2));
        for item in 0..4 {
            books.knock(A, || item);
        }
        books.set_limits(limits(1, 1));
        assert_eq!((books.counts(), books.next()), ((2, 2), None));
        books.leave(A);
        assert_eq!(books.next(), None, "one is in, as many as may be now");
        books.set_limits(limits(3, 1));
        assert_eq!((books.next(), books.next(), books.next()), (Some((A, 2)), Some((A, 3)), None));
    }

    #[test]
    fn a_greedy_tenant_takes_no_more_places_than_another_that_keeps_asking() {
        let mut books = Books::new(limits(4, 20));
        for item in 0..1000 {
            books.knock(A, || item);
        }
        let mut served = HashMap::from([(A, 0), (B, 0), (C, 0)]);
        let mut running: std::collections::VecDeque<_> = [A; 4].into();
        for item in 0..300 {
            for tenant in [A, A, A, A, B, C] {
                books.knock(tenant, || item);
            }
            books.leave(running.pop_front().expect("four are in"));
            let (tenant, _) = books.next().expect("all three wait");
            *served.get_mut(&tenant).expect("one of the three") += 1;
            running.push_back(tenant);
        }
        assert!(served.values().all(|count| (99..=101).contains(count)), "{:?}", served.values());
    }

    proptest! {
        #[test]
        fn limits_hold_and_nobody_waits_beside_a_free_place(
            steps in proptest::collection::vec((0..3_u8, 0..5_u64), 0..300),
            max_in_flight in 1..5_usize,
            max_queued in 0..6_usize,
            max_per_caller in proptest::option::of(1..6_usize),
        ) {
            let mut books = Books::new(AdmissionLimits { max_per_caller, ..limits(max_in_flight, max_queued) });
            let mut inside: Vec<Tenant> = Vec::new();
            let mut waiting: Vec<(Tenant, Ticket)> = Vec::new();
            for (item, (step, number)) in steps.into_iter().enumerate() {
                let tenant = Tenant::numbered(number);
                match step {
                    0 => match books.knock(tenant, || item) {
                        Knock::In => inside.push(tenant),
                        Knock::Waits { ticket, .. } => waiting.push((tenant, ticket)),
                        Knock::Refused(_) => {}
                    },
                    1 => if let Some(at) = inside.iter().position(|one| *one == tenant) {
                        inside.swap_remove(at);
                        books.leave(tenant);
                        inside.extend(books.next().map(|(next, _)| next));
                    },
                    _ => if let Some(at) = waiting.iter().position(|(one, _)| *one == tenant) {
                        let (tenant, ticket) = waiting.swap_remove(at);
                        books.give_up(tenant, ticket);
                    },
                }
                let (in_flight, queued) = books.counts();
                prop_assert_eq!(in_flight, inside.len());
                prop_assert!(in_flight <= max_in_flight && queued <= max_queued);
                prop_assert!(queued == 0 || in_flight == max_in_flight);
                prop_assert_eq!(books.of_tenant.values().sum::<usize>(), in_flight);
                for (tenant, count) in &books.of_tenant {
                    let own = count + books.waiting.len_of(*tenant);
                    prop_assert!(max_per_caller.is_none_or(|limit| own <= limit));
                }
            }
        }
    }
}
