//! Tag routing, by LiteLLM's rules (`router_strategy/tag_based_routing.py`).
//!
//! - A tagged request goes to deployments with one of its tags (`tag_filtering_match_any`), or with all of them.
//! - Where none has, it goes to those tagged `default`, but only if no deployment of the group knows any of its tags.
//! - An untagged request goes to those tagged `default`, and to all where there are none.
//! - `!tag` keeps a request from deployments with that tag, and `&tag` is one that a deployment must have.
//!
//! LiteLLM judges by the deployments that are healthy at the moment; this does by all of the group, so that a tagged
//! deployment that cools down is told as cooling down and not as forbidden.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::canonical::RequestBody;
use crate::config::routing::TagMatch;

/// The tag of deployments for requests without tags.
const DEFAULT: &str = "default";

/// The tags of a request, each list sorted and without repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestTags {
    /// `&tag`
    required: Vec<String>,
    /// `tag`
    wanted: Vec<String>,
    /// `!tag`
    excluded: Vec<String>,
}

/// Which deployments of one group may serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    tags: &'a RequestTags,
    matching: TagMatch,
    pool: Pool,
}

/// Which deployments of a group are meant, apart from those that are excluded or lack a required tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    All,
    Default,
    Wanted,
    None,
}

// === impl RequestTags ===

impl RequestTags {
    /// Reads the tags of a request: its body's `tags`, else those of its `x-litellm-tags` headers, and its
    /// `metadata.tags` too. Anything that is no text is no tag.
    pub fn read<'h>(body: &RequestBody, headers: impl Iterator<Item = &'h str>) -> Self {
        #[derive(Deserialize)]
        struct Metadata {
            tags: Option<Json>,
        }
        let mut tags = Self::default();
        match body.typed::<Vec<Json>>("tags", "an array of strings") {
            Ok(Some(list)) => tags.add_all(&list),
            _ => headers.flat_map(|value| value.split(',')).for_each(|tag| tags.add(tag.trim())),
        }
        if let Ok(Some(Metadata { tags: Some(Json::Array(list)) })) = body.typed("metadata", "an object") {
            tags.add_all(&list);
        }
        for list in [&mut tags.required, &mut tags.wanted, &mut tags.excluded] {
            list.sort_unstable();
            list.dedup();
        }
        tags
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.wanted.is_empty() && self.excluded.is_empty()
    }

    /// What these tags mean for a group; `group` has the tags of each of its deployments that isn't blocked. It is worked
    /// out once for a call and a group.
    pub fn rule<'g>(&self, group: impl Iterator<Item = &'g [String]> + Clone, matching: TagMatch) -> Rule<'_> {
        let rule = |pool| Rule { tags: self, matching, pool };
        let some = |pool| group.clone().any(|tags| rule(pool).permits(tags));
        let has_default = || group.clone().any(is_default);
        let pool = if self.wanted.is_empty() {
            match self.required.is_empty() && has_default() {
                true => Pool::Default,
                false => Pool::All,
            }
        } else if some(Pool::Wanted) {
            Pool::Wanted
        } else if group.clone().flatten().any(|tag| holds(&self.wanted, tag)) {
            Pool::None
        } else {
            Pool::Default
        };
        rule(pool)
    }

    fn add_all(&mut self, list: &[Json]) {
        list.iter().filter_map(Json::as_str).for_each(|tag| self.add(tag));
    }

    fn add(&mut self, tag: &str) {
        let (list, tag) = match (tag.strip_prefix('&'), tag.strip_prefix('!')) {
            (Some(tag), _) => (&mut self.required, tag),
            (_, Some(tag)) => (&mut self.excluded, tag),
            _ => (&mut self.wanted, tag),
        };
        if !tag.is_empty() {
            list.push(tag.to_owned());
        }
    }
}

// === impl Rule ===

impl Rule<'_> {
    /// Whether a deployment with these tags may serve the request. Where it permits none of a group, the request isn't
    /// allowed there.
    pub fn permits(&self, tags: &[String]) -> bool {
        let admissible = !tags.iter().any(|tag| holds(&self.tags.excluded, tag)) && has_all(tags, &self.tags.required);
        admissible
            && match self.pool {
                Pool::All => true,
                Pool::Default => is_default(tags),
                Pool::Wanted if self.matching == TagMatch::Any => tags.iter().any(|tag| holds(&self.tags.wanted, tag)),
                Pool::Wanted => has_all(tags, &self.tags.wanted),
                Pool::None => false,
            }
    }
}

fn is_default(tags: &[String]) -> bool {
    tags.iter().any(|tag| tag == DEFAULT)
}

fn holds(sorted: &[String], tag: &String) -> bool {
    sorted.binary_search(tag).is_ok()
}

