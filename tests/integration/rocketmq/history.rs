//! Brokers with a history: they lose the end of their log, are made anew, their clocks jump, topics are made again, and
//! at any time a copy is imported. Nothing that a copy holds is lost, nothing comes twice, nothing is mixed.
//!
//! `MQLAKE_TEST_HISTORIES` sets how many random histories are tried (default 2, long 40).

use std::collections::BTreeMap;
use std::path::Path;

use mqlake::brokers::rocketmq::RocketMqSummary;
use mqlake::config::Config;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::made_broker::{MadeBroker, Stored};
use crate::support::rocketmq::import;
use crate::support::{self, effort, rows};

/// A broker, its lake, and what has to be in it.
struct History {
    home: tempfile::TempDir,
    config: Config,
    broker: MadeBroker,
    /// What copies held when they were imported, by id.
    wanted: BTreeMap<String, Stored>,
    /// What was lost, and can still stand behind the end of the log.
    lost: BTreeMap<String, Stored>,
}

impl History {
    fn new() -> History {
        let home = tempfile::tempdir().unwrap();
        let config = support::config(&home.path().join("data"));
        let (wanted, lost) = Default::default();
        History { home, config, broker: MadeBroker::new(), wanted, lost }
    }

    fn append(&mut self, topic: &str, queue: i32, bodies: &[usize]) {
        for body in bodies {
            self.broker.append(topic, queue, *body);
            self.broker.now_ms += 1000;
        }
    }

    fn lose(&mut self, records: usize, leaves_remains: bool) {
        let kept = self.broker.log.len().saturating_sub(records);
        let lost = self.broker.log[kept..].iter().map(|stored| (stored.id.clone(), stored.clone()));
        self.lost.extend(lost);
        self.broker.lose(records, leaves_remains);
        // it takes a while until a broker is back
        self.broker.now_ms += 60_000;
    }

    async fn import(&mut self, with_queues: bool) -> RocketMqSummary {
        let store = self.home.path().join("store");
        self.broker.write(&store, with_queues);
        self.wanted.extend(self.broker.log.iter().map(|stored| (stored.id.clone(), stored.clone())));
        import(&self.config, &store, "broker-a").await.unwrap()
    }

    fn data(&self) -> std::path::PathBuf {
        self.home.path().join("data")
    }

    /// Every message is there once, with its own body and key, and only those that a copy held.
    async fn check(&self, what: &str) {
        let statement = "SELECT m.message_id AS id, m.subject AS topic, m.queue_id AS queue, m.sequence AS queue_offset, \
             m.physical_offset AS offset, CAST(c.body AS VARCHAR) AS body, \
             (SELECT count(*) FROM message_key k WHERE k.message_id = m.message_id) AS keys \
             FROM message m LEFT JOIN content c ON c.message_id = m.message_id ORDER BY id";
        let found = rows::query(&self.data(), statement).await;
        let ids: Vec<&str> = found.iter().map(|row| row["id"].as_str().unwrap()).collect();
        let twice = ids.windows(2).find(|pair| pair[0] == pair[1]);
        assert!(twice.is_none(), "{what}: {twice:?} is there twice");
        let lost: Vec<&String> =
            self.wanted.keys().filter(|id| ids.binary_search(&id.as_str()).is_err()).collect();
        assert!(lost.is_empty(), "{what}: {lost:?} are lost");
        for row in &found {
            let id = row["id"].as_str().unwrap();
            let Some(stored) = self.wanted.get(id).or_else(|| self.lost.get(id)) else {
                panic!("{what}: {row} came from nowhere")
            };
            let got = (&row["topic"], &row["queue"], &row["queue_offset"], &row["offset"], &row["body"]);
            let Stored { topic, queue, queue_offset, offset, body, .. } = stored;
            assert!(
                got.0 == topic
                    && got.1 == *queue
                    && got.2 == *queue_offset
                    && got.3 == *offset
                    && got.4 == body,
                "{what}: {row} instead of {stored:?}"
            );
            // unique id, offset id, key
            assert_eq!(row["keys"], 3, "{what}: {row}");
        }
        let report = support::open(&self.config).await.verify(mqlake::brokers::streams_of).await.unwrap();
        assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
    }
}

