//! A progress bar on standard error for long commands. It knows nothing of their work.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::stream::Progress;

/// A bar that is drawn until it is dropped.
pub(super) struct Shown(Option<tokio::task::JoinHandle<()>>);

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Draws a bar while there is a terminal to draw on.
pub(super) fn show(progress: Arc<Progress>) -> Shown {
    if !std::io::stderr().is_terminal() {
        return Shown(None);
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(
        "{msg:9} [{bar:40}] {bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left",
    ) {
        bar.set_style(style);
    }
    Shown(Some(tokio::spawn(async move {
        let clear = ClearOnDrop(bar);
        let mut phase = "";
        while !progress.is_finished() {
            if phase != progress.phase() {
                // speed and remaining time restart with each phase
                phase = progress.phase();
                clear.0.reset();
            }
            clear.0.set_length(progress.total());
            clear.0.set_position(progress.position());
            clear.0.set_message(phase);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })))
}

/// Leaves the terminal clean however the task ends.
struct ClearOnDrop(ProgressBar);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
