//! A model's name: where it stands in the path, and what follows from its generation.

use ai_api_plugin_sdk::{Failure, FailureKind, failure};

/// A model of the Gemini API.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// `models` or `tunedModels`.
    collection: &'static str,
    /// Without its collection, as the client or the operator wrote it.
    name: String,
    /// `(2, 5)` of `gemini-2.5-pro`; none for names that don't tell, such as a tuned model's.
    generation: Option<(u32, u32)>,
}

// === impl Model ===

impl Model {
    /// Reads `gemini-2.5-pro`, `models/gemini-2.5-pro` or `tunedModels/mine`.
    ///
    /// # Errors
    /// The name can't be one path segment: it is empty, a dot segment, or has `/`, `?` and the like in it.
    pub(crate) fn parse(full: &str) -> Result<Self, Failure> {
        let (collection, name) = match full.split_once('/') {
            Some(("models", name)) => ("models", name),
            Some(("tunedModels", name)) => ("tunedModels", name),
            _ => ("models", full),
        };
        let forbidden = |c: char| matches!(c, '/' | '\\' | '?' | '#' | '%') || c.is_whitespace() || c.is_control();
        if name.is_empty() || name == "." || name == ".." || name.contains(forbidden) {
            let message = format!("The model '{full}' does not exist: that can't be the name of a Gemini model.");
            return Err(Failure {
                param: Some("model".to_owned()),
                code: Some("model_not_found".to_owned()),
                ..failure::failure(FailureKind::NotFound, message)
            });
        }
        Ok(Self { collection, name: name.to_owned(), generation: generation(name) })
    }

    /// The path of one of the model's methods: `models/gemini-2.5-pro:generateContent`.
    pub(crate) fn path(&self, method: &str) -> String {
        let mut path = format!("{}/", self.collection);
        for byte in self.name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
                _ => path.push_str(&format!("%{byte:02X}")),
            }
        }
        path.push(':');
        path.push_str(method);
        path
    }

    /// The model's resource name in a body: `models/gemini-embedding-001`.
    pub(crate) fn resource(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }

    /// Gemini 3 and later: thinking levels, ids of calls, signatures that are checked, media in tool results.
    pub(crate) fn is_3_or_newer(&self) -> bool {
        self.generation.is_some_and(|generation| generation >= (3, 0))
    }

    /// Known to be older than Gemini 3: Google's own tools go neither with functions nor with answers in JSON.
    pub(crate) fn is_before_3(&self) -> bool {
        self.generation.is_some_and(|generation| generation < (3, 0))
    }

    /// Whether it has the mode in which calls obey their schemas without being forced.
    pub(crate) fn validates_calls(&self) -> bool {
        self.generation.is_some_and(|generation| generation >= (2, 5))
    }

    /// Gemini 3.1 and later.
    pub(crate) fn is_3_1_or_newer(&self) -> bool {
        self.generation.is_some_and(|generation| generation >= (3, 1))
    }

    /// Models before 2.5 don't think. A name that doesn't tell is taken for a current model's.
    pub(crate) fn thinks(&self) -> bool {
        self.generation.is_none_or(|generation| generation >= (2, 5)) && !self.is_gemma_3()
    }

    /// Gemma 3 knows neither system instructions nor thinking.
    pub(crate) fn is_gemma_3(&self) -> bool {
        self.name.starts_with("gemma-3")
    }

    /// Whether it is one of the `pro` models, the larger ones, which can't stop thinking.
    pub(crate) fn is_pro(&self) -> bool {
        self.name.contains("-pro")
    }

    /// Whether it is one of the `flash-lite` models.
    pub(crate) fn is_flash_lite(&self) -> bool {
        self.name.contains("flash-lite")
    }
}

/// The version number in `gemini-2.5-pro`. `gemini-flash-latest` and the like have none, but all of them have been
/// beyond 3.1 since 2026.
fn generation(name: &str) -> Option<(u32, u32)> {
    if name.starts_with("gemini-") && name.ends_with("-latest") {
        return Some((3, 1));
    }
    let version = name.strip_prefix("gemini-")?.split('-').next()?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_generation_or_counts_as_current() {
        for (name, generation, thinks) in [
            ("gemini-2.0-flash", Some((2, 0)), false),
            ("gemini-2.5-pro", Some((2, 5)), true),
            ("gemini-3-pro-preview", Some((3, 0)), true),
            ("gemini-3.1-pro-preview", Some((3, 1)), true),
            ("gemini-flash-latest", Some((3, 1)), true),
            ("my-tuned-model", None, true),
            ("gemma-3-27b-it", None, false),
        ] {
            let model = Model::parse(name).unwrap();
            assert_eq!((model.generation, model.thinks()), (generation, thinks), "{name}");
        }
    }

    #[test]
    fn a_name_stays_one_path_segment() {
        for (name, path) in [
            ("gemini-2.5-pro", "models/gemini-2.5-pro:m"),
            ("models/gemini-2.5-pro", "models/gemini-2.5-pro:m"),
            ("tunedModels/my-model", "tunedModels/my-model:m"),
            ("a:countTokens", "models/a%3AcountTokens:m"),
            ("modèle", "models/mod%C3%A8le:m"),
        ] {
            assert_eq!(Model::parse(name).unwrap().path("m"), path, "{name}");
        }
        for name in
            ["", "..", ".", "a/b", "models/", "models/..", "tunedModels/a/b", "a?b", "a#b", "a%2fb", "a b", "a\\b"]
        {
            let failure = Model::parse(name).expect_err(name);
            assert_eq!(failure.kind, FailureKind::NotFound, "{name}");
        }
    }
}
