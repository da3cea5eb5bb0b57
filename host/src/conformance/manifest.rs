//! What a plugin says of itself.

use url::Url;

use super::{Subject, Verdict};
use crate::upstream::join;

/// Beyond what is looked at when it is loaded, which is that it says the same twice.
pub(super) async fn makes_sense(subject: &Subject<'_>) -> Verdict {
    let manifest = subject.manifest();
    let mut found = Vec::new();
    let base = manifest.base_url.as_ref().and_then(|base| base.fill(|_| Some("x")).ok());
    let base = base.or_else(|| Url::parse("http://provider.invalid").ok());
    for (place, support) in manifest.operations.iter().enumerate() {
        let path = support.operation.path();
        if manifest.operations.iter().take(place).any(|other| other.operation == support.operation) {
            found.push(format!("{path} is listed twice"));
        }
        match (&support.native, &base) {
            (Some(native), Some(base)) => {
                if let Err(error) = join(base, native, &[]) {
                    found.push(format!("for {path} it {error}"));
                }
            }
            (None, _) if !support.translated.is_empty() => {
                found.push(format!("{path} lists models to translate, but without `native` all are"));
            }
            _ => {}
        }
        if support.translated.iter().any(String::is_empty) {
            found.push(format!("{path}: an empty prefix stands for every model; leave `native` out instead"));
        }
    }
    Verdict::of(found)
}
