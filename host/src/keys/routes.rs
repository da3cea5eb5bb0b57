//! Which routes a key is for: `allowed_routes`.

use super::{Caller, Denied};

/// What kind of route something is, in LiteLLM's names of groups of routes (`LiteLLMRoutes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Asks a model.
    Call,
    /// Which models there are: for whoever calls them, and for whoever only looks.
    Models,
    /// Tells of keys, users and teams.
    Info,
    /// Changes keys, users and teams.
    Management,
    /// Tells what was spent.
    Spend,
    /// The gateway itself: its health, its metrics, its plugins.
    Gateway,
}

impl RouteKind {
    /// Whether LiteLLM's name of a group of routes has this kind in it; `None`: it is no such name.
    fn is_in(self, group: &str) -> Option<bool> {
        Some(match group {
            "llm_api_routes" => matches!(self, Self::Call | Self::Models),
            "openai_routes" => matches!(self, Self::Call | Self::Models),
            "info_routes" => matches!(self, Self::Info | Self::Models),
            "management_routes" | "key_management_routes" => matches!(self, Self::Info | Self::Management),
            "spend_tracking_routes" | "global_spend_tracking_routes" => self == Self::Spend,
            _ => return None,
        })
    }
}

impl Caller {
    /// Whether the key's own list of routes has this one.
    ///
    /// # Errors
    /// It hasn't.
    pub fn route(&self, path: &str, kind: RouteKind) -> Result<(), Denied> {
        let allowed = &self.key.allowed_routes;
        if allowed.is_empty() || allowed.iter().any(|entry| is_allowed(entry, path, kind)) {
            return Ok(());
        }
        Err(Denied::Route { path: path.to_owned(), allowed: allowed.clone() })
    }

    /// Whether the key's list of routes names this one by its own path: what an operator writes who makes a key for a
    /// monitor.
    pub fn has_route(&self, path: &str) -> bool {
        self.key.allowed_routes.iter().any(|entry| entry == path)
    }
}

fn is_allowed(entry: &str, path: &str, kind: RouteKind) -> bool {
    kind.is_in(entry).unwrap_or_else(|| covers(entry, path))
}

/// Whether `entry`, a path, `/prefix/*` or `/path/{with}/parameters`, is `path`.
fn covers(entry: &str, path: &str) -> bool {
    if let Some(prefix) = entry.strip_suffix('*') {
        return path.starts_with(prefix);
    }
    let (mut wanted, mut found) = (entry.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found || wanted.starts_with('{') => {}
            _ => return false,
        }
    }
}
