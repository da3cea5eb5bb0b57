//! Configurations that are refused, and what is said about them.

use super::*;

#[test]
fn a_bad_value_is_refused_with_its_line_and_path() {
    let model = "model_list:\n- model_name: m\n  litellm_params:\n    model: openai/x\n    api_key: k\n";
    for (text, error) in [
        ("timeout: abc", "6: model_list[0].litellm_params.timeout: expected a number of seconds, got \"abc\""),
        ("timeout: 0", "6: model_list[0].litellm_params.timeout: expected a number of seconds above 0, got 0"),
        ("timeout: -5", "6: model_list[0].litellm_params.timeout: expected a number of seconds above 0, got -5"),
        (
            "stream_timeout: [1]",
            "6: model_list[0].litellm_params.stream_timeout: expected a number of seconds, got a list",
        ),
        (
            "timeout: os.environ/T",
            "6: model_list[0].litellm_params.timeout: expected a number of seconds, got the value of $T",
        ),
        ("drop_params: maybe", "6: model_list[0].litellm_params.drop_params: expected true or false, got \"maybe\""),
        ("weight: -1", "6: model_list[0].litellm_params.weight: expected a number that is not negative, got -1"),
        (
            "additional_drop_params: {a: b}",
            "6: model_list[0].litellm_params.additional_drop_params: expected a list of texts, got a map",
        ),
        ("extra_body: x", "6: model_list[0].litellm_params.extra_body: expected a map, got \"x\""),
        (
            "extra_headers: [x]",
            "6: model_list[0].litellm_params.extra_headers: expected a map of header names to values, got a list",
        ),
        (
            "extra_headers: {\"a b\": x}",
            "6: model_list[0].litellm_params.extra_headers.a b: this is no name for a header",
        ),
        (
            "api_base: ftp://host",
            "6: model_list[0].litellm_params.api_base: expected a URL that begins with https:// or http://",
        ),
        ("api_base: {a: b}", "6: model_list[0].litellm_params.api_base: expected a text, got a map"),
    ] {
        assert_eq!(errors_of(&format!("{model}    {text}\n"), &[("T", "soon")]), [error], "{text}");
    }
}

#[test]
fn a_section_of_the_wrong_kind_is_refused() {
    for (text, error) in [
        ("model_list: {a: b}", "1: model_list: expected a list, got a map"),
        ("model_list: [x]", "1: model_list[0]: expected a map with model_name and litellm_params, got \"x\""),
        ("model_list: [{litellm_params: {model: echo/x}}]", "1: model_list[0]: model_name is missing"),
        (
            "model_list: [{model_name: '', litellm_params: {model: echo/x}}]",
            "1: model_list[0].model_name: expected a name, got \"\"",
        ),
        ("model_list: [{model_name: m}]", "1: model_list[0]: litellm_params is missing"),
        ("model_list: [{model_name: m, litellm_params: {}}]", "1: model_list[0].litellm_params: model is missing"),
        (
            "model_list: [{model_name: m, litellm_params: {model: os.environ/GONE}}]",
            "1: model_list[0].litellm_params: model is missing",
        ),
        (
            "model_list: [{model_name: m, litellm_params: {model: [a]}}]",
            "1: model_list[0].litellm_params.model: expected a text, got a list",
        ),
        (
            "model_list: [{model_name: m, litellm_params: {model: echo/x}, model_info: 3}]",
            "1: model_list[0].model_info: expected a map, got 3",
        ),
        ("general_settings: []", "1: general_settings: expected a map, got a list"),
        ("litellm_settings: x", "1: litellm_settings: expected a map, got \"x\""),
        ("router_settings: x", "1: router_settings: expected a map, got \"x\""),
        (
            "router_settings: {model_group_alias: {a: 1}}",
            "1: router_settings.model_group_alias.a: expected the name of a model, or {model: …, hidden: …}, got 1",
        ),
        ("providers: {a: b}", "1: providers.a: expected a map, got \"b\""),
        ("credential_list: {}", "1: credential_list: expected a list, got a map"),
        ("environment_variables: [x]", "1: environment_variables: expected a map of names to values"),
        (
            "general_settings: {litellm_key_header_name: 'a b'}",
            "1: general_settings.litellm_key_header_name: expected the name of a header, got something else",
        ),
        (
            "general_settings: {max_request_size_mb: 0}",
            "1: general_settings.max_request_size_mb: expected a number of megabytes above 0, got 0",
        ),
        ("router_settings: {timeout: 0}", "1: router_settings.timeout: expected a number of seconds above 0, got 0"),
    ] {
        assert_eq!(errors_of(text, &[]), [error], "{text}");
    }
}

#[test]
fn a_file_that_says_nothing_is_refused_with_an_example() {
    for text in ["", "# nothing\n", "null\n", "- a\n", "just text\n"] {
        let errors = errors_of(text, &[]);
        assert!(errors.len() == 1 && errors[0].contains("a minimal one is:  model_list: ["), "{text:?}: {errors:?}");
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let text = "model_list:\n- model_name: m\n  litellm_params: {model: echo/x, timeout: a}\n- 5\nlitellm_settings:\n  drop_params: b\n";
    let error = load_text(text, &[]).expect_err("there are three errors").to_string();

    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(
        lines[0]
            .ends_with("config.yml:3: model_list[0].litellm_params.timeout: expected a number of seconds, got \"a\""),
        "{error}"
    );
}

#[test]
fn a_key_twice_in_one_map_is_refused_at_its_second_place() {
    let text = "model_list:\n- model_name: m\n  litellm_params:\n    model: echo/x\n    timeout: 5\n    timeout: 6\n";

    assert_eq!(errors_of(text, &[]), ["6: : the key `timeout` is there twice in the same map"]);
}

#[test]
fn a_variable_with_a_bad_value_is_refused_without_showing_it() {
    let text = "model_list:\n- model_name: m\n  litellm_params: {model: openai/x}\n";
    let errors = |variables: &[(&str, &str)]| errors_of(text, variables);

    let base = errors(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://u:hunter2@host")]);
    assert!(
        base.len() == 1 && base[0].contains("the environment variable OPENAI_BASE_URL: expected a URL without a user"),
        "{base:?}"
    );
    let key = errors(&[("OPENAI_API_KEY", "hunter2\nx")]);
    assert!(key.len() == 1 && key[0].contains("the key holds a character that can't be sent"), "{key:?}");
    let root = errors(&[("OPENAI_API_KEY", "k"), ("SERVER_ROOT_PATH", "http://hunter2")]);
    assert_eq!(root, ["0: SERVER_ROOT_PATH: expected a path like /ai-api"]);
    assert!(!format!("{base:?}{key:?}{root:?}").contains("hunter2"));
}

#[test]
fn a_file_cut_off_anywhere_is_a_configuration_or_an_error() {
    let text = include_str!("../../../../config/examples/full.yml");
    for end in (0..text.len()).step_by(61).filter(|end| text.is_char_boundary(*end)) {
        // Either is fine; a panic is not.
        let _ = load_text(&text[..end], &[("OPENAI_API_KEY", "k")]);
    }
}
