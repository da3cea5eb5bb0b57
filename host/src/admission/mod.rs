//! How many calls, and how many connections, the gateway takes on at a time.
//!
//! A call knocks before its body is read. If there is a place it is in at once; if not it waits for a moment, in a queue
//! that is bounded and in which callers take turns; beyond that it is refused at once. A [`Slot`] is a place, held until
//! the last byte of the answer is out or its client has left, and then given to the next that waits.
//!
//! All of it outlives a reload: limits change in place, and who is in stays in.

mod books;
mod connections;
mod fair_queue;
mod shed;
mod tenant;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use books::{Books, Knock};
use fair_queue::Ticket;
use shed::ShedCounts;

pub use connections::{Connections, Open, Standing};
pub use shed::Shed;
pub use tenant::Tenant;

use crate::config::AdmissionLimits;

/// Lets calls in, as many at a time as may be.
#[derive(Debug)]
pub struct Admission {
    /// Locked for a few instructions, never across an await.
    books: Mutex<Books<Waiter>>,
    shed: ShedCounts,
}

/// How one that waits is told.
type Waiter = oneshot::Sender<Result<Slot, Shed>>;

/// A place among the calls under way; the next gets it when it is dropped.
#[derive(Debug)]
pub struct Slot {
    admission: Arc<Admission>,
    tenant: Tenant,
}

/// What becomes of a call that knocks.
#[derive(Debug)]
pub enum Entrance {
    /// It is in.
    In(Slot),
    /// It waits.
    Waiting(Waiting),
}

/// A call that waits; it gives up when it is dropped.
#[derive(Debug)]
pub struct Waiting {
    admission: Arc<Admission>,
    tenant: Tenant,
    ticket: Ticket,
    told: oneshot::Receiver<Result<Slot, Shed>>,
    patience: Duration,
}

/// What is going on, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Calls under way.
    pub in_flight: usize,
    /// Calls that wait.
    pub queued: usize,
    /// What was refused so far, by reason.
    pub shed: Vec<(&'static str, u64)>,
}

// === impl Admission ===

impl Default for Admission {
    fn default() -> Self {
        Self::new(AdmissionLimits::default())
    }
}

impl Admission {
    /// Nobody is in.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self { books: Mutex::new(Books::new(limits)), shed: ShedCounts::default() }
    }

    /// A call of `tenant` comes.
    ///
    /// # Errors
    /// It can't be taken on, and there is no point in waiting.
    pub fn knock(self: &Arc<Self>, tenant: Tenant) -> Result<Entrance, Shed> {
        let mut told = None;
        let (knock, patience) = {
            let mut books = self.books();
            let knock = books.knock(tenant, || {
                let (waiter, receiver) = oneshot::channel();
                told = Some(receiver);
                waiter
            });
            (knock, books.limits().queue_timeout)
        };
        match (knock, told) {
            (Knock::Waits { ticket, displaced }, Some(told)) => {
                if let Some(displaced) = displaced {
                    // It may have left in this very moment.
                    let _ = displaced.send(Err(Shed::Displaced));
                }
                Ok(Entrance::Waiting(Waiting { admission: self.clone(), tenant, ticket, told, patience }))
            }
            (Knock::Refused(shed), _) => {
                self.shed.count(shed);
                Err(shed)
            }
            (Knock::In | Knock::Waits { .. }, _) => Ok(Entrance::In(Slot { admission: self.clone(), tenant })),
        }
    }

    /// Other limits hold from now on. Who is in stays in, who waits goes on waiting.
    pub fn set_limits(self: &Arc<Self>, limits: AdmissionLimits) {
        let free: Vec<_> = {
            let mut books = self.books();
            books.set_limits(limits);
            std::iter::from_fn(|| books.next()).collect()
        };
        for (tenant, waiter) in free {
            self.let_in(tenant, waiter);
        }
    }

    /// Counts what was refused elsewhere.
    pub fn refused(&self, shed: Shed) {
        self.shed.count(shed);
    }

    /// What is going on.
    pub fn snapshot(&self) -> Snapshot {
        let (in_flight, queued) = self.books().counts();
        Snapshot { in_flight, queued, shed: self.shed.all().collect() }
    }

    /// Tells one that waits that it has a place. Its place was entered in the books when another's was struck out, under
    /// one lock: who knocks in between finds none, and passes nobody.
    fn let_in(self: &Arc<Self>, tenant: Tenant, waiter: Waiter) {
        // One that has just left gets a slot that is dropped at once, and so goes to the next.
        let _ = waiter.send(Ok(Slot { admission: self.clone(), tenant }));
    }

    fn books(&self) -> MutexGuard<'_, Books<Waiter>> {
        // Nothing in there panics; and counts that are off by one are better than a gateway that answers nobody.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Slot ===

