//! What keys are called in Redis: all in one hash slot, so that a script may use them together in a cluster too.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::{Amount, Claim, Rate, Scope};

/// The names of one installation.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
}

// === impl Names ===

impl Names {
    pub(super) fn new(namespace: Option<&str>) -> Self {
        let prefix = match namespace {
            Some(namespace) => format!("{{ai-api:{namespace}}}:"),
            None => "{ai-api}:".to_owned(),
        };
        Self { prefix }
    }

    /// When each gateway was last heard of.
    pub(super) fn gateways(&self) -> String {
        format!("{}gateways", self.prefix)
    }

    /// The last batch of a process.
    pub(super) fn batch(&self, process: &str) -> String {
        format!("{}batch:{process}", self.prefix)
    }

    /// What a claim is counted in. Another period is another counter.
    pub(super) fn counter(&self, claim: &Claim) -> String {
        let mut name = self.prefix.clone();
        match &claim.of {
            Amount::Rate { what: Rate::Requests, .. } => name.push_str("requests"),
            Amount::Rate { what: Rate::Tokens, .. } => name.push_str("tokens"),
            Amount::Rate { what: Rate::Parallel, .. } => name.push_str("parallel"),
            Amount::Money { since, .. } => return self.spent(&claim.scope, *since),
        }
        push_scope(&mut name, &claim.scope);
        name
    }

    /// What somebody has spent in a period.
    pub(super) fn spent(&self, scope: &Scope, since: Option<SystemTime>) -> String {
        let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mut name = format!("{}spent:{}", self.prefix, since.as_millis());
        push_scope(&mut name, scope);
        name
    }
}

/// Lengths come before what others choose, so that no two scopes have one name.
fn push_scope(name: &mut String, scope: &Scope) {
    let mut part = |kind: &str, id: &str| {
        // Writing to a text never fails.
        let _ = write!(name, ":{kind}:{}:{id}", id.len());
    };
    match scope {
        Scope::Gateway => name.push_str(":gateway"),
        Scope::Key(id) => part("key", id),
        Scope::User(id) => part("user", id),
        Scope::Team(id) => part("team", id),
        Scope::Deployment(id) => part("deployment", id),
        Scope::Provider(id) => part("provider", id),
        Scope::Model(whose, model) => {
            part("model", model);
            push_scope(name, whose);
        }
    }
}

/// How long until a period is over; nothing if there is none.
pub(super) fn rest(since: Option<SystemTime>, period: Option<Duration>) -> Option<Duration> {
    let end = since?.checked_add(period?)?;
    Some(end.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::money::Money;

    #[test]
    fn scopes_and_periods_have_names_of_their_own_in_one_slot() {
        let text = |text: &str| Arc::<str>::from(text);
        let scopes = [
            Scope::Gateway,
            Scope::Key(text("a")),
            Scope::User(text("a")),
            Scope::User(text("a:key:1:b")),
            Scope::Model(Arc::new(Scope::User(text("a"))), text("b")),
            Scope::Model(Arc::new(Scope::User(text("b"))), text("a")),
            Scope::Model(Arc::new(Scope::Key(text("b"))), text("a:user:1:a")),
        ];
        let rate = |what| Amount::Rate { what, amount: 1, limit: None };
        let money = |since| Amount::Money { amount: Money::ZERO, limit: None, since, period: None, known: Money::ZERO };
        let amounts = [
            rate(Rate::Requests),
            rate(Rate::Tokens),
            rate(Rate::Parallel),
            money(None),
            money(Some(UNIX_EPOCH + Duration::from_millis(17))),
        ];
        let names = Names::new(Some("x"));
        let mut all = Vec::new();
        for scope in &scopes {
            all.extend(amounts.iter().map(|of| names.counter(&Claim { scope: scope.clone(), of: of.clone() })));
        }
        assert!(all.iter().all(|name| name.starts_with("{ai-api:x}:")), "{all:?}");
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!((all.len(), count), (35, 35));
    }
}
