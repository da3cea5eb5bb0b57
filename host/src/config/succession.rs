//! Which model is called in place of one that its provider has shut down: `router_settings.model_successors`.

use super::at::At;
use super::model_list::Context;
use super::report::Report;
use super::retirements::{self, Successor};

/// Tells of a provider's model that is gone, or soon will be; what to call in its place, where the operator wants that.
/// `name` is the one that clients use, `at` is where the model stands.
pub(super) fn successor(
    (name, at): (&str, &At<'_>),
    (provider, model): (&str, &str),
    context: &Context<'_>,
    report: &mut Report,
) -> Option<String> {
    let retirement = retirements::retirement(provider, model, context.environment.today())?;
    let mut tell = |text: String| at.warn(format!("{name} → {text}"), report);
    match retirement.to_call().filter(|_| context.defaults.model_successors) {
        None => {
            tell(retirement.to_string());
            None
        }
        Some(successor) if successor.provider != provider => {
            tell(format!("{retirement}, which model_successors doesn't take: another provider needs another key"));
            None
        }
        Some(Successor { model: successor, gone_since, .. }) => {
            tell(format!(
                "{} was shut down on {gone_since}; served by its successor {provider}/{successor} (model_successors)",
                retirement.model
            ));
            Some(successor.to_owned())
        }
    }
}
