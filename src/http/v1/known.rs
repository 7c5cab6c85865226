//! What is known when an answer is empty: whether the names in the request exist, what is stored, and why there may be
//! no match. It is part of the answer as `known`. It is never an error, and never looked up if something was found.

use std::collections::BTreeSet;

use datafusion::common::utils::datafusion_strsim::levenshtein;
use serde::{Deserialize, Serialize};

use super::super::app::App;
use super::statement::rows;
use super::watermark::{oldest, watermark};
use crate::error::Result;
use crate::lake::schema::codes::KeyKind;
use crate::lake::schema::{CONSUMER_PROGRESS, MESSAGE, MESSAGE_KEY, namespace};
use crate::query::Pinned;
use crate::query::lookup::{Condition, KeyHit, StoredMessage, find_anywhere, key_hits, messages_of};
use crate::stream::{Conventions, System};

/// Maximum names, topics and holes in an answer.
const MAX_LISTED: usize = 8;
/// Maximum files whose subjects are compared with an unknown one.
const MAX_FILES: usize = 64;
/// Maximum copies that are read.
const MAX_COPIES: usize = 100;

/// Why an answer is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// Nothing is known of the topic.
    UnknownTopic,
    /// Nothing is known of the group.
    UnknownGroup,
    /// No message, copy or trace has the id.
    UnknownId,
    /// No message has the key.
    UnknownKey,
    /// Messages of other topics have the id or key.
    OtherTopic,
    /// Only copies of the message are stored.
    OnlyCopies,
    /// Messages of light queues are stored in other topics.
    LightQueue,
    /// The window ends before the first message that is kept.
    BeforeKept,
    /// The window begins after the newest message that is known.
    AfterWatermark,
    /// Messages of the topic were removed before they could be read.
    Hole,
    /// All names are known, and nothing matches.
    NoMatch,
}

/// What is known.
#[derive(Debug, Serialize)]
pub(super) struct Known {
    reason: Reason,
    /// The reason as a sentence, with what to do.
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<bool>,
    /// Known names that are similar to the unknown one, most similar first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    similar: Vec<String>,
    /// Stored topics of messages with the id or key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    topics: Vec<String>,
    /// Time of the oldest stored message of the topic, or of the system if the topic is unknown.
    kept_from: Option<i64>,
    /// Time of the newest stored message of it.
    kept_to: Option<i64>,
    /// Ranges of offsets that were removed before they could be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    holes: Vec<Hole>,
}

impl Known {
    /// The reason as a sentence.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the group that was asked for is unknown.
    pub(super) fn is_group_unknown(&self) -> bool {
        self.group == Some(false)
    }

    /// Replaces what is known of the dead-letter topic of a group by what is known of the group.
    pub(super) fn of_group(&mut self, of_group: Known) {
        (self.topic, self.group) = (None, of_group.group);
        if self.reason == Reason::UnknownTopic {
            (self.reason, self.detail, self.similar) = (of_group.reason, of_group.detail, of_group.similar);
        }
    }
}

/// A range that was removed before it was read: queue offsets, or for QMQ byte offsets of the log.
#[derive(Debug, Serialize)]
struct Hole {
    broker: String,
    queue_id: Option<i32>,
    from: u64,
    to: u64,
}

