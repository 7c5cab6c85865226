//! One broker, followed for the lifetime of the process: its stream, and the queues that are pulled into it.
//!
//! Topics and queues are listed every `discover_every`, so new ones need no restart and removed ones end. Failures are
//! explained, retried, and never end the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::inbox::{Inbox, LOG};
use super::open;
use super::progress::sample;
use super::queue::QueueFollower;
use super::stored::Stored;
use super::troubles::Troubles;
use crate::brokers::rocketmq::format::topics::is_system_topic;
use crate::brokers::rocketmq::logs;
use crate::brokers::rocketmq::replay::{QueueOffsets, QueuePlace};
use crate::brokers::rocketmq::wire::client::{Client, RemoteError};
use crate::brokers::rocketmq::wire::requests::{PERM_READ, TopicConfig};
use crate::config::RocketMqSource;
use crate::error::{Error, Result};
use crate::lake::schema::SYSTEM_ROCKETMQ;
use crate::lake::{Owner, StreamInfo, WriterLock};
use crate::stream::{Backoff, Board, Gaps, Shared};

/// Most topics that an alarm names.
const MOST_TOPICS: usize = 10;
/// Alarm about topics without the permission to read.
const UNREADABLE: &str = "unreadable topics";

/// Topic, queue, and the place where the queue ended.
type QueueEnd = (String, i32, Result<Option<QueuePlace>>);

/// A broker that is followed.
pub(super) struct BrokerFollower {
    pub(super) name: String,
    /// Cluster that it belongs to, according to the name server.
    pub(super) cluster: String,
    pub(super) settings: Arc<RocketMqSource>,
    pub(super) client: Client,
    pub(super) shared: Shared,
    pub(super) board: Arc<Board>,
    pub(super) address: watch::Receiver<String>,
}

/// The topics of a broker that are to be followed.
#[derive(Default)]
struct Topics {
    /// Number of queues of each topic.
    wanted: BTreeMap<String, i32>,
    /// Topics that nobody may read, with their permission.
    closed: Vec<(String, i32)>,
}

/// An open stream.
struct Open {
    inbox: Arc<Inbox>,
    offsets: QueueOffsets,
    _lock: WriterLock,
}

impl BrokerFollower {
    /// Follows until a stop is requested.
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

    /// One session of the stream: until a stop, or until it has to be reopened.
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
        crate::stream::check_group(&self.name)?;
        let lock = lake.become_writer(&Owner::of(SYSTEM_ROCKETMQ, &self.name)).await?;
        let info = StreamInfo::new(SYSTEM_ROCKETMQ, &self.name, logs::PULLED);
        self.board.group(&self.name, lake.stream_info_or(info).await?.gaps);
        let stream = logs::stream(&self.name, logs::PULLED);
        let (pipeline, offsets) =
            open::pulled(&self.shared, &self.settings, &self.board, stream.clone()).await?;
        let offsets = pipeline.fold_spooled(offsets, super::frames::follow_offsets).await?;
        let gaps = Gaps::new(lake.clone(), self.board.clone(), SYSTEM_ROCKETMQ, self.name.clone());
        let inbox = Inbox {
            stream,
            pipeline,
            board: self.board.clone(),
            gaps,
            address: self.address.clone(),
            stored: Stored::new(self.shared.catalog.clone(), self.name.clone()),
            troubles: Troubles::new(self.board.clone(), LOG),
            wait: self.settings.suspend,
            look_every: self.settings.discover_every,
            retry: (self.shared.config.follow.retry_min, self.shared.config.follow.retry_max),
            alarm_for: self.shared.config.follow.alarm_for,
            placing: tokio::sync::Mutex::default(),
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
                match self.topics().await {
                    Ok(Topics { wanted, closed }) => {
                        self.board.following(&inbox.address());
                        self.report_closed(&closed);
                        if sampled.is_none_or(|sampled| sampled.elapsed() >= self.settings.progress_every) {
                            sampled = Some(Instant::now());
                            let topics: Vec<String> = wanted.keys().cloned().collect();
                            if let Err(error) = sample(&self.client, inbox, &topics, &stop).await {
                                break Err(error);
                            }
                        }
                        self.reconcile(inbox, &wanted, &mut queues, &mut tasks, &offsets, &stop);
                    }
                    Err(error) => self.report_refusal(&error),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(tick) => {}
                () = stop.cancelled() => {}
                Some(ended) = tasks.join_next() => {
                    match ended {
                        Ok((topic, queue_id, Ok(place))) => {
                            // a queue that comes back continues where it was
                            if let Some(place) = place {
                                offsets.put(&topic, queue_id, place);
                            }
                            inbox.troubles.ended(&topic, queue_id);
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

    /// Topics to follow with the number of their queues on this broker, and topics that may not be read.
    async fn topics(&self) -> Result<Topics, RemoteError> {
        let address = self.address.borrow().clone();
        let configs: Vec<TopicConfig> = self.client.all_topic_configs(&address).await?;
        // a topic with the name of its cluster or broker belongs to the system
        let names = [self.name.as_str()];
        let clusters = [self.cluster.as_str()];
        let mut topics = Topics::default();
        for topic in configs {
            if !self.settings.wants(&topic.name, is_system_topic(&topic.name, &clusters, &names)) {
                continue;
            }
            if topic.perm & PERM_READ == 0 {
                topics.closed.push((topic.name, topic.perm));
            } else {
                topics.wanted.insert(topic.name, topic.read);
            }
        }
        topics.closed.sort();
        Ok(topics)
    }

    /// Reports the topics that nobody may read: old brokers create those of dead letters so.
    fn report_closed(&self, closed: &[(String, i32)]) {
        metrics::gauge!("mqlake_follow_unreadable_topics", "source" => self.board.name())
            .set(closed.len() as f64);
        if closed.is_empty() {
            return self.board.clear_alarm(UNREADABLE);
        }
        let mut named: Vec<String> = closed
            .iter()
            .take(MOST_TOPICS)
            .map(|(topic, perm)| format!("{topic} (permission {perm})"))
            .collect();
        if closed.len() > MOST_TOPICS {
            named.push(format!("and {} more", closed.len() - MOST_TOPICS));
        }
        self.board.alarm(
            UNREADABLE,
            format!(
                "the broker lets nobody read {}, so nothing of it is followed. To follow it: mqadmin updateTopicPerm -n \
                 {} -b {} -t TOPIC -p 6. To leave it out: exclude_topics",
                named.join(", "),
                self.settings.name_servers.join(";"),
                *self.address.borrow(),
            ),
        );
    }

    /// Reports why the broker did not list its topics.
    fn report_refusal(&self, error: &RemoteError) {
        let what = format!("asking for topics: {error}");
        if self.board.status().problem.as_ref() != Some(&what) {
            tracing::warn!(broker = self.name, "{what}");
        }
        if error.is_permission() {
            self.board.refused(format!("{what}. Look at access_key and secret_key of the source"));
        } else {
            self.board.problem("waiting", what);
        }
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
                inbox.troubles.began(topic, queue_id);
                let follower = QueueFollower {
                    topic: topic.clone(),
                    queue_id,
                    place: offsets.get(topic, queue_id),
                    client: self.client.clone(),
                    inbox: inbox.clone(),
                    stop: token,
                    // the first request asks for the last record
                    is_behind: true,
                    is_blind: false,
                    seen_from: None,
                };
                let topic = topic.clone();
                tasks.spawn(async move { (topic, queue_id, follower.run().await) });
            }
        }
    }
}
