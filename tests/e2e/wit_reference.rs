//! `docs/wit-reference.md` says what the WIT's comments say: it is written from them.

use std::path::Path;

use wit_bindgen_core::{Files, wit_parser::Resolve};

const FILE: &str = "docs/wit-reference.md";
const INTRODUCTION: &str = "<!-- Written by tests/e2e/wit_reference.rs from wit/plugin-0.1.0: don't edit it by hand. -->\n\n\
     *The plugin interface, item by item. How to write a plugin: [plugins.md](plugins.md).*\n\n";

#[test]
fn the_reference_is_what_the_wit_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the project");
    let reference = reference(&root.join("wit/plugin-0.1.0"));

    if std::env::var_os("UPDATE_WIT_REFERENCE").is_some() {
        std::fs::write(root.join(FILE), &reference).expect("the docs can be written");
    }
    let written = std::fs::read_to_string(root.join(FILE)).unwrap_or_default();
    assert!(
        written == reference,
        "{FILE} is out of date: run `UPDATE_WIT_REFERENCE=1 cargo test -p ai-api-e2e wit_reference`"
    );
}

fn reference(folder: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).expect("the WIT is right");
    let world = resolve.select_world(&[package], None).expect("there is one world");
    let mut files = Files::default();
    let mut generator = wit_bindgen_markdown::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files).expect("the WIT can be rendered");
    let markdown = files.iter().find(|(name, _)| name.ends_with(".md")).map(|(_, text)| text).expect("it is Markdown");
    let text = String::from_utf8_lossy(markdown);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{INTRODUCTION}{}\n", lines.join("\n").trim_end())
}
