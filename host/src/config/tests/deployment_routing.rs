//! What a deployment says of its own routing, and what its group and the router add.

use std::time::Duration;

use super::*;
use crate::config::routing::ByKind;

/// The first deployment of a list: `litellm_params` and `model_info` as YAML flow maps, on lines 3 and 4, and any settings.
fn deployment(params: &str, info: &str, settings: &str) -> Deployment {
    loaded(&text(params, info, settings), &[]).config.deployments.remove(0)
}

fn text(params: &str, info: &str, settings: &str) -> String {
    format!("model_list:\n- model_name: m\n  litellm_params: {params}\n  model_info: {info}\n{settings}\n")
}

#[test]
fn a_deployment_has_limits_a_place_tags_and_retries_of_its_own() {
    let found = deployment(
        "{model: echo/x, rpm: '60', tpm: 1000.0, order: -1, tags: [paid, default], max_parallel_requests: 5, \
         num_retries: 0, max_retries: 9, weight: 2}",
        "{}",
        "router_settings: {default_max_parallel_requests: 7, num_retries: 4}",
    );

    let routing = &found.routing;
    assert_eq!((routing.rpm, routing.tpm, routing.order), (Some(60), Some(1000), Some(-1)));
    assert_eq!(routing.tags, ["paid", "default"]);
    assert_eq!((routing.max_parallel_requests, routing.num_retries), (Some(5), Some(0)));
    assert!(!routing.blocked && found.default_params.is_empty());
}

#[test]
fn what_a_deployment_does_not_say_is_what_the_router_says() {
    let settings = "router_settings: {default_max_parallel_requests: 7, cooldown_time: 9, allowed_fails: 3, \
                    allowed_fails_policy: {RateLimitErrorAllowedFails: 4}, num_retries: 4}";
    let routing = deployment("{model: echo/x, max_retries: 1, tags: one}", "{}", settings).routing;

    assert_eq!((routing.rpm, routing.tpm, routing.order), (None, None, None));
    assert_eq!((routing.max_parallel_requests, routing.num_retries), (Some(7), Some(1)));
    assert_eq!(routing.tags, ["one"]);
    assert_eq!(routing.cooldown_time, Some(Duration::from_secs(9)));
    assert_eq!(routing.allowed_fails, None, "the router's number says nothing to a deployment that is alone");
    assert_eq!(routing.allowed_fails_policy, ByKind::default(), "its own number would come before the router's policy");

    let bare = deployment("{model: echo/x}", "{}", settings).routing;
    assert_eq!(bare.num_retries, None, "policies come before the router's number");
    let plain = deployment("{model: echo/x}", "{}", "").routing;
    assert_eq!((plain.max_parallel_requests, plain.allowed_fails), (None, None));
    assert_eq!(plain.cooldown_time, Some(Duration::from_secs(5)));
}

#[test]
fn cooldowns_of_a_deployment_win_over_those_of_the_router() {
    let settings = "router_settings: {cooldown_time: 9, allowed_fails: 3, \
                    allowed_fails_policy: {RateLimitErrorAllowedFails: 4, TimeoutErrorAllowedFails: 5}}";
    let own = "{allowed_fails: 1, cooldown_time: 0, allowed_fails_policy: {TimeoutErrorAllowedFails: 2}}";
    let with_model = format!("{{model: echo/x, {}", own.trim_start_matches('{'));
    for routing in [
        deployment("{model: echo/x}", own, settings).routing,
        deployment(&with_model, "{}", settings).routing,
        deployment(&with_model, "{allowed_fails: 8, cooldown_time: 8, allowed_fails_policy: {}}", settings).routing,
    ] {
        assert_eq!((routing.cooldown_time, routing.allowed_fails), (Some(Duration::ZERO), Some(1)));
        assert_eq!(routing.allowed_fails_policy, ByKind { timeout: Some(2), ..ByKind::default() });
    }
}

#[test]
fn timeouts_are_the_deployments_then_the_groups_then_the_routers_then_litellms() {
    let litellm = "litellm_settings: {request_timeout: 1, stream_timeout: 1}\n";
    let router = "router_settings: {timeout: 2, stream_timeout: 2, idle_timeout: 2, max_stream_duration: 2";
    let group = "model_group_timeouts: {m: {timeout: 3, stream_timeout: 3, idle_timeout: 3, max_stream_duration: 3}}";
    let own = "{model: echo/x, timeout: 4, stream_timeout: 4, idle_timeout: 4, max_stream_duration: 4}";
    for (params, settings, [timeout, stream, idle, whole]) in [
        ("{model: echo/x}", String::new(), [Some(600), None, None, None]),
        ("{model: echo/x}", litellm.to_owned(), [Some(1), Some(1), None, None]),
        ("{model: echo/x}", format!("{litellm}{router}}}"), [Some(2); 4]),
        ("{model: echo/x}", format!("{litellm}{router}, {group}}}"), [Some(3); 4]),
        (own, format!("{litellm}{router}, {group}}}"), [Some(4); 4]),
        (
            "{model: echo/x, idle_timeout: 5}",
            format!("{router}, model_group_timeouts: {{m: {{timeout: 3}}}}}}"),
            [Some(3), Some(2), Some(5), Some(2)],
        ),
    ] {
        let found = deployment(params, "{}", &settings);
        let seconds = |span: Option<Duration>| span.map(|span| span.as_secs());
        let routing = &found.routing;
        assert_eq!(
            [Some(found.timeout), found.stream_timeout, routing.idle_timeout, routing.max_stream_duration].map(seconds),
            [timeout, stream, idle, whole],
            "{params} {settings}"
        );
    }
}

