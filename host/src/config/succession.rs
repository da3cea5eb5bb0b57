//! Which model is called in place of one that its provider has shut down: `router_settings.model_successors`.

use super::at::At;
use super::model_list::Context;
use super::report::Report;
use super::retirements::{self, Retirement};

/// Tells of a provider's model that is gone, or soon will be; what to call in its place, where the operator wants that.
/// `name` is the one that clients use, `at` is where the model stands.
pub(super) fn successor(
    (name, at): (&str, &At<'_>),
    (provider, model): (&str, &str),
    context: &Context<'_>,
    report: &mut Report,
) -> Option<String> {
    let retirement = retirements::retirement(provider, model, context.environment.today())?;
    let (told, successor) = decide(&retirement, provider, context.defaults.model_successors);
    at.warn(format!("{name} → {told}"), report);
    successor.map(str::to_owned)
}

/// What to tell, and which model of the provider to call from now on.
fn decide(retirement: &Retirement, provider: &str, wanted: bool) -> (String, Option<&'static str>) {
    match retirement.to_call().filter(|_| wanted) {
        None => (retirement.to_string(), None),
        Some(successor) if successor.provider != provider => {
            (format!("{retirement}, where model_successors doesn't lead: another provider needs another key"), None)
        }
        Some(successor) => {
            let told = format!(
                "{} was shut down on {}; served by its successor {provider}/{} (model_successors)",
                retirement.model, retirement.gone_since, successor.model
            );
            (told, Some(successor.model))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_of_another_provider_is_told_and_not_called() {
        let gone_since = "2026-01-01".parse().expect("it is a date");
        let of = |successor| Retirement { model: "a/x", gone_since, is_gone: true, successor };

        assert_eq!(
            decide(&of(Some("b/y")), "a", true),
            (
                "a/x was shut down on 2026-01-01; successor b/y, where model_successors doesn't lead: another provider \
                 needs another key"
                    .to_owned(),
                None
            )
        );
        assert_eq!(decide(&of(Some("a/y")), "a", true).1, Some("y"));
        assert_eq!(decide(&of(Some("a/y")), "a", false).1, None);
        assert_eq!(decide(&of(None), "a", true), ("a/x was shut down on 2026-01-01".to_owned(), None));
    }
}
