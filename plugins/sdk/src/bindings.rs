//! Generated from `wit/plugin-0.1.0`: the types and traits of the plugin interface.

#![allow(unsafe_code, reason = "the generated exports for the Wasm target need it")]
#![expect(missing_docs, reason = "generated; documented in the WIT")]

wit_bindgen::generate!({
    path: "../../wit/plugin-0.1.0",
    world: "provider-plugin",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "ai_api_plugin_sdk::bindings",
    generate_all,
});
