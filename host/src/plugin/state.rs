//! What a store holds beside the guest: its limits, its log, and for runtimes that want it an empty WASI.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use wasmtime_wasi::{WasiCtxView, WasiView};

use super::account::Account;
use super::bindings::v0_1::ai_api::plugin::log;
use super::limits::{LOG_LINE_BYTES, Limiter};
use super::wasi::Wasi;

/// The host's side of one instance.
pub(super) struct GuestState {
    account: Arc<Account>,
    pub(super) limiter: Limiter,
    /// Ticks that the running call has used up.
    pub(super) ticks: u32,
    log_lines: u32,
    /// Made when a guest first asks: ours never do.
    wasi: Option<Box<Wasi>>,
}

impl GuestState {
    /// The state of a new instance.
    pub(super) fn new(account: Arc<Account>) -> Self {
        account.stats.instance_made();
        let limiter = Limiter::new(&account.limits, Arc::clone(&account.stats));
        Self { limiter, account, ticks: 0, log_lines: 0, wasi: None }
    }

    /// Makes it ready for another exchange.
    pub(super) fn renew(&mut self) {
        self.log_lines = 0;
        if let Some(wasi) = &self.wasi {
            wasi.lines.store(0, Relaxed);
        }
    }
}

impl Drop for GuestState {
    fn drop(&mut self) {
        self.account.stats.instance_gone();
    }
}

impl log::Host for GuestState {
    fn log(&mut self, level: log::Level, message: String) {
        self.log_lines = self.log_lines.saturating_add(1);
        if self.log_lines > self.account.limits.log_lines_per_call || !self.account.may_log() {
            self.account.stats.dropped_log_line();
            return;
        }
        let message: String = message.chars().take(LOG_LINE_BYTES).filter(|c| !c.is_control()).collect();
        let plugin = &*self.account.name;
        match level {
            log::Level::Debug => tracing::debug!(plugin, "{message}"),
            log::Level::Info => tracing::info!(plugin, "{message}"),
            log::Level::Warn => tracing::warn!(plugin, "{message}"),
            log::Level::Error => tracing::error!(plugin, "{message}"),
        }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let account = &self.account;
        let Wasi { ctx, table, .. } = &mut **self.wasi.get_or_insert_with(|| Box::new(Wasi::new(account)));
        WasiCtxView { ctx, table }
    }
}
