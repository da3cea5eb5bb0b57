//! What a new plugin's project is made of: the examples of this repository, with another name.
//!
//! They are in the binary, so that `ai-api plugin new` needs neither a checkout nor a network. The SDK comes along as
//! source, since it is in no package registry.

use clap::ValueEnum;

/// A language that there is an example in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// With this gateway's SDK
    Rust,
    /// With componentize-py
    Python,
    /// With componentize-qjs
    #[value(alias = "js")]
    Javascript,
    /// With wit-bindgen and clang, without a C library
    C,
}

/// A file of a project.
#[derive(Debug)]
pub(super) struct Template {
    /// Where it goes, in the project.
    pub path: &'static str,
    bytes: &'static [u8],
}

/// Files of `$from`, a folder of the repository, that go to `$to`, a folder of the project.
macro_rules! templates {
    ($from:literal => $to:literal: $($path:literal)*) => {
        &[$(Template {
            path: concat!($to, $path),
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $from, $path)),
        }),*]
    };
}

const RUST: &[Template] =
    templates!("plugins/examples/rust/" => "": ".gitignore" "Cargo.lock" "Cargo.toml" "README.md" "src/lib.rs");

const PYTHON: &[Template] = templates!("plugins/examples/python/" => "":
    ".gitignore" "README.md" "app.py" "build.sh" "provider.py" "requirements.txt");

const JAVASCRIPT: &[Template] = templates!("plugins/examples/javascript/" => "":
    ".gitignore" "README.md" "build.sh" "package-lock.json" "package.json" "plugin.js");

const C: &[Template] = templates!("plugins/examples/c/" => "":
    ".gitignore" "README.md" "bindings/provider_plugin.c" "bindings/provider_plugin.h"
    "bindings/provider_plugin_component_type.o" "build.sh" "json.c" "json.h" "libc/stdlib.h" "libc/string.h"
    "memory.c" "plugin.c");

const CASES: &[Template] = templates!("plugins/examples/cases/" => "cases/":
    "chat.json" "chat_text_parts.json" "chat_without_usage.json" "error_context_window.json" "error_key.json"
    "error_no_reply.json" "error_of_a_stream.json" "error_overloaded.json" "error_rate_limited.json" "losses.json"
    "no_messages.json" "refused_image.json" "refused_tool_result.json" "stream.json" "stream_incomplete.json"
    "stream_not_json.json" "stream_trouble.json" "stream_without_words.json" "wrong_content.json" "wrong_limit.json"
    "wrong_role.json");

const WIT: &[Template] = templates!("wit/plugin-0.1.0/" => "wit/": "provider.wit");

const SDK: &[Template] = templates!("plugins/sdk/" => "sdk/":
    "Cargo.toml" "src/allocator/heap.rs" "src/allocator/mod.rs" "src/bindings.rs" "src/canonical/answer.rs"
    "src/canonical/embedding.rs" "src/canonical/message.rs" "src/canonical/mod.rs" "src/canonical/request.rs"
    "src/canonical/stream.rs" "src/failure.rs" "src/json/deserialize.rs" "src/json/fields.rs" "src/json/mod.rs"
    "src/json/number.rs" "src/json/object.rs" "src/json/parse.rs" "src/json/path.rs" "src/json/scan.rs" "src/json/text.rs"
    "src/json/value.rs" "src/json/write.rs"
    "src/lib.rs" "src/names.rs" "src/panics.rs" "src/provider.rs" "src/testing.rs");

/// The versions that the SDK inherits.
const WORKSPACE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));

/// What says Acme's name, and where the repository has the interface and the SDK.
fn replacements(name: &str) -> [(&'static str, String); 7] {
    [
        ("\"acme\"", format!("\"{name}\"")),
        ("\"acme 0.1.0\"", format!("\"{name} 0.1.0\"")),
        ("plugin-acme", format!("plugin-{name}")),
        ("acme.wasm", format!("{name}.wasm")),
        ("acme/acme-large", format!("{name}/acme-large")),
        ("../../../wit/plugin-0.1.0", "wit".to_owned()),
        ("../../sdk", "sdk".to_owned()),
    ]
}

impl Language {
    /// Every file of a project in this language.
    pub(super) fn templates(self) -> impl Iterator<Item = &'static Template> {
        let (own, more) = match self {
            Self::Rust => (RUST, SDK),
            Self::Python => (PYTHON, &[][..]),
            Self::Javascript => (JAVASCRIPT, &[][..]),
            Self::C => (C, &[][..]),
        };
        [own, more, CASES, WIT].into_iter().flatten()
    }
}

