//! Finding, including and merging files, and what steers the server.

use tracing::Level;

use super::*;

const ECHO: &str = "model_list:\n- {model_name: a, litellm_params: {model: echo/a}}\n";

#[test]
fn the_file_is_looked_for_in_litellms_places_in_order() {
    let folder = Folder::with(&[
        ("app/config.yaml", ""),
        ("app/config.yml", ""),
        ("here/config.yaml", ""),
        ("here/config.yml", ""),
    ]);
    let (app, here) = (folder.path("app"), folder.path("here"));
    let folders = Folders { app: &app, current: &here };
    let named = environment(&[("CONFIG_FILE_PATH", "/from/environment.yml")]);

    assert_eq!(find_in(Some("flag.yml".into()), &named, folders), Origin::File("flag.yml".into()));
    assert_eq!(find_in(None, &named, folders), Origin::File("/from/environment.yml".into()));
    for path in ["app/config.yaml", "app/config.yml", "here/config.yaml", "here/config.yml"] {
        assert_eq!(find_in(None, &environment(&[]), folders), Origin::File(folder.path(path)));
        fs::remove_file(folder.path(path)).expect("the file was there");
    }
    assert_eq!(find_in(None, &environment(&[]), folders), Origin::BuiltIn);
}

#[test]
fn included_lists_are_appended_and_other_keys_replaced() {
    let folder = Folder::with(&[
        (
            "config.yml",
            &format!(
                "{ECHO}include: [sub/b.yml, c.yml]\ngeneral_settings: {{master_key: mk-a, max_request_size_mb: 1}}\n"
            ),
        ),
        ("sub/b.yml", "include: [d.yml, c.yml]\nmodel_list:\n- {model_name: b, litellm_params: {model: echo/b}}\n"),
        (
            "sub/d.yml",
            "model_list:\n- {model_name: d, litellm_params: {model: echo/d}}\ngeneral_settings: {master_key: mk-d}\n",
        ),
        ("c.yml", "model_list:\n\n- {model_name: c, litellm_params: {model: echo/c}}\n"),
    ]);
    let Loaded { config, report } =
        load(Origin::File(folder.path("config.yml")), &environment(&[])).unwrap_or_else(|error| panic!("{error}"));

    let names: Vec<_> = config.deployments.iter().map(|d| d.model_name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"], "breadth first");
    assert_eq!(config.general.master_key.as_ref().map(Secret::expose), Some("mk-d"));
    assert_eq!(config.general.max_request_bytes, 64 << 20, "the whole section was replaced");
    assert!(config.deployments[2].file.ends_with("c.yml") && config.deployments[2].line == 3);
    let warnings = told(&report, Severity::Warning);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("was included before")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("replaces the whole `general_settings`")), "{warnings:?}");
}

