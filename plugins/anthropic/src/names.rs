//! Names that Anthropic takes: `^[a-zA-Z0-9_-]{1,128}$`, for tools and for ids of calls.
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use>

use std::collections::BTreeSet;

use ai_api_plugin_sdk::json::Text;
use ai_api_plugin_sdk::names::{Names, Rule};

/// What tools and calls may be called.
pub(crate) const RULE: Rule = Rule { may_begin: is_allowed, may_follow: is_allowed, max_length: 128 };

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// What the client's tools are called on the wire.
#[derive(Debug)]
pub(crate) struct ToolNames {
    names: Names,
    /// The client's name, which a tool of Anthropic's own has on the wire, and the wire's.
    moved: Vec<(String, String)>,
}

impl ToolNames {
    /// Finds a name for each of `names`. Those of `moved`, which are among them, get another one.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str> + Clone, moved: &BTreeSet<&str>) -> Self {
        let mut names = Names::new(RULE, names);
        let moved = moved.iter().map(|name| ((*name).to_owned(), names.add(name))).collect();
        Self { names, moved }
    }

    /// Takes `name` for a tool that isn't the client's, or one like it that is free.
    pub(crate) fn add(&mut self, name: &str) -> String {
        self.names.add(name)
    }

    /// What the client's `name` is called on the wire.
    pub(crate) fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        let moved = self.moved.iter().find(|(client, _)| client == name);
        moved.map_or_else(|| self.names.wire(name), |(_, wire)| wire)
    }

    /// The client's `name` as it is called on the wire.
    pub(crate) fn to_wire<'a>(&self, name: Text<'a>) -> Text<'a> {
        match self.moved.iter().find(|(client, _)| *client == *name) {
            Some((_, wire)) => wire.clone().into(),
            None => self.names.to_wire(name),
        }
    }

    /// The wire's `name` as the client calls it.
    pub(crate) fn to_client<'a>(&self, name: Text<'a>) -> Text<'a> {
        match self.moved.iter().find(|(_, wire)| *wire == *name) {
            Some((client, _)) => client.clone().into(),
            None => self.names.to_client(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_anthropics_own_is_moved_and_found_again() {
        let names = ToolNames::new(["web_search", "web_search_2", "a.b"].into_iter(), &BTreeSet::from(["web_search"]));
        assert_eq!(names.wire("web_search"), "web_search_3");
        for name in ["web_search", "web_search_2", "a.b", "other"] {
            assert_eq!(names.to_client(names.wire(name).into()), *name);
        }
        assert_eq!(names.wire("a.b"), "a_b");
        assert_eq!(names.to_wire("a.b".into()), "a_b");
        assert_eq!(names.to_wire("web_search".into()), "web_search_3");
        assert_eq!(names.to_client("web_search".into()), "web_search");
    }
}
