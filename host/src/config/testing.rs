//! Deployments and whole configurations for the tests of other rooms.

use super::{Config, Deployment, Environment, Origin, load};

/// A deployment of the name `name` that needs nothing; its answers are canned.
pub fn deployment(name: &str) -> Deployment {
    let entry = format!("{{model_name: '{name}', litellm_params: {{model: openai/x, mock_response: hi}}}}");
    config(&format!("model_list: [{entry}]")).deployments.remove(0)
}

/// The configuration that a file with this text is.
pub fn config(text: &str) -> Config {
    let folder = std::env::temp_dir().join(format!("ai-api-config-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let file = folder.join("config.yml");
    std::fs::write(&file, text).expect("the temporary folder is writable");
    let loaded = load(Origin::File(file), &Environment::of::<&str, &str>([]));
    // Left behind is only untidy.
    let _ = std::fs::remove_dir_all(&folder);
    loaded.expect("the configuration is fine").config
}