impl Template {
    /// What the project's file holds when the plugin is called `name`.
    pub(super) fn render(&self, name: &str) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(self.bytes) else { return self.bytes.to_vec() };
        let text = match self.path {
            "sdk/Cargo.toml" => standalone(text, WORKSPACE),
            "sdk/src/bindings.rs" => text.replace("../../wit/plugin-0.1.0", "../wit"),
            path if path.starts_with("sdk/") || path.starts_with("wit/") => text.to_owned(),
            _ => replacements(name).iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)),
        };
        text.into_bytes()
    }

    /// Whether it is a program.
    pub(super) fn is_executable(&self) -> bool {
        self.path.ends_with(".sh")
    }
}

/// A member's manifest with what it inherits from the workspace written out.
fn standalone(manifest: &str, workspace: &str) -> String {
    let mut text = String::new();
    // The lints are the workspace's own.
    let own = manifest.split("\n[lints]").next().unwrap_or(manifest);
    for line in own.lines() {
        let inherited = line.strip_suffix(".workspace = true").and_then(|key| {
            let prefix = format!("{key} = ");
            workspace.lines().find(|line| line.starts_with(&prefix))
        });
        text.push_str(inherited.unwrap_or(line));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    const LANGUAGES: [(Language, &str); 4] = [
        (Language::Rust, "rust"),
        (Language::Python, "python"),
        (Language::Javascript, "javascript"),
        (Language::C, "c"),
    ];

    /// Files below `folder`, without what builds leave there.
    fn files(folder: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if ["build", "target", "node_modules", "__pycache__"].contains(&name.as_str()) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if !name.ends_with(".wasm") {
                    found.insert(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found
    }

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn a_project_has_every_file_of_its_example() {
        let under = |templates: &[Template], folder: &str| -> BTreeSet<String> {
            templates.iter().map(|template| template.path.strip_prefix(folder).unwrap().to_owned()).collect()
        };
        for (templates, folder, from) in [
            (RUST, "", "plugins/examples/rust"),
            (PYTHON, "", "plugins/examples/python"),
            (JAVASCRIPT, "", "plugins/examples/javascript"),
            (C, "", "plugins/examples/c"),
            (CASES, "cases/", "plugins/examples/cases"),
            (WIT, "wit/", "wit/plugin-0.1.0"),
            (SDK, "sdk/", "plugins/sdk"),
        ] {
            assert_eq!(under(templates, folder), files(&repository().join(from)), "{from}");
        }
    }

    #[test]
    fn a_project_called_acme_is_the_example_but_for_its_paths() {
        for (language, folder) in LANGUAGES {
            for template in language.templates().filter(|template| !template.path.contains('/')) {
                let example = std::fs::read(repository().join("plugins/examples").join(folder).join(template.path));
                let Ok(example) = String::from_utf8(example.unwrap()) else { continue };
                let example = example.replace("../../../wit/plugin-0.1.0", "wit").replace("../../sdk", "sdk");
                assert_eq!(String::from_utf8(template.render("acme")).unwrap(), example, "{}", template.path);
            }
        }
    }

    #[test]
    fn a_project_of_another_name_says_that_name_and_leads_nowhere_else() {
        for (language, _) in LANGUAGES {
            let mut named = false;
            for template in language.templates() {
                let Ok(text) = String::from_utf8(template.render("my_prov-2")) else { continue };
                assert!(!text.contains("\"acme\"") && !text.contains("acme.wasm"), "{}", template.path);
                assert!(!text.contains("../../"), "{}: {text}", template.path);
                named |= text.contains("\"my_prov-2\"");
            }
            assert!(named, "{language:?}");
        }
    }

    #[test]
    fn the_sdk_inherits_nothing_when_it_stands_alone() {
        let manifest = SDK.iter().find(|template| template.path == "sdk/Cargo.toml").unwrap();
        let text = String::from_utf8(manifest.render("x")).unwrap();
        assert!(!text.contains("workspace"), "{text}");
        for line in ["name = \"ai-api-plugin-sdk\"", "testing = []", "edition = \"2024\""] {
            assert!(text.lines().any(|found| found == line), "{line} isn't in {text}");
        }
        assert!(text.contains("wit-bindgen = { version = "), "{text}");
    }
}