/// The name by which a request looks for messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'a> {
    Id(&'a str),
    Key(&'a str),
}

/// The names and the window of a request.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) system: &'static dyn System,
    pub(super) topic: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) name: Option<Name<'a>>,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl<'a> Asked<'a> {
    /// A request for a topic alone.
    pub(super) fn topic(system: &'static dyn System, topic: &'a str) -> Asked<'a> {
        Asked { system, topic: Some(topic), group: None, name: None, from: i64::MIN, to: i64::MAX }
    }

    fn conventions(&self) -> &'static dyn Conventions {
        self.system.conventions()
    }

    fn name(&self) -> &'static str {
        self.system.name()
    }

    /// Looks up what is known of the request.
    pub(super) async fn known(&self, app: &App, pinned: &Pinned) -> Result<Known> {
        let table = pinned.table(&MESSAGE)?;
        let newest = watermark(pinned, self.name())?;
        let span = match self.topic {
            Some(topic) => app.catalog.span_of(table, self.name(), topic).await?,
            None => None,
        };
        let mut known = Known {
            reason: Reason::NoMatch,
            detail: String::new(),
            topic: None,
            group: None,
            id: None,
            key: None,
            similar: Vec::new(),
            topics: Vec::new(),
            kept_from: span.map(|(first, _)| first).or_else(|| oldest(pinned, self.name())),
            kept_to: span.map(|(_, last)| last).or(newest),
            holes: self.holes(app).await,
        };
        if let Some(topic) = self.topic {
            known.topic = Some(span.is_some() || self.is_sampled(app, pinned, topic).await?);
        }
        if let Some(group) = self.group {
            known.group = Some(self.is_group(app, group).await?);
        }
        let (mut only_copies, mut is_elsewhere) = (false, false);
        if let Some(name) = self.name {
            let found = self.found(app, pinned, name).await?;
            only_copies = found.has_copies;
            known.topics = found.topics.into_iter().take(MAX_LISTED).collect();
            is_elsewhere = !found.is_in_topic && !known.topics.is_empty();
            let is_known = Some(found.is_in_topic || is_elsewhere);
            match name {
                Name::Id(_) => known.id = is_known,
                Name::Key(_) => known.key = is_known,
            }
        }
        let is_light = self.topic.is_some_and(|topic| self.conventions().is_light_queue(topic));
        known.reason = match self.name {
            None if is_light => Reason::LightQueue,
            Some(_) if only_copies => Reason::OnlyCopies,
            Some(_) if is_elsewhere && self.topic.is_some() => Reason::OtherTopic,
            _ if known.topic == Some(false) && !is_light => Reason::UnknownTopic,
            Some(Name::Id(_)) if known.id == Some(false) => Reason::UnknownId,
            Some(Name::Key(_)) if known.key == Some(false) => Reason::UnknownKey,
            _ if known.group == Some(false) => Reason::UnknownGroup,
            _ if newest.is_some_and(|newest| self.from > newest) => Reason::AfterWatermark,
            _ if known.kept_from.is_some_and(|first| self.to <= first) => Reason::BeforeKept,
            _ if !known.holes.is_empty() => Reason::Hole,
            _ => Reason::NoMatch,
        };
        known.similar = match (known.reason, self.topic, self.group) {
            (Reason::UnknownTopic, Some(topic), _) => nearest(topic, self.subjects(app, pinned).await?),
            (Reason::UnknownGroup, topic, Some(group)) => {
                nearest(group, self.groups(app, pinned, topic).await?)
            }
            _ => Vec::new(),
        };
        known.detail = self.sentence(&known);
        Ok(known)
    }

    /// Whether anything is known of the topic.
    pub(super) async fn is_topic(&self, app: &App, pinned: &Pinned) -> Result<bool> {
        let Some(topic) = self.topic else { return Ok(false) };
        let span = app.catalog.span_of(pinned.table(&MESSAGE)?, self.name(), topic).await?;
        Ok(span.is_some() || self.is_sampled(app, pinned, topic).await?)
    }

    /// Whether samples of consumer progress mention the topic, even if no message of it is stored.
    async fn is_sampled(&self, app: &App, pinned: &Pinned, topic: &str) -> Result<bool> {
        if !self.conventions().has_samples() {
            return Ok(false);
        }
        let table = pinned.table(&CONSUMER_PROGRESS)?;
        Ok(app.catalog.span_of(table, self.name(), topic).await?.is_some())
    }

    async fn is_group(&self, app: &App, group: &str) -> Result<bool> {
        let statement = self.conventions().group_statement(group, self.topic.unwrap_or_default());
        #[derive(Deserialize)]
        struct Row {}
        Ok(!rows::<Row>(app, &statement).await?.is_empty())
    }

    /// Where messages with a name are stored.
    async fn found(&self, app: &App, pinned: &Pinned, name: Name<'_>) -> Result<Found> {
        if !self.conventions().has_keys() {
            return self.found_by_id(app, pinned, name).await;
        }
        let files = &app.catalog.files;
        let mut hits = Vec::new();
        match name {
            Name::Id(id) => {
                for form in id.split(',').flat_map(|id| self.conventions().id_forms(id)) {
                    hits.extend(key_hits(files, pinned.table(&MESSAGE_KEY)?, self.name(), &form).await?);
                }
                hits.retain(|hit: &KeyHit| {
                    [KeyKind::MessageId, KeyKind::OwnId, KeyKind::OffsetId].iter().any(|kind| hit.is(*kind))
                });
            }
            Name::Key(key) => {
                let first = key.split(' ').find(|part| !part.is_empty()).unwrap_or(key);
                hits = key_hits(files, pinned.table(&MESSAGE_KEY)?, self.name(), first).await?;
                hits.retain(|hit| hit.is(KeyKind::Key));
            }
        }
        let mut found = Found::default();
        let is_of_topic = |subject: &str| self.topic.is_none_or(|topic| topic == subject);
        found.is_in_topic = hits.iter().any(|hit| is_of_topic(&hit.subject));
        let copies: Vec<KeyHit> = hits
            .iter()
            .filter(|hit| self.conventions().holds_copies(&hit.subject))
            .take(MAX_COPIES)
            .cloned()
            .collect();
        if let Some(topic) = self.topic.filter(|_| !found.is_in_topic && !copies.is_empty()) {
            let stored = messages_of(files, pinned.table(&MESSAGE)?, self.name(), &copies).await?;
            found.has_copies = stored.iter().any(|message| message.origin_topic.as_deref() == Some(topic));
        }
        found.topics = hits.into_iter().map(|hit| hit.subject).collect();
        Ok(found)
    }

    async fn found_by_id(&self, app: &App, pinned: &Pinned, name: Name<'_>) -> Result<Found> {
        let mut found = Found::default();
        let Name::Id(id) = name else { return Ok(found) };
        let conditions = [Condition::text("message_id", id), Condition::text("system", self.name())];
        let table = pinned.table(&MESSAGE)?;
        for batch in find_anywhere(&app.catalog.files, table, &conditions, &StoredMessage::COLUMNS).await? {
            found.topics.extend(StoredMessage::of(&batch)?.into_iter().map(|message| message.topic));
        }
        found.is_in_topic = self.topic.is_some_and(|topic| found.topics.contains(topic));
        Ok(found)
    }

    /// Gaps that following recorded; none if they cannot be read now.
    async fn holes(&self, app: &App) -> Vec<Hole> {
        let Ok(streams) = app.catalog.lake.streams().await else { return Vec::new() };
        let of_system = streams.into_iter().filter(|stream| stream.system == self.name());
        let holes = of_system.flat_map(|stream| {
            let broker = stream.broker_group;
            stream.gaps.into_iter().filter_map(move |gap| {
                let queue_id = self.conventions().queue_of(&gap, self.topic)?;
                Some(Hole { broker: broker.clone(), queue_id, from: gap.from, to: gap.to })
            })
        });
        holes.take(MAX_LISTED).collect()
    }

    /// Candidates for a similar subject.
    async fn subjects(&self, app: &App, pinned: &Pinned) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for table in [&MESSAGE, &CONSUMER_PROGRESS] {
            all.extend(app.catalog.newest_subjects(pinned.table(table)?, self.name(), MAX_FILES).await?);
        }
        Ok(all)
    }

    /// Candidates for a similar group: those of the topic, or those with retries or dead letters.
    async fn groups(&self, app: &App, pinned: &Pinned, topic: Option<&str>) -> Result<BTreeSet<String>> {
        #[derive(Deserialize)]
        struct Row {
            consumer_group: String,
        }
        let Some(statement) = self.conventions().groups_statement(topic) else {
            let subjects = self.subjects(app, pinned).await?;
            let groups = subjects.iter().filter_map(|subject| self.conventions().group_of_topic(subject));
            return Ok(groups.map(str::to_owned).collect());
        };
        Ok(rows::<Row>(app, &statement).await?.into_iter().map(|row| row.consumer_group).collect())
    }

    fn sentence(&self, known: &Known) -> String {
        let topic = self.topic.unwrap_or_default();
        let what = match self.name {
            Some(Name::Id(_)) => "id",
            Some(Name::Key(_)) => "key",
            None => "name",
        };
        let similar = match known.similar.as_slice() {
            [] => String::new(),
            names => format!("; known are: {}", names.join(", ")),
        };
        let elsewhere = known.topics.join(", ");
        match known.reason {
            Reason::UnknownTopic => format!("no message of topic `{topic}` is known{similar}"),
            Reason::UnknownGroup => {
                format!("nothing is known of group `{}`{similar}", self.group.unwrap_or_default())
            }
            Reason::UnknownId => {
                "no stored message has the id; what is younger than `watermark` is not known yet".to_owned()
            }
            Reason::UnknownKey => {
                "no stored message has the key; what is younger than `watermark` is not known yet".to_owned()
            }
            Reason::OtherTopic => format!("the {what} is known in other topics: {elsewhere}"),
            Reason::OnlyCopies => {
                format!("only copies of the message are stored, in {elsewhere}: ask with copies=all")
            }
            Reason::LightQueue => format!(
                "messages of light queues are stored in other topics: ask by `id` or `key`, or with SQL for \
                 properties['INNER_MULTI_DISPATCH'] with {topic}"
            ),
            Reason::BeforeKept => "the window ends before the first message that is kept".to_owned(),
            Reason::AfterWatermark => "the window begins after the newest message that is known".to_owned(),
            Reason::Hole => "nothing matches; `holes` were gone before they could be read".to_owned(),
            Reason::NoMatch => "all names are known, and nothing matches".to_owned(),
        }
    }
}

