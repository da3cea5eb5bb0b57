//! How calls are routed: `router_settings`, and what `litellm_settings` say as well.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::config::routing::{
    ByKind, Checks, Cooldowns, Fallback, Hedging, Retries, RetryBudget, StrategyArgs, StrategyKind, TagMatch,
};

/// Models `a`, `b` and `c`, and `openai/*`, on the first two lines.
const MODELS: &str = "model_list: [{model_name: a, litellm_params: &p {model: echo/x}}, {model_name: b, litellm_params: *p}, \
                      {model_name: c, litellm_params: *p},\n  {model_name: openai/*, litellm_params: {model: openai/*, api_key: k}}]\n";

/// What is made of these `router_settings`, on the third line.
fn routing(settings: &str) -> Routing {
    loaded(&format!("{MODELS}router_settings: {settings}\n"), &[]).config.routing
}

/// The warnings about these `router_settings`.
fn warnings(settings: &str) -> Vec<String> {
    told(&loaded(&format!("{MODELS}router_settings: {settings}\n"), &[]).report, Severity::Warning)
}

/// The names of a chain.
fn names(chain: Option<&Vec<Fallback>>) -> Vec<&str> {
    chain.into_iter().flatten().map(|fallback| fallback.model.as_str()).collect()
}

#[test]
fn without_settings_calls_are_routed_as_the_types_say() {
    assert_eq!(loaded(MODELS, &[]).config.routing, Routing::default());
    assert_eq!(routing("{}").connect_timeout, Duration::from_secs(10));
}

#[test]
fn every_strategy_has_its_name() {
    for (name, strategy) in [
        ("simple-shuffle", StrategyKind::SimpleShuffle),
        ("least-busy", StrategyKind::LeastBusy),
        ("latency-based-routing", StrategyKind::Latency),
        ("usage-based-routing", StrategyKind::Usage),
        ("usage-based-routing-v2", StrategyKind::Usage),
        ("cost-based-routing", StrategyKind::Cost),
        ("power-of-two-choices", StrategyKind::PowerOfTwo),
    ] {
        let settings =
            format!("{{routing_strategy: {name}, routing_strategy_args: {{ttl: 60, lowest_latency_buffer: '0.5'}}}}");
        let found = routing(&settings);
        assert_eq!(found.strategy, strategy, "{name}");
        assert_eq!(found.strategy_args, StrategyArgs { ttl: Duration::from_secs(60), lowest_latency_buffer: 0.5 });
        assert_eq!(warnings(&settings), [""; 0], "{name}");
    }
}

#[test]
fn a_strategy_that_is_not_there_is_told_with_those_that_are() {
    for name in ["lar1", "fastest"] {
        let settings = format!("{{routing_strategy: {name}}}");
        assert_eq!(routing(&settings).strategy, StrategyKind::SimpleShuffle);
        assert_eq!(
            warnings(&settings),
            [format!(
                "3: router_settings.routing_strategy: there is no strategy \"{name}\", so simple-shuffle is used; there are \
              simple-shuffle, least-busy, latency-based-routing, usage-based-routing, usage-based-routing-v2, \
              cost-based-routing, power-of-two-choices"
            )]
        );
    }
}

#[test]
fn retries_have_a_number_policies_waits_and_a_budget() {
    let found = routing(
        "{num_retries: '4', retry_after: 0.5, max_wait: 0, retry_budget: {percent: 50, min_per_second: 0}, \
         retry_policy: {AuthenticationErrorRetries: 1, BadRequestErrorRetries: 2, TimeoutErrorRetries: 3, \
         RateLimitErrorRetries: 4, ContentPolicyViolationErrorRetries: 5, InternalServerErrorRetries: 6}, \
         model_group_retry_policy: {a: {RateLimitErrorRetries: 0}, openai/*: {}}}",
    );

    let policy = ByKind {
        authentication: Some(1),
        bad_request: Some(2),
        timeout: Some(3),
        rate_limit: Some(4),
        content_policy: Some(5),
        internal_server: Some(6),
    };
    let of_a = ByKind { rate_limit: Some(0), ..ByKind::default() };
    assert_eq!(
        found.retries,
        Retries {
            count: 4,
            policy,
            group_policies: [("a".to_owned(), of_a), ("openai/*".to_owned(), ByKind::default())].into(),
            min_wait: Duration::from_millis(500),
            max_wait: Duration::ZERO,
            budget: RetryBudget { share: 0.5, min_per_second: 0.0 },
        }
    );
}

