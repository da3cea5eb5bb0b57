//! The table of paths. LiteLLM's, with every alias that its clients use.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::{manage, spend};
use crate::keys::RouteKind;
use crate::plugin::Operation;

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Home,
    Alive,
    Ready,
    Drain,
    Health,
    Router,
    Models,
    Model(String),
    ModelInfo,
    Plugins,
    ReloadConfig,
    Metrics,
    Manage(manage::Route),
    Spend(spend::Route),
    Call { operation: Operation, model: Option<String> },
}

/// What was found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Endpoint(Endpoint),
    WrongMethod { allowed: &'static str },
    Nothing,
}

impl Endpoint {
    /// Whether it answers without a key.
    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Home | Self::Alive | Self::Ready)
    }

    /// What kind of route it is, as far as keys are for some and not for others.
    pub(super) fn kind(&self) -> RouteKind {
        match self {
            Self::Call { .. } => RouteKind::Call,
            Self::Models | Self::Model(_) | Self::ModelInfo => RouteKind::Models,
            Self::Manage(route) => route.kind(),
            Self::Spend(route) => route.kind(),
            _ => RouteKind::Gateway,
        }
    }

    /// Whether it only tells, whatever the method.
    pub(super) fn only_tells(&self) -> bool {
        !matches!(self, Self::Drain | Self::ReloadConfig)
    }
}

/// A path as it may be told and logged: LiteLLM's clients name keys in some.
pub(super) fn without_keys(path: &str) -> Cow<'_, str> {
    let named = named_key(path);
    if named.is_none() && !path.split('/').any(has_key) {
        return Cow::Borrowed(path);
    }
    let hide = |part: &str| {
        let segments = part.split('/').map(|segment| if has_key(segment) { HIDDEN } else { segment });
        segments.collect::<Vec<_>>().join("/")
    };
    Cow::Owned(match named {
        Some((before, after)) => format!("{}{HIDDEN}{}", hide(before), hide(after)),
        None => hide(path),
    })
}

const HIDDEN: &str = "sk-...";

/// What stands before and after the key in `/key/{key}/regenerate` and `/key/{key}/reset_spend`, whatever it looks like:
/// it may have slashes, and no `sk-`.
fn named_key(path: &str) -> Option<(&str, &str)> {
    let end = path.strip_suffix('/').unwrap_or(path);
    let end = ["/regenerate", "/reset_spend"].iter().find_map(|what| end.strip_suffix(what))?.len();
    let key = path.find("/key/")? + "/key/".len();
    Some((path.get(..key)?, path.get(end..)?)).filter(|_| key < end)
}

/// Whether there is a key somewhere in a segment, however it is written.
fn has_key(segment: &str) -> bool {
    let mut segment = Cow::Borrowed(segment);
    loop {
        if segment.contains("sk-") {
            return true;
        }
        let decoded = percent_decode_str(&segment).decode_utf8_lossy().into_owned();
        if decoded == *segment {
            return false;
        }
        segment = Cow::Owned(decoded);
    }
}

/// What `path`, without the server's root path, stands for.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let Some((endpoint, allowed)) = administration(path).or_else(|| with_methods(endpoint(path)?)) else {
        return Found::Nothing;
    };
    // Nobody is asked for an answer that nobody sees.
    let has_head = allowed == "GET" && endpoint != Endpoint::Health;
    let fits = allowed.split(", ").any(|one| method.as_str() == one) || (has_head && method == Method::HEAD);
    if fits { Found::Endpoint(endpoint) } else { Found::WrongMethod { allowed } }
}

/// Keys, users, teams and what they spend.
fn administration(path: &str) -> Option<(Endpoint, &'static str)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let keys = || manage::find(path).map(|(route, methods)| (Endpoint::Manage(route), methods));
    keys().or_else(|| spend::find(path).map(|(route, methods)| (Endpoint::Spend(route), methods)))
}

fn with_methods(endpoint: Endpoint) -> Option<(Endpoint, &'static str)> {
    let allowed = match endpoint {
        Endpoint::Call { .. } | Endpoint::ReloadConfig => "POST",
        // It changes something, which a GET shouldn't; but a GET is what Kubernetes and LiteLLM's operators send.
        Endpoint::Drain => "GET, POST",
        _ => "GET",
    };
    Some((endpoint, allowed))
}

fn endpoint(path: &str) -> Option<Endpoint> {
    let path = match path {
        "/" => return Some(Endpoint::Home),
        path => path.strip_suffix('/').unwrap_or(path),
    };
    match path {
        "/health/liveliness" | "/health/liveness" => return Some(Endpoint::Alive),
        "/health/readiness" => return Some(Endpoint::Ready),
        "/health/drain" => return Some(Endpoint::Drain),
        "/router" => return Some(Endpoint::Router),
        "/health" => return Some(Endpoint::Health),
        "/model/info" | "/v1/model/info" => return Some(Endpoint::ModelInfo),
        "/plugins" => return Some(Endpoint::Plugins),
        "/config/reload" => return Some(Endpoint::ReloadConfig),
        "/metrics" => return Some(Endpoint::Metrics),
        _ => {}
    }
    for prefix in ["/engines/", "/openai/deployments/"] {
        if let Some(rest) = path.strip_prefix(prefix) {
            return named_model(rest);
        }
    }
    let path = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    match path.strip_prefix("/models") {
        Some("") => return Some(Endpoint::Models),
        Some(rest) => return rest.strip_prefix('/').and_then(decoded).map(Endpoint::Model),
        None => {}
    }
    let operation = operation(path.strip_prefix('/')?)?;
    Some(Endpoint::Call { operation, model: None })
}