#[test]
fn prices_are_the_operators_then_those_of_the_table() {
    for (params, info, prices) in [
        ("{model: anthropic/claude-sonnet-4-6, api_key: k}", "{}", Some((3e-6, 15e-6))),
        ("{model: openai/mine, api_key: k}", "{}", None),
        ("{model: anthropic/x, api_key: k}", "{base_model: claude-sonnet-4-6}", Some((3e-6, 15e-6))),
        ("{model: anthropic/x, api_key: k}", "{base_model: anthropic/claude-sonnet-4-6}", Some((3e-6, 15e-6))),
        (
            "{model: anthropic/claude-sonnet-4-6, api_key: k, input_cost_per_token: 1e-6}",
            "{input_cost_per_token: 9, output_cost_per_token: '0.5'}",
            Some((1e-6, 0.5)),
        ),
        ("{model: anthropic/claude-sonnet-4-6, api_key: k, output_cost_per_token: 0}", "{}", Some((3e-6, 0.0))),
        ("{model: openai/mine, api_key: k}", "{output_cost_per_token: 2}", Some((0.0, 2.0))),
        ("{model: openai/*, api_key: k}", "{}", None),
    ] {
        assert_eq!(deployment(params, info, "").routing.prices, prices, "{params} {info}");
    }
}

#[test]
fn a_deployment_may_be_blocked_in_either_place() {
    for (params, info, blocked) in [
        ("{model: echo/x}", "{blocked: true}", true),
        ("{model: echo/x, blocked: 'True'}", "{}", true),
        ("{model: echo/x}", "{blocked: false}", false),
        ("{model: echo/x, blocked: null}", "{}", false),
    ] {
        let Loaded { config, report } = loaded(&text(params, info, ""), &[]);
        assert_eq!(config.deployments[0].routing.blocked, blocked, "{params} {info}");
        assert_eq!(told(&report, Severity::Warning), [""; 0]);
    }
}

#[test]
fn a_value_that_makes_no_sense_is_refused_with_its_line_and_path() {
    for (key, error) in [
        ("rpm: 0", "expected a whole number above 0, got 0"),
        ("rpm: 1.5", "expected a whole number, not below 0, got 1.5"),
        ("rpm: fast", "expected a whole number, not below 0, got \"fast\""),
        ("tpm: -1", "expected a whole number, not below 0, got -1"),
        ("order: first", "expected a whole number, got \"first\""),
        ("order: 0.5", "expected a whole number, got 0.5"),
        ("tags: {a: b}", "expected a list of texts, got a map"),
        ("max_parallel_requests: 0", "expected a whole number above 0, got 0"),
        ("max_parallel_requests: 5000000000", "expected a smaller number, got 5000000000"),
        ("num_retries: -1", "expected a whole number, not below 0, got -1"),
        ("max_retries: x", "expected a whole number, not below 0, got \"x\""),
        ("idle_timeout: 0", "expected a number of seconds above 0, got 0"),
        ("max_stream_duration: .inf", "expected a number of seconds, got \".inf\""),
        ("blocked: maybe", "expected true or false, got \"maybe\""),
        ("allowed_fails: -1", "expected a whole number, not below 0, got -1"),
        ("allowed_fails_policy: 3", "expected a map, got 3"),
        ("cooldown_time: -1", "expected a number of seconds, not below 0, got -1"),
        // What the name of a key makes look like a secret is not shown.
        ("input_cost_per_token: -1", "expected a number that is not negative, got something else"),
    ] {
        let name = key.split(':').next().unwrap_or_default();
        let errors = errors_of(&text(&format!("{{model: echo/x, {key}}}"), "{}", ""), &[]);
        assert_eq!(errors, [format!("3: model_list[0].litellm_params.{name}: {error}")], "{key}");
    }
    for (key, error) in [
        ("allowed_fails: x", "expected a whole number, not below 0, got \"x\""),
        ("allowed_fails_policy: x", "expected a map, got \"x\""),
        ("cooldown_time: x", "expected a number of seconds, got \"x\""),
        ("blocked: x", "expected true or false, got \"x\""),
        ("output_cost_per_token: x", "expected a number, got something else"),
    ] {
        let name = key.split(':').next().unwrap_or_default();
        let errors = errors_of(&text("{model: echo/x}", &format!("{{{key}}}"), ""), &[]);
        assert_eq!(errors, [format!("4: model_list[0].model_info.{name}: {error}")], "{key}");
    }
}

#[test]
fn an_id_does_not_change_with_what_the_router_says() {
    let params = "{model: echo/x, rpm: 5}";
    let id = |settings| deployment(params, "{}", settings).id;
    assert_eq!(id(""), id("router_settings: {cooldown_time: 9, model_successors: true, timeout: 3}"));
}
