//! `GET /api/v1/messages`: messages by id, by key, or by a time window.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::super::app::App;
use super::super::budget::Held;
use super::super::page_token;
use super::bodies::{cut, page_with_bodies};
use super::known::{Asked, Known, Name};
use super::params::{Clocked, Params};
use super::refusal::Refusal;
use super::system;
use super::watermark::watermark;
use crate::error::{Error, Result};
use crate::lake::schema::codes::KeyKind;
use crate::lake::schema::{MESSAGE, MESSAGE_KEY};
use crate::query::lookup::{
    Condition, KeyHit, KeyQuery, MessagePlace, Order, StoredMessage, SubjectQuery, WindowQuery, find,
    find_anywhere, key_hits_of, messages_of, messages_with_key, window,
};
use crate::query::{Pinned, PinnedTable};
use crate::stream::{Conventions, System};

/// Kinds of keys that are ids of stored messages.
const IDS: std::ops::RangeInclusive<KeyKind> = KeyKind::MessageId..=KeyKind::OffsetId;
/// Entries of index files that are looked up concurrently.
const CONCURRENT_ENTRIES: usize = 8;

/// A page of messages.
#[derive(Debug, Default, Serialize)]
pub(super) struct Messages {
    pub(super) messages: Vec<StoredMessage>,
    /// Token of the next page, if there is one.
    pub(super) next: Option<String>,
    /// Time of the newest known message of the system, epoch milliseconds.
    pub(super) watermark: Option<i64>,
    /// Messages with this key that are no longer stored anywhere; only time and offset are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lost: Vec<Lost>,
    /// Why the answer is empty, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) known: Option<Known>,
    /// Whether `lost` was cut and there can be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) lost_truncated: bool,
    /// Memory reserved for the page.
    #[serde(skip)]
    pub(super) held: Option<Held>,
}

/// A message of which only an entry of an index file is left. The entry has a hash of the key, so it can belong to
/// another key.
#[derive(Debug, Serialize)]
pub(super) struct Lost {
    broker: String,
    offset_message_id: String,
    /// Epoch milliseconds, cut to the second.
    store_time: i64,
}

/// A parsed request.
struct Request {
    system: &'static dyn System,
    /// Optional only when asking by id.
    topic: Option<String>,
    with_copies: bool,
    with_bodies: bool,
    from: i64,
    to: i64,
    tag: Option<String>,
    order: Order,
    limit: usize,
    /// Everything that a page token depends on.
    scope: String,
    start: Option<MessagePlace>,
}