#[test]
fn cooldowns_have_a_time_and_forgive_some_failures() {
    let found = routing(
        "{allowed_fails: 3, cooldown_time: 0, disable_cooldowns: 'True', \
         allowed_fails_policy: {AuthenticationErrorAllowedFails: 1, BadRequestErrorAllowedFails: 2, \
         TimeoutErrorAllowedFails: 3, RateLimitErrorAllowedFails: 4, ContentPolicyViolationErrorAllowedFails: 5, \
         InternalServerErrorAllowedFails: 6}}",
    );

    let policy = ByKind {
        authentication: Some(1),
        bad_request: Some(2),
        timeout: Some(3),
        rate_limit: Some(4),
        content_policy: Some(5),
        internal_server: Some(6),
    };
    assert_eq!(found.cooldowns, Cooldowns { enabled: false, allowed_fails: Some(3), policy, time: Duration::ZERO });
}

#[test]
fn the_routers_settings_win_over_litellms() {
    let litellm = "litellm_settings: {num_retries: 7, retry_policy: {TimeoutErrorRetries: 7}, allowed_fails: 7, \
                   cooldown_time: 7, request_timeout: 7, stream_timeout: 7, default_fallbacks: [a], fallbacks: [{a: [b]}], \
                   context_window_fallbacks: [{a: [b]}], content_policy_fallbacks: [{a: [b]}]}\n";
    let both = "router_settings: {num_retries: 1, retry_policy: {TimeoutErrorRetries: 1}, allowed_fails: 1, \
                cooldown_time: 1, timeout: 1, stream_timeout: 1, default_fallbacks: [b], fallbacks: [{a: [c]}], \
                context_window_fallbacks: [{a: [c]}], content_policy_fallbacks: [{a: [c]}]}\n";
    for (text, number, default, fallback) in
        [(format!("{MODELS}{litellm}"), 7, "a", "b"), (format!("{MODELS}{litellm}{both}"), 1, "b", "c")]
    {
        let Loaded { config, report } = loaded(&text, &[]);
        let Routing { retries, cooldowns, fallbacks, .. } = &config.routing;
        assert_eq!((retries.count, retries.policy.timeout), (number, Some(number)));
        let span = Duration::from_secs(number.into());
        assert_eq!((cooldowns.allowed_fails, cooldowns.time), (Some(number), span));
        let deployment = &config.deployments[0];
        assert_eq!((deployment.timeout, deployment.stream_timeout), (span, Some(span)));
        assert_eq!(names(Some(&fallbacks.default)), [default]);
        for chains in [&fallbacks.general, &fallbacks.context_window, &fallbacks.content_policy] {
            assert_eq!(names(chains.get("a")), [fallback]);
        }
        assert_eq!(told(&report, Severity::Ignored), [""; 0]);
    }
}

#[test]
fn fallbacks_may_be_written_in_all_the_ways_that_people_write_them() {
    for settings in [
        "[{a: [b, c]}, {b: [c]}]",
        "[{a: [b, c], b: [c]}]",
        "{a: [b, c], b: [c]}",
        "[{a: [b, {model: c}]}, {b: c}]",
        "[{a: [b, null, c]}, null, {b: {model: c}}, {c: null}]",
    ] {
        let found = routing(&format!("{{fallbacks: {settings}}}")).fallbacks;
        assert_eq!(names(found.general.get("a")), ["b", "c"], "{settings}");
        assert_eq!(names(found.general.get("b")), ["c"], "{settings}");
        assert_eq!(found.general.len(), 2, "{settings}");
        assert_eq!(warnings(&format!("{{fallbacks: {settings}}}")), [""; 0], "{settings}");
    }
}

