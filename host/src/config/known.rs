//! Every key of LiteLLM's configuration by name, and what becomes of it here.

use super::at::At;
use super::known_keys as table;
use super::report::{Report, Severity};
use crate::prices::Rate;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// It does what it should; the text adds something, or is empty.
    Honoured(&'static str),
    /// Accepted; there is nothing for it to do, because …
    NoEffect(&'static str),
    /// Not supported yet; the text is a whole sentence.
    NotYet(&'static str),
    /// Not supported yet, and that may let through what the operator meant to stop.
    Unguarded(&'static str),
    /// It names Python code.
    Python,
}

/// A map with keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Top,
    Model,
    LitellmParams,
    ModelInfo,
    General,
    Litellm,
    Router,
    AiApi,
    Credential,
}

/// Rows of a table: what becomes of these keys.
pub(super) type Rows = &'static [(Support, &'static str)];

// === impl Support ===

impl Support {
    /// Tells of the key `at`.
    pub(super) fn report(self, at: &At<'_>, report: &mut Report) {
        let (severity, message) = match self {
            Self::Honoured(note) => (Severity::Honoured, note.to_owned()),
            Self::NoEffect(why) => (Severity::Ignored, format!("accepted without effect: {why}")),
            Self::NotYet(what) => (Severity::Ignored, what.to_owned()),
            Self::Unguarded(what) => (Severity::Warning, format!("not applied: {what}")),
            Self::Python => {
                (Severity::Ignored, "Python code can't run here; plugins are WebAssembly components".to_owned())
            }
        };
        // `key:` without a value, or with an unset variable, asks for nothing.
        if !(at.node.is_none() && matches!(self, Self::Honoured(_) | Self::Unguarded(_))) {
            report.add(severity, at.place(), at.path.clone(), message);
        }
    }
}

// === impl Section ===

impl Section {
    fn rows(self) -> Rows {
        match self {
            Self::Top => table::TOP,
            Self::Model => table::MODEL,
            Self::LitellmParams => table::LITELLM_PARAMS,
            Self::ModelInfo => table::MODEL_INFO,
            Self::General => table::GENERAL,
            Self::Litellm => table::LITELLM,
            Self::Router => table::ROUTER,
            Self::AiApi => table::AI_API,
            Self::Credential => table::CREDENTIAL,
        }
    }

    fn keys(self) -> impl Iterator<Item = &'static str> {
        self.rows().iter().flat_map(|(_, keys)| keys.split(' '))
    }
}

/// What becomes of a key; `None` when LiteLLM doesn't know it either.
pub(super) fn lookup(section: Section, key: &str) -> Option<Support> {
    // LiteLLM's names of prices are too many for a table.
    if matches!(section, Section::LitellmParams | Section::ModelInfo) && Rate::is_name(key) {
        return Some(Support::Honoured(""));
    }
    let listed =
        section.rows().iter().find(|(_, keys)| keys.split(' ').any(|known| known == key)).map(|(support, _)| *support);
    listed.or_else(|| match section {
        Section::LitellmParams => table::LITELLM_PARAMS_BY_PREFIX
            .iter()
            .find(|(prefix, _)| key.starts_with(prefix))
            .map(|(_, support)| *support),
        _ => None,
    })
}

/// The key of this section that `key` is most likely a misspelling of; else one of another section,
/// where it would be honoured.
pub(super) fn misspelt(section: Section, key: &str) -> Option<String> {
    if let Some(near) = nearest(key, section.keys()) {
        return Some(near.to_owned());
    }
    [
        (Section::General, "general_settings"),
        (Section::Litellm, "litellm_settings"),
        (Section::Router, "router_settings"),
    ]
    .into_iter()
    .find(|(other, _)| *other != section && other.keys().any(|known| known == key))
    .map(|(_, name)| format!("{name}.{key}"))
}

/// Whether APIs have a request parameter of this name.
pub(super) fn is_request_parameter(key: &str) -> bool {
    [table::REQUEST_PARAMS, table::TOKEN_PARAMS].iter().any(|list| list.split(' ').any(|known| known == key))
}

/// The parameter with a meaning of its own that `key` is most likely a misspelling of.
pub(super) fn misspelt_parameter(key: &str) -> Option<&'static str> {
    if table::REQUEST_PARAMS.split(' ').any(|known| known == key) {
        return None;
    }
    nearest(key, Section::LitellmParams.keys().chain(table::REQUEST_PARAMS.split(' ')))
}

/// The one of `known` that `text` differs from by a slip of the fingers: a letter in four at most.
pub(super) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&lower, &name.to_ascii_lowercase());
    let (distance, name) = known.map(|name| (distance(name), name)).min()?;
    (distance > 0 && distance * 4 <= text.len())
        .then_some(name)
        .or_else(|| (distance == 0 && text != name).then_some(name))
}

/// Every key that has an effect.
#[cfg(test)]
pub(super) fn honoured_keys() -> impl Iterator<Item = &'static str> {
    let rows = [
        table::TOP,
        table::MODEL,
        table::LITELLM_PARAMS,
        table::MODEL_INFO,
        table::GENERAL,
        table::LITELLM,
        table::ROUTER,
        table::AI_API,
    ];
    rows.into_iter()
        .flatten()
        .filter(|(support, _)| matches!(support, Support::Honoured(_)))
        .flat_map(|(_, keys)| keys.split(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Section; 9] = [
        Section::Top,
        Section::Model,
        Section::LitellmParams,
        Section::ModelInfo,
        Section::General,
        Section::Litellm,
        Section::Router,
        Section::AiApi,
        Section::Credential,
    ];

    #[test]
    fn no_key_is_in_a_table_twice() {
        for section in ALL {
            let mut keys: Vec<_> = section.keys().collect();
            keys.sort_unstable();
            let twice: Vec<_> = keys.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.is_empty(), "{section:?}: {twice:?}");
        }
    }

    #[test]
    fn a_slip_of_the_fingers_is_recognised() {
        for (section, key, near) in [
            (Section::Top, "modle_list", Some("model_list")),
            (Section::Top, "general_setting", Some("general_settings")),
            (Section::General, "masterkey", Some("master_key")),
            (Section::General, "Master_Key", Some("master_key")),
            (Section::Litellm, "drop_param", Some("drop_params")),
            (Section::General, "drop_params", Some("litellm_settings.drop_params")),
            (Section::Router, "colour", None),
        ] {
            assert_eq!(misspelt(section, key).as_deref(), near, "{key}");
        }
        for (key, near) in [
            ("api_bse", Some("api_base")),
            ("temprature", Some("temperature")),
            ("top_p", None),
            ("seed", None),
            ("my_own", None),
        ] {
            assert_eq!(misspelt_parameter(key), near, "{key}");
        }
    }
}
