//! Compiles components on threads of their own, which stand back when calls want the processor.

use tokio::sync::oneshot;

/// Added to the process's own niceness: calls come first, and an idle machine compiles at full speed.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The threads that compile. What wasmtime does in parallel stays on them.
pub(super) struct Compiler {
    threads: rayon::ThreadPool,
}

/// The compiler panicked.
pub(super) struct GaveUp;

impl Compiler {
    /// One that uses all processors.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub(super) fn new() -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = rayon::ThreadPoolBuilder::new().thread_name(|index| format!("compile-{index}"));
        Ok(Self { threads: threads.start_handler(|_| stand_back()).build()? })
    }

    /// Does `work` on one of the threads.
    ///
    /// # Errors
    /// It panicked, which would end the process on a thread of such a pool.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, GaveUp> {
        let (done, result) = oneshot::channel();
        self.threads.spawn(move || {
            if let Ok(result) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                // Whoever waited may be gone with the process.
                let _ = done.send(result);
            }
        });
        result.await.map_err(|_| GaveUp)
    }
}

/// Lowers the priority of this thread alone: Linux counts a thread's number as a process's here.
#[cfg(target_os = "linux")]
fn stand_back() {
    let this = Some(rustix::thread::gettid());
    let lowered = rustix::process::getpriority_process(this)
        .and_then(|now| rustix::process::setpriority_process(this, now.saturating_add(NICENESS).min(19)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "compiling with the same priority as calls");
    }
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_compiler_is_an_error_and_the_next_one_works() {
        let compiler = Compiler::new().expect("there are threads");

        assert!(compiler.run(|| -> u8 { panic!("a bug") }).await.is_err());
        assert_eq!(compiler.run(|| 7).await.ok(), Some(7));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn compiling_has_a_lower_priority_than_serving() {
        let niceness =
            || rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("a thread has one");

        let compiling = Compiler::new().expect("there are threads").run(niceness).await.ok();

        assert!(compiling > Some(niceness()) || compiling == Some(19), "{compiling:?}");
    }
}
