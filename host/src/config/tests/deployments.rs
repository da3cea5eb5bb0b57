//! How an entry of `model_list` becomes a deployment.

use std::time::Duration;

use serde_json::json;

use super::*;

/// The only deployment of a list with these `litellm_params`, given as a YAML flow map.
fn deployment(params: &str, variables: &[(&str, &str)]) -> Deployment {
    loaded(&format!("model_list:\n  - model_name: m\n    litellm_params: {params}\n"), variables)
        .config
        .deployments
        .remove(0)
}

fn key(deployment: &Deployment) -> Option<&str> {
    match &deployment.credential {
        Credential::Key(key) => Some(key.expose()),
        Credential::None | Credential::Missing { .. } => None,
    }
}

#[test]
fn a_key_comes_from_the_file_then_from_the_providers_variables() {
    for (params, variables, expected) in [
        ("{model: openai/x, api_key: literal}", &[("OPENAI_API_KEY", "usual")][..], Some("literal")),
        (
            "{model: openai/x, api_key: os.environ/MINE}",
            &[("MINE", " mine\n"), ("OPENAI_API_KEY", "usual")],
            Some("mine"),
        ),
        ("{model: openai/x, api_key: os.environ/MINE}", &[("OPENAI_API_KEY", "usual")], Some("usual")),
        ("{model: openai/x, api_key: ''}", &[("OPENAI_API_KEY", "usual")], Some("usual")),
        ("{model: openai/x}", &[("OPENAI_API_KEY", "usual")], Some("usual")),
        ("{model: gemini/x}", &[("GOOGLE_API_KEY", "second")], Some("second")),
        ("{model: together_ai/x}", &[("TOGETHERAI_API_KEY", "third")], Some("third")),
        ("{model: hosted_vllm/x, api_base: 'http://h'}", &[("HOSTED_VLLM_API_KEY", "optional")], Some("optional")),
        ("{model: my-plugin/x}", &[("MY_PLUGIN_API_KEY", "own")], Some("own")),
    ] {
        assert_eq!(key(&deployment(params, variables)), expected, "{params}");
    }
}

#[test]
fn a_key_that_is_missing_is_missing_by_name_and_none_where_none_is_needed() {
    for (params, variable) in [
        ("{model: openai/x}", Some("OPENAI_API_KEY")),
        ("{model: openai/x, api_key: os.environ/MINE}", Some("MINE")),
        ("{model: groq/x}", Some("GROQ_API_KEY")),
        ("{model: ollama/x}", None),
        ("{model: ollama/x, api_key: os.environ/MINE}", None),
        ("{model: echo/echo}", None),
        ("{model: my_plugin/x}", None),
        ("{model: openai/x, mock_response: hi}", None),
    ] {
        let missing = match deployment(params, &[]).credential {
            Credential::Missing { variable } => Some(variable),
            Credential::None => None,
            Credential::Key(_) => panic!("{params}"),
        };
        assert_eq!(missing.as_deref(), variable, "{params}");
    }
}

#[test]
fn a_usual_key_that_goes_to_a_foreign_server_is_told() {
    for (model, base, foreign) in [
        ("openai/x", "http://gpu.home:8000/v1", true),
        ("openai/x", "https://api.openai.com/v1", false),
        ("anthropic/x", "https://api.anthropic.com", false),
        ("gemini/x", "https://generativelanguage.googleapis.com", false),
        ("groq/x", "https://api.groq.com/other", false),
        ("groq/x", "https://groq.example.net", true),
        ("hosted_vllm/x", "http://gpu.home:8000/v1", false),
    ] {
        let text =
            format!("model_list:\n- model_name: m\n  litellm_params:\n    model: {model}\n    api_base: {base}\n");
        let variables =
            ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "HOSTED_VLLM_API_KEY"];
        let warnings = told(&loaded(&text, &variables.map(|name| (name, "usual"))).report, Severity::Warning);
        assert_eq!(
            warnings.iter().any(|text| text.starts_with("4: ") && text.contains("is sent to")),
            foreign,
            "{base}: {warnings:?}"
        );
    }
}

