//! Ctrl-C and SIGTERM: the first asks a server to stop and ends any other command at once; the second ends a server at
//! once, too. The process then exits with 130 or 143, the exit codes that shells give to commands ended by a signal.
//!
//! A thread of its own waits for signals, so that they are handled however busy the other threads are. It stops no task
//! itself; it only sets a flag or ends the process.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// Exit codes after SIGINT and SIGTERM.
const INTERRUPTED: i32 = 130;
#[cfg(unix)]
const TERMINATED: i32 = 143;

/// A request to stop, made by a signal.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    asked: CancellationToken,
    /// Whether the command stops in an orderly way when a stop is requested.
    is_heeded: Arc<AtomicBool>,
    /// Folders that are removed when a signal ends the process.
    scratch: Arc<Mutex<Vec<PathBuf>>>,
}

impl Stop {
    /// Starts to wait for signals. Until [`Stop::heed`] the first signal ends the process.
    ///
    /// # Errors
    /// [`Error::Invariant`] if the thread cannot be started.
    pub(super) fn listen() -> Result<Stop> {
        let stop = Stop::default();
        let (heard, (ready, is_ready)) = (stop.clone(), std::sync::mpsc::channel());
        let failed =
            |error: std::io::Error| Error::Invariant(format!("signals cannot be waited for: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(heard.wait(ready)))
            .map_err(failed)?;
        // from here on no signal is missed
        let _ = is_ready.recv();
        Ok(stop)
    }

    async fn wait(self, ready: std::sync::mpsc::Sender<()>) {
        let Ok(mut signals) = Signals::listen() else { return };
        let _ = ready.send(());
        loop {
            let code = signals.next().await;
            if !self.is_heeded.load(Ordering::Acquire) || self.asked.is_cancelled() {
                self.exit(code);
            }
            self.asked.cancel();
        }
    }

    /// From now on the first signal only requests a stop.
    pub(super) fn heed(&self) {
        self.is_heeded.store(true, Ordering::Release);
    }

    /// Waits until a stop is requested.
    pub(super) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Whether a stop was requested.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Removes a folder when a signal ends the process.
    pub(super) fn remove_at_exit(&self, folder: &Path) {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
    }

    fn exit(&self, code: i32) -> ! {
        for folder in self.scratch.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            remove(folder);
        }
        std::process::exit(code)
    }
}

/// Maximum attempts to remove a folder.
const ATTEMPTS: usize = 100;
/// Time between two checks of a removed folder.
const PAUSE: Duration = Duration::from_millis(10);

/// Removes a folder, even if other threads still write into it.
pub(super) fn remove(folder: &Path) {
    for _ in 0..ATTEMPTS {
        let _ = std::fs::remove_dir_all(folder);
        if !folder.exists() {
            std::thread::sleep(PAUSE);
            if !folder.exists() {
                return;
            }
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The exit code of the next signal.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPTED,
            _ = self.terminate.recv() => TERMINATED,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        INTERRUPTED
    }
}