/// `{model}/chat/completions`; a model's name may have slashes of its own.
fn named_model(rest: &str) -> Option<Endpoint> {
    OPERATIONS.iter().find_map(|(path, operation)| {
        let model = rest.strip_suffix(path)?.strip_suffix('/')?;
        Some(Endpoint::Call { operation: *operation, model: Some(decoded(model)?) })
    })
}

const OPERATIONS: [(&str, Operation); 4] = [
    ("chat/completions", Operation::ChatCompletions),
    ("completions", Operation::Completions),
    ("embeddings", Operation::Embeddings),
    ("images/generations", Operation::ImagesGenerations),
];

fn operation(path: &str) -> Option<Operation> {
    OPERATIONS.iter().find(|(known, _)| *known == path).map(|(_, operation)| *operation)
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?.into_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_leads_to_its_endpoint() {
        let chat = |model: Option<&str>| Endpoint::Call {
            operation: Operation::ChatCompletions,
            model: model.map(str::to_owned),
        };
        for (path, endpoint) in [
            ("/chat/completions", chat(None)),
            ("/v1/chat/completions", chat(None)),
            ("/v1/chat/completions/", chat(None)),
            ("/engines/gpt-4o/chat/completions", chat(Some("gpt-4o"))),
            ("/openai/deployments/openai/gpt-4o/chat/completions", chat(Some("openai/gpt-4o"))),
            ("/engines/a%2Fb%20c/chat/completions", chat(Some("a/b c"))),
            (
                "/engines/gpt-4o/completions",
                Endpoint::Call { operation: Operation::Completions, model: Some("gpt-4o".into()) },
            ),
            ("/v1/embeddings", Endpoint::Call { operation: Operation::Embeddings, model: None }),
            ("/images/generations", Endpoint::Call { operation: Operation::ImagesGenerations, model: None }),
            ("/models", Endpoint::Models),
            ("/v1/models", Endpoint::Models),
            ("/v1/models/openai/gpt-4o", Endpoint::Model("openai/gpt-4o".into())),
            ("/v1/model/info", Endpoint::ModelInfo),
            ("/health/liveliness", Endpoint::Alive),
            ("/health/readiness", Endpoint::Ready),
            ("/health/drain", Endpoint::Drain),
            ("/health/", Endpoint::Health),
            ("/router", Endpoint::Router),
            ("/plugins", Endpoint::Plugins),
            ("/config/reload", Endpoint::ReloadConfig),
            ("/metrics/", Endpoint::Metrics),
            ("/", Endpoint::Home),
        ] {
            assert_eq!(super::endpoint(path), Some(endpoint), "{path}");
        }
        for path in [
            "/v1",
            "/v1/",
            "/v2/chat/completions",
            "/chat",
            "/modelsx",
            "/engines/completions",
            "//",
            "/v1chat/completions",
        ] {
            assert_eq!(super::endpoint(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_is_told_without_the_keys_in_it() {
        for (path, told) in [
            ("/v1/chat/completions", "/v1/chat/completions"),
            ("/key/sk-secret/regenerate", "/key/sk-.../regenerate"),
            ("/root/key/sk-secret", "/root/key/sk-..."),
            ("/sk-a/b/sk-c/", "/sk-.../b/sk-.../"),
            ("/key/sk%2Dsecret/regenerate", "/key/sk-.../regenerate"),
            ("/key/%73k-secret", "/key/sk-..."),
            ("/key/%2573k-secret", "/key/sk-..."),
            ("/x=sk-secret/y", "/sk-.../y"),
            ("/key/anything%FF/regenerate", "/key/sk-.../regenerate"),
            ("/root/key/of/slashes/reset_spend/", "/root/key/sk-.../reset_spend/"),
            ("/sk-a/key/b/reset_spend", "/sk-.../key/sk-.../reset_spend"),
            ("/key/regenerate", "/key/regenerate"),
            ("/key/a%20b", "/key/a%20b"),
        ] {
            assert_eq!(without_keys(path), told);
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_one() {
        assert_eq!(find(&Method::GET, "/config/reload"), Found::WrongMethod { allowed: "POST" });
        assert_eq!(find(&Method::GET, "/chat/completions"), Found::WrongMethod { allowed: "POST" });
        assert_eq!(find(&Method::POST, "/models"), Found::WrongMethod { allowed: "GET" });
        assert_eq!(find(&Method::HEAD, "/models"), Found::Endpoint(Endpoint::Models));
        assert_eq!(find(&Method::HEAD, "/health"), Found::WrongMethod { allowed: "GET" });
        assert_eq!(find(&Method::HEAD, "/health/drain"), Found::WrongMethod { allowed: "GET, POST" });
        assert_eq!(find(&Method::POST, "/health/drain"), Found::Endpoint(Endpoint::Drain));
    }
}
