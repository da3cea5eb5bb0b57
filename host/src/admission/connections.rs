//! How many connections are open, and of whom.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Connections beyond the limit that are answered all the same, with a 503 or what a health probe asks for. Beyond these
/// the oldest that has said nothing makes room, or else nothing is said.
const SURPLUS: usize = 64;

/// Counts connections.
#[derive(Debug, Default)]
pub struct Connections {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    /// Only kept where there is a limit for each.
    of_address: HashMap<IpAddr, usize>,
    /// Those too many that have said nothing yet, the oldest first.
    silent: VecDeque<Silent>,
}

#[derive(Debug)]
struct Silent {
    address: IpAddr,
    /// Tells it to go.
    go: Arc<Notify>,
}

/// How a new connection is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As one of those that may be.
    Welcome,
    /// As one too many: it gets one answer.
    Surplus,
}

/// An open connection; counted until it is dropped.
#[derive(Debug)]
pub struct Open {
    connections: Arc<Connections>,
    address: Option<IpAddr>,
    /// Of one too many: it has to make room.
    go: Option<Arc<Notify>>,
}

impl Connections {
    /// A connection from `address` comes. Nothing where there are so many that not even a refusal is affordable.
    pub fn open(
        self: &Arc<Self>,
        address: IpAddr,
        max: usize,
        max_of_address: Option<usize>,
    ) -> Option<(Open, Standing)> {
        let mut counts = self.counts();
        let own = max_of_address.map(|_| counts.of_address.get(&address).copied().unwrap_or(0));
        let own_surplus = own.zip(max_of_address).map_or(0, |(own, max)| (own + 1).saturating_sub(max));
        let surplus = (counts.open + 1).saturating_sub(max);
        let most = surplus.max(own_surplus);
        if most > SURPLUS {
            let of = (own_surplus > SURPLUS).then_some(address);
            // Those that were told to go are still counted, and there may not be too many of them either.
            if most > 2 * SURPLUS || !counts.make_room(of) {
                return None;
            }
        }
        let standing = if most > 0 { Standing::Surplus } else { Standing::Welcome };
        let go = (standing == Standing::Surplus).then(|| Arc::new(Notify::new()));
        counts.silent.extend(go.clone().map(|go| Silent { address, go }));
        counts.open += 1;
        let address = max_of_address.map(|_| address);
        if let Some(address) = address {
            *counts.of_address.entry(address).or_default() += 1;
        }
        Some((Open { connections: self.clone(), address, go }, standing))
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.counts().open
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Tells the oldest that has said nothing to go, of one address where that has too many of its own; whether there is
    /// such a one.
    fn make_room(&mut self, of: Option<IpAddr>) -> bool {
        let oldest = self.silent.iter().position(|silent| of.is_none_or(|address| silent.address == address));
        let Some(silent) = oldest.and_then(|at| self.silent.remove(at)) else { return false };
        silent.go.notify_one();
        true
    }
}

impl Open {
    /// It has said something, and isn't asked to make room any more.
    pub fn spoke(&self) {
        if self.go.is_some() {
            self.forget_silent(&mut self.connections.counts());
        }
    }

    /// Through when it has to make room for another; never for one of those that may be.
    pub async fn has_to_go(&self) {
        match &self.go {
            Some(go) => go.notified().await,
            None => std::future::pending().await,
        }
    }

    fn forget_silent(&self, counts: &mut Counts) {
        if let Some(go) = &self.go {
            counts.silent.retain(|silent| !Arc::ptr_eq(&silent.go, go));
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.open = counts.open.saturating_sub(1);
        self.forget_silent(&mut counts);
        let Some(address) = self.address else { return };
        if let Some(own) = counts.of_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                counts.of_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    fn standing(open: &Option<(Open, Standing)>) -> Option<Standing> {
        open.as_ref().map(|(_, standing)| *standing)
    }

    #[test]
    fn a_few_beyond_the_limit_are_told_and_the_rest_are_not_met_at_all() {
        let connections = Arc::new(Connections::default());
        let mut open: Vec<_> = (0..2 + SURPLUS).map(|_| connections.open(HERE, 2, None)).collect();
        for (open, _) in open.iter().flatten() {
            open.spoke();
        }
        let welcome = open.iter().filter(|open| standing(open) == Some(Standing::Welcome)).count();
        let surplus = open.iter().filter(|open| standing(open) == Some(Standing::Surplus)).count();
        assert_eq!((welcome, surplus), (2, SURPLUS));
        assert!(connections.open(HERE, 2, None).is_none());
        open.truncate(1);
        assert_eq!(standing(&connections.open(HERE, 2, None)), Some(Standing::Welcome));
        drop(open);
        assert_eq!(connections.count(), 0);
    }

    #[tokio::test]
    async fn the_oldest_that_has_said_nothing_makes_room() {
        for (max, max_of_address) in [(1, None), (1000, Some(1))] {
            let connections = Arc::new(Connections::default());
            let open = |address| connections.open(address, max, max_of_address).expect("there is room").0;
            let welcome = open(HERE);
            let all: Vec<_> = (0..SURPLUS).map(|_| open(HERE)).collect();
            all[0].spoke();
            let newcomers: Vec<_> = (0..SURPLUS).map(|_| open(HERE)).collect();
            for gone in all[1..].iter().chain(&newcomers[..1]) {
                gone.has_to_go().await;
            }
            // As many are on their way out, and that is enough.
            assert!(connections.open(HERE, max, max_of_address).is_none());
            drop(all);
            drop(open(HERE));
            drop((welcome, newcomers));
            let counts = connections.counts();
            assert_eq!((counts.open, counts.silent.len()), (0, 0));
        }
    }

    #[test]
    fn an_address_has_a_limit_of_its_own_where_one_is_set() {
        let connections = Arc::new(Connections::default());
        let _first = connections.open(HERE, 100, Some(1));
        let second = connections.open(HERE, 100, Some(1));
        assert_eq!(standing(&second), Some(Standing::Surplus));
        assert_eq!(standing(&connections.open(THERE, 100, Some(1))), Some(Standing::Welcome));
        drop((_first, second));
        assert_eq!(standing(&connections.open(HERE, 100, Some(1))), Some(Standing::Welcome));
        assert!(connections.counts.lock().unwrap().of_address.is_empty());
    }
}