/// Where messages with a name are.
#[derive(Debug, Default)]
struct Found {
    is_in_topic: bool,
    /// Whether no message is in the topic itself, but a copy of one of its messages is stored.
    has_copies: bool,
    topics: BTreeSet<String>,
}

/// The names that are most similar to one, most similar first.
fn nearest(wanted: &str, names: BTreeSet<String>) -> Vec<String> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_', '.', ' '], "");
    let wanted_plain = plain(wanted);
    let mut scored: Vec<(usize, String)> = names
        .into_iter()
        .filter_map(|name| {
            if name == wanted || name.is_empty() {
                return None;
            }
            let other = plain(&name);
            let far = levenshtein(&other, &wanted_plain);
            let is_part = |part: &str, whole: &str| part.len() >= 3 && whole.contains(part);
            let score = if namespace::is_same(&name, wanted) || namespace::bare(&name) == wanted {
                0
            } else if far <= (wanted_plain.chars().count() / 3).max(1) {
                1 + far
            } else if is_part(&wanted_plain, &other) || is_part(&other, &wanted_plain) {
                100 + far
            } else {
                return None;
            };
            Some((score, name))
        })
        .collect();
    scored.sort();
    scored.into_iter().take(MAX_LISTED).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["Orders", "orders-eu", "MQ_INST_1%Order", "payments", "%DLQ%Order", "Oders"];
        let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
        assert_eq!(nearest("Order", names.clone()), ["%DLQ%Order", "MQ_INST_1%Order", "Orders", "orders-eu"]);
        assert_eq!(nearest("payment", names.clone()), ["payments"]);
        assert!(nearest("zzz", names).is_empty());
    }
}