/// A request may have many tags, a deployment has few.
fn has_all(tags: &[String], wanted: &[String]) -> bool {
    wanted.len() <= tags.len() && wanted.iter().all(|tag| tags.contains(tag))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn tags(list: &[&str]) -> RequestTags {
        let body = serde_json::json!({ "tags": list }).to_string();
        RequestTags::read(&RequestBody::parse(Bytes::from(body)).unwrap(), std::iter::empty())
    }

    /// The numbers of the deployments that may serve.
    fn permitted(request: &[&str], group: &[&[&str]], matching: TagMatch) -> Vec<usize> {
        let group: Vec<Vec<String>> = group.iter().map(|tags| tags.iter().map(ToString::to_string).collect()).collect();
        let tags = tags(request);
        let rule = tags.rule(group.iter().map(Vec::as_slice), matching);
        let permitted = group.iter().enumerate().filter(|(_, tags)| rule.permits(tags));
        permitted.map(|(number, _)| number).collect()
    }

    #[test]
    fn a_request_goes_where_its_tags_are() {
        let tiers: &[&[&str]] = &[&["free"], &["paid", "eu"], &["default"], &[]];
        for (request, any, all) in [
            (&["free"][..], vec![0], vec![0]),
            (&["free", "eu"], vec![0, 1], vec![]),
            (&["paid", "eu"], vec![1], vec![1]),
            (&["paid", "unknown"], vec![1], vec![]),
            // Nobody knows the tag: it is like none.
            (&["unknown"], vec![2], vec![2]),
            (&["default"], vec![2], vec![2]),
            (&[], vec![2], vec![2]),
        ] {
            assert_eq!(permitted(request, tiers, TagMatch::Any), any, "{request:?}, any");
            assert_eq!(permitted(request, tiers, TagMatch::All), all, "{request:?}, all");
        }
    }

    #[test]
    fn without_a_default_an_untagged_request_goes_anywhere_and_an_unknown_tag_nowhere() {
        let tiers: &[&[&str]] = &[&["free"], &["paid"], &[]];
        assert_eq!(permitted(&[], tiers, TagMatch::Any), [0, 1, 2]);
        assert_eq!(permitted(&["unknown"], tiers, TagMatch::Any), [0; 0]);
    }

    #[test]
    fn tags_can_be_required_and_excluded() {
        let tiers: &[&[&str]] = &[&["eu", "fast"], &["eu", "default"], &["us", "default"], &["us"]];
        for (request, numbers) in [
            (&["&eu"][..], vec![0, 1]),
            (&["&eu", "&fast"], vec![0]),
            (&["&eu", "&us"], vec![]),
            (&["!us"], vec![1]),
            (&["!default"], vec![]),
            (&["!eu", "us"], vec![2, 3]),
            (&["&default", "us"], vec![2]),
            // What is excluded is known all the same, so that there is no falling back.
            (&["!fast", "fast"], vec![]),
            (&["!", "&", ""], vec![1, 2]),
        ] {
            assert_eq!(permitted(request, tiers, TagMatch::Any), numbers, "{request:?}");
        }
    }

    #[test]
    fn tags_are_read_from_the_body_the_metadata_and_the_headers() {
        let read = |body: &'static str, headers: &[&str]| {
            let body = RequestBody::parse(Bytes::from_static(body.as_bytes())).unwrap();
            RequestTags::read(&body, headers.iter().copied()).wanted
        };
        assert_eq!(read("{}", &["b, a", "c,,a"]), ["a", "b", "c"]);
        assert_eq!(read(r#"{"tags": ["d", 1, null]}"#, &["a"]), ["d"]);
        assert_eq!(read(r#"{"tags": "d"}"#, &["a"]), ["a"]);
        assert_eq!(read(r#"{"metadata": {"tags": ["m"]}}"#, &["a"]), ["a", "m"]);
        assert_eq!(read(r#"{"tags": ["m", "d"], "metadata": {"x": 1, "tags": ["m"]}}"#, &[]), ["d", "m"]);
        assert_eq!(read(r#"{"metadata": {"tags": "m"}}"#, &[]), [""; 0]);
        assert_eq!(read(r#"{"metadata": "m", "tags": []}"#, &["a"]), [""; 0]);
    }

    proptest! {
        #[test]
        fn a_request_is_never_let_where_it_may_not(
            request in prop::collection::vec("[!&]?[a-d]", 0..4),
            group in prop::collection::vec(prop::collection::vec("[a-d]|default", 0..3), 1..5),
        ) {
            let request: Vec<&str> = request.iter().map(String::as_str).collect();
            let tags = tags(&request);
            for matching in [TagMatch::Any, TagMatch::All] {
                let rule = tags.rule(group.iter().map(Vec::as_slice), matching);
                for deployment in group.iter().filter(|tags| rule.permits(tags)) {
                    for tag in &request {
                        let found = deployment.iter().any(|own| own == tag.trim_start_matches(['!', '&']));
                        prop_assert!(!(tag.starts_with('!') && found));
                        prop_assert!(!tag.starts_with('&') || found);
                    }
                }
                if tags.is_empty() {
                    prop_assert!(group.iter().any(|tags| rule.permits(tags)), "an untagged request is always served");
                }
            }
        }
    }
}
