//! What a Claude model can do, read from its name.
//!
//! Names are `claude-3-5-haiku-20241022` up to version 3 and `claude-sonnet-4-5-20250929` since. What each
//! version takes is in Anthropic's documentation of the feature, and in LiteLLM's model map
//! (`supports_adaptive_thinking`, `supports_sampling_params`, `supports_native_structured_output`, …).

/// A model, as far as requests differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    version: (u32, u32),
    /// The name says no version, so that nothing newer than the common ground is assumed.
    unknown: bool,
    haiku: bool,
    /// `claude-mythos-preview` came before version 4.8.
    preview: bool,
}

impl Model {
    /// What the name says.
    pub(crate) fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        // A search that `str::contains` prepares for pays for long texts only.
        let contains = |word: &str| name.as_bytes().windows(word.len()).any(|part| part == word.as_bytes());
        let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let number = |word: &&str| (word.len() <= 2).then(|| word.parse::<u32>().ok()).flatten();
        let mut numbers = words.iter().skip_while(|word| number(word).is_none());
        let major = numbers.next().and_then(number);
        let minor = numbers.next().and_then(number).unwrap_or(0);
        let preview = contains("mythos-preview");
        let is_claude = contains("claude");
        let version = match major {
            _ if preview => (4, 7),
            Some(major) if is_claude => (major, minor),
            _ => (4, 0),
        };
        let unknown = !preview && (major.is_none() || !is_claude);
        Self { version, unknown, haiku: contains("haiku"), preview }
    }

    /// It can think before it answers.
    pub(crate) fn thinks(self) -> bool {
        self.version >= (3, 7)
    }

    /// It decides itself how much to think: `thinking: {"type": "adaptive"}` with `output_config.effort`.
    pub(crate) fn adaptive(self) -> bool {
        self.version >= (4, 6)
    }

    /// It takes `thinking: {"type": "enabled", "budget_tokens": …}`.
    pub(crate) fn budgets(self) -> bool {
        self.version <= (4, 6)
    }

    /// It takes the effort `xhigh`.
    pub(crate) fn xhigh(self) -> bool {
        self.version >= (4, 7)
    }

    /// It takes `temperature`, `top_p` and `top_k`.
    pub(crate) fn samples(self) -> bool {
        self.version < (4, 7)
    }

    /// It refuses `temperature` and `top_p` together.
    pub(crate) fn one_sampler(self) -> bool {
        self.version >= (4, 1)
    }

    /// It takes `output_config.format` and tools with `strict`.
    pub(crate) fn structured(self) -> bool {
        self.version >= (4, 5) && !self.unknown
    }

    /// It takes messages of role `system` after the first turn.
    pub(crate) fn mid_system(self) -> bool {
        self.version >= (4, 8) && !self.preview
    }

    /// It takes a `tool_choice` that forces a call.
    pub(crate) fn forces_tools(self) -> bool {
        self.version <= (5, 0) || self.haiku
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_every_form_of_name() {
        for (name, version) in [
            ("claude-2.1", (2, 1)),
            ("claude-3-haiku-20240307", (3, 0)),
            ("claude-3-5-haiku-latest", (3, 5)),
            ("claude-3-7-sonnet-20250219", (3, 7)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("claude-sonnet-4-0", (4, 0)),
            ("claude-opus-4-1-20250805", (4, 1)),
            ("claude-haiku-4-5@20251001", (4, 5)),
            ("claude-opus-4-6", (4, 6)),
            ("claude-fable-5", (5, 0)),
            ("claude-sonnet-5-5", (5, 5)),
            ("claude-mythos-preview", (4, 7)),
            ("minimax-m2", (4, 0)),
            ("", (4, 0)),
        ] {
            assert_eq!(Model::of(name).version, version, "{name}");
        }
    }

    #[test]
    fn generations_differ_in_how_they_think_and_sample() {
        // name, thinks, budgets, adaptive, samples, structured, mid_system, forces_tools
        for (name, expected) in [
            ("claude-3-5-haiku-20241022", [false, true, false, true, false, false, true]),
            ("claude-sonnet-4-20250514", [true, true, false, true, false, false, true]),
            ("claude-opus-4-1-20250805", [true, true, false, true, false, false, true]),
            ("claude-haiku-4-5", [true, true, false, true, true, false, true]),
            ("claude-sonnet-4-6", [true, true, true, true, true, false, true]),
            ("claude-opus-4-7", [true, false, true, false, true, false, true]),
            ("claude-opus-4-8", [true, false, true, false, true, true, true]),
            ("claude-mythos-preview", [true, false, true, false, true, false, true]),
            ("claude-haiku-5-5", [true, false, true, false, true, true, true]),
            ("claude-opus-5-5", [true, false, true, false, true, true, false]),
            ("some-model", [true, true, false, true, false, false, true]),
        ] {
            let m = Model::of(name);
            let found =
                [m.thinks(), m.budgets(), m.adaptive(), m.samples(), m.structured(), m.mid_system(), m.forces_tools()];
            assert_eq!(found, expected, "{name}");
        }
    }
}
