//! `ai-api:plugin@0.1.0`.

#![expect(missing_docs, reason = "generated; documented in the WIT")]

wasmtime::component::bindgen!({
    path: "../wit/plugin-0.1.0",
    world: "provider-plugin",
    // A call runs on a fiber of its own, so that a slow guest yields its thread at every epoch.
    exports: { default: async },
    // Bodies go into the guest's memory without a copy of their own.
    ownership: Borrowing { duplicate_if_necessary: true },
    require_store_data_send: true,
});
