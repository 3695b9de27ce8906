//! Threads for the slow arithmetic of signing in: RSA, and the slow hash of `caching_sha2_password`.
//!
//! A worker's own thread must not compute these, because its other sessions would wait for it. The number of
//! computations at a time is bounded; further ones wait their turn. Signing in at the traffic's
//! ports and at the admin port use it; what is computed is in [`super::server`].

use std::sync::Arc;
use tokio::sync::Semaphore;

/// Runs computations on tokio's blocking threads, a few at a time. Shared by all workers, so that a burst of
/// sign-ins cannot take the processor away from the traffic; those who wait, wait inside their sign-in timeout.
#[derive(Clone, Debug)]
pub struct Offload(Arc<Semaphore>);

impl Offload {
    /// At most `at_once` computations at a time, and at least one.
    pub fn new(at_once: usize) -> Self {
        Offload(Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Runs `work` elsewhere; `None` if it panicked or the runtime is shutting down. Dropping the future gives up the result,
    /// not the computation, which keeps its place until it ends.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let permit = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.ok()
    }
}