/// Answers the route.
pub(super) async fn messages(app: &App, mut params: Params) -> Result<Messages, Refusal> {
    let system = system(&mut params)?;
    let clock = Clocked::of(app);
    let (id, key) = (params.text("id"), params.text("key"));
    let topic = match id {
        // a query by id does not need a topic
        Some(_) => params.text("topic"),
        None => Some(params.required("topic")?),
    };
    let (from, to) = (params.time("from", &clock)?, params.time("to", &clock)?);
    let tag = params.text("tag");
    let order = match params.word("order", &["newest", "oldest"])? {
        "oldest" => Order::Oldest,
        _ => Order::Newest,
    };
    let with_copies = params.word("copies", &["none", "all"])? == "all";
    let with_bodies_too = params.word("body", &["false", "true"])? == "true";
    let limit = params.number("limit", 1, app.config.http.max_len)?.unwrap_or(app.config.http.default_len);
    let token = params.text("page");
    params.end()?;
    if id.is_some() && key.is_some() {
        return Err(Refusal::field("key", "and `id` exclude each other"));
    }
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Refusal::field("from", "lies after `to`"));
    }
    let scope = format!(
        "{}\n{}\n{id:?}\n{key:?}\n{from:?}\n{to:?}\n{tag:?}\n{order:?}\n{with_copies}",
        system.name(),
        topic.as_deref().unwrap_or("")
    );
    let start = match &token {
        Some(token) => Some(page_token::decode::<MessagePlace>(&scope, token)?.begin(order == Order::Newest)),
        None => None,
    };
    let request = Request {
        system,
        topic,
        with_copies,
        with_bodies: with_bodies_too,
        from: from.unwrap_or(i64::MIN),
        to: to.unwrap_or(i64::MAX),
        tag,
        order,
        limit,
        scope,
        start,
    };
    let _rows = app.memory_for_rows(request.limit).await?;
    let pinned = app.catalog.pin();
    let mut answer = match (&id, &key) {
        (Some(id), _) => request.by_id(app, &pinned, id).await?,
        (_, Some(key)) => request.by_key(app, &pinned, key).await?,
        _ => request.by_time(app, &pinned, request.topic()).await?,
    };
    if answer.messages.is_empty() && answer.lost.is_empty() && request.start.is_none() {
        let asked = Asked {
            system,
            topic: request.topic.as_deref(),
            group: None,
            name: id.as_deref().map(Name::Id).or(key.as_deref().map(Name::Key)),
            from: request.from,
            to: request.to,
        };
        answer.known = Some(asked.known(app, &pinned).await?);
    }
    let left_out = if request.with_bodies {
        let (held, left_out) =
            page_with_bodies(app, &pinned, request.system.name(), &mut answer.messages).await?;
        answer.held = Some(held);
        left_out
    } else {
        cut(app, &mut answer.messages)?
    };
    if let Some(start) = left_out {
        answer.next = Some(page_token::encode(&request.scope, &start));
    }
    answer.watermark = watermark(&pinned, request.system.name())?;
    Ok(answer)
}

impl Request {
    fn topic(&self) -> &str {
        self.topic.as_deref().unwrap_or_default()
    }

