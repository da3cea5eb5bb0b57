//! What is looked at before a deployment is called: whether the prompt fits the model's context window, whether the model
//! has what the request needs, and whether the request's tags let it go there.
//!
//! ```text
//! RequestBody -> Needs (read when first asked, once) -> fits(deployment)?      RequestTags -> Rule of a group -> permits?
//! ```
//!
//! All of it is for `enable_pre_call_checks` and `enable_tag_filtering`; without them nothing here is called. Nothing here
//! waits or knows the time.

mod count;
mod needs;
pub mod tags;
mod tokens;
mod walk;

pub use count::{TokenCount, Uncountable, count};
pub use needs::{Abilities, Needs};
pub use tokens::warm_up;
