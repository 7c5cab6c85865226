//! Every key's full set of messages, also where a broker stops at 64, and every id.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::support::rocketmq::{keys_of, lake, lines, messages};
use crate::support::rows;

/// Offset ids of the messages by topic and key.
type Sets = HashMap<(String, String), BTreeSet<String>>;

/// By place in the commit logs, which name a message as its offset id does.
async fn keys_in_the_table(kinds: &str) -> Vec<(String, String, String)> {
    let statement = format!(
        "SELECT k.subject, k.key, m.store_host, m.physical_offset FROM message_key k JOIN message m \
         ON k.subject = m.subject AND k.broker_group = m.broker_group AND k.queue_id = m.queue_id \
           AND k.sequence = m.sequence \
         WHERE k.key_kind IN ({kinds})"
    );
    let found = rows::query(&lake(), &statement).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let found = found.iter().map(|row| {
        let (_, port) = row["store_host"].as_str().unwrap().rsplit_once(':').unwrap();
        let port: u32 = port.parse().unwrap();
        let id = format!("7F000001{port:08X}{:016X}", row["physical_offset"].as_i64().unwrap());
        (text(&row["subject"]), text(&row["key"]), id)
    });
    found.collect()
}

#[tokio::test]
async fn every_key_has_its_full_set() {
    let mut wanted = Sets::new();
    for row in 0..messages().rows {
        for key in keys_of(row) {
            let set = wanted.entry((messages().text("topic", row).to_owned(), key.to_owned())).or_default();
            set.insert(messages().text("offset_msg_id", row).to_owned());
        }
    }
    let mut found = Sets::new();
    for (topic, key, id) in keys_in_the_table("0").await {
        assert!(found.entry((topic.clone(), key.clone())).or_default().insert(id), "{topic} {key}: twice");
    }
    let first = found.iter().find(|(name, set)| wanted.get(*name) != Some(*set));
    assert!(first.is_none(), "{first:?}");
    assert_eq!(found.len(), wanted.len());

    // the brokers' own answers
    let stored: HashMap<&str, i64> = (0..messages().rows)
        .map(|row| (messages().text("offset_msg_id", row), messages().number("store_timestamp", row)))
        .collect();
    let (mut stopped, mut beyond) = (0, 0);
    for query in lines("golden/query_by_key") {
        let text = |name: &str| query[name].as_str().unwrap().to_owned();
        let (begin, end) = (query["begin"].as_i64().unwrap(), query["end"].as_i64().unwrap());
        let ours: BTreeSet<&str> = found
            .get(&(text("topic"), text("key")))
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|id| (begin..=end).contains(&stored[id]))
            .collect();
        let theirs: BTreeSet<&str> =
            query["found"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert!(theirs.is_subset(&ours), "{query}");
        // a broker gives no more than 64 for one request
        let of_broker =
            |set: &BTreeSet<&str>, id: &str| set.iter().filter(|other| other[..16] == id[..16]).count();
        for more in ours.difference(&theirs) {
            assert_eq!(of_broker(&theirs, more), 64, "{query}: {more}");
            beyond += 1;
        }
        stopped += u32::from(ours != theirs);
    }
    assert!(stopped > 0 && beyond > 300, "{stopped} {beyond}");
}

#[tokio::test]
async fn every_id_leads_to_its_message() {
    let found: HashSet<(String, String, String)> = keys_in_the_table("1, 2, 3").await.into_iter().collect();
    let mut known = 0;
    let queries = lines("golden/query_by_id");
    for query in &queries {
        // the Java client looks for a unique id in the last days only
        let Some(id) = query["found"].as_str() else { continue };
        let text = |name: &str| query[name].as_str().unwrap().to_owned();
        assert!(found.contains(&(text("topic"), text("id"), id.to_owned())), "{query}");
        known += 1;
    }
    assert_eq!((queries.len(), known), (600, 459));
    for row in 0..messages().rows {
        let text = |name: &str| messages().text(name, row).to_owned();
        let offset_id = text("offset_msg_id");
        assert!(found.contains(&(text("topic"), offset_id.clone(), offset_id.clone())), "{offset_id}");
        assert!(found.contains(&(text("topic"), text("msg_id"), offset_id)), "{}", text("msg_id"));
    }
}
