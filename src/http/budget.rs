//! Memory that requests share. A request that needs much waits for it; one that needs little never waits.
//!
//! Memory is reserved by an estimate and reduced to the true size afterwards. It is released when the value is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Reservations up to this size are not counted, because the number of concurrent requests limits them.
pub(super) const SMALL_BYTES: usize = 256 * 1024;
/// Bytes of one semaphore permit.
const UNIT: usize = 1024;

/// Requests of this process that wait for memory.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether a request waits for memory that others hold.
pub(super) fn is_short() -> bool {
    WAITING.load(Ordering::Relaxed) > 0
}

/// A budget of memory for one purpose.
#[derive(Debug)]
pub(super) struct Budget {
    /// Name of the setting that limits it.
    setting: &'static str,
    units: usize,
    free: Arc<Semaphore>,
}

/// Reserved memory.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Releases what exceeds `bytes`.
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
    /// A budget of `bytes`, the value of `setting`.
    pub(super) fn new(setting: &'static str, bytes: u64) -> Budget {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        let units = units.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Budget { setting, units, free: Arc::new(Semaphore::new(units)) }
    }

    /// Reserves memory for `bytes`, or the whole budget if that is less. Waits until others release it.
    ///
    /// # Errors
    /// [`Error::Busy`] after `timeout`.
    pub(super) async fn take(&self, bytes: usize, timeout: Duration) -> Result<Held> {
        if bytes <= SMALL_BYTES {
            return Ok(Held::default());
        }
        let units = self.units_of(bytes);
        if let Ok(permit) = self.free.clone().try_acquire_many_owned(units) {
            return Ok(Held(Some(permit)));
        }
        let _waiting = Waiting::new();
        match tokio::time::timeout(timeout, self.free.clone().acquire_many_owned(units)).await {
            Ok(Ok(permit)) => Ok(Held(Some(permit))),
            _ => Err(self.busy()),
        }
    }

    /// As [`Budget::take`], without waiting, and counting small sizes, too.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub(super) fn try_take(&self, bytes: usize) -> Result<Held> {
        let permit = self.free.clone().try_acquire_many_owned(self.units_of(bytes));
        permit.map(|permit| Held(Some(permit))).map_err(|_| self.busy())
    }

    /// Reserved bytes.
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

/// Counts a waiting request until it is dropped.
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
    async fn large_reservations_wait_and_small_ones_do_not() {
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
