//! How messages of a system are found in the tables, and what its names mean. Routes use these conventions instead of
//! comparing names of systems. Methods that a system does not need have defaults.

use crate::lake::Gap;
use crate::query::lookup::StoredMessage;

/// The conventions of a system. Pure: nothing here reads a table.
pub(crate) trait Conventions: Send + Sync {
    /// Whether ids and keys of messages are in `message_key`. If not, ids are looked up in `message` itself, and messages
    /// have no keys.
    fn has_keys(&self) -> bool;

    /// Explanation for requests by key, if messages of the system have no keys.
    fn why_no_keys(&self) -> &'static str {
        ""
    }

    /// All forms in which an id can be stored.
    fn id_forms(&self, id: &str) -> Vec<String> {
        vec![id.to_owned()]
    }

    /// The value of `message_key.key` for a key whose message no longer exists.
    fn lost_key(&self, _topic: &str, _key: &str) -> Option<String> {
        None
    }

    /// The code in `kind` of original messages, if copies are stored in the same topic; else `None`.
    fn kind_of_originals(&self) -> Option<i64> {
        None
    }

    /// Whether a topic holds copies of messages of other topics.
    fn holds_copies(&self, _topic: &str) -> bool {
        false
    }

    /// Whether a topic is a light queue: its messages are stored in other topics and name it.
    fn is_light_queue(&self, _topic: &str) -> bool {
        false
    }

    /// Whether a message names a light queue.
    fn is_in_light_queue(&self, _message: &StoredMessage, _topic: &str) -> bool {
        false
    }

    /// Topic of a group's dead letters; `None` if dead letters are in `dead_message`.
    fn dead_letter_topic(&self, _group: &str) -> Option<String> {
        None
    }

    /// Whether `consumer_progress` has samples, also of topics without stored messages.
    fn has_samples(&self) -> bool {
        false
    }

    /// A statement that returns a row if a group is known.
    fn group_statement(&self, group: &str, topic: &str) -> String;

    /// A statement for the groups (`consumer_group`) of one topic, or of all topics; `None` if names of topics contain
    /// them, see [`Conventions::group_of_topic`].
    fn groups_statement(&self, topic: Option<&str>) -> Option<String>;

    /// The group of a topic with retries or dead letters.
    fn group_of_topic<'a>(&self, _topic: &'a str) -> Option<&'a str> {
        None
    }

    /// The whole name of a group that consumes a topic.
    fn whole_group(&self, group: &str, _topic: &str) -> String {
        group.to_owned()
    }

    /// The queue of a gap, if messages of the topic can have been in it; `Some(None)` if the system has no queues.
    fn queue_of(&self, gap: &Gap, topic: Option<&str>) -> Option<Option<i32>>;

    /// Explanation if the system has no traces.
    fn why_no_traces(&self) -> Option<&'static str> {
        None
    }

    /// Explanation if groups of the system cannot be reset.
    fn why_no_reset(&self) -> Option<&'static str> {
        None
    }

    /// Explanation if messages of the system cannot be sent again.
    fn why_no_sending(&self) -> Option<&'static str> {
        None
    }
}