#[test]
fn a_fallback_may_change_parameters_but_has_no_key_and_no_address() {
    let settings =
        "{fallbacks: [{a: [{model: b, max_tokens: 5, temperature: 0.1, api_key: sk-7f3a, api_base: 'http://h'}]}]}";
    let Loaded { config, report } = loaded(&format!("{MODELS}router_settings: {settings}\n"), &[]);

    let [fallback] = &config.routing.fallbacks.general["a"][..] else { panic!("{:?}", config.routing.fallbacks) };
    assert_eq!(serde_json::Value::from(fallback.overrides.clone()), json!({"max_tokens": 5, "temperature": 0.1}));
    assert_eq!(
        told(&report, Severity::Warning),
        ["api_key", "api_base"].map(|key| format!(
            "3: router_settings.fallbacks[0].a[0].{key}: not taken: this belongs into an entry of model_list, \
             which the fallback can name"
        ))
    );
    assert!(!format!("{config:#?}{report:?}").contains("7f3a"));
    assert!(!format!("{fallback:?}").contains("0.1"));
}

#[test]
fn a_star_stands_for_models_without_a_chain_of_their_own() {
    let found = routing(
        "{fallbacks: [{a: [b]}, {'*': [c]}], context_window_fallbacks: [{gpt-4o: [a]}, {'*': [b]}], max_fallbacks: 0, \
         fallback_on_unsupported_params: false}",
    )
    .fallbacks;

    assert_eq!(names(found.general.get("a")), ["b"]);
    assert_eq!(names(Some(&found.default)), ["c"], "those of all models");
    assert_eq!((found.general.len(), names(found.context_window.get("*"))), (1, vec!["b"]));
    assert_eq!((found.max, found.on_unsupported_params), (0, false));

    let both = routing("{fallbacks: [{'*': [c]}], default_fallbacks: b}").fallbacks;
    assert_eq!(names(Some(&both.default)), ["b"], "default_fallbacks wins");
}

#[test]
fn a_fallback_that_leads_nowhere_is_told_with_its_line() {
    let text = format!(
        "{MODELS}router_settings:\n  model_group_alias: {{nickname: a, gone: claud, far: openai/gpt-4o}}\n  fallbacks:\n  \
         - a: [nickname, gpt-4o, openai/gpt-4o, claude]\n  - openai/gpt-4o: [{{model: nicknam}}]\n  - gpt-9: [b]\n  \
         - llama: [b]\n  - b: [b, c]\n  - b: [a]\n  default_fallbacks: [nobody]\n  model_group_retry_policy:\n    \
         nickname: {{}}\n    z: {{}}\n  model_group_timeouts: {{openai/gpt-4o: {{timeout: 1}}}}\n"
    );
    assert_eq!(
        told(&loaded(&text, &[]).report, Severity::Warning),
        [
            "4: router_settings.model_group_alias.gone: there is no model `claud` in model_list",
            "6: router_settings.fallbacks[0].a[3]: there is no model `claude` in model_list",
            "7: router_settings.fallbacks[1].openai/gpt-4o[0].model: there is no model `nicknam` in model_list; did you mean \
             `nickname`?",
            "10: router_settings.fallbacks[4].b: `b` is no fallback for itself, so it is passed over",
            "11: router_settings.fallbacks[5].b: `b` is there twice; the first one counts",
            "12: router_settings.default_fallbacks[0]: there is no model `nobody` in model_list",
            "14: router_settings.model_group_retry_policy.nickname: no entry of model_list has the model_name `nickname`, so this \
             is never used; it is another name for `a`",
            "15: router_settings.model_group_retry_policy.z: no entry of model_list has the model_name `z`, so this is \
             never used",
            "16: router_settings.model_group_timeouts.openai/gpt-4o: no entry of model_list has the model_name \
             `openai/gpt-4o`, so this is never used",
        ]
    );
}

#[test]
fn fallbacks_of_a_model_that_nobody_serves_are_told() {
    let echo = "model_list: [{model_name: claude, litellm_params: {model: echo/x}, model_info: {id: mine}}]\n";
    let text = format!("{echo}router_settings: {{fallbacks: [{{claud: [claude]}}, {{claude: [mine]}}]}}\n");
    assert_eq!(
        told(&loaded(&text, &[]).report, Severity::Warning),
        [
            "2: router_settings.fallbacks[0].claud: there is no model `claud` in model_list, so this is never used; did you \
          mean `claude`?"
        ]
    );
}

