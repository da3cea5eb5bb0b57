//! Where gateways count together.

use super::*;

fn redis(text: &str, variables: &[(&str, &str)]) -> Option<Redis> {
    loaded(text, variables).config.redis
}

/// Address, user name, password and database.
fn parts(text: &str, variables: &[(&str, &str)]) -> (String, Option<String>, Option<String>, i64) {
    let redis = redis(text, variables).unwrap_or_else(|| panic!("a server is named in {text}"));
    let tls = matches!(redis.address, RedisAddress::Tcp { tls: true, .. });
    let address = format!("{}{}", if tls { "tls " } else { "" }, redis.address);
    (address, redis.username, redis.password.map(|password| password.expose().to_owned()), redis.database)
}

#[test]
fn a_server_is_named_by_its_parts_by_a_url_or_by_variables() {
    let some = |text: &str| Some(text.to_owned());
    for (text, variables, expected) in [
        ("router_settings: {redis_host: h}\n", vec![], ("h:6379", None, None, 0)),
        (
            "router_settings: {redis_host: h, redis_port: '7000', redis_password: p, redis_username: u, redis_db: 3, redis_ssl: 'True'}\n",
            vec![],
            ("tls h:7000", some("u"), some("p"), 3),
        ),
        (
            "router_settings: {redis_url: 'rediss://u:p%40x@h:7001/2', redis_host: other, redis_password: other}\n",
            vec![("REDIS_PASSWORD", "other")],
            ("tls h:7001", some("u"), some("p@x"), 2),
        ),
        ("router_settings: {redis_url: 'unix:///run/redis.sock'}\n", vec![], ("/run/redis.sock", None, None, 0)),
        ("router_settings: {redis_url: 'redis://[::1]:7002'}\n", vec![], ("[::1]:7002", None, None, 0)),
        ("{}\n", vec![("REDIS_URL", "redis://h:1")], ("h:1", None, None, 0)),
        (
            "{}\n",
            vec![
                ("REDIS_HOST", "h"),
                ("REDIS_PASSWORD", "p"),
                ("REDIS_PORT", "tcp://10.0.0.1:6379"),
                ("REDIS_SSL", "true"),
            ],
            ("tls h:6379", None, some("p"), 0),
        ),
        (
            "router_settings: {redis_host: h}\n",
            vec![("REDIS_URL", "redis://other"), ("REDIS_PASSWORD", "p")],
            ("h:6379", None, some("p"), 0),
        ),
        ("router_settings: {redis_password: p}\n", vec![("REDIS_HOST", "h")], ("h:6379", None, some("p"), 0)),
        ("general_settings: {coordination_redis: {host: h, port: 1}}\n", vec![], ("h:1", None, None, 0)),
        (
            "litellm_settings: {cache: true, cache_params: {type: redis, host: h, password: p}}\n",
            vec![],
            ("h:6379", None, some("p"), 0),
        ),
        (
            "router_settings: {redis_host: h}\nlitellm_settings: {cache: true, cache_params: {type: redis, host: other, password: other}}\n",
            vec![],
            ("h:6379", None, None, 0),
        ),
    ] {
        let (address, username, password, database) = expected;
        assert_eq!(parts(text, &variables), (address.to_owned(), username, password, database), "{text}");
    }
}

#[test]
fn without_a_server_every_gateway_counts_for_itself() {
    for text in [
        "{}\n",
        "general_settings: {fail_closed_rate_limit_enforcement: true}\n",
        "litellm_settings: {cache: false, cache_params: {type: redis, host: h}}\n",
        "litellm_settings: {cache: true, cache_params: {type: s3, host: h}}\n",
    ] {
        assert!(redis(text, &[]).is_none(), "{text}");
    }
    let Loaded { config, report } = loaded("router_settings:\n  redis_port: 6379\n", &[]);
    assert!(config.redis.is_none());
    let warning = report.of(Severity::Warning).map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(warning.contains("there is no redis_host and no redis_url: nothing is counted in Redis"), "{warning}");
}

#[test]
fn what_is_refused_without_redis_and_the_namespace_are_read() {
    let text = "router_settings: {redis_host: h}\ngeneral_settings: {fail_closed_rate_limit_enforcement: true, fail_closed_budget_enforcement: 'False'}\nai_api_settings: {redis_namespace: a-1}\n";
    let redis = redis(text, &[]).expect("a server is named");
    assert_eq!(redis.fail_closed, FailClosed { rates: true, budgets: false });
    assert_eq!(redis.namespace.as_deref(), Some("a-1"));
}

#[test]
fn what_makes_no_sense_is_an_error_that_shows_no_password() {
    for (text, variables, says) in [
        (
            "router_settings:\n  redis_url: http://:hunter2@h\n",
            vec![],
            ":2: router_settings.redis_url: expected a URL like",
        ),
        ("router_settings: {redis_url: 'rediss://:hunter2@h/#insecure'}\n", vec![], "without #insecure"),
        ("router_settings: {redis_url: 'redis://:hunter2@h/abc'}\n", vec![], "expected a URL like"),
        ("{}\n", vec![("REDIS_URL", "hunter2")], "REDIS_URL: expected a URL like"),
        (
            "router_settings: {redis_host: h, redis_port: 70000}\n",
            vec![],
            "expected a port, from 1 to 65535, got 70000",
        ),
        ("router_settings: {redis_host: h, redis_db: -1}\n", vec![], "expected the number of a database, got -1"),
        ("router_settings: {redis_host: h, redis_ssl: maybe}\n", vec![], "expected true or false"),
        ("router_settings: {redis_host: h, redis_password: [hunter2]}\n", vec![], "redis_password: expected a text"),
        ("{}\n", vec![("REDIS_HOST", "h"), ("REDIS_PORT", "x")], "REDIS_PORT: expected a port"),
        ("ai_api_settings: {redis_namespace: 'a b'}\n", vec![], "redis_namespace: expected 1 to 64 letters"),
        ("general_settings: {fail_closed_rate_limit_enforcement: 3}\n", vec![], "expected true or false"),
    ] {
        let error = load_text(text, &variables).expect_err(text).to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{text}: {error}");
    }
    let shown = format!("{:?}", redis("router_settings: {redis_url: 'redis://:hunter2@h'}\n", &[]));
    assert!(!shown.contains("hunter2"), "{shown}");
}