#[test]
fn an_include_that_fails_is_an_error_at_its_line() {
    for (files, message) in [
        (&[("config.yml", "include:\n- gone.yml\n")][..], "2: include[0]: can't read"),
        (&[("config.yml", "include:\n- config.yml\n")], "2: include[0]: "),
        (&[("config.yml", "include: [b.yml]\n"), ("b.yml", "include:\n- config.yml\n")], "includes itself"),
        (&[("config.yml", "include: b.yml\n")], "1: include: expected a list of paths"),
        (&[("config.yml", "include: [b.yml]\n"), ("b.yml", "a: [\n")], "this is not YAML"),
        (&[("config.yml", "include: [b.yml]\n"), ("b.yml", "")], "0: : this configuration is empty"),
    ] {
        let folder = Folder::with(files);
        match load(Origin::File(folder.path("config.yml")), &environment(&[])) {
            Err(ConfigError::Invalid(report)) => {
                let errors = told(&report, Severity::Error);
                assert!(errors.len() == 1 && errors[0].contains(message), "{message}: {errors:?}");
            }
            other => panic!("{message}: {other:?}"),
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load(Origin::File("/no/such/config.yml".into()), &environment(&[])).expect_err("it is not there");

    assert_eq!(error.to_string(), "can't read the configuration /no/such/config.yml");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn the_master_key_is_the_files_then_the_variable() {
    for (settings, variables, key) in [
        ("{master_key: mk-file}", &[("LITELLM_MASTER_KEY", "mk-env")][..], Some("mk-file")),
        ("{master_key: 12345}", &[], Some("12345")),
        ("{}", &[("LITELLM_MASTER_KEY", "mk-env")], Some("mk-env")),
        ("{master_key: os.environ/GONE}", &[("LITELLM_MASTER_KEY", "mk-env")], None),
        ("{master_key: ''}", &[], None),
    ] {
        let config = loaded(&format!("{ECHO}general_settings: {settings}\n"), variables).config;
        assert_eq!(config.general.master_key.as_ref().map(Secret::expose), key, "{settings}");
        assert_eq!(config.master_key_problem().is_none(), key.is_some(), "{settings}");
    }
}

#[test]
fn a_weak_master_key_is_a_problem_until_it_is_permitted() {
    let problem = |settings: &str, variables: &[(&str, &str)]| {
        loaded(&format!("{ECHO}general_settings: {settings}\n"), variables).config.master_key_problem()
    };

    let text = problem("{master_key: sk-1234}", &[]).expect("everybody knows that key");
    assert!(text.contains("replace it") && !text.contains('\n'), "{text}");
    assert_eq!(problem("{master_key: sk-1234, dangerously_permit_weak_or_unset_master_key: True}", &[]), None);
    assert_eq!(problem("{}", &[("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true")]), None);
}

#[test]
fn settings_of_the_server_have_litellms_names() {
    let text = format!(
        "{ECHO}general_settings: {{litellm_key_header_name: X-My-Key, max_request_size_mb: '2', max_response_size_mb: 0.5, always_include_stream_usage: true}}\n\
         litellm_settings: {{json_logs: true, log_raw_request_response: True, set_verbose: true}}\n"
    );
    let Config { general, logging, .. } = loaded(&text, &[]).config;

    assert_eq!(general.key_header.as_ref().map(http::HeaderName::as_str), Some("x-my-key"));
    assert_eq!(
        (general.max_request_bytes, general.max_response_bytes, general.always_include_stream_usage),
        (2 << 20, 1 << 19, true)
    );
    assert_eq!(logging, Logging { json: true, log_raw_request_response: true, level: Level::DEBUG });
    for (level, expected) in [("ERROR", Level::ERROR), ("warning", Level::WARN), ("nonsense", Level::INFO)] {
        assert_eq!(loaded(&text, &[("LITELLM_LOG", level)]).config.logging.level, expected, "{level}");
    }
}

#[test]
fn aliases_may_be_hidden_and_should_lead_somewhere() {
    let text = format!(
        "{ECHO}router_settings:\n  model_group_alias:\n    b: a\n    c: {{model: a, hidden: true}}\n    d: nowhere\n"
    );
    let Loaded { config, report } = loaded(&text, &[]);

    let aliases: Vec<_> =
        config.aliases.iter().map(|(name, alias)| (name.as_str(), alias.target.as_str(), alias.hidden)).collect();
    assert_eq!(aliases, [("b", "a", false), ("c", "a", true), ("d", "nowhere", false)]);
    assert_eq!(
        told(&report, Severity::Warning),
        ["7: router_settings.model_group_alias.d: there is no model `nowhere` in model_list"]
    );
}

#[test]
fn every_key_without_effect_is_told_with_the_reason() {
    let text = format!(
        "{ECHO}general_settings:\n  store_model_in_db: true\n  allowed_ips: [10.0.0.1]\n  custom_auth: my.auth\n  drop_params: true\n\
         litellm_settings:\n  num_retrys: 3\nrouter_settings:\n  routing_groups: []\n  redis_password: hunter2\nmcp_servers: {{}}\n"
    );
    let report = loaded(&text, &[]).report;

    assert_eq!(
        told(&report, Severity::Ignored),
        [
            "4: general_settings.store_model_in_db: models are in the configuration alone, not in the database",
            "6: general_settings.custom_auth: Python code can't run here; plugins are WebAssembly components",
            "7: general_settings.drop_params: unknown key; did you mean `litellm_settings.drop_params`?",
            "9: litellm_settings.num_retrys: unknown key; did you mean `num_retries`?",
            "11: router_settings.routing_groups: all groups have the same strategy",
            "13: mcp_servers: this is not supported yet",
        ]
    );
    let warnings = told(&report, Severity::Warning);
    assert_eq!(
        warnings,
        [
            "5: general_settings.allowed_ips: not applied: callers are told apart by their keys alone: set models and allowed_routes of those",
            "10: router_settings: there is no redis_host and no redis_url: nothing is counted in Redis",
        ]
    );
    assert!(!format!("{report:?}").contains("hunter2"));
}