async fn messages(data: &Path) -> usize {
    rows::table(data, "message").await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_end_of_any_size_is_reported_and_passed() {
    // sizes of what is written in place of the last three, at which offsets the new end lies before, at or behind the old
    for (new, leaves_remains) in [
        (vec![], true),
        (vec![], false),
        (vec![20], true),
        (vec![20, 20], true),
        (vec![7], true),
        (vec![150], true),
        (vec![20, 20, 20], false),
        (vec![30, 30, 30, 30], false),
        (vec![300, 300, 300, 300, 300, 300, 300], true),
    ] {
        let what = format!("{new:?}, {leaves_remains}");
        let mut history = History::new();
        history.append("Orders", 0, &[20; 6]);
        history.append("Orders", 1, &[20; 4]);
        history.import(false).await;
        let (kept, before) = (history.broker.log[7].offset, history.broker.log.len());
        history.lose(3, leaves_remains);
        history.append("Orders", 1, &new);
        let summary = history.import(false).await;
        history.check(&what).await;
        if new.is_empty() {
            assert!(summary.replaced.is_empty(), "{what}: {summary:?}");
            // with all of it still there nothing shows that it was lost
            let is_reported =
                summary.warnings.iter().any(|reported| reported.contains("There is nothing new in it"));
            assert_eq!(is_reported, !leaves_remains, "{what}: {summary:?}");
        } else {
            let [replaced] = &summary.replaced[..] else { panic!("{what}: {summary:?}") };
            assert_eq!((replaced.from, replaced.messages()), (kept, Some(3)), "{what}: {replaced:?}");
            assert_eq!(summary.messages.normal, new.len() as u64, "{what}");
        }
        assert_eq!(messages(&history.data()).await, before + new.len(), "{what}");
        // and again, and on
        history.append("Orders", 0, &[20; 3]);
        history.import(false).await;
        history.check(&what).await;
        assert_eq!(messages(&history.data()).await, before + new.len() + 3, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_lost_ends_one_after_the_other_and_at_ends_of_files() {
    let mut history = History::new();
    history.append("Orders", 0, &[100; 30]);
    history.import(false).await;
    // the third file is gone with all that follows; the second begins anew; nothing was written since
    for (lost, new) in [(11, 4), (8, 3), (2, 0), (1, 9), (12, 12)] {
        history.lose(lost, lost % 2 == 0);
        history.append("Orders", 0, &vec![100; new]);
        history.import(lost % 3 == 0).await;
        history.check(&format!("{lost} lost, {new} written")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_made_anew_under_its_name_goes_on() {
    let mut history = History::new();
    history.append("Orders", 0, &[50; 12]);
    history.import(true).await;
    let store = history.home.path().join("old");
    history.broker.write(&store, false);
    history.broker.rebuild();
    history.broker.now_ms += 3_600_000;
    // shorter than the old log, then longer
    for more in [4, 20] {
        history.append("Orders", 0, &vec![50; more]);
        let summary = history.import(true).await;
        history.check("made anew").await;
        assert_eq!(summary.messages.normal, more as u64);
        assert_eq!(summary.replaced.len(), usize::from(more == 4), "{summary:?}");
    }
    // a copy of the old store comes along once more: there is nothing new in it
    let summary = import(&history.config, &store, "broker-a").await.unwrap();
    assert_eq!(summary.messages.normal, 0);
    history.check("an old copy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_go_back_lose_nothing() {
    let hour = 3_600_000;
    for back in [5_000, 11_000, hour, 24 * hour, 40 * 365 * 24 * hour] {
        for with_queues in [false, true] {
            for steps in [1, 3] {
                if !effort::is_long() && with_queues != (steps == 3) {
                    continue;
                }
                let what = format!("back by {back} ms, queues {with_queues}, {steps}");
                let mut history = History::new();
                history.append("Orders", 0, &[20; 12]);
                history.append("Payments", 1, &[20; 3]);
                for _ in 0..steps {
                    history.broker.now_ms -= back;
                    history.append("Payments", 1, &[20; 2]);
                    history.append("Orders", 0, &[20; 12]);
                    history.import(with_queues).await;
                    history.check(&what).await;
                }
            }
        }
    }
}

/// What a broker can meet, in any order, copied at any time.
#[tokio::test(flavor = "multi_thread")]
async fn random_histories() {
    let histories: u64 = effort::times("MQLAKE_TEST_HISTORIES", 2, 40).into();
    for seed in 0..histories {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut history = History::new();
        let mut reported = Vec::new();
        history.append("Orders", 0, &[30; 5]);
        for _ in 0..40 {
            let step = random.random_range(0..100);
            reported.push(step);
            match step {
                0..45 => {
                    let topic = if random.random_bool(0.7) { "Orders" } else { "Payments" };
                    let (queue, same) = (random.random_range(0..2), random.random_bool(0.5));
                    let count = random.random_range(1..8);
                    let bodies: Vec<usize> =
                        (0..count).map(|_| if same { 30 } else { random.random_range(10..400) }).collect();
                    history.append(topic, queue, &bodies);
                }
                45..60 => {
                    let most = history.broker.log.len().min(12);
                    let (lost, leaves_remains) = (random.random_range(0..=most), random.random_bool(0.5));
                    history.lose(lost, leaves_remains);
                }
                60..66 => history.broker.delete_topic("Orders"),
                66..69 => {
                    history.lost.extend(history.broker.log.iter().map(|s| (s.id.clone(), s.clone())));
                    history.broker.rebuild();
                    history.broker.now_ms += 60_000;
                    history.append("Orders", 0, &[30; 2]);
                }
                69..74 => history.broker.remove_oldest_file(),
                _ => {
                    if history.broker.log.is_empty() {
                        history.append("Orders", 0, &[30]);
                    }
                    let with_queues = random.random_bool(0.3);
                    history.import(with_queues).await;
                    history.check(&format!("seed {seed}, steps {reported:?}")).await;
                }
            }
        }
    }
}
