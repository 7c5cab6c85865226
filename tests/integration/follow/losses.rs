//! Brokers of RocketMQ that lose what was read of them and use its offsets again: histories against a model.
//!
//! What a history must leave behind: every message that the broker has at the end is stored exactly once, with its
//! body. Every message that was followed before the broker lost it is stored exactly once, too. Of one that came and
//! went between two looks nothing can be known; it is stored once or not at all.
//!
//! `MQLAKE_TEST_HISTORIES` sets how many random histories are tried (default 3, long 40).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Following;
use super::rocketmq::{append, config, settings};
use crate::rocketmq_peer::{Cluster, ClusterSettings, Message, StoreCopy, TopicConfig};
use crate::support::effort;
use crate::support::rocketmq::{BROKERS, When, import, write_beginning};

const TOPIC: &str = "order";
const QUEUES: i32 = 2;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many messages come into a queue.
    Append(i32, u32),
    /// Everything is followed.
    Settle,
    /// The broker dies; its connections break.
    Stop,
    /// It comes back.
    Start,
    /// The last so many records of its log are gone.
    Lose(usize),
    /// The store is copied.
    Backup,
    /// The copy is put back.
    PutBack,
    /// The store is lost, and a new one begun.
    Rebuild,
    /// The topic is deleted and made again.
    Recreate,
    /// The last entries of a queue are not there for a while; they come back with `PutBack`.
    Hide(i32, usize),
    /// The server notices that the broker lost something.
    Notice,
    /// The server is stopped.
    Away,
    /// It comes back.
    Back,
}

use Step::{Append, Away, Back, Backup, Hide, Lose, Notice, PutBack, Rebuild, Recreate, Settle, Start, Stop};

/// A broker, a server that follows it, and what is known of both.
struct Story {
    _home: tempfile::TempDir,
    config: mqlake::config::Config,
    cluster: Cluster,
    following: Option<Following>,
    copy: Option<StoreCopy>,
    appended: u32,
    /// Messages that were followed.
    followed: BTreeSet<u32>,
}

impl Story {
    async fn new(change: impl FnOnce(&mut ClusterSettings)) -> Story {
        let home = tempfile::tempdir().unwrap();
        let mut settings = settings();
        change(&mut settings);
        let cluster = Cluster::start(settings).await;
        cluster.set_queues(TOPIC, QUEUES);
        let config = config(home.path(), &cluster);
        let following = Some(Following::start(&config).await);
        Story { _home: home, config, cluster, following, copy: None, appended: 0, followed: BTreeSet::new() }
    }

    fn broker(&self) -> String {
        self.cluster.brokers()[0].clone()
    }

    async fn play(&mut self, step: Step) {
        let broker = self.broker();
        match step {
            Append(queue, count) => {
                for _ in 0..count {
                    let number = self.appended;
                    self.appended += 1;
                    let message = Message {
                        unique_key: format!("7F0000010B7518B4AAC2{number:012X}"),
                        // other sizes, so that records seldom begin where others began
                        ..Message::text(&body(number))
                    };
                    self.cluster.append(&broker, TOPIC, queue, message);
                }
            }
            Settle => {
                let present = self.present();
                self.wait_for(&present).await;
                self.followed.extend(present);
            }
            Stop => self.cluster.stop_broker(&broker).await,
            Start => self.cluster.start_broker(&broker),
            Lose(records) => self.cluster.lose_tail(&broker, records),
            Backup => self.copy = Some(self.cluster.copy_store(&broker)),
            PutBack => self.cluster.put_store_back(&broker, self.copy.as_ref().expect("a copy")),
            Rebuild => self.cluster.rebuild_broker(&broker),
            Recreate => {
                self.cluster.delete_topic(TOPIC);
                self.cluster.set_topic(&broker, TOPIC, TopicConfig::new(QUEUES));
            }
            Hide(queue, entries) => self.cluster.lose_entries(&broker, TOPIC, queue, entries),
            Notice => self.following().wait("noticed", |f| !alarm(f).is_empty()).await,
            Away => {
                if let Some(following) = self.following.take() {
                    following.stop().await;
                }
            }
            Back => {
                if self.following.is_none() {
                    self.following = Some(Following::start(&self.config).await);
                }
            }
        }
    }

