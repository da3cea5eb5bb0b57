//! What tells a deployment from what it was before a reload.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::binding::{Binding, Unbound};
use crate::config::{Config, Credential, Deployment};

/// A deployment as it is with one configuration and one plugin. It has the same revision after a reload as long as
/// nothing has changed that could change how it answers: what was found out about one revision holds for no other.
///
/// A digest, of keys too; it is never shown, only compared.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Revision([u8; 32]);

// === impl Revision ===

impl Revision {
    pub(super) fn new(deployment: &Deployment, binding: &Result<Binding, Unbound>, config: &Config) -> Self {
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            // With their lengths: no two lists of parts are the same bytes.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(deployment.id.as_bytes());
        add(&config.fingerprint.of_model(&deployment.model_name));
        // What the entry doesn't hold itself: a successor, keys of the environment, and of files that it names.
        add(deployment.model.as_bytes());
        if let Credential::Key(key) = &deployment.credential {
            add(key.expose().as_bytes());
        }
        if let Ok(account) = &deployment.cloud.google {
            add(account.value.private_key.expose().as_bytes());
        }
        match binding {
            Ok(binding) => add(binding.plugin.digest.to_string().as_bytes()),
            Err(unbound) => add(format!("{unbound:?}").as_bytes()),
        }
        Self(digest.finalize().into())
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revision")
    }
}
