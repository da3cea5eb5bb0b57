//! Names of tools that a provider does not take, and what they are called on its wire instead.
//!
//! OpenAI's clients, and histories that another provider wrote, have dots, slashes and spaces in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::json::Text;

/// Which names a provider takes. `_` must be allowed everywhere: it stands for what isn't.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Whether a name may begin with this character, which must be ASCII.
    pub may_begin: fn(char) -> bool,
    /// Whether a name may go on with this character, which must be ASCII.
    pub may_follow: fn(char) -> bool,
    /// How many characters a name has at most.
    pub max_length: usize,
}

/// Which names are called something else on the wire. Most requests have none.
#[derive(Clone, Debug)]
pub struct Names {
    rule: Rule,
    taken: BTreeSet<String>,
    /// The wire's name by the client's.
    wire: BTreeMap<String, String>,
    /// The client's name by the wire's.
    client: BTreeMap<String, String>,
}

impl Rule {
    fn takes(&self, name: &str) -> bool {
        name.len() <= self.max_length
            && name.starts_with(self.may_begin)
            && name.chars().skip(1).all(|c| (self.may_follow)(c))
    }

    fn sanitised(&self, name: &str) -> String {
        // What can follow but not begin is kept behind a `_`.
        let prefix = if name.starts_with(|c| (self.may_begin)(c) || !(self.may_follow)(c)) { "" } else { "_" };
        let good = name.chars().map(|c| if (self.may_follow)(c) { c } else { '_' });
        prefix.chars().chain(good).take(self.max_length).collect()
    }
}

impl Names {
    /// Finds a name on the wire for each of `names`. Good ones stay what they are.
    pub fn new<'a>(rule: Rule, names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let taken = names.clone().filter(|name| rule.takes(name)).map(str::to_owned).collect();
        let mut all = Self { rule, taken, wire: BTreeMap::new(), client: BTreeMap::new() };
        for name in names.filter(|name| !rule.takes(name)) {
            if !all.wire.contains_key(name) {
                let wire = all.add(&rule.sanitised(name));
                all.wire.insert(name.to_owned(), wire.clone());
                all.client.insert(wire, name.to_owned());
            }
        }
        all
    }

    /// The same for names that nothing is added to later: where all are good, there is nothing to remember.
    pub fn of<'a>(rule: Rule, names: impl Iterator<Item = &'a str> + Clone) -> Self {
        if names.clone().all(|name| rule.takes(name)) {
            Self::new(rule, std::iter::empty())
        } else {
            Self::new(rule, names)
        }
    }

    /// Takes `name`, or the first of `name_2`, `name_3` … that is free.
    pub fn add(&mut self, name: &str) -> String {
        let mut wire = name.to_owned();
        let mut count = 1_u32;
        while !self.taken.insert(wire.clone()) {
            count = count.saturating_add(1);
            let suffix = format!("_{count}");
            let room = self.rule.max_length.saturating_sub(suffix.len());
            wire = name.chars().take(room).collect::<String>() + &suffix;
        }
        wire
    }

    /// What the client's `name` is called on the wire.
    pub fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.wire.get(name).map_or(name, String::as_str)
    }

    /// What the client calls the wire's `name`.
    pub fn client<'a>(&'a self, name: &'a str) -> &'a str {
        self.client.get(name).map_or(name, String::as_str)
    }

    /// The client's `name` as it is called on the wire.
    pub fn to_wire<'a>(&self, name: Text<'a>) -> Text<'a> {
        self.wire.get(name.as_str()).map_or(name, |wire| wire.clone().into())
    }

    /// The wire's `name` as the client calls it.
    pub fn to_client<'a>(&self, name: Text<'a>) -> Text<'a> {
        self.client.get(name.as_str()).map_or(name, |client| client.clone().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { may_begin: is_allowed, may_follow: is_allowed, max_length: 128 };

    fn is_allowed(c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_' || c == '-'
    }

    #[test]
    fn bad_names_are_replaced_and_found_again_and_never_collide() {
        let names = Names::new(RULE, ["a/b.c", "a.b/c", "a_b_c", "ok", "", "a/b.c"].into_iter());
        let wire: Vec<&str> = ["a_b_c", "a/b.c", "a.b/c", "ok", ""].map(|name| names.wire(name)).to_vec();
        assert_eq!(wire, ["a_b_c", "a_b_c_2", "a_b_c_3", "ok", "_"]);
        for name in ["a_b_c", "a/b.c", "a.b/c", "ok", ""] {
            assert_eq!(names.client(names.wire(name)), name);
        }
    }

    #[test]
    fn a_long_name_is_cut_and_its_suffix_still_fits() {
        let (one, two) = ("x".repeat(200), "x".repeat(201));
        let names = Names::new(RULE, [one.as_str(), two.as_str()].into_iter());
        assert_eq!(names.wire(&one).len(), 128);
        assert_eq!(names.wire(&two).len(), 128);
        assert_ne!(names.wire(&one), names.wire(&two));
    }

    #[test]
    fn what_may_follow_but_not_begin_is_kept_behind_an_underscore() {
        let may_begin = |c: char| c.is_ascii_alphabetic() || c == '_';
        let rule = Rule { may_begin, may_follow: is_allowed, max_length: 8 };
        for (name, wire) in [("2nd", "_2nd"), ("-", "_-"), ("é", "_"), ("/a", "_a"), ("12345678", "_1234567")] {
            let names = Names::new(rule, [name].into_iter());
            assert_eq!((names.wire(name), names.client(wire)), (wire, name), "{name}");
        }
    }
}