#[test]
fn a_base_url_comes_from_the_file_then_the_environment_then_the_table() {
    for (params, variables, expected) in [
        ("{model: openai/x, api_key: k}", &[][..], Some("https://api.openai.com/v1")),
        ("{model: anthropic/x, api_key: k}", &[], Some("https://api.anthropic.com/")),
        ("{model: gemini/x, api_key: k}", &[], Some("https://generativelanguage.googleapis.com/v1beta")),
        ("{model: acme/x, api_key: k}", &[], None),
        ("{model: openai/x, api_key: k}", &[("OPENAI_API_BASE", "http://b/v1")], Some("http://b/v1")),
        (
            "{model: openai/x, api_key: k}",
            &[("OPENAI_API_BASE", "http://b/v1"), ("OPENAI_BASE_URL", "http://a/v1")],
            Some("http://a/v1"),
        ),
        (
            "{model: openai/x, api_key: k, base_url: 'http://c/v1/'}",
            &[("OPENAI_API_BASE", "http://b/v1")],
            Some("http://c/v1"),
        ),
        ("{model: openai/x, api_key: k, api_base: os.environ/OPENAI_BASE_URL}", &[], Some("https://api.openai.com/v1")),
        ("{model: groq/x, api_key: k}", &[], Some("https://api.groq.com/openai/v1")),
        ("{model: ollama/x}", &[], Some("http://localhost:11434/v1")),
        ("{model: ollama_chat/x}", &[("OLLAMA_API_BASE", "http://nas:11434/")], Some("http://nas:11434/v1")),
        ("{model: lm_studio/x}", &[("LM_STUDIO_API_BASE", "http://pc:1234/v1")], Some("http://pc:1234/v1")),
        (
            "{model: cloudflare/x, api_key: k, account_id: abc}",
            &[],
            Some("https://api.cloudflare.com/client/v4/accounts/abc/ai/v1"),
        ),
        (
            "{model: cloudflare/x, api_key: k}",
            &[("CLOUDFLARE_ACCOUNT_ID", "def")],
            Some("https://api.cloudflare.com/client/v4/accounts/def/ai/v1"),
        ),
    ] {
        let deployment = deployment(params, variables);
        assert_eq!(deployment.api_base.as_ref().map(url::Url::as_str), expected, "{params}");
        assert_eq!(deployment.unusable, None, "{params}");
        assert!(deployment.default_params.is_empty(), "{params}");
    }
}

#[test]
fn an_address_is_the_operators_unless_it_is_of_the_table_that_comes_with_the_gateway() {
    for (params, variables, providers, named) in [
        ("{model: openai/x, api_key: k}", &[][..], "{}", false),
        ("{model: groq/x, api_key: k}", &[], "{}", false),
        ("{model: groq/x, api_key: k}", &[], "{groq: {needs_key: false}}", false),
        ("{model: groq/x, api_key: k}", &[], "{groq: {api_base: 'http://proxy'}}", true),
        ("{model: openai/x, api_key: k}", &[("OPENAI_BASE_URL", "http://proxy")], "{}", true),
        ("{model: openai/x, api_key: k, api_base: 'http://proxy'}", &[], "{}", true),
        ("{model: acme/x, api_key: k}", &[], "{}", false),
    ] {
        let text = format!("providers: {providers}\nmodel_list: [{{model_name: m, litellm_params: {params}}}]\n");
        let deployment = loaded(&text, variables).config.deployments.remove(0);
        assert_eq!(deployment.api_base_named, named, "{params} {providers}");
    }
}

#[test]
fn a_deployment_that_cannot_work_stays_and_says_why() {
    for (params, reason) in [
        ("{model: llama-4}", "write provider/llama-4"),
        (
            "{model: lm_studio/x}",
            "`lm_studio` has no base URL of its own: set api_base, or the environment variable LM_STUDIO_API_BASE",
        ),
        (
            "{model: cloudflare/x, api_key: k}",
            "needs litellm_params.account_id, or the environment variable CLOUDFLARE_ACCOUNT_ID",
        ),
        (
            "{model: cloudflare/x, api_key: k, account_id: ../x}",
            "litellm_params.account_id is no part of a host name or path",
        ),
        (
            "{model: openai/x, api_key: k, api_base: os.environ/MY_SERVER}",
            "taken from the environment variable MY_SERVER, which is not set",
        ),
        ("{model: openai/x, litellm_credential_name: gone}", "the credential that it names is not in credential_list"),
        ("{model: gigachat/x, api_key: k}", "`gigachat` is not supported yet"),
        ("{model: '*', api_key: k}", "write provider/*"),
        ("{model: '*'}", "`*` stands for the providers whose keys are in the environment, and there is none"),
    ] {
        let unusable = deployment(params, &[]).unusable.unwrap_or_default();
        assert!(unusable.contains(reason), "{params}: {unusable}");
    }
}

