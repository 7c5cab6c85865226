//! Memory that requests share: who needs much of it waits, who needs little never does.
//!
//! What a request holds is counted by estimates beforehand and by true sizes afterwards; it is given back when the value
//! is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// What takes up no more than this is not counted; the number of requests at once bounds it.
pub(super) const SMALL_BYTES: usize = 256 * 1024;
/// Bytes of one permit.
const UNIT: usize = 1024;

/// Requests of this process that wait for memory.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether somebody waits for memory that others hold.
pub(super) fn is_short() -> bool {
    WAITING.load(Ordering::Relaxed) > 0
}

/// Memory of one kind.
#[derive(Debug)]
pub(super) struct Budget {
    /// The setting that bounds it.
    setting: &'static str,
    units: usize,
    free: Arc<Semaphore>,
}

/// Memory that is held.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Gives back what is more than `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        if bytes <= SMALL_BYTES {
            self.0 = None;
        } else if let Some(permit) = &mut self.0 {
            let more = permit.num_permits().saturating_sub(bytes.div_ceil(UNIT));
            drop(permit.split(more));
        }
    }
}

impl Budget {
    /// Of so many bytes, as a setting says.
    pub(super) fn new(setting: &'static str, bytes: u64) -> Budget {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        let units = units.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Budget { setting, units, free: Arc::new(Semaphore::new(units)) }
    }

    /// Memory for so many bytes, all there is at most; waits until others give it back.
    ///
    /// # Errors
    /// [`Error::Busy`] after `longest`.
    pub(super) async fn take(&self, bytes: usize, longest: Duration) -> Result<Held> {
        if bytes <= SMALL_BYTES {
            return Ok(Held::default());
        }
        let units = self.units_of(bytes);
        if let Ok(permit) = self.free.clone().try_acquire_many_owned(units) {
            return Ok(Held(Some(permit)));
        }
        let _waiting = Waiting::new();
        match tokio::time::timeout(longest, self.free.clone().acquire_many_owned(units)).await {
            Ok(Ok(permit)) => Ok(Held(Some(permit))),
            _ => Err(self.busy()),
        }
    }

    /// As [`Budget::take`], of any size and without waiting.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub(super) fn try_take(&self, bytes: usize) -> Result<Held> {
        let permit = self.free.clone().try_acquire_many_owned(self.units_of(bytes));
        permit.map(|permit| Held(Some(permit))).map_err(|_| self.busy())
    }

    /// Bytes that are held.
    pub(super) fn used_bytes(&self) -> usize {
        self.units.saturating_sub(self.free.available_permits()) * UNIT
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT).min(self.units)).unwrap_or(u32::MAX)
    }

    fn busy(&self) -> Error {
        Error::Busy(format!("other requests hold all memory of {}; try again later", self.setting))
    }
}

/// Somebody who waits.
struct Waiting(());

impl Waiting {
    fn new() -> Waiting {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Waiting(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn large_ones_wait_and_small_ones_do_not() {
        let budget = Budget::new("x.memory", 4 * MIB as u64);
        let soon = Duration::from_millis(1);
        let mut all = budget.take(100 * MIB, soon).await.unwrap();
        assert_eq!(budget.used_bytes(), 4 * MIB);
        let error = budget.take(MIB, soon).await.unwrap_err().to_string();
        assert!(error.contains("x.memory"), "{error}");
        let _small = budget.take(SMALL_BYTES, soon).await.unwrap();
        all.shrink_to(3 * MIB);
        let one = budget.take(MIB, soon).await.unwrap();
        assert!(budget.try_take(1).is_err());
        drop(one);
        all.shrink_to(SMALL_BYTES);
        assert_eq!(budget.used_bytes(), 0);
    }
}
