//! What `bench/stages` measures of this room and nothing else asks for: an instance that is made and not called.

use super::instance::Instance;
use super::{CallError, Plugin};

/// An instance that has served nobody. Dropped, it is gone.
pub struct Fresh {
    _instance: Instance,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fresh")
    }
}

impl Plugin {
    /// Makes an instance, as every call does first.
    ///
    /// # Errors
    /// See [`CallError`].
    #[doc(hidden)]
    pub async fn fresh(&self) -> Result<Fresh, CallError> {
        Ok(Fresh { _instance: Instance::new(&self.pre, &self.account).await? })
    }
}