#[test]
fn settings_of_a_deployment_win_over_the_general_ones() {
    let text = |params: &str| {
        format!(
            "model_list:\n- model_name: m\n  litellm_params: {{model: openai/x, api_key: k{params}}}\n\
             litellm_settings: {{request_timeout: 30, drop_params: True}}\nai_api_settings: {{strict: true}}\n"
        )
    };
    let first = |text: &str| loaded(text, &[]).config.deployments.remove(0);

    let own = first(&text(", timeout: '5', stream_timeout: 1.5, drop_params: 'False', strict: false"));
    assert_eq!((own.timeout, own.stream_timeout), (Duration::from_secs(5), Some(Duration::from_millis(1500))));
    assert_eq!((own.drop_params, own.strict), (false, false));

    let general = first(&text(""));
    assert_eq!(
        (general.timeout, general.stream_timeout, general.drop_params, general.strict),
        (Duration::from_secs(30), None, true, true)
    );

    let router = first(&format!("{}router_settings: {{timeout: 20, stream_timeout: 2}}\n", text("")));
    assert_eq!((router.timeout, router.stream_timeout), (Duration::from_secs(20), Some(Duration::from_secs(2))));
    assert_eq!(deployment("{model: openai/x, api_key: k}", &[]).timeout, Duration::from_secs(600));
}

#[test]
fn every_other_parameter_is_a_default_for_requests() {
    let found = deployment(
        "{model: poe/x, api_key: k, temperature: 0.2, stop: [a], mine: {b: os.environ/B}, rpm: 5, aws_region_name: x, extra_body: {c: 1}, nothing: null}",
        &[("B", "b")],
    );

    assert_eq!(
        serde_json::Value::from(found.default_params),
        json!({"temperature": 0.2, "stop": ["a"], "mine": {"b": "b"}})
    );
    assert_eq!(serde_json::Value::from(found.extra_body), json!({"c": 1}));
    assert_eq!(found.rename_params.get("max_completion_tokens").map(String::as_str), Some("max_tokens"));
}

#[test]
fn an_unknown_key_that_may_be_secret_is_no_parameter_and_is_told() {
    for key in ["evil_secret", "my_pat_token", "ACME_PASSWORD", "db_key", "session_cookie", "max_secret_tokens"] {
        let text =
            format!("model_list: [{{model_name: m, litellm_params: {{model: poe/x, api_key: k, {key}: hush}}}}]");
        let loaded = loaded(&text, &[]);
        assert!(loaded.config.deployments[0].default_params.is_empty(), "{key}");
        assert!(!loaded.config.deployments[0].parameters.contains_key(key), "{key}");
        let warnings = told(&loaded.report, Severity::Warning);
        assert!(warnings.iter().any(|text| text.contains(key) && text.contains("not sent")), "{key}: {warnings:?}");
        assert!(!format!("{warnings:?}{:#?}", loaded.config).contains("hush"), "{key}");
    }
    for key in [
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "logit_bias",
        "stream_options",
        "max_tool_calls",
        "top_logprobs",
        "mine",
        "min_tokens",
        "max_new_tokens",
        "skip_special_tokens",
        "stop_token_ids",
    ] {
        let text = format!("model_list: [{{model_name: m, litellm_params: {{model: poe/x, api_key: k, {key}: 7}}}}]");
        let loaded = loaded(&text, &[]);
        assert!(loaded.config.deployments[0].default_params.contains_key(key), "{key}");
        assert!(!told(&loaded.report, Severity::Warning).iter().any(|text| text.contains("not sent")), "{key}");
    }
}

#[test]
fn headers_that_may_be_secret_are_marked() {
    let found = deployment(
        "{model: openai/x, api_key: k, organization: org-1, headers: {X-A: old}, extra_headers: {X-A: new, X-B: os.environ/B, Authorization: Basic abc, Host: evil, X-N: 5}}",
        &[("B", "b")],
    );

    let headers: Vec<_> = found
        .extra_headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or(""), value.is_sensitive()))
        .collect();
    assert_eq!(
        headers,
        [
            ("openai-organization", "org-1", false),
            ("x-a", "new", false),
            ("x-b", "b", true),
            ("authorization", "Basic abc", true),
            ("x-n", "5", false),
        ]
    );
    assert!(!format!("{found:?}").contains("abc"));
}

#[test]
fn a_named_credential_completes_a_deployment() {
    let text = "model_list:\n- model_name: m\n  litellm_params: {model: openai/x, litellm_credential_name: c, api_base: 'http://own/v1'}\n\
                credential_list:\n- credential_name: c\n  credential_values: {api_key: os.environ/K, api_base: 'http://theirs/v1', organization: org-2}\n";
    let deployment = loaded(text, &[("K", "k2")]).config.deployments.remove(0);

    assert_eq!(
        (key(&deployment), deployment.api_base.as_ref().map(url::Url::as_str)),
        (Some("k2"), Some("http://own/v1"))
    );
    assert!(deployment.extra_headers.contains_key("openai-organization"));
}

