//! The configurations that AI-API comes with, the operator's among them.

use super::*;

const OPERATOR: [(&str, &str); 5] = [
    ("OPENAI_API_KEY", "sk-openai-7f3a"),
    ("ANTHROPIC_API_KEY", "sk-ant-7f3a"),
    ("GEMINI_API_KEY", "AIza-7f3a"),
    ("AI_API_MK", "mk-7f3a"),
    ("SERVER_ROOT_PATH", "/ai-api"),
];

fn operators(variables: &[(&str, &str)]) -> Loaded {
    let today = "2026-11-22".parse().expect("it is a date");
    load(Origin::File(example("examples/homestack/config.yml")), &environment(variables).on(today))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_operators_file_loads_unchanged() {
    let config = operators(&OPERATOR).config;

    let models: Vec<_> =
        config.deployments.iter().map(|d| format!("{} = {}/{}", d.model_name, d.plugin, d.model)).collect();
    assert_eq!(
        models,
        [
            "gpt-4o-mini = openai/gpt-4o-mini",
            "gpt-3.5 = openai/gpt-3.5-turbo",
            "claude-4 = anthropic/claude-sonnet-4-20250514",
            "claude-3-5-sonnet = anthropic/claude-3-5-sonnet-20241022",
            "claude-3-5-haiku = anthropic/claude-3-5-haiku-20241022",
            "gemini-2.0-flash = gemini/gemini-2.0-flash",
            "dalle3 = openai/dall-e-3",
        ]
    );
    assert!(config.deployments.iter().all(|d| matches!(d.credential, Credential::Key(_)) && d.unusable.is_none()));
    assert_eq!(config.general.master_key.as_ref().map(Secret::expose), Some("mk-7f3a"));
    assert_eq!((config.root_path.as_str(), config.logging.log_raw_request_response), ("/ai-api", false));
    assert_eq!(config.master_key_problem(), None);
}

#[test]
fn the_operators_report_names_retired_models_and_keys_without_effect() {
    let report = operators(&OPERATOR).report;

    let warnings = told(&report, Severity::Warning);
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
    assert_eq!(
        warnings[1],
        "16: model_list[2].litellm_params.model: claude-4 → anthropic/claude-sonnet-4-20250514 was shut down on 2026-06-15; successor anthropic/claude-sonnet-4-6"
    );
    assert_eq!(told(&report, Severity::Ignored), Vec::<String>::new());
}

#[test]
fn no_secret_is_in_a_report_or_in_debug() {
    let loaded = operators(&OPERATOR);

    let mut text = Vec::new();
    loaded.report.render(&mut text).expect("a vector takes everything");
    let shown = format!("{loaded:#?}{}", String::from_utf8_lossy(&text));
    assert!(!shown.contains("7f3a"), "{shown}");
}

#[test]
fn each_variable_that_is_not_set_is_named_with_the_line_that_wants_it() {
    let loaded = operators(&[("OPENAI_API_KEY", "sk-openai"), ("GEMINI_API_KEY", "")]);

    let unset: Vec<_> =
        told(&loaded.report, Severity::Warning).into_iter().filter(|text| text.contains("is not set")).collect();
    let expected = [
        (17, "model_list[2].litellm_params.api_key", "ANTHROPIC_API_KEY is not set: calls to this model will fail"),
        (22, "model_list[3].litellm_params.api_key", "ANTHROPIC_API_KEY is not set: calls to this model will fail"),
        (27, "model_list[4].litellm_params.api_key", "ANTHROPIC_API_KEY is not set: calls to this model will fail"),
        (33, "model_list[5].litellm_params.api_key", "GEMINI_API_KEY is not set: calls to this model will fail"),
        (42, "general_settings.master_key", "AI_API_MK is not set, so there is no master key"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(line, path, text)| format!("{line}: {path}: the environment variable {text}")).collect();
    assert_eq!(unset, expected);
    assert!(
        matches!(&loaded.config.deployments[2].credential, Credential::Missing { variable } if variable == "ANTHROPIC_API_KEY")
    );
    assert!(loaded.config.master_key_problem().is_some_and(|problem| problem.contains("AI_API_MK, which is not set")));
}

#[test]
fn the_built_in_configuration_has_one_model_and_nothing_to_complain_about() {
    let loaded = load(Origin::BuiltIn, &environment(&[])).unwrap_or_else(|error| panic!("{error}"));

    let [echo] = &loaded.config.deployments[..] else { panic!("{:?}", loaded.config.deployments) };
    assert_eq!((echo.model_name.as_str(), echo.plugin.as_str()), ("echo", "echo"));
    assert!(matches!(echo.credential, Credential::None));
    assert_eq!(loaded.config.master_key_problem(), None);
    assert!(
        loaded.report.findings().iter().all(|finding| finding.severity == Severity::Honoured),
        "{:?}",
        loaded.report
    );
}

#[test]
fn the_built_in_configuration_still_works_with_its_comments_taken_away() {
    let keys =
        [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k"), ("GEMINI_API_KEY", "k"), ("MASTER_KEY", "mk-good")];
    let lines = BUILT_IN.lines().map(|line| {
        line.strip_prefix("  # ")
            .filter(|rest| rest.contains(": ") || rest.ends_with(':'))
            .map_or(line.to_owned(), |rest| format!("  {rest}"))
    });
    let text: Vec<String> = lines.filter(|line| !line.trim_start().starts_with(char::is_uppercase)).collect();

    let loaded = loaded(&text.join("\n"), &keys);

    let names: Vec<_> = loaded.config.deployments.iter().map(|d| d.model_name.as_str()).collect();
    assert_eq!(names, ["echo", "gpt-4o-mini", "claude-sonnet-4-6", "claude-haiku-4-5", "gemini-2.5-flash"]);
    assert!(loaded.config.general.master_key.is_some());
}

#[test]
fn the_full_example_shows_every_key_that_is_honoured_and_no_other() {
    let keys = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_2", "GEMINI_API_KEY", "AI_API_MASTER_KEY"]
        .map(|name| (name, "key-for-tests"));
    let loaded =
        load(Origin::File(example("examples/full.yml")), &environment(&keys)).unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(told(&loaded.report, Severity::Warning), Vec::<String>::new());
    let ignored: Vec<_> = loaded.report.of(Severity::Ignored).map(|finding| finding.path.as_str()).collect();
    assert_eq!(ignored, ["credential_list[0].credential_info"]);
    let shown: Vec<_> = loaded.report.findings().iter().filter_map(|finding| finding.path.rsplit('.').next()).collect();
    for key in known::honoured_keys() {
        let elsewhere = ["headers", "base_url", "include"].contains(&key)
            || include_str!("../../../../config/examples/full.yml").contains(&format!("{key}:"));
        assert!(shown.contains(&key) || elsewhere, "{key} is not in full.yml");
    }
}
