//! How calls are routed: `router_settings`, what `litellm_settings` say as well, and what a deployment says of its own.
