//! Names that Anthropic does not take, and what they are called on the wire instead.
//!
//! Tools and calls must match `^[a-zA-Z0-9_-]{1,128}$`:
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use>. OpenAI's clients, and
//! histories that another provider wrote, have dots and slashes in them.

use std::collections::HashSet;

const MAX_LENGTH: usize = 128;

/// Which names are called something else on the wire. Most requests have none.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The client's name and the wire's.
    renamed: Vec<(String, String)>,
}

impl Names {
    /// Finds a name on the wire for each of `names`. Good ones stay what they are.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let taken = names.clone().filter(|name| is_good(name)).map(str::to_owned).collect();
        let mut all = Self { taken, renamed: Vec::new() };
        for name in names.filter(|name| !is_good(name)) {
            if all.renamed.iter().all(|(client, _)| client != name) {
                let wire = all.add(&sanitised(name));
                all.renamed.push((name.to_owned(), wire));
            }
        }
        all
    }

    /// Takes `name`, or the first of `name_2`, `name_3` … that is free.
    pub(crate) fn add(&mut self, name: &str) -> String {
        let mut wire = name.to_owned();
        let mut count = 1;
        while !self.taken.insert(wire.clone()) {
            count += 1;
            let suffix = format!("_{count}");
            wire = name.chars().take(MAX_LENGTH - suffix.len()).collect::<String>() + &suffix;
        }
        wire
    }

    /// What the client's `name` is called on the wire.
    pub(crate) fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.renamed.iter().find(|(client, _)| client == name).map_or(name, |(_, wire)| wire)
    }

    /// What the client calls the wire's `name`.
    pub(crate) fn client<'a>(&'a self, name: &'a str) -> &'a str {
        self.renamed.iter().find(|(_, wire)| wire == name).map_or(name, |(client, _)| client)
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_good(name: &str) -> bool {
    (1..=MAX_LENGTH).contains(&name.len()) && name.chars().all(is_allowed)
}

fn sanitised(name: &str) -> String {
    let good: String = name.chars().take(MAX_LENGTH).map(|c| if is_allowed(c) { c } else { '_' }).collect();
    if good.is_empty() { "_".to_owned() } else { good }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_replaced_and_found_again_and_never_collide() {
        let names = Names::new(["a/b.c", "a.b/c", "a_b_c", "ok", "", "a/b.c"].into_iter());
        let wire: Vec<&str> = ["a_b_c", "a/b.c", "a.b/c", "ok", ""].map(|name| names.wire(name)).to_vec();
        assert_eq!(wire, ["a_b_c", "a_b_c_2", "a_b_c_3", "ok", "_"]);
        for name in ["a_b_c", "a/b.c", "a.b/c", "ok", ""] {
            assert_eq!(names.client(names.wire(name)), name);
        }
    }

    #[test]
    fn a_long_name_is_cut_and_its_suffix_still_fits() {
        let (one, two) = ("x".repeat(200), "x".repeat(201));
        let names = Names::new([one.as_str(), two.as_str()].into_iter());
        assert_eq!(names.wire(&one).len(), 128);
        assert_eq!(names.wire(&two).len(), 128);
        assert_ne!(names.wire(&one), names.wire(&two));
    }
}