#[test]
fn checks_are_off_until_they_are_asked_for() {
    for (settings, checks) in [
        ("{}", Checks::default()),
        ("{enable_pre_call_checks: true}", Checks { before_calls: true, ..Checks::default() }),
        ("{optional_pre_call_checks: [enforce_model_rate_limits]}", Checks { rate_limits: true, ..Checks::default() }),
        ("{optional_pre_call_checks: enforce_model_rate_limits}", Checks { rate_limits: true, ..Checks::default() }),
        ("{enable_tag_filtering: true}", Checks { tags: Some(TagMatch::Any), ..Checks::default() }),
        (
            "{enable_tag_filtering: true, tag_filtering_match_any: false}",
            Checks { tags: Some(TagMatch::All), ..Checks::default() },
        ),
        ("{tag_filtering_match_any: false}", Checks::default()),
    ] {
        assert_eq!(routing(settings).checks, checks, "{settings}");
    }
    assert_eq!(
        warnings("{optional_pre_call_checks: [enforce_model_rate_limits, prompt_caching]}"),
        ["3: router_settings.optional_pre_call_checks[1]: not applied: there is no check \"prompt_caching\", only \
          enforce_model_rate_limits"]
    );
}

#[test]
fn hedging_is_a_yes_or_a_map() {
    let hedging = |quantile, millis| Some(Hedging { quantile, min_delay: Duration::from_millis(millis) });
    for (settings, expected) in [
        ("null", None),
        ("false", None),
        ("'yes'", hedging(0.95, 50)),
        ("true", hedging(0.95, 50)),
        ("{}", hedging(0.95, 50)),
        ("{quantile: 0.5}", hedging(0.5, 50)),
        ("{quantile: '0.9', min_delay: 0}", hedging(0.9, 0)),
    ] {
        assert_eq!(routing(&format!("{{hedging: {settings}}}")).hedging, expected, "{settings}");
    }
}

#[test]
fn the_other_switches_are_what_they_say() {
    let found = routing(
        "{enable_mid_stream_fallback_continuation: true, model_successors: true, \
         connect_timeout: 2.5}",
    );
    assert!(found.continues_streams && found.model_successors);
    assert_eq!(found.connect_timeout, Duration::from_millis(2500));
}

