//! Pauses: between empty answers, and after failures.

use std::time::Duration;

/// Pauses that double with each failure, with jitter, so that many clients do not retry at the same time.
#[derive(Debug)]
pub(crate) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(least: Duration, most: Duration) -> Backoff {
        Backoff { least, most, next: least }
    }

    /// The next pause: between half of the doubled length and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        let half = whole / 2;
        // a random uuid is random enough for jitter
        let random = uuid::Uuid::new_v4().as_u128() % 1000;
        half + half.mul_f64(random as f64 / 1000.0)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.least;
    }
}

/// The pause of a stream after an empty answer. It doubles up to a limit, until an answer has data again.
#[derive(Debug)]
pub(crate) struct IdlePause {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl IdlePause {
    pub(crate) fn new(least: Duration, most: Duration) -> IdlePause {
        IdlePause { least, most, next: least }
    }

    pub(crate) fn after_empty(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause
    }

    pub(crate) fn after_data(&mut self) {
        self.next = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_failures_grow_to_a_limit_and_vary() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for whole in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next();
            let whole = Duration::from_millis(whole);
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }

    #[test]
    fn pauses_between_empty_answers_end_with_the_first_data() {
        let mut pause = IdlePause::new(Duration::from_millis(20), Duration::from_millis(250));
        let empty: Vec<u128> = (0..6).map(|_| pause.after_empty().as_millis()).collect();
        assert_eq!(empty, [20, 40, 80, 160, 250, 250]);
        pause.after_data();
        assert_eq!(pause.after_empty().as_millis(), 20);
    }
}
