//! One broker for life: its stream, and the queues that are pulled into it.
//!
//! Topics and queues are looked at again and again, so new ones need no restart and removed ones end. Failures are
//! explained, retried, and never end the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::gaps::Gaps;
use super::super::pause::Backoff;
use super::super::pipeline::{Pipeline, Shared};
use super::super::status::Board;
use super::progress::sample;
use super::queue::QueueFollower;
use crate::config::RocketMqSource;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_ROCKETMQ;
use crate::lake::{Gap, Log, Owner, StreamId, WriterLock};
use crate::replay::{QueueOffsets, QueuePlace};
use crate::rocketmq::remoting::requests::{PERM_READ, TopicConfig};
use crate::rocketmq::topics::is_system_topic;
use crate::source::rocketmq::remote::{Client, RemoteError};

/// Name of the stream for operators.
const LOG: &str = "pulled";
/// How long to wait for room in the spool.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// What a frame counts besides its payload.
const FRAME_WEIGHT: u64 = 32;

/// Topic, queue, and where it ended.
type QueueEnd = (String, i32, Result<Option<QueuePlace>>);

/// A broker that is followed.
pub(super) struct BrokerFollower {
    pub(super) name: String,
    /// Cluster it belongs to, as the name server says.
    pub(super) cluster: String,
    pub(super) settings: Arc<RocketMqSource>,
    pub(super) client: Client,
    pub(super) shared: Shared,
    pub(super) board: Arc<Board>,
    pub(super) address: watch::Receiver<String>,
}

/// An open stream.
struct Open {
    inbox: Arc<Inbox>,
    offsets: QueueOffsets,
    _lock: WriterLock,
}