#[test]
fn a_setting_that_makes_no_sense_is_refused_with_its_line_and_path() {
    const FALLBACKS: &str =
        "expected a list of maps like {model: [its fallbacks]}; default_fallbacks is for all models";
    let fallback = "expected the name of a model, or {model: …} with parameters";
    for (settings, error) in [
        ("routing_strategy: [x]", "routing_strategy: expected a text, got a list"),
        ("routing_strategy_args: fast", "routing_strategy_args: expected a map, got \"fast\""),
        ("routing_strategy_args: {ttl: 0}", "routing_strategy_args.ttl: expected a number of seconds above 0, got 0"),
        (
            "routing_strategy_args: {lowest_latency_buffer: -1}",
            "routing_strategy_args.lowest_latency_buffer: expected a number that is not negative, got -1",
        ),
        ("num_retries: -1", "num_retries: expected a whole number, not below 0, got -1"),
        ("num_retries: 1.5", "num_retries: expected a whole number, not below 0, got 1.5"),
        ("num_retries: many", "num_retries: expected a whole number, not below 0, got \"many\""),
        ("num_retries: 5000000000", "num_retries: expected a smaller number, got 5000000000"),
        ("retry_after: -1", "retry_after: expected a number of seconds, not below 0, got -1"),
        ("max_wait: 1e12", "max_wait: expected a number of seconds, at most 1000000000, got 1000000000000.0"),
        ("retry_policy: 3", "retry_policy: expected a map, got 3"),
        (
            "retry_policy: {TimeoutErrorRetries: x}",
            "retry_policy.TimeoutErrorRetries: expected a whole number, not below 0, got \"x\"",
        ),
        ("model_group_retry_policy: {a: 3}", "model_group_retry_policy.a: expected a map, got 3"),
        ("retry_budget: 20", "retry_budget: expected a map, got 20"),
        ("retry_budget: {percent: 101}", "retry_budget.percent: expected a number from 0 to 100, got 101"),
        (
            "retry_budget: {min_per_second: -1}",
            "retry_budget.min_per_second: expected a number that is not negative, got -1",
        ),
        ("allowed_fails: -1", "allowed_fails: expected a whole number, not below 0, got -1"),
        ("allowed_fails_policy: [1]", "allowed_fails_policy: expected a map, got a list"),
        ("cooldown_time: soon", "cooldown_time: expected a number of seconds, got \"soon\""),
        ("disable_cooldowns: maybe", "disable_cooldowns: expected true or false, got \"maybe\""),
        ("fallbacks: [a]", &format!("fallbacks[0]: {FALLBACKS}, got \"a\"")),
        ("fallbacks: a", &format!("fallbacks: {FALLBACKS}, got \"a\"")),
        ("fallbacks: [{a: [[b]]}]", &format!("fallbacks[0].a[0]: {fallback}, got a list")),
        ("fallbacks: [{a: [{max_tokens: 5}]}]", &format!("fallbacks[0].a[0]: {fallback}, got a map")),
        ("default_fallbacks: ['']", &format!("default_fallbacks[0]: {fallback}, got \"\"")),
        ("max_fallbacks: -1", "max_fallbacks: expected a whole number, not below 0, got -1"),
        ("hedging: often", "hedging: expected true or false, got \"often\""),
        ("hedging: [0.9]", "hedging: expected true, false, or {quantile: …, min_delay: …}, got a list"),
        ("hedging: {quantile: 1}", "hedging.quantile: expected a number between 0 and 1, got 1"),
        ("hedging: {min_delay: -1}", "hedging.min_delay: expected a number of seconds, not below 0, got -1"),
        ("optional_pre_call_checks: {a: b}", "optional_pre_call_checks: expected a text, got a map"),
        ("default_max_parallel_requests: 0", "default_max_parallel_requests: expected a whole number above 0, got 0"),
        ("connect_timeout: 0", "connect_timeout: expected a number of seconds above 0, got 0"),
        ("idle_timeout: 0", "idle_timeout: expected a number of seconds above 0, got 0"),
        ("max_stream_duration: x", "max_stream_duration: expected a number of seconds, got \"x\""),
        ("model_group_timeouts: [a]", "model_group_timeouts: expected a map, got a list"),
        ("model_group_timeouts: {a: 5}", "model_group_timeouts.a: expected a map, got 5"),
        (
            "model_group_timeouts: {a: {timeout: 0}}",
            "model_group_timeouts.a.timeout: expected a number of seconds above 0, got 0",
        ),
    ] {
        let text = format!("{MODELS}router_settings:\n\n  {settings}\n");
        assert_eq!(errors_of(&text, &[]), [format!("5: router_settings.{error}")], "{settings}");
    }
}

#[test]
fn a_key_that_a_map_does_not_have_is_told_with_the_one_that_was_meant() {
    for (settings, key, near) in [
        (
            "retry_policy: {RateLimitErorRetries: 3}",
            "retry_policy.RateLimitErorRetries",
            "; did you mean `RateLimitErrorRetries`?",
        ),
        (
            "retry_policy: {RateLimitErrorRetrys: 3}",
            "retry_policy.RateLimitErrorRetrys",
            "; did you mean `RateLimitErrorRetries`?",
        ),
        ("retry_budget: {percents: 3}", "retry_budget.percents", "; did you mean `percent`?"),
        ("hedging: {min_dealy: 3}", "hedging.min_dealy", "; did you mean `min_delay`?"),
        ("routing_strategy_args: {x: 3}", "routing_strategy_args.x", ""),
        ("model_group_timeouts: {a: {timeouts: 3}}", "model_group_timeouts.a.timeouts", "; did you mean `timeout`?"),
    ] {
        let report = loaded(&format!("{MODELS}router_settings: {{{settings}}}\n"), &[]).report;
        let ignored = told(&report, Severity::Ignored);
        assert_eq!(ignored, [format!("3: router_settings.{key}: unknown key{near}")], "{settings}");
    }
}
