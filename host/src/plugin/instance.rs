//! A component that runs: made, put on the clock, used again; and how it breaks.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::I32Exit;

use super::account::Account;
use super::bindings::v0_1::{ProviderPlugin, ProviderPluginPre};
use super::engine::ticks;
use super::metered::{GivenUp, Metered, metered};
use super::state::GuestState;
use super::{CallError, Failure, checks};

/// Calls that one instance serves at most, where its plugin is reusable: what leaks in it, leaks so long.
const MOST_SERVED: u32 = 1000;
/// How much longer than it may compute a guest call may wait, for a clock or for its plugin's other calls.
const PATIENCE: u32 = 5;

/// A component that runs.
pub(super) struct Instance {
    pub(super) store: Store<GuestState>,
    pub(super) bindings: ProviderPlugin,
    /// The value of the call that it served last. The guest drops it before the next.
    pub(super) spent: Option<ResourceAny>,
    pub(super) served: u32,
}

impl Instance {
    /// One that has served nobody yet.
    pub(super) async fn new(pre: &ProviderPluginPre<GuestState>, account: &Arc<Account>) -> Result<Self, CallError> {
        let mut store = Store::new(pre.engine(), GuestState::new(Arc::clone(account)));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(account.limits.output_bytes);
        let allowed = ticks(account.limits.call_time);
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            state.ticks += 1;
            Ok(if state.ticks > allowed { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        rewind(&mut store);
        let instantiated = metered(pre.instantiate_async(&mut store), patience(account), &account.places);
        let Metered { output, cpu } = instantiated.await;
        account.stats.ran(cpu);
        match output {
            Err(why) => Err(given_up(why, account)),
            Ok(Ok(bindings)) => Ok(Self { store, bindings, spent: None, served: 0 }),
            Ok(Err(error)) if error.is::<Trap>() || error.is::<I32Exit>() || store.data().limiter.refused => {
                Err(classify(&error, &store, account))
            }
            // The pool is used up, or the kernel has no more mappings.
            Ok(Err(error)) => Err(CallError::Busy(format!("{error:#}"))),
        }
    }

    /// Makes it ready for another call: the guest drops what is left of the last one. `None` when it can't.
    pub(super) async fn renewed(mut self, account: &Arc<Account>) -> Option<Self> {
        self.rewind();
        if let Some(resource) = self.spent.take() {
            let Metered { output, cpu } =
                metered(resource.resource_drop_async(&mut self.store), patience(account), &account.places).await;
            account.stats.ran(cpu);
            if !matches!(output, Ok(Ok(()))) {
                tracing::warn!(plugin = &*account.name, "failed while it dropped a call that was over");
                return None;
            }
        }
        self.store.data_mut().renew();
        Some(self)
    }

    /// Whether it may serve another call.
    pub(super) fn is_fit(&self, account: &Account) -> bool {
        let memory = self.store.data().limiter.memory();
        self.served < MOST_SERVED && memory <= account.limits.memory_bytes / 2
    }

    /// Every guest call has its time anew.
    pub(super) fn rewind(&mut self) {
        rewind(&mut self.store);
    }
}

fn rewind(store: &mut Store<GuestState>) {
    let state = store.data_mut();
    (state.ticks, state.limiter.refused, state.limiter.crowded) = (0, false, false);
    // The next tick may come right away: a call that takes microseconds would leave its thread for it.
    store.set_epoch_deadline(2);
}

/// How long a guest call may wait.
pub(super) fn patience(account: &Account) -> Duration {
    account.limits.call_time * PATIENCE
}

/// What a guest call came to: its answer, its own failure, or how it broke.
pub(super) fn told<T>(
    called: Metered<wasmtime::Result<Result<T, Failure>>>,
    store: &Store<GuestState>,
    account: &Account,
) -> Result<T, CallError> {
    account.stats.ran(called.cpu);
    match called.output {
        Err(why) => Err(given_up(why, account)),
        Ok(Ok(answer)) => answer.map_err(|mut failure| {
            checks::failure(&mut failure);
            CallError::Failed(failure)
        }),
        Ok(Err(error)) => Err(classify(&error, store, account)),
    }
}

fn given_up(why: GivenUp, account: &Account) -> CallError {
    match why {
        GivenUp::Waited => CallError::OutOfTime(patience(account)),
        GivenUp::Crowded => CallError::Busy("too many of its calls compute for long".to_owned()),
    }
}

fn classify(error: &wasmtime::Error, store: &Store<GuestState>, account: &Account) -> CallError {
    if error.is::<I32Exit>() {
        return CallError::Trapped("it called exit".to_owned());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallError::OutOfTime(account.limits.call_time),
        _ if store.data().limiter.crowded => CallError::Busy(format!(
            "its instances have {} MiB together, its limit (plugin_limits: total_memory_mb)",
            account.limits.total_memory_bytes >> 20
        )),
        _ if store.data().limiter.refused => CallError::OutOfMemory(account.limits.memory_bytes),
        Some(trap) => CallError::Trapped(trap.to_string()),
        // Not a trap: what it returned can't be read (bad UTF-8, a list longer than its memory, too much of it).
        None => CallError::Refused(format!("returned what can't be read: {}", error.root_cause())),
    }
}
