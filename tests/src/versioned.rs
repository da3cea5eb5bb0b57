//! As many versions of one plugin as a test likes, from one build: `tests/guests/version`.

use crate::gateway::guest;

const NAME: &str = "versioned-aa";
const MARKER: &str = "VERSION-AAAA";

/// A provider called `name` whose version and answers are `marker`, which has as many letters as `VERSION-AAAA`.
pub fn versioned(name: &str, marker: &str) -> Vec<u8> {
    assert_eq!(marker.len(), MARKER.len(), "bytes are replaced, not inserted");
    let mut bytes = std::fs::read(guest("version")).expect("a guest can be read");
    replace(&mut bytes, NAME, &format!("{name:.<width$}", width = NAME.len()));
    replace(&mut bytes, MARKER, marker);
    bytes
}

/// A guest with other words in its data, each as long as the one that it stands for.
pub fn patched(name: &str, words: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = std::fs::read(guest(name)).expect("a guest can be read");
    words.iter().for_each(|(from, to)| replace(&mut bytes, from, to));
    bytes
}

fn replace(bytes: &mut [u8], from: &str, to: &str) {
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert_eq!(places.len(), 1, "{from} stands in the component once");
    assert_eq!(from.len(), to.len());
    bytes[places[0]..places[0] + to.len()].copy_from_slice(to.as_bytes());
}