impl Drop for Slot {
    fn drop(&mut self) {
        let next = {
            let mut books = self.admission.books();
            books.leave(self.tenant);
            books.next()
        };
        if let Some((tenant, waiter)) = next {
            self.admission.let_in(tenant, waiter);
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// Waits for a place, as long as one may and no longer than `longest`.
    ///
    /// # Errors
    /// There was none in time, or it had to make room for another caller.
    pub async fn admitted(mut self, longest: Duration) -> Result<Slot, Shed> {
        let told = tokio::time::timeout(self.patience.min(longest), &mut self.told).await;
        let told = match told {
            Ok(Ok(told)) => told,
            // Whoever is in the queue is told before the sender is gone.
            Ok(Err(_)) | Err(_) => Err(Shed::QueueTimeout),
        };
        if let Err(shed) = told {
            self.admission.shed.count(shed);
        }
        told
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Where it has been told already, a slot is in the channel, and is given back with it.
        let waiter = self.admission.books().give_up(self.tenant, self.ticket);
        drop(waiter);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admission(max_in_flight: usize, max_queued: usize) -> Arc<Admission> {
        let queue_timeout = Duration::from_secs(1);
        Arc::new(Admission::new(AdmissionLimits { max_in_flight, max_per_caller: None, max_queued, queue_timeout }))
    }

    fn enter(admission: &Arc<Admission>) -> Slot {
        match admission.knock(Tenant::ANYONE) {
            Ok(Entrance::In(slot)) => slot,
            other => panic!("it is not in: {other:?}"),
        }
    }

    fn wait(admission: &Arc<Admission>, tenant: u64) -> Waiting {
        match admission.knock(Tenant::numbered(tenant)) {
            Ok(Entrance::Waiting(waiting)) => waiting,
            other => panic!("it does not wait: {other:?}"),
        }
    }

    fn counts(admission: &Admission) -> (usize, usize) {
        let Snapshot { in_flight, queued, .. } = admission.snapshot();
        (in_flight, queued)
    }

    fn shed(admission: &Admission, reason: &str) -> u64 {
        admission.snapshot().shed.iter().find(|(name, _)| *name == reason).expect("a reason").1
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_is_given_back_goes_to_the_one_that_waits() {
        let admission = admission(1, 1);
        let first = enter(&admission);
        let second = tokio::spawn(wait(&admission, 1).admitted(Duration::MAX));
        tokio::task::yield_now().await;
        assert_eq!(counts(&admission), (1, 1));
        drop(first);
        let second = second.await.expect("no panic").expect("a slot");
        assert_eq!(counts(&admission), (1, 0));
        drop(second);
        assert_eq!(counts(&admission), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_one_may_and_leaves_nothing_behind() {
        let admission = admission(1, 1);
        let slot = enter(&admission);
        let began = tokio::time::Instant::now();
        let told = wait(&admission, 1).admitted(Duration::MAX).await;
        assert_eq!(told.err(), Some(Shed::QueueTimeout));
        assert_eq!(began.elapsed().as_secs(), 1);
        assert_eq!((counts(&admission), shed(&admission, "queue_timeout")), ((1, 0), 1));
        drop(slot);
        assert_eq!(counts(&admission), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_wants_to_wait_less_waits_less() {
        let admission = admission(1, 1);
        let _slot = enter(&admission);
        let began = tokio::time::Instant::now();
        let told = wait(&admission, 1).admitted(Duration::from_millis(300)).await;
        assert_eq!((told.err(), began.elapsed().as_millis()), (Some(Shed::QueueTimeout), 300));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_makes_room_and_who_leaves_with_a_slot_gives_it_on() {
        let admission = admission(1, 2);
        let slot = enter(&admission);
        let (first, second) = (wait(&admission, 1), wait(&admission, 2));
        let third = admission.knock(Tenant::numbered(1));
        assert_eq!(third.err(), Some(Shed::QueueFull));
        drop(first);
        let third = wait(&admission, 1);
        // The second has been given the slot, and nobody has looked yet.
        drop(slot);
        assert_eq!(counts(&admission), (1, 1));
        drop(second);
        assert_eq!(counts(&admission), (1, 0));
        drop(third.admitted(Duration::MAX).await.expect("the slot went on"));
        assert_eq!((counts(&admission), shed(&admission, "queue_full")), ((0, 0), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_to_make_room_is_told_at_once() {
        let admission = admission(1, 2);
        let _slot = enter(&admission);
        let (_greedy, displaced) = (wait(&admission, 1), tokio::spawn(wait(&admission, 1).admitted(Duration::MAX)));
        let began = tokio::time::Instant::now();
        let _modest = wait(&admission, 2);
        assert_eq!(displaced.await.expect("no panic").err(), Some(Shed::Displaced));
        assert_eq!((began.elapsed(), shed(&admission, "displaced")), (Duration::ZERO, 1));
        assert_eq!(counts(&admission), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_higher_limit_lets_those_in_that_wait() {
        let admission = admission(1, 2);
        let _slot = enter(&admission);
        let (one, other) = (wait(&admission, 1), wait(&admission, 2));
        admission.set_limits(AdmissionLimits { max_in_flight: 3, ..AdmissionLimits::default() });
        let (_one, _other) =
            (one.admitted(Duration::MAX).await.expect("a slot"), other.admitted(Duration::MAX).await.expect("a slot"));
        assert_eq!(counts(&admission), (3, 0));
    }

    #[test]
    fn who_knocks_while_a_place_changes_hands_passes_nobody() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let admission = admission(1, 10);
        let mut slot = enter(&admission);
        let knocking = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let newcomer = scope.spawn(|| {
                let mut passed = 0;
                while knocking.load(Ordering::Relaxed) {
                    passed += usize::from(matches!(admission.knock(Tenant::ANYONE), Ok(Entrance::In(_))));
                }
                passed
            });
            for _ in 0..20_000 {
                let mut waiting = wait(&admission, 1);
                drop(slot);
                slot = loop {
                    match waiting.told.try_recv() {
                        Ok(told) => break told.expect("a slot"),
                        Err(_) => std::thread::yield_now(),
                    }
                };
            }
            knocking.store(false, Ordering::Relaxed);
            assert_eq!(newcomer.join().expect("no panic"), 0, "one waited at any time");
        });
    }

    #[tokio::test]
    async fn under_a_crowd_of_tasks_the_limit_holds_and_every_slot_comes_back() {
        let admission = admission(3, 1000);
        let crowd: Vec<_> = (0..200_u64)
            .map(|number| {
                let admission = admission.clone();
                tokio::spawn(async move {
                    let slot = match admission.knock(Tenant::numbered(number % 7)).expect("the queue is long") {
                        Entrance::In(slot) => slot,
                        Entrance::Waiting(waiting) => {
                            if number % 5 == 0 {
                                return drop(waiting);
                            }
                            waiting.admitted(Duration::MAX).await.expect("all are quick")
                        }
                    };
                    assert!(admission.snapshot().in_flight <= 3);
                    tokio::task::yield_now().await;
                    drop(slot);
                })
            })
            .collect();
        for task in crowd {
            task.await.expect("no panic");
        }
        assert_eq!(counts(&admission), (0, 0));
    }
}
