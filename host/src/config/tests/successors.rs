//! Models that are shut down, and what is called in their place.

use super::*;

/// Reads a list of `(model_name, model)` on a day, with or without `model_successors`.
fn on(day: &str, successors: bool, models: &[(&str, &str)]) -> Loaded {
    let entries = models.iter().map(|(name, model)| {
        format!("- model_name: '{name}'\n  litellm_params:\n    model: '{model}'\n    api_key: k\n    api_base: https://h/v1\n")
    });
    let list: String = entries.collect();
    let text = format!("model_list:\n{list}router_settings: {{model_successors: {successors}}}\n");
    let folder = Folder::with(&[("config.yml", &text)]);
    let today = day.parse().expect("it is a date");
    load(Origin::File(folder.path("config.yml")), &environment(&[]).on(today)).unwrap_or_else(|error| panic!("{error}"))
}

const CLAUDE: &[(&str, &str)] = &[("claude-4", "anthropic/claude-sonnet-4-20250514")];

#[test]
fn a_model_that_is_gone_is_served_by_its_successor_where_the_operator_says_so() {
    let Loaded { config, report } = on("2026-11-22", true, CLAUDE);

    let [deployment] = &config.deployments[..] else { panic!("{:?}", config.deployments) };
    assert_eq!((deployment.provider.as_str(), deployment.model.as_str()), ("anthropic", "claude-sonnet-4-6"));
    assert_eq!(deployment.succeeds.as_deref(), Some("anthropic/claude-sonnet-4-20250514"));
    assert_eq!(deployment.routing.prices, Some((3e-6, 15e-6)), "those of the successor");
    assert_eq!(
        told(&report, Severity::Warning),
        [
            "4: model_list[0].litellm_params.model: claude-4 → anthropic/claude-sonnet-4-20250514 was shut down on 2026-06-15; \
          served by its successor anthropic/claude-sonnet-4-6 (model_successors)"
        ]
    );
}

#[test]
fn a_model_keeps_its_name_where_nobody_says_so_or_its_day_has_not_come() {
    for (day, successors, text) in [
        ("2026-06-15", false, "was shut down on 2026-06-15; successor anthropic/claude-sonnet-4-6"),
        ("2026-06-14", false, "will be shut down on 2026-06-15; successor anthropic/claude-sonnet-4-6"),
        ("2026-06-14", true, "will be shut down on 2026-06-15; successor anthropic/claude-sonnet-4-6"),
    ] {
        let Loaded { config, report } = on(day, successors, CLAUDE);
        let deployment = &config.deployments[0];
        assert_eq!((deployment.model.as_str(), &deployment.succeeds), ("claude-sonnet-4-20250514", &None), "{day}");
        assert_eq!(
            told(&report, Severity::Warning),
            [format!("4: model_list[0].litellm_params.model: claude-4 → anthropic/claude-sonnet-4-20250514 {text}")]
        );
    }
}

#[test]
fn an_id_is_the_same_before_and_after() {
    let id = |day, successors| on(day, successors, CLAUDE).config.deployments.remove(0).id;
    assert_eq!(id("2026-06-14", false), id("2026-06-15", true));
    assert_eq!(id("2026-06-15", false), id("2026-06-15", true));
}

#[test]
fn what_has_no_successor_and_what_stands_for_many_stays_as_it_is() {
    let models =
        [("o1", "openai/o1"), ("fine", "openai/gpt-4o-mini"), ("openai/*", "openai/*"), ("gpt", "gpt-3.5-turbo")];
    let Loaded { config, report } = on("2026-11-22", true, &models);

    let found: Vec<_> = config.deployments.iter().map(|d| (d.model.as_str(), d.succeeds.as_deref())).collect();
    assert_eq!(
        found,
        [("o1", None), ("gpt-4o-mini", None), ("*", None), ("gpt-4.1-mini", Some("openai/gpt-3.5-turbo"))]
    );
    let warnings = told(&report, Severity::Warning);
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings[0].ends_with("o1 → openai/o1 was shut down on 2026-10-23"), "{warnings:#?}");
    assert!(warnings[1].contains("gpt → openai/gpt-3.5-turbo was shut down"), "{warnings:#?}");
}
