//! How many connections are open, and of whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections beyond the limit that are answered all the same, with a 503 or what a health probe asks for. Beyond these
/// nothing is said.
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
}

impl Connections {
    /// A connection from `address` comes. Nothing where there are so many that not even a refusal is affordable.
    pub fn open(
        self: &Arc<Self>,
        address: IpAddr,
        max: usize,
        max_of_address: Option<usize>,
    ) -> Option<(Open, Standing)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.open >= max.saturating_add(SURPLUS) {
            return None;
        }
        let own = max_of_address.map(|_| counts.of_address.get(&address).copied().unwrap_or(0));
        let own_surplus = own.zip(max_of_address).map_or(0, |(own, max)| (own + 1).saturating_sub(max));
        if own_surplus > SURPLUS {
            return None;
        }
        let standing = if counts.open >= max || own_surplus > 0 { Standing::Surplus } else { Standing::Welcome };
        counts.open += 1;
        let address = max_of_address.map(|_| address);
        if let Some(address) = address {
            *counts.of_address.entry(address).or_default() += 1;
        }
        Some((Open { connections: self.clone(), address }, standing))
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.open = counts.open.saturating_sub(1);
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
        let welcome = open.iter().filter(|open| standing(open) == Some(Standing::Welcome)).count();
        let surplus = open.iter().filter(|open| standing(open) == Some(Standing::Surplus)).count();
        assert_eq!((welcome, surplus), (2, SURPLUS));
        assert!(connections.open(HERE, 2, None).is_none());
        open.truncate(1);
        assert_eq!(standing(&connections.open(HERE, 2, None)), Some(Standing::Welcome));
        drop(open);
        assert_eq!(connections.count(), 0);
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
