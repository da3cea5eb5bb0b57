//! What a store holds beside the guest: its limits, its log, and for runtimes that want it an empty WASI.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::v0_1::ai_api::plugin::log;
use super::limits::{Limiter, Limits};

/// The host's side of one instance.
pub(super) struct GuestState {
    plugin: Arc<str>,
    limits: Limits,
    pub(super) limiter: Limiter,
    /// Ticks that the running call has used up.
    pub(super) ticks: u32,
    log_lines: u32,
    /// Made when a guest first asks: ours never do.
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl GuestState {
    /// The state of a new instance of `plugin`.
    pub(super) fn new(plugin: Arc<str>, limits: Limits) -> Self {
        Self { plugin, limiter: Limiter::new(&limits), ticks: 0, log_lines: 0, wasi: None, limits }
    }
}

impl log::Host for GuestState {
    fn log(&mut self, level: log::Level, message: String) {
        self.log_lines += 1;
        if self.log_lines > self.limits.log_lines {
            return;
        }
        let message: String = message.chars().take(self.limits.log_line_bytes).filter(|c| !c.is_control()).collect();
        let plugin = &*self.plugin;
        match level {
            log::Level::Debug => tracing::debug!(plugin, "{message}"),
            log::Level::Info => tracing::info!(plugin, "{message}"),
            log::Level::Warn => tracing::warn!(plugin, "{message}"),
            log::Level::Error => tracing::error!(plugin, "{message}"),
        }
    }
}

impl WasiView for GuestState {
    /// Language runtimes ask for clocks and randomness; there is nothing else: no files, no environment, no
    /// arguments, no sockets, and output goes nowhere.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (ctx, table) = &mut **self.wasi.get_or_insert_with(|| {
            let ctx = WasiCtx::builder().allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).build();
            Box::new((ctx, ResourceTable::new()))
        });
        WasiCtxView { ctx, table }
    }
}
