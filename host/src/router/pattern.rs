//! Model names with `*` in them.

use std::cmp::Reverse;

/// A model name in which each `*` stands for any text, also none.
///
/// LiteLLM matches such names as prefixes (`re.match`), so that `claude-*-beta` takes `claude-x-beta-y` too; here the
/// whole name must match, which is what people mean by it.
#[derive(Debug)]
pub(super) struct Pattern {
    parts: Vec<String>,
}

impl Pattern {
    /// The pattern in `name`, which has a `*`.
    pub(super) fn new(name: &str) -> Self {
        Self { parts: name.split('*').map(str::to_owned).collect() }
    }

    /// Longer patterns, and of these the ones with fewer stars, are tried first; the text decides between equals.
    pub(super) fn specificity(&self) -> (usize, Reverse<usize>, &[String]) {
        let length = self.parts.iter().map(String::len).sum::<usize>() + self.parts.len() - 1;
        (length, Reverse(self.parts.len()), &self.parts)
    }

    /// What each `*` stands for in `name`, if it matches.
    pub(super) fn matches<'a>(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let (first, rest) = self.parts.split_first()?;
        let (last, middle) = rest.split_last()?;
        let mut text = name.strip_prefix(first.as_str())?;
        let mut stars = Vec::with_capacity(rest.len());
        for part in middle {
            let (star, after) = text.split_once(part.as_str())?;
            stars.push(star);
            text = after;
        }
        stars.push(text.strip_suffix(last.as_str())?);
        Some(stars)
    }
}

/// Whether `pattern`, in which each `*` stands for any text, also none, is `name`. Like `Pattern::matches`, for whoever
/// asks once and doesn't want to know what the stars stand for.
pub fn covers(pattern: &str, name: &str) -> bool {
    let Some((first, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some((_, left)) = name.split_once(part) else { return false };
        (name, rest) = (left, after);
    }
    name.ends_with(rest)
}

/// Puts what the stars stood for into `model`, in order; a star too many stands for the last one again.
pub(super) fn fill(model: &str, stars: &[&str]) -> String {
    let mut filled = String::with_capacity(model.len() + 32);
    let mut parts = model.split('*');
    filled.push_str(parts.next().unwrap_or_default());
    for (index, part) in parts.enumerate() {
        filled.push_str(stars.get(index).or(stars.last()).copied().unwrap_or_default());
        filled.push_str(part);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, stars) in [
            ("openai/*", "openai/gpt-4o", Some(vec!["gpt-4o"])),
            ("openai/*", "anthropic/x", None),
            ("*", "anything/at:all", Some(vec!["anything/at:all"])),
            ("claude-*-beta", "claude-x-beta", Some(vec!["x"])),
            ("claude-*-beta", "claude-x-beta-y", None),
            ("a*b*c", "a1b2c", Some(vec!["1", "2"])),
            ("a*", "a", Some(vec![""])),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), stars, "{pattern} {name}");
            assert_eq!(covers(pattern, name), stars.is_some(), "{pattern} {name}");
        }
    }

    #[test]
    fn a_name_without_a_star_is_only_itself() {
        for (pattern, name, is_it) in [("a", "a", true), ("a", "ab", false), ("", "", true), ("ab*ba", "aba", false)] {
            assert_eq!(covers(pattern, name), is_it, "{pattern} {name}");
        }
    }

    #[test]
    fn what_a_star_stood_for_goes_into_the_model() {
        assert_eq!(fill("*", &["gpt-4o"]), "gpt-4o");
        assert_eq!(fill("fixed", &["gpt-4o"]), "fixed");
        assert_eq!(fill("x-*-*", &["1", "2"]), "x-1-2");
    }
}