#[test]
fn an_id_stays_when_a_key_is_replaced_and_is_never_shared() {
    let id = |params: &str, value: &str| deployment(params, &[("K", value)]).id;
    let params = "{model: openai/x, api_key: os.environ/K}";
    assert_eq!(id(params, "old"), id(params, "new"));
    assert_eq!(id("{model: openai/x, api_key: a}", ""), id("{model: openai/x, api_key: b}", ""));
    assert_ne!(id(params, "old"), id("{model: openai/y, api_key: os.environ/K}", "old"));

    let twice = "model_list:\n- {model_name: m, litellm_params: {model: openai/x, api_key: a}}\n- {model_name: m, litellm_params: {model: openai/x, api_key: b}}\n";
    let deployments = loaded(twice, &[]).config.deployments;
    assert_eq!(format!("{}-2", deployments[0].id), deployments[1].id);

    let own = "model_list:\n- {model_name: m, litellm_params: {model: echo/echo}, model_info: {id: mine}}\n";
    assert_eq!(loaded(own, &[]).config.deployments[0].id, "mine");
}

#[test]
fn a_star_alone_stands_for_every_provider_whose_key_is_set() {
    let text = "model_list:\n- model_name: '*'\n  litellm_params: {model: '*'}\n";
    let deployments = loaded(text, &[("ANTHROPIC_API_KEY", "a"), ("GROQ_API_KEY", "g")]).config.deployments;

    let names: Vec<_> = deployments.iter().map(|d| format!("{} = {}/{}", d.model_name, d.provider, d.model)).collect();
    assert_eq!(names, ["claude* = anthropic/claude*", "anthropic/* = anthropic/*", "groq/* = groq/*"]);
    assert!(deployments.iter().all(|d| d.is_wildcard() && key(d).is_some()));
}

#[test]
fn wildcards_keep_their_stars() {
    for (name, model, expected) in [
        ("openai/*", "openai/*", ("openai", "*")),
        ("*", "openai/*", ("openai", "*")),
        ("c/*", "anthropic/claude-*", ("anthropic", "claude-*")),
    ] {
        let text = format!("model_list:\n- model_name: '{name}'\n  litellm_params: {{model: '{model}', api_key: k}}\n");
        let found = loaded(&text, &[]).config.deployments.remove(0);
        assert_eq!((found.model_name.as_str(), (found.provider.as_str(), found.model.as_str())), (name, expected));
    }
}

#[test]
fn limits_are_the_models_info_then_the_tables() {
    let with_info = |info: &str| {
        let text = format!(
            "model_list:\n- model_name: m\n  litellm_params: {{model: openai/mine, api_key: k}}\n  model_info: {info}\n"
        );
        loaded(&text, &[]).config.deployments.remove(0)
    };
    let table = ModelTable::embedded();

    for (info, output, mode) in [
        ("{max_output_tokens: 5, max_tokens: 6}", Some(5), None),
        ("{max_tokens: '6', mode: embedding}", Some(6), Some("embedding")),
        ("{base_model: gpt-4o-mini}", Some(16_384), Some("chat")),
        ("{base_model: openai/gpt-4o-mini, max_tokens: 7}", Some(7), Some("chat")),
        ("{}", None, None),
    ] {
        let found = with_info(info);
        assert_eq!(
            (found.max_output_tokens(table, &found.model), found.mode(table, &found.model)),
            (output, mode),
            "{info}"
        );
    }
}

#[test]
fn a_clouds_credentials_are_read_for_a_plugin_that_may_ask_and_shown_by_nobody() {
    let entry = "{model: acme/x, aws_access_key_id: AKID-7f3a, aws_secret_access_key: os.environ/S, aws_session_token: t-7f3a, \
                  aws_region_name: r-1, vertex_ai_project: p-1, api_version: 7, acme_flag: true, aws_role_name: role}";
    let text = format!("model_list: [{{model_name: m, litellm_params: {entry}}}]\n");
    let loaded = loaded(&text, &[("S", "secret-7f3a"), ("AWS_SESSION_TOKEN", "of-the-environment")]);

    let [deployment] = &loaded.config.deployments[..] else { panic!("{:?}", loaded.config.deployments) };
    let aws = deployment.cloud.aws.as_ref().expect("keys");
    assert_eq!((aws.value.secret_access_key.expose(), aws.ambient), ("secret-7f3a", false));
    assert_eq!(aws.value.session_token.as_ref().map(Secret::expose), Some("t-7f3a"));
    let shown: Vec<_> = deployment.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        shown,
        ["acme_flag=true", "api_version=7", "aws_region_name=r-1", "aws_role_name=role", "vertex_project=p-1"]
    );
    assert_eq!(deployment.default_params.keys().collect::<Vec<_>>(), ["acme_flag"]);
    let mut told = Vec::new();
    loaded.report.render(&mut told).expect("a vector takes everything");
    let told = format!("{:#?}{}", loaded.config, String::from_utf8_lossy(&told));
    assert!(!told.contains("7f3a"), "{told}");
    assert!(told.contains("litellm_params.aws_role_name  ignored"), "{told}");
}
