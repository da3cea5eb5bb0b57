//! How scopes and times are written in tables.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::StoreError;
use crate::limits::Scope;

/// `since` of what has no period.
pub(super) const NO_PERIOD: i64 = -1;

/// The columns `scope` and `model`.
pub(super) fn columns(scope: &Scope) -> (String, &str) {
    match scope {
        Scope::Gateway => ("gateway".to_owned(), ""),
        Scope::Key(hash) => (format!("key:{hash}"), ""),
        Scope::User(id) => (format!("user:{id}"), ""),
        Scope::Team(id) => (format!("team:{id}"), ""),
        Scope::Deployment(id) => (format!("deployment:{id}"), ""),
        Scope::Provider(name) => (format!("provider:{name}"), ""),
        Scope::Model(of, model) => (columns(of).0, model),
    }
}

/// The scope of such columns.
pub(super) fn parse(scope: &str, model: &str) -> Result<Scope, StoreError> {
    let (kind, id) = scope.split_once(':').unwrap_or((scope, ""));
    let whole = match kind {
        "gateway" => Scope::Gateway,
        "key" => Scope::Key(id.into()),
        "user" => Scope::User(id.into()),
        "team" => Scope::Team(id.into()),
        "deployment" => Scope::Deployment(id.into()),
        "provider" => Scope::Provider(id.into()),
        other => return Err(StoreError::Unreadable(format!("totals of a scope {other:?}"))),
    };
    Ok(if model.is_empty() { whole } else { Scope::Model(whole.into(), model.into()) })
}

/// Milliseconds since 1970; before it there is nothing.
pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time of so many milliseconds.
pub(super) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// The column `since`.
pub(super) fn since(time: Option<SystemTime>) -> i64 {
    time.map_or(NO_PERIOD, millis)
}

/// What the column `since` says.
pub(super) fn parse_since(millis: i64) -> Option<SystemTime> {
    (millis != NO_PERIOD).then(|| time(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_comes_back_as_it_was_whatever_its_name() {
        let names = ["", "a", "a:b", "gateway", "ü\n", "key:x"];
        for name in names {
            for scope in [
                Scope::Gateway,
                Scope::Key(name.into()),
                Scope::User(name.into()),
                Scope::Team(name.into()),
                Scope::Deployment(name.into()),
                Scope::Provider(name.into()),
            ] {
                for scope in [scope.clone(), Scope::Model(scope.into(), "groq/*:x".into())] {
                    let (text, model) = columns(&scope);
                    assert_eq!(parse(&text, model).unwrap(), scope);
                }
            }
        }
        assert!(matches!(parse("planet:mars", ""), Err(StoreError::Unreadable(_))));
    }
}