    /// Numbers of the messages that the broker has.
    fn present(&self) -> BTreeSet<u32> {
        (0..QUEUES)
            .flat_map(|queue| self.cluster.queue_records(&self.broker(), TOPIC, queue))
            .map(|record| number(record.property("UNIQ_KEY").unwrap()))
            .collect()
    }

    fn following(&self) -> &Following {
        self.following.as_ref().expect("a server")
    }

    /// How often each message is stored.
    async fn stored(&self) -> BTreeMap<u32, u64> {
        let statement = format!(
            "SELECT message_id, count(*) AS n FROM message WHERE subject = '{TOPIC}' GROUP BY message_id"
        );
        let rows = self.following().sql(&statement).await;
        rows.iter()
            .map(|row| (number(row["message_id"].as_str().unwrap()), row["n"].as_u64().unwrap()))
            .collect()
    }

    async fn wait_for(&self, wanted: &BTreeSet<u32>) {
        let begun = tokio::time::Instant::now();
        loop {
            // a statement costs more than to look whether it is worth while
            self.following().wait("everything visible", is_visible).await;
            let stored = self.stored().await;
            let missing: Vec<&u32> = wanted.iter().filter(|number| !stored.contains_key(number)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(
                begun.elapsed() < super::PATIENCE * 2,
                "missing {missing:?}: {:#?}",
                self.following().follow.status()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What must hold at the end.
    async fn check(&mut self, what: &str) {
        self.play(Settle).await;
        // whatever is still on its way would be too much
        let has_no_more = |f: &Following| {
            let status = f.follow.status();
            let mut streams = status.iter().flat_map(|source| &source.streams);
            is_visible(f) && streams.all(|stream| stream.lag_messages == Some(0))
        };
        self.following().wait(what, has_no_more).await;
        let stored = self.stored().await;
        let present = self.present();
        for (number, count) in &stored {
            assert_eq!(*count, 1, "{what}: message {number} is stored {count} times");
        }
        for number in present.union(&self.followed) {
            assert!(stored.contains_key(number), "{what}: message {number} is not stored");
        }
        assert!(stored.keys().all(|number| *number < self.appended), "{what}");
        let statement =
            format!("SELECT message_id, body FROM content WHERE subject = '{TOPIC}' ORDER BY message_id");
        let rows = self.following().sql(&statement).await;
        let bodies: Vec<(u32, String)> = rows
            .iter()
            .map(|row| (number(row["message_id"].as_str().unwrap()), text_of(&row["body"])))
            .collect();
        let wanted: Vec<(u32, String)> = stored.keys().map(|number| (*number, body(*number))).collect();
        assert_eq!(bodies, wanted, "{what}");
        let keys =
            self.following().count(&format!("message_key WHERE subject = '{TOPIC}' AND key_kind = 1")).await;
        assert_eq!(keys, stored.len() as u64, "{what}");
    }

    fn alarm(&self) -> String {
        alarm(self.following())
    }

    async fn end(mut self) {
        self.cluster.assert_read_only();
        self.play(Away).await;
    }
}

fn is_visible(following: &Following) -> bool {
    let status = following.follow.status();
    let mut streams = status.iter().flat_map(|source| &source.streams);
    streams.all(|stream| stream.visible == stream.received)
}

fn alarm(following: &Following) -> String {
    let source = following.follow.status().swap_remove(0);
    source.alarms.get("went back").cloned().unwrap_or_default()
}

fn body(number: u32) -> String {
    format!("body {number}{}", "·".repeat(number as usize % 7))
}

fn number(id: &str) -> u32 {
    u32::from_str_radix(&id[20..], 16).unwrap()
}

/// SQL shows bytes as hexadecimal digits.
fn text_of(body: &serde_json::Value) -> String {
    let digits = body.as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    String::from_utf8((0..digits.len()).step_by(2).map(byte).collect()).unwrap()
}

/// A history, and the pieces of text that the alarm has to have.
type Case = (&'static str, Vec<Step>, &'static [&'static str]);

fn cases() -> Vec<Case> {
    vec![
        (
            "the end of the log is lost and not written again",
            vec![Append(0, 10), Settle, Stop, Lose(4), Start],
            &["/order/0: offsets 6 to 10 were read", "the queue ends at 6 now", "reading goes on at 6"],
        ),
        (
            "a lost end is written again, shorter than before",
            vec![Append(0, 10), Settle, Stop, Lose(4), Append(0, 2), Start],
            &["/order/0: offsets 6 to 10 were read", "the queue ends at 8 now"],
        ),
        (
            "a lost end is written again to the same length",
            vec![Append(0, 10), Settle, Stop, Lose(4), Append(0, 4), Start],
            &["/order/0: offsets 6 to 10 were read", "other records have their place"],
        ),
        (
            "producers are past the place before it is asked again",
            vec![Append(0, 100), Backup, Append(0, 60), Settle, Stop, PutBack, Append(0, 400), Start],
            &["/order/0: offsets 100 to 160 were read", "other records have their place"],
        ),
        (
            "the last record alone is another one",
            vec![Append(0, 10), Settle, Stop, Lose(1), Append(0, 1), Start],
            &["/order/0: offsets 9 to 10 were read"],
        ),
        (
            "the last record alone is gone",
            vec![Append(0, 10), Settle, Stop, Lose(1), Start],
            &["/order/0: offsets 9 to 10 were read", "the queue ends at 9 now"],
        ),
        (
            "several queues lose their ends",
            vec![
                Append(0, 20),
                Append(1, 10),
                Append(0, 10),
                Settle,
                Stop,
                Lose(15),
                Append(1, 30),
                Append(0, 30),
                Start,
            ],
            &["/order/0: offsets 20 to 30 were read", "/order/1: offsets 5 to 10 were read"],
        ),
        (
            "the end is lost while the server is away",
            vec![Append(0, 40), Backup, Append(0, 20), Settle, Away, PutBack, Append(0, 100), Back],
            &["/order/0: offsets 40 to 60 were read"],
        ),
        (
            "all of a queue is lost and written again",
            vec![Append(0, 10), Settle, Stop, Lose(10), Append(0, 30), Start],
            &["/order/0: offsets 0 to 10 were read"],
        ),
        (
            "a topic is made anew, and shorter",
            vec![Append(0, 10), Settle, Recreate, Append(0, 4)],
            &["/order/0: offsets 0 to 10 were read", "the queue ends at"],
        ),
        (
            "a topic is made anew and longer before it is asked for",
            vec![Append(0, 10), Settle, Recreate, Append(0, 25)],
            &["/order/0: offsets 0 to 10 were read"],
        ),
        (
            "a topic is made anew to the same length",
            vec![Append(0, 10), Settle, Recreate, Append(0, 10)],
            &["/order/0: offsets 0 to 10 were read"],
        ),
        (
            "a topic is made anew while the server is away",
            vec![Append(0, 10), Append(1, 10), Settle, Away, Recreate, Append(0, 30), Append(1, 3), Back],
            &["/order/0: offsets 0 to 10 were read", "/order/1: offsets 0 to 10 were read"],
        ),
        (
            "a broker is made anew and shorter",
            vec![Append(0, 10), Settle, Stop, Rebuild, Append(0, 4), Start],
            &["/order/0: offsets 0 to 10 were read"],
        ),
        (
            "a broker is made anew and longer",
            vec![Append(0, 10), Settle, Stop, Rebuild, Append(0, 50), Start],
            &["/order/0: offsets 0 to 10 were read"],
        ),
        (
            "a broker is made anew while the server is away",
            vec![Append(0, 10), Append(1, 5), Settle, Away, Rebuild, Append(0, 10), Append(1, 9), Back],
            &["/order/0: offsets 0 to 10 were read", "/order/1: offsets 0 to 5 were read"],
        ),
        (
            "a broker is made anew twice, with a restart of the server between",
            vec![
                Append(0, 20),
                Settle,
                Stop,
                Rebuild,
                Append(0, 30),
                Start,
                Settle,
                Away,
                Rebuild,
                Append(0, 25),
                Back,
            ],
            &["/order/0: offsets 0 to 30 were read"],
        ),
        (
            "a loss, a restart of the server, another loss",
            vec![
                Append(0, 20),
                Settle,
                Stop,
                Lose(5),
                Append(0, 10),
                Start,
                Settle,
                Away,
                Back,
                Settle,
                Stop,
                Lose(12),
                Append(0, 40),
                Start,
            ],
            &["/order/0: offsets 13 to 25 were read"],
        ),
        (
            "what seemed lost comes back",
            vec![
                Append(0, 10),
                Backup,
                Append(0, 10),
                Settle,
                Backup,
                Stop,
                Lose(5),
                Start,
                Notice,
                Stop,
                PutBack,
                Append(0, 5),
                Start,
            ],
            &[],
        ),
        (
            "entries of a queue are there later",
            vec![Append(0, 20), Settle, Backup, Hide(0, 8), Notice, PutBack, Append(0, 2)],
            &[],
        ),
        (
            "nothing was lost",
            vec![Append(0, 10), Settle, Stop, Append(0, 10), Start, Settle, Away, Append(1, 5), Back],
            &[],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_stored_once_whatever_a_broker_loses() {
    let runs = cases().into_iter().map(|(what, steps, alarm)| async move {
        let mut story = Story::new(|_| {}).await;
        for step in steps {
            story.play(step).await;
        }
        story.check(what).await;
        let reported = story.alarm();
        for piece in alarm {
            assert!(reported.contains(piece), "{what}: {piece:?} is not in {reported:?}");
        }
        if what == "nothing was lost" {
            assert_eq!(reported, "", "{what}");
        }
        story.end().await;
    });
    futures::stream::iter(runs).buffer_unordered(4).collect::<Vec<()>>().await;
}

/// The same with answers that hold one message, so that the last record alone fills one, and with brokers that say 0
/// for the next offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_brokers_and_small_answers_make_no_difference() {
    let small: fn(&mut ClusterSettings) = |settings| settings.batch_messages = 1;
    let old: fn(&mut ClusterSettings) = |settings| settings.old_brokers = true;
    let chosen =
        ["a lost end is written again, sh", "a topic is made anew, and", "a broker is made anew and l"];
    let cases: Vec<Case> =
        cases().into_iter().filter(|(what, ..)| chosen.iter().any(|begin| what.starts_with(begin))).collect();
    let runs = [small, old].into_iter().flat_map(|change| cases.iter().map(move |case| (change, case)));
    let runs = runs.map(|(change, (what, steps, _))| async move {
        let mut story = Story::new(change).await;
        for step in steps {
            story.play(*step).await;
        }
        story.check(what).await;
        story.end().await;
    });
    futures::stream::iter(runs).buffer_unordered(4).collect::<Vec<()>>().await;
}

/// A slave has less than its master had; that is no loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slave_that_is_behind_is_waited_for() {
    for behind in [1, 5] {
        let mut story = Story::new(|_| {}).await;
        story.play(Append(0, 20)).await;
        story.play(Settle).await;
        story.play(Backup).await;
        story.cluster.set(|settings| settings.slaves = true);
        for step in [Stop, Lose(behind), Start] {
            story.play(step).await;
        }
        story.cluster.forget_requests();
        let asked = || story.cluster.requests().iter().filter(|asked| asked.code == 11).count();
        story.following().wait("pulls of the slave", |_| asked() > 8).await;
        assert_eq!(story.alarm(), "", "{behind} behind");
        story.play(PutBack).await;
        story.cluster.set(|settings| settings.slaves = false);
        story.play(Append(0, 3)).await;
        let present = story.present();
        story.wait_for(&present).await;
        let stored = story.stored().await;
        assert!(stored.values().all(|count| *count == 1), "{stored:?}");
        assert_eq!(story.alarm(), "", "{behind} behind");
        story.end().await;
    }
}

/// What an import read lies at positions that a new log uses again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_made_anew_after_an_import_is_followed_from_its_beginning() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(settings()).await;
    let config = config(home.path(), &cluster);
    let store = home.path().join("store");
    write_beginning(When::Before, BROKERS[0], 1, &store);
    import(&config, &store, BROKERS[0]).await.unwrap();
    for (topic, numbers) in [("order-paid", 0..4), ("fresh", 4..8)] {
        cluster.set_queues(topic, 1);
        append(&cluster, topic, 0, numbers);
    }
    let following = Following::start(&config).await;
    let imported = following.count("message WHERE message_id NOT LIKE '7F0000010B7518B4AAC2%'").await;
    following.wait_for("fresh", 4).await;
    let statement = "message WHERE subject = 'order-paid' AND message_id LIKE '7F0000010B7518B4AAC2%'";
    let begun = tokio::time::Instant::now();
    while following.count(statement).await < 4 {
        assert!(begun.elapsed() < super::PATIENCE, "{:#?}", following.follow.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(alarm(&following).contains("/order-paid/0: offsets 0 to "), "{}", alarm(&following));
    following.stop().await;
    // the same once more: nothing is read twice
    let following = Following::start(&config).await;
    append(&cluster, "order-paid", 0, 8..9);
    while following.count(statement).await < 5 {
        assert!(begun.elapsed() < super::PATIENCE * 2, "{:#?}", following.follow.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(following.count(statement).await, 5);
    assert_eq!(alarm(&following), "");
    let again = following.count("message WHERE message_id NOT LIKE '7F0000010B7518B4AAC2%'").await;
    assert_eq!(again, imported);
    following.stop().await;
}

/// One step of a random history.
fn random_step(random: &mut SmallRng, is_running: bool, is_away: bool, has_copy: bool) -> Step {
    loop {
        return match random.random_range(0..14) {
            0..=4 => Append(random.random_range(0..QUEUES), random.random_range(1..40)),
            5 if is_running && !is_away => Settle,
            6 if is_running => Stop,
            7 if !is_running => Start,
            8 if !is_running => Lose(random.random_range(1..30)),
            9 if !is_running => Backup,
            10 if !is_running && has_copy => PutBack,
            11 if !is_running && random.random_bool(0.5) => Rebuild,
            12 if random.random_bool(0.5) => Recreate,
            13 if is_away => Back,
            13 => Away,
            _ => continue,
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_lose_and_double_nothing() {
    let histories: u64 = effort::times("MQLAKE_TEST_HISTORIES", 3, 40).into();
    let runs = (0..histories).map(|seed| async move {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut story = Story::new(|settings| settings.old_brokers = seed % 2 == 1).await;
        let mut reported = Vec::new();
        let (mut is_running, mut is_away) = (true, false);
        for _ in 0..24 {
            let step = random_step(&mut random, is_running, is_away, story.copy.is_some());
            reported.push(step);
            story.play(step).await;
            is_running = match step {
                Stop => false,
                Start => true,
                _ => is_running,
            };
            is_away = match step {
                Away => true,
                Back => false,
                _ => is_away,
            };
        }
        if !is_running {
            story.play(Start).await;
        }
        story.play(Back).await;
        story.check(&format!("seed {seed}: {reported:?}")).await;
        story.end().await;
    });
    futures::stream::iter(runs).buffer_unordered(4).collect::<Vec<()>>().await;
}
