//! Puts the tables into a document that people write.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Replaces what is between the markers.
pub(super) fn replace(file: &Path, tables: &str) -> Result<()> {
    let old = fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    let new = between(&old, tables).with_context(|| format!("{} lacks the lines {BEGIN} and {END}", file.display()))?;
    fs::write(file, new).with_context(|| format!("{} can't be written", file.display()))
}

fn between(document: &str, tables: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", tables.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nMore.\n");
        let once = between(&document, "new\n").unwrap();
        assert_eq!(once, format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nMore.\n"));
        assert_eq!(between(&once, "new\n").unwrap(), once);
    }

    #[test]
    fn a_document_without_markers_is_left_alone() {
        for document in ["", BEGIN, END, "<!-- bench:end --> <!-- bench:begin -->"] {
            assert_eq!(between(document, "new"), None);
        }
    }
}
