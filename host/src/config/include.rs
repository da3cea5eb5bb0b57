//! Reads a configuration file and those it includes, into one tree.
//!
//! LiteLLM's rules (`proxy/common_utils/config_includes.py`): breadth first; a path is relative to the
//! file that names it, else to the folder of the first file; lists are appended, of other keys the
//! included file's value counts.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::node::{Entries, Node, Place, Value};
use super::report::{Report, Severity};
use super::yaml;
use crate::file;

/// No configuration that somebody wrote is longer.
const MAX_BYTES: u64 = 16 << 20;
const MINIMAL: &str = "a minimal one is:  model_list: [{model_name: gpt-4o-mini, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}}]";

/// One tree from all files, and the files' names in the order of reading.
pub(super) struct Tree {
    pub root: Node,
    pub files: Vec<Arc<str>>,
    /// Where they are, those that could not be read too.
    pub paths: Vec<PathBuf>,
}

/// A file still to be merged in.
struct Pending {
    path: PathBuf,
    /// The files that led to it, to notice a circle.
    ancestors: Vec<PathBuf>,
    /// Where it is named.
    place: Place,
    key: String,
}

/// Reads `path` and everything that it includes. `Err` when `path` itself can't be read; all else is
/// in the report.
pub(super) fn read(path: &Path, report: &mut Report) -> io::Result<Tree> {
    let text = file::read_text(path, MAX_BYTES)?;
    let name: Arc<str> = path.display().to_string().into();
    let mut tree = Tree { root: parse_root(&text, &name, report), files: vec![name], paths: vec![path.to_owned()] };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut queue = VecDeque::new();
    let mut seen = vec![identity(path)];
    enqueue(&mut tree.root, path, folder, Vec::new(), &mut queue, report);
    while let Some(pending) = queue.pop_front() {
        include(pending, folder, &mut tree, &mut seen, &mut queue, report);
    }
    Ok(tree)
}

/// Parses the text of the only, or of the first file. What is no map of keys is an error.
pub(super) fn parse_root(text: &str, name: &Arc<str>, report: &mut Report) -> Node {
    let place = Place { file: name.clone(), line: 0 };
    match yaml::parse(text, name) {
        Ok(node) if matches!(node.value, Value::Map(_)) => return node,
        Ok(node) if node.is_none() => report.error(&place, "", format!("this configuration is empty; {MINIMAL}")),
        Ok(_) => report.error(&place, "", format!("expected keys such as model_list: at the top; {MINIMAL}")),
        Err(error) => report.error(&Place { line: error.line, ..place.clone() }, "", error.message),
    }
    Node { value: Value::Map(Entries::new()), ..Node::absent(place) }
}

fn include(
    pending: Pending,
    folder: &Path,
    tree: &mut Tree,
    seen: &mut Vec<PathBuf>,
    queue: &mut VecDeque<Pending>,
    report: &mut Report,
) {
    let Pending { path, ancestors, place, key } = pending;
    let this = identity(&path);
    if ancestors.contains(&this) {
        return report.error(&place, key, format!("{} includes itself, by way of this file", path.display()));
    }
    if seen.contains(&this) {
        return report.warn(&place, key, format!("{} was included before; it is not read again", path.display()));
    }
    tree.paths.push(path.clone());
    let text = match file::read_text(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(error) => return report.error(&place, key, format!("can't read {}: {error}", path.display())),
    };
    seen.push(this);
    let name: Arc<str> = path.display().to_string().into();
    let mut included = parse_root(&text, &name, report);
    tree.files.push(name);
    enqueue(&mut included, &path, folder, ancestors, queue, report);
    merge(&mut tree.root, included, report);
}

/// Takes `include:` out of a file and queues what it names.
fn enqueue(
    node: &mut Node,
    file: &Path,
    folder: &Path,
    mut ancestors: Vec<PathBuf>,
    queue: &mut VecDeque<Pending>,
    report: &mut Report,
) {
    ancestors.push(identity(file));
    let Value::Map(entries) = &mut node.value else { return };
    let Some(index) = entries.iter().position(|(key, _)| key == "include") else { return };
    let (_, list) = entries.remove(index);
    if !matches!(list.value, Value::List(_) | Value::Null) {
        report.error(&list.place, "include", "expected a list of paths");
    }
    for (index, item) in list.items().iter().enumerate() {
        let key = format!("include[{index}]");
        match &item.value {
            Value::Text(text) => {
                let path = find(Path::new(text), file, folder);
                report.add(Severity::Honoured, &item.place, key.clone(), "");
                queue.push_back(Pending { path, ancestors: ancestors.clone(), place: item.place.clone(), key });
            }
            _ => report.error(&item.place, key, "expected a path"),
        }
    }
}

fn find(path: &Path, declaring: &Path, folder: &Path) -> PathBuf {
    let beside = declaring.parent().unwrap_or(Path::new("")).join(path);
    if beside.exists() || !folder.join(path).exists() { beside } else { folder.join(path) }
}

/// One name for one file, whatever path leads to it.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn merge(root: &mut Node, included: Node, report: &mut Report) {
    let (Value::Map(into), Value::Map(from)) = (&mut root.value, included.value) else { return };
    for (key, node) in from {
        let Some((_, old)) = into.iter_mut().find(|(name, _)| *name == key) else {
            into.push((key, node));
            continue;
        };
        match (&mut old.value, node.value) {
            (Value::List(items), Value::List(more)) => items.extend(more),
            (_, value) => {
                let message =
                    format!("replaces the whole `{key}` of {}:{}, as LiteLLM has it", old.place.file, old.place.line);
                report.warn(&node.place, key, message);
                *old = Node { value, ..Node::absent(node.place) };
            }
        }
    }
}
