//! How messages of a system are found in the tables, and what their names mean: what routes ask instead of comparing names
//! of systems. A default answers for systems that do without.

use crate::lake::Gap;
use crate::query::lookup::StoredMessage;

/// The conventions of a system. Pure: nothing here reads a table.
pub(crate) trait Conventions: Send + Sync {
    /// Whether ids and keys of messages are in `message_key`. If not, ids are looked for in `message` itself, and messages
    /// have no keys.
    fn has_keys(&self) -> bool;

    /// Why a message cannot be asked for by its key, of a system without keys.
    fn why_no_keys(&self) -> &'static str {
        ""
    }

    /// An id in all the forms in which it can be stored.
    fn id_forms(&self, id: &str) -> Vec<String> {
        vec![id.to_owned()]
    }

    /// The key of `message_key` under which a key is known whose message is gone.
    fn lost_key(&self, _topic: &str, _key: &str) -> Option<String> {
        None
    }

    /// The code in `kind` of messages that are no copies, where copies are stored in the topic itself.
    fn kind_of_originals(&self) -> Option<i64> {
        None
    }

    /// Whether a topic holds copies of messages of other topics.
    fn holds_copies(&self, _topic: &str) -> bool {
        false
    }

    /// Whether a topic has no messages of its own: they are stored in other topics and name it.
    fn is_light_queue(&self, _topic: &str) -> bool {
        false
    }

    /// Whether a message names a light queue.
    fn is_in_light_queue(&self, _message: &StoredMessage, _topic: &str) -> bool {
        false
    }

    /// Topic of a group's dead letters; `None` if they are in `dead_message`.
    fn dead_letter_topic(&self, _group: &str) -> Option<String> {
        None
    }

    /// Whether brokers tell of topics without stored messages, in `consumer_progress`.
    fn has_samples(&self) -> bool {
        false
    }

    /// A statement that gives a row if anything is known of a group.
    fn group_statement(&self, group: &str, topic: &str) -> String;

    /// A statement for the groups (`consumer_group`) of a topic, or of any; `None` if topics tell them, see
    /// [`Conventions::group_of_topic`].
    fn groups_statement(&self, topic: Option<&str>) -> Option<String>;

    /// The group to which a topic belongs: of its retries or dead letters.
    fn group_of_topic<'a>(&self, _topic: &'a str) -> Option<&'a str> {
        None
    }

    /// The whole name of a group that consumes a topic.
    fn whole_group(&self, group: &str, _topic: &str) -> String {
        group.to_owned()
    }

    /// The queue of a stretch that was gone, if messages of the topic can have been in it; `Some(None)` if the system has no
    /// queues.
    fn queue_of(&self, gap: &Gap, topic: Option<&str>) -> Option<Option<i32>>;

    /// Why there are no traces; `None` if there are.
    fn why_no_traces(&self) -> Option<&'static str> {
        None
    }

    /// Why no group can be reset; `None` if it can.
    fn why_no_reset(&self) -> Option<&'static str> {
        None
    }

    /// Why no message can be sent again; `None` if it can.
    fn why_no_sending(&self) -> Option<&'static str> {
        None
    }
}

/// A text in SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
