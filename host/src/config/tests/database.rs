//! Where the database is, as operators say it.

use std::time::Duration;

use super::*;
use crate::config::{StorePlace, StoreSettings, Where};

fn settings(text: &str, variables: &[(&str, &str)]) -> StoreSettings {
    loaded(text, variables).config.store
}

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    load_text(text, variables).map(|_| ()).expect_err(text).to_string()
}

fn general(line: &str) -> String {
    format!("general_settings:\n  {line}\n")
}

fn shown(place: &StorePlace) -> String {
    match place {
        StorePlace::None => "none".to_owned(),
        StorePlace::Default(file) => format!("default {}", file.file_name().unwrap_or_default().display()),
        StorePlace::Named(Where::File(file)) => format!("file {}", file.display()),
        StorePlace::Named(Where::Server(url)) => format!("server {}", url.expose()),
        StorePlace::Unset(variable) => format!("unset {variable}"),
    }
}

#[test]
fn a_database_is_where_the_first_of_them_says_that_speaks() {
    let url = "database_url: postgres://u:p@db/x";
    for (line, variables, place) in [
        ("", &[][..], "default ai-api.db"),
        (url, &[], "server postgres://u:p@db/x"),
        ("database_url: none", &[("DATABASE_URL", "postgresql://u@h/y")], "none"),
        ("database_url: null", &[("DATABASE_URL", "postgresql://u@h/y")], "server postgresql://u@h/y"),
        ("database_url: sqlite:///data/a%20b.db", &[], "file /data/a b.db"),
        (url, &[("AI_API_DATABASE", "sqlite:////data/keys.db")], "file //data/keys.db"),
        (url, &[("AI_API_DATABASE", "none")], "none"),
        ("database_url: os.environ/MY_DATABASE", &[], "unset MY_DATABASE"),
        ("database_url: os.environ/MY_DATABASE", &[("MY_DATABASE", "none")], "none"),
    ] {
        let text = if line.is_empty() { "{}".to_owned() } else { general(line) };
        assert_eq!(shown(&settings(&text, variables).place), place, "{line} {variables:?}");
    }
    let StorePlace::Named(Where::File(file)) = settings(&general("database_url: sqlite://keys.db"), &[]).place else {
        panic!("it is a file")
    };
    assert!(file.is_absolute() && file.ends_with("keys.db"), "beside the configuration: {}", file.display());
}

#[test]
fn what_is_no_database_is_an_error_that_does_not_show_it() {
    for url in ["mysql://u:hunter2@h/x", "hunter2", "sqlite://", "sqlite:///folder/", "postgres://u:hunter2@h:x/"] {
        let error = refused(&general(&format!("database_url: {url}")), &[]);
        assert!(error.contains("2: general_settings.database_url: expected postgresql://"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let error = refused("{}", &[("DATABASE_URL", url)]);
        assert!(error.contains("DATABASE_URL: expected postgresql://") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_kept_of_calls_and_how_long_is_said_in_litellms_words() {
    let plain = settings("{}", &[]);
    assert!(plain.rows && plain.error_rows && plain.sums && !plain.prompts);
    assert_eq!((plain.connections, plain.connection_timeout.as_secs(), plain.retention), (10, 60, None));

    let text = "general_settings: {disable_spend_logs: true, disable_error_logs: true, disable_spend_updates: true, \
                store_prompts_in_spend_logs: true, \
                database_connection_pool_limit: 3, database_connection_timeout: 5, \
                maximum_spend_logs_retention_period: 2w, maximum_spend_logs_retention_interval: '90'}";
    let said = settings(text, &[]);
    assert!(!said.rows && !said.error_rows && !said.sums && said.prompts);
    assert_eq!((said.connections, said.connection_timeout.as_secs()), (3, 5));
    assert_eq!(said.retention, Some(Duration::from_secs(14 * 86_400)));
    assert_eq!(said.retention_interval, Duration::from_secs(90));

    for span in ["soon", "3y", "0d", "-1d", "1.5h", "d", "99999999999999999999d"] {
        let error = refused(&general(&format!("maximum_spend_logs_retention_period: '{span}'")), &[]);
        assert!(error.contains("expected a time like 30d"), "{span}: {error}");
    }
}
