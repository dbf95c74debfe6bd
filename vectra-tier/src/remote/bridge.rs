//! Where async stops: one thread drives all requests, callers wait for its answers.

use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use vectra_core::env::{Spawner, ThreadSpawner};

use super::error::Fault;

/// A runtime on a thread of its own. Callers only wait on a channel, so they may themselves be inside any runtime.
#[derive(Debug)]
pub(super) struct Bridge {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    /// Dropped last: it waits for the thread, which ends once told to stop.
    _thread: ThreadSpawner,
}

impl Bridge {
    pub(super) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = ThreadSpawner::new(1);
        let drive = move || {
            // The sender's end is told or dropped; either means the same.
            let _told_or_dropped = runtime.block_on(stopped);
            // A request that hangs in the operating system is not waited for.
            runtime.shutdown_background();
        };
        thread.spawn("object store", Box::new(drive));
        Ok(Self { handle, stop: Some(stop), _thread: thread })
    }

    /// Runs one request to its end and gives its answer. After `limit` without one the request is dropped, and
    /// whether it took effect is not known.
    pub(super) fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = sync_channel(1);
        let task = self.handle.spawn(async move {
            // Nobody listens any more after the limit.
            let _late = answer.send(request.await);
        });
        match answered.recv_timeout(limit) {
            Ok(outcome) => outcome.map_err(Fault::from),
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                Err(Fault::Unclear(format!("no answer within {} ms", limit.as_millis()).into()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Fault::Unclear("the request ended without an answer".into()))
            }
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _gone_already = stop.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn answers_come_back_also_inside_another_runtime() {
        let bridge = Bridge::new().expect("a runtime");
        let outer = Builder::new_current_thread().build().expect("another runtime");
        let answer = outer.block_on(async { bridge.call(LONG, async { Ok(7) }) });
        assert!(matches!(answer, Ok(7)));
        // Nor does it matter where it ends.
        outer.block_on(async move { drop(bridge) });
    }

    #[test]
    fn what_never_answers_is_given_up_and_the_next_request_is_served() {
        let bridge = Bridge::new().expect("a runtime");
        let never = bridge.call(Duration::from_millis(5), std::future::pending::<object_store::Result<()>>());
        assert!(matches!(never, Err(Fault::Unclear(_))));
        assert!(matches!(bridge.call(LONG, async { Ok("here") }), Ok("here")));
    }

    #[test]
    fn a_panic_in_a_client_is_an_error_of_that_request_alone() {
        let bridge = Bridge::new().expect("a runtime");
        let broken = bridge.call(LONG, async {
            assert!(std::thread::current().name().is_none(), "a client with a bug");
            Ok(())
        });
        assert!(matches!(broken, Err(Fault::Unclear(_))));
        assert!(matches!(bridge.call(LONG, async { Ok(1) }), Ok(1)));
    }
}
