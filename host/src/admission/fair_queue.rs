//! Who waits, and whose turn it is: one lane for each tenant, served in turns.

use std::collections::{HashMap, VecDeque};

use super::Tenant;

/// Tells one that waits from another.
pub(super) type Ticket = u64;

/// Items that wait in lanes. Lanes take turns, and within a lane the first comes first: a tenant with a thousand items
/// and one with a single one are served alike.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    /// None of them is empty.
    lanes: HashMap<Tenant, VecDeque<(Ticket, T)>>,
    /// Each lane once; the first is the next.
    turns: VecDeque<Tenant>,
    length: usize,
    next_ticket: Ticket,
}

// === impl FairQueue ===

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), turns: VecDeque::new(), length: 0, next_ticket: 0 }
    }
}

impl<T> FairQueue<T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// How many of this tenant's wait.
    pub(super) fn len_of(&self, tenant: Tenant) -> usize {
        self.lanes.get(&tenant).map_or(0, VecDeque::len)
    }

    /// Adds an item at the end of its tenant's lane. A new lane's turn comes after those of all others.
    pub(super) fn push(&mut self, tenant: Tenant, item: T) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let lane = self.lanes.entry(tenant).or_default();
        if lane.is_empty() {
            self.turns.push_back(tenant);
        }
        lane.push_back((ticket, item));
        self.length += 1;
        ticket
    }

    /// Takes the next item: the first of the lane whose turn it is.
    pub(super) fn pop(&mut self) -> Option<(Tenant, T)> {
        let tenant = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&tenant)?;
        let (_, item) = lane.pop_front()?;
        if lane.is_empty() {
            self.lanes.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        self.length -= 1;
        Some((tenant, item))
    }

    /// Takes an item out before its turn; nothing where it isn't there any more.
    pub(super) fn remove(&mut self, tenant: Tenant, ticket: Ticket) -> Option<T> {
        let lane = self.lanes.get_mut(&tenant)?;
        let at = lane.iter().position(|(waiting, _)| *waiting == ticket)?;
        let (_, item) = lane.remove(at)?;
        self.taken_out(tenant);
        Some(item)
    }

    /// Makes room for `tenant` where others have more than their share: takes the last item of the longest lane, if it
    /// is longer than the tenant's would be with one more.
    pub(super) fn displace_for(&mut self, tenant: Tenant) -> Option<(Tenant, T)> {
        let own = self.len_of(tenant);
        // The turns, for their order is the same in each run.
        let longest = self.turns.iter().copied().max_by_key(|other| self.len_of(*other))?;
        let lane = self.lanes.get_mut(&longest).filter(|lane| lane.len() > own + 1)?;
        let (_, item) = lane.pop_back()?;
        self.taken_out(longest);
        Some((longest, item))
    }

    /// Keeps the books after an item left a lane out of turn.
    fn taken_out(&mut self, tenant: Tenant) {
        self.length -= 1;
        if self.len_of(tenant) == 0 {
            self.lanes.remove(&tenant);
            self.turns.retain(|turn| *turn != tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Tenant = Tenant::numbered(1);
    const B: Tenant = Tenant::numbered(2);
    const C: Tenant = Tenant::numbered(3);

    fn drained(queue: &mut FairQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop().map(|(_, item)| item)).collect()
    }

    #[test]
    fn tenants_take_turns_however_many_of_one_wait() {
        let mut queue = FairQueue::default();
        for (tenant, item) in [(A, 10), (A, 11), (A, 12), (A, 13), (B, 20), (C, 30), (C, 31)] {
            queue.push(tenant, item);
        }
        assert_eq!(queue.len(), 7);
        assert_eq!(drained(&mut queue), [10, 20, 30, 11, 31, 12, 13]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_tenant_that_was_just_served_waits_for_the_others() {
        let mut queue = FairQueue::default();
        queue.push(A, 10);
        queue.push(B, 20);
        assert_eq!(queue.pop(), Some((A, 10)));
        queue.push(A, 11);
        assert_eq!(drained(&mut queue), [20, 11]);
    }

    #[test]
    fn who_gives_up_is_not_served_and_costs_nobody_a_turn() {
        let mut queue = FairQueue::default();
        let first = queue.push(A, 10);
        queue.push(A, 11);
        let only = queue.push(B, 20);
        queue.push(C, 30);
        assert_eq!(queue.remove(B, only), Some(20));
        assert_eq!(queue.remove(B, only), None);
        assert_eq!(queue.remove(A, first), Some(10));
        assert_eq!(drained(&mut queue), [11, 30]);
    }

    #[test]
    fn the_longest_lane_makes_room_and_never_for_one_as_long() {
        let mut queue = FairQueue::default();
        for item in 10..14 {
            queue.push(A, item);
        }
        queue.push(B, 20);
        assert_eq!(queue.displace_for(A), None, "its own lane is the longest");
        assert_eq!(queue.displace_for(C), Some((A, 13)), "the last that came goes first");
        assert_eq!(queue.displace_for(B), Some((A, 12)), "three are more than two");
        assert_eq!(queue.displace_for(B), None, "both would have two");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8),
        Pop,
        Remove(u8, u8),
        Displace(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..5_u8).prop_map(Step::Push),
            2 => Just(Step::Pop),
            1 => (0..5_u8, 0..50_u8).prop_map(|(tenant, ticket)| Step::Remove(tenant, ticket)),
            1 => (0..5_u8).prop_map(Step::Displace),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_served_twice_and_no_lane_is_passed_over(steps in steps()) {
            let mut queue = FairQueue::default();
            let mut inside = std::collections::BTreeSet::new();
            let mut item = 0_u32;
            for step in steps {
                match step {
                    Step::Push(tenant) => {
                        queue.push(Tenant::numbered(tenant.into()), item);
                        inside.insert(item);
                        item += 1;
                    }
                    Step::Pop => {
                        let expected = queue.turns.front().copied();
                        let popped = queue.pop();
                        prop_assert_eq!(popped.map(|(tenant, _)| tenant), expected);
                        prop_assert!(popped.is_none_or(|(_, item)| inside.remove(&item)));
                    }
                    Step::Remove(tenant, ticket) => {
                        let removed = queue.remove(Tenant::numbered(tenant.into()), ticket.into());
                        prop_assert!(removed.is_none_or(|item| inside.remove(&item)));
                    }
                    Step::Displace(tenant) => {
                        let displaced = queue.displace_for(Tenant::numbered(tenant.into()));
                        prop_assert!(displaced.is_none_or(|(_, item)| inside.remove(&item)));
                    }
                }
                prop_assert_eq!(queue.len(), inside.len());
                prop_assert_eq!(queue.turns.len(), queue.lanes.len());
                prop_assert!(queue.lanes.values().all(|lane| !lane.is_empty()));
            }
        }

        #[test]
        fn between_two_turns_of_a_tenant_every_other_that_waits_has_one(lengths in proptest::collection::vec(1..20_usize, 2..8)) {
            let mut queue = FairQueue::default();
            for (tenant, length) in lengths.iter().enumerate() {
                for _ in 0..*length {
                    queue.push(Tenant::numbered(tenant as u64), ());
                }
            }
            let mut served = vec![0; lengths.len()];
            while let Some((tenant, ())) = queue.pop() {
                served[usize::try_from(tenant.number()).unwrap()] += 1;
                for (one, length) in lengths.iter().enumerate() {
                    let waits = served[one] < *length;
                    let most = served.iter().max().unwrap();
                    prop_assert!(!waits || served[one] + 1 >= *most, "{:?} of {:?}", served, lengths);
                }
            }
            prop_assert_eq!(served, lengths);
        }
    }
}
