//! Clouds: requests signed for AWS, Google's service accounts, AWS's streams, and the settings of a deployment.

mod aws;
mod follow_ups;
mod google;
mod parameters;
mod stream;

pub(crate) mod frames;
pub(crate) mod sigv4;
pub(crate) mod tokens;