    fn conventions(&self) -> &'static dyn Conventions {
        self.system.conventions()
    }

    /// Whether the topic is that of a light queue, whose messages are stored in other topics.
    fn is_light(&self) -> bool {
        self.conventions().is_light_queue(self.topic())
    }

    async fn by_id(&self, app: &App, pinned: &Pinned, id: &str) -> Result<Messages, Refusal> {
        if !self.conventions().has_keys() {
            return self.by_scanned_id(app, pinned, id).await;
        }
        let mut hits = Vec::new();
        let (files, keys) = (&app.catalog.files, pinned.table(&MESSAGE_KEY)?);
        for form in self.conventions().id_forms(id) {
            hits.extend(key_hits_of(files, keys, self.system.name(), &form, IDS).await?);
        }
        self.of_hits(app, pinned, hits).await
    }

    async fn by_key(&self, app: &App, pinned: &Pinned, key: &str) -> Result<Messages, Refusal> {
        if !self.conventions().has_keys() {
            return Err(Refusal::field("key", self.conventions().why_no_keys()));
        }
        let (keys, messages) = (pinned.table(&MESSAGE_KEY)?, pinned.table(&MESSAGE)?);
        // brokers split the keys of a message at blanks, so blanks separate several keys, which must all match
        let parts: Vec<&str> = key.split(' ').filter(|part| !part.is_empty()).collect();
        let first = parts.first().copied().unwrap_or(key);
        let is_of_topic = !self.with_copies && !self.is_light();
        let query = KeyQuery {
            system: self.system.name(),
            key: first,
            subject: is_of_topic.then_some(self.topic()),
            from: self.from,
            to: self.to,
            order: self.order,
            start: self.start.as_ref().map(|start| start.time),
            limit: self.limit + 1,
        };
        let is_wanted = |message: &StoredMessage| {
            let has = |part: &&str| message.keys.iter().any(|known| known == part);
            // the first key was looked up; a message in a batch is also found by keys of its batch, which are not in
            // `keys`
            self.is_wanted(message) && parts.iter().skip(1).all(has)
        };
        let found = messages_with_key(&app.catalog.files, keys, messages, &query, is_wanted).await?;
        let mut answer = self.page(found);
        if self.start.is_none() && parts.len() == 1 {
            (answer.lost, answer.lost_truncated) = self.lost(app, keys, first).await?;
        }
        Ok(answer)
    }

    /// Messages that are not stored but that index files have, and whether there can be more. At most `limit` entries
    /// are checked.
    async fn lost(&self, app: &App, keys: &PinnedTable, key: &str) -> Result<(Vec<Lost>, bool), Refusal> {
        let files = &app.catalog.files;
        let Some(hash) = self.conventions().lost_key(self.topic(), key) else {
            return Ok((Vec::new(), false));
        };
        let kind = KeyKind::Hash..=KeyKind::Hash;
        let mut hits = key_hits_of(files, keys, self.system.name(), &hash, kind).await?;
        // index files have the time cut to the second
        hits.retain(|hit| hit.create_time.saturating_add(999) >= self.from && hit.create_time < self.to);
        let is_truncated = hits.len() > self.limit;
        hits.truncate(self.limit);
        let entries = hits.into_iter().map(|hit| async move {
            let kind = KeyKind::OffsetId..=KeyKind::OffsetId;
            let known = key_hits_of(files, keys, self.system.name(), &hit.message_id, kind).await?;
            Ok::<_, Error>(known.is_empty().then_some(Lost {
                broker: hit.broker_group,
                offset_message_id: hit.message_id,
                store_time: hit.create_time,
            }))
        });
        let entries: Vec<Option<Lost>> =
            stream::iter(entries).buffered(CONCURRENT_ENTRIES).try_collect().await?;
        Ok((entries.into_iter().flatten().collect(), is_truncated))
    }

    /// A page of the messages of hits.
    async fn of_hits(&self, app: &App, pinned: &Pinned, mut hits: Vec<KeyHit>) -> Result<Messages, Refusal> {
        hits.retain(|hit| hit.create_time >= self.from && hit.create_time < self.to);
        if let Some(topic) = &self.topic
            && !self.with_copies
            && !self.is_light()
        {
            hits.retain(|hit| hit.subject == *topic);
        }
        let start = self.start.as_ref().map(|start| start.time);
        match self.order {
            Order::Newest => {
                hits.retain(|hit| start.is_none_or(|start| hit.create_time <= start));
                hits.sort_unstable_by(|a, b| b.position().cmp(&a.position()));
            }
            Order::Oldest => {
                hits.retain(|hit| start.is_none_or(|start| hit.create_time >= start));
                hits.sort_unstable_by(|a, b| a.position().cmp(&b.position()));
            }
        }
        // several ids of one message can be equal
        hits.dedup_by(|a, b| a.position() == b.position());
        let table = pinned.table(&MESSAGE)?;
        let mut found = Vec::new();
        for hits in hits.chunks(self.limit + 1) {
            found.extend(messages_of(&app.catalog.files, table, self.system.name(), hits).await?);
            found.retain(|message| self.is_wanted(message));
            if found.len() > self.limit {
                break;
            }
        }
        Ok(self.page(found))
    }

    /// Whether a message has the topic and the tag, and is not on an earlier page.
    fn is_wanted(&self, message: &StoredMessage) -> bool {
        let is_of_topic = self
            .topic
            .as_deref()
            .is_none_or(|topic| is_of(self.conventions(), message, topic, self.with_copies));
        let is_behind_start = self.start.as_ref().is_none_or(|start| match self.order {
            Order::Newest => message.place() <= *start,
            Order::Oldest => message.place() >= *start,
        });
        is_of_topic && is_behind_start && (self.tag.is_none() || message.tags == self.tag)
    }

    /// Filters, sorts and cuts messages to a page.
    fn page(&self, mut found: Vec<StoredMessage>) -> Messages {
        found.retain(|message| self.is_wanted(message));
        // without a topic, copies are shown only if the message itself is not stored
        if self.topic.is_none() && !self.with_copies && found.iter().any(|message| !is_copy(message)) {
            found.retain(|message| !is_copy(message));
        }
        let mut placed: Vec<(MessagePlace, StoredMessage)> =
            found.into_iter().map(|message| (message.place(), message)).collect();
        placed.sort_by(|a, b| match self.order {
            Order::Newest => b.0.cmp(&a.0),
            Order::Oldest => a.0.cmp(&b.0),
        });
        placed.dedup_by(|a, b| a.0 == b.0);
        let last = self.limit.checked_sub(1).and_then(|last| placed.get(last)).map(|(place, _)| place);
        let begin = placed.get(self.limit).map(|(place, _)| place.clone().behind(last));
        let next = begin.map(|place| page_token::encode(&self.scope, &place));
        placed.truncate(self.limit);
        let messages = placed.into_iter().map(|(_, message)| message).collect();
        Messages { messages, next, ..Messages::default() }
    }

    async fn by_time(&self, app: &App, pinned: &Pinned, topic: &str) -> Result<Messages, Refusal> {
        let table = pinned.table(&MESSAGE)?;
        let mut conditions = vec![Condition::text("system", self.system.name())];
        conditions.extend(self.only_originals());
        let mut subjects = vec![SubjectQuery { subject: topic.to_owned(), conditions: conditions.clone() }];
        // a system with a kind for originals stores copies in the topic itself
        if self.with_copies && self.conventions().kind_of_originals().is_none() {
            conditions.push(Condition::text("origin_subject", topic));
            let holds_copies = |subject: &str| self.conventions().holds_copies(subject);
            for subject in app.catalog.subjects_where(table, holds_copies).await? {
                if subject != topic {
                    subjects.push(SubjectQuery { subject, conditions: conditions.clone() });
                }
            }
        }
        let query = WindowQuery {
            subjects,
            tag: self.tag.clone(),
            from: self.from,
            to: self.to,
            order: self.order,
            start: self.start.clone(),
            limit: self.limit + 1,
        };
        let found = window(&app.catalog.files, table, &query).await?;
        Ok(self.page(found))
    }

    /// The condition that excludes copies, if the system stores them in the topic itself and the request does not want
    /// them.
    fn only_originals(&self) -> Option<Condition> {
        let kind = self.conventions().kind_of_originals().filter(|_| !self.with_copies)?;
        Some(Condition::number("kind", kind))
    }

    /// Messages by id, for a system whose ids are only in `message`.
    async fn by_scanned_id(&self, app: &App, pinned: &Pinned, id: &str) -> Result<Messages, Refusal> {
        let mut conditions =
            vec![Condition::text("message_id", id), Condition::text("system", self.system.name())];
        if self.from != i64::MIN || self.to != i64::MAX {
            conditions.push(Condition::Number("create_time", self.from, self.to.saturating_sub(1)));
        }
        conditions.extend(self.only_originals());
        let table = pinned.table(&MESSAGE)?;
        let files = &app.catalog.files;
        let batches = match &self.topic {
            Some(topic) => find(files, table, topic, &conditions, &StoredMessage::COLUMNS).await?,
            None => find_anywhere(files, table, &conditions, &StoredMessage::COLUMNS).await?,
        };
        let mut found = Vec::new();
        for batch in batches {
            found.extend(StoredMessage::of(&batch)?);
        }
        Ok(self.page(found))
    }
}

/// Whether a message belongs to a topic: stored in it, a copy from it, or in its light queue.
pub(super) fn is_of(
    conventions: &dyn Conventions,
    message: &StoredMessage,
    topic: &str,
    with_copies: bool,
) -> bool {
    message.topic == topic
        || (with_copies && message.origin_topic.as_deref() == Some(topic))
        || conventions.is_in_light_queue(message, topic)
}

/// Whether a message is stored in another topic than its own: a copy, or a message that waits.
fn is_copy(message: &StoredMessage) -> bool {
    message.origin_topic.as_deref().is_some_and(|origin| origin != message.topic)
}