impl BrokerFollower {
    /// Follows until a stop is asked for.
    pub(super) async fn run(self) {
        let follow = &self.shared.config.follow;
        let mut backoff = Backoff::new(follow.retry_min, follow.retry_max);
        while !self.shared.stop.is_cancelled() {
            self.board.connecting();
            let outcome = self.once().await;
            let Err(error) = outcome else { continue };
            self.board.problem("waiting", error.to_string());
            tracing::warn!(broker = self.name, "{error}");
            metrics::counter!("mqlake_follow_failures_total", "source" => self.name.clone()).increment(1);
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = self.shared.stop.cancelled() => {}
            }
        }
        self.board.problem("stopped", "the server is stopping".to_owned());
    }

    /// One life of the stream: until a stop, or until it has to be opened anew.
    async fn once(&self) -> Result<()> {
        let Open { inbox, offsets, _lock } = self.open().await?;
        let outcome = self.follow(&inbox, offsets).await;
        let closed = match Arc::try_unwrap(inbox) {
            Ok(inbox) => inbox.close().await,
            Err(_) => Err(Error::Invariant("a queue outlived its broker".to_owned())),
        };
        outcome.and(closed)
    }

    async fn open(&self) -> Result<Open> {
        let lake = &self.shared.lake;
        crate::ingest::check_group(&self.name)?;
        let lock = lake.become_writer(&Owner::of(SYSTEM_ROCKETMQ, &self.name)).await?;
        let gaps = lake.rocketmq_gaps(&self.name).await?;
        self.board.group(&self.name, gaps);
        let stream = StreamId::rocketmq(&self.name, Log::Pulled);
        let (pipeline, mut offsets) =
            Pipeline::rocketmq(&self.shared, &self.settings, &self.board, stream.clone()).await?;
        for frame in pipeline.spooled().await? {
            super::frames::follow_offsets(&mut offsets, &frame?);
        }
        let gaps = Gaps::new(lake.clone(), self.board.clone(), SYSTEM_ROCKETMQ, self.name.clone());
        let inbox = Inbox {
            stream,
            pipeline,
            board: self.board.clone(),
            gaps,
            address: self.address.clone(),
            wait: self.settings.suspend,
            retry: (self.shared.config.follow.retry_min, self.shared.config.follow.retry_max),
            placing: tokio::sync::Mutex::default(),
            failing: Mutex::default(),
            behind: Mutex::default(),
        };
        Ok(Open { inbox: Arc::new(inbox), offsets, _lock: lock })
    }

    async fn follow(&self, inbox: &Arc<Inbox>, mut offsets: QueueOffsets) -> Result<()> {
        let stop = self.shared.stop.child_token();
        let mut queues: HashMap<(String, i32), CancellationToken> = HashMap::new();
        let mut tasks: JoinSet<QueueEnd> = JoinSet::new();
        let mut sampled: Option<Instant> = None;
        let mut synced = Instant::now();
        let mut looked: Option<Instant> = None;
        let tick = self.shared.config.follow.spool_sync.min(self.settings.discover_every);
        let outcome = loop {
            if stop.is_cancelled() {
                break Ok(());
            }
            if inbox.pipeline.is_broken() {
                break Err(Error::Invariant(
                    "replay or commits have ended; the stream is opened anew".to_owned(),
                ));
            }
            if looked.is_none_or(|looked| looked.elapsed() >= self.settings.discover_every) {
                looked = Some(Instant::now());
                match self.wanted().await {
                    Ok(wanted) => {
                        self.board.following(&inbox.address());
                        if sampled.is_none_or(|sampled| sampled.elapsed() >= self.settings.progress_every) {
                            sampled = Some(Instant::now());
                            let topics: Vec<String> = wanted.keys().cloned().collect();
                            if let Err(error) = sample(&self.client, inbox, &topics, &stop).await {
                                break Err(error);
                            }
                        }
                        self.reconcile(inbox, &wanted, &mut queues, &mut tasks, &offsets, &stop);
                    }
                    Err(error) => {
                        self.board.problem("waiting", format!("asking for topics: {error}"));
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(tick) => {}
                () = stop.cancelled() => {}
                Some(ended) = tasks.join_next() => {
                    match ended {
                        Ok((topic, queue_id, Ok(place))) => {
                            // a queue that comes back goes on where it was
                            if let Some(place) = place {
                                offsets.advance(&topic, queue_id, place.next, place.physical);
                                offsets.set(&topic, queue_id, place.next);
                            }
                            queues.remove(&(topic, queue_id));
                        }
                        Ok((_, _, Err(error))) => break Err(error),
                        Err(error) => break Err(error.into()),
                    }
                }
            }
            if synced.elapsed() >= self.shared.config.follow.spool_sync {
                synced = Instant::now();
                if let Err(error) = inbox.pipeline.sync().await {
                    break Err(error);
                }
                inbox.gaps.store().await;
                self.board.spooled(LOG, inbox.pipeline.spooled_bytes());
            }
        };
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        inbox.gaps.store().await;
        outcome
    }

    /// Topics to be followed, with the number of their queues on this broker.
    async fn wanted(&self) -> Result<BTreeMap<String, i32>, RemoteError> {
        let address = self.address.borrow().clone();
        let configs: Vec<TopicConfig> = self.client.all_topic_configs(&address).await?;
        // a topic named as its cluster or broker is one of the system
        let names = [self.name.as_str()];
        let clusters = [self.cluster.as_str()];
        let wanted = configs.into_iter().filter(|topic| {
            let is_system = is_system_topic(&topic.name, &clusters, &names);
            topic.perm & PERM_READ != 0 && self.settings.wants(&topic.name, is_system)
        });
        Ok(wanted.map(|topic| (topic.name, topic.read)).collect())
    }

    fn reconcile(
        &self,
        inbox: &Arc<Inbox>,
        wanted: &BTreeMap<String, i32>,
        queues: &mut HashMap<(String, i32), CancellationToken>,
        tasks: &mut JoinSet<QueueEnd>,
        offsets: &QueueOffsets,
        stop: &CancellationToken,
    ) {
        for ((topic, queue_id), token) in &*queues {
            if wanted.get(topic).is_none_or(|count| queue_id >= count) {
                token.cancel();
            }
        }
        for (topic, count) in wanted {
            for queue_id in 0..*count {
                if queues.contains_key(&(topic.clone(), queue_id)) {
                    continue;
                }
                let token = stop.child_token();
                queues.insert((topic.clone(), queue_id), token.clone());
                let follower = QueueFollower {
                    topic: topic.clone(),
                    queue_id,
                    place: offsets.get(topic, queue_id),
                    client: self.client.clone(),
                    inbox: inbox.clone(),
                    stop: token,
                };
                let topic = topic.clone();
                tasks.spawn(async move { (topic, queue_id, follower.run().await) });
            }
        }
    }
}

/// Where the queues of a broker put what they receive.
pub(super) struct Inbox {
    stream: StreamId,
    pipeline: Pipeline,
    board: Arc<Board>,
    gaps: Gaps,
    address: watch::Receiver<String>,
    wait: Duration,
    retry: (Duration, Duration),
    /// Held while a frame gets its place in the stream.
    placing: tokio::sync::Mutex<()>,
    /// Queues that cannot be pulled.
    failing: Mutex<HashMap<(String, i32), String>>,
    /// Messages of each queue that were not received when the broker last answered.
    behind: Mutex<HashMap<(String, i32), u64>>,
}

impl Inbox {
    /// Keeps a payload: from then on it counts as received. Waits while the spool is full.
    pub(super) async fn put(&self, kind: u8, payload: Bytes, stop: &CancellationToken) -> Result<()> {
        let _place = self.placing.lock().await;
        while !self.pipeline.has_room(payload.len()) {
            self.board.alarm(
                "spool",
                format!(
                    "the spool of {} is full (follow.spool_max) because commits fail or are slow; the broker is not asked \
                     for more until there is room",
                    self.stream
                ),
            );
            if self.pipeline.is_broken() || stop.is_cancelled() {
                return Err(Error::Limit(format!("the spool of {} is full", self.stream)));
            }
            tokio::time::sleep(FULL_PAUSE).await;
        }
        self.board.clear_alarm("spool");
        let from = self.pipeline.received().unwrap_or(0);
        let to = from.saturating_add(payload.len() as u64).saturating_add(FRAME_WEIGHT);
        self.pipeline.append(kind, from, to, payload).await
    }

    /// Where the broker is now.
    pub(super) fn address(&self) -> String {
        self.address.borrow().clone()
    }

    /// How long the broker may wait for a message.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// Shortest and longest pause after failures.
    pub(super) fn retry(&self) -> (Duration, Duration) {
        self.retry
    }

    /// Name of the stream.
    pub(super) fn stream(&self) -> String {
        self.stream.to_string()
    }

    /// The broker answered a pull.
    pub(super) fn answered(&self, topic: &str, queue_id: i32) {
        self.board.answered(LOG);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.is_empty() || failing.remove(&(topic.to_owned(), queue_id)).is_none() {
            return;
        }
        match failing.values().next() {
            Some(other) => self.board.alarm("pulling", other.clone()),
            None => self.board.clear_alarm("pulling"),
        }
    }

    /// How many messages of a queue are still to be received.
    pub(super) fn behind(&self, topic: &str, queue_id: i32, messages: i64) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.insert((topic.to_owned(), queue_id), u64::try_from(messages).unwrap_or(0));
        let all = behind.values().sum();
        drop(behind);
        self.board.lag_messages(LOG, all);
    }

    /// A pull failed.
    pub(super) fn failed(&self, topic: &str, queue_id: i32, error: &RemoteError) {
        let advice = if error.is_permission() {
            "; it needs the rights Sub and Get on the topic and Sub on the group TOOLS_CONSUMER"
        } else {
            ""
        };
        let what = format!("topic {topic}: {error}{advice}");
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.insert((topic.to_owned(), queue_id), what.clone());
        if failing.len() == 1 {
            self.board.alarm("pulling", what);
        }
    }

    /// Messages were gone before they could be read.
    pub(super) fn hole(&self, gap: Gap) {
        self.board.alarm(
            "holes",
            format!("{}: offsets {} to {} were removed before they were read", gap.stream, gap.from, gap.to),
        );
        self.gaps.note(gap);
    }

    /// A queue became shorter than what was read of it.
    pub(super) fn went_back(&self, topic: &str, queue_id: i32, asked: i64, to: i64) {
        self.board.alarm(
            "went back",
            format!(
                "{}/{topic}/{queue_id} ended before offset {asked}, up to which it was read: the topic was made anew, or a \
                 crash of the broker lost its end. Reading goes on at {to}",
                self.stream
            ),
        );
        metrics::counter!("mqlake_follow_went_back_total", "group" => self.stream.broker_group.clone())
            .increment(1);
    }

    async fn close(self) -> Result<()> {
        self.pipeline.settle().await;
        self.pipeline.close().await
    }
}
