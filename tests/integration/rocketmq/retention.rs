//! Once the broker has removed files: nothing is lost that was imported, and of the rest keys and times are known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use mqlake::brokers::rocketmq::RocketMqCounts;
use serde_json::Value;

use crate::support::http::{Server, encode};
use crate::support::rocketmq::{
    BROKERS, START_AFTER, When, copy_directory, import, keys_of, lake, lake_after, lines, messages,
    write_beginning, write_store,
};
use crate::support::{self, rows};

fn is_gone(row: usize) -> bool {
    messages().number("commit_log_offset", row) < START_AFTER
}

/// Rows of the tables that an import of the same messages must leave as they are.
async fn counts(data: &Path) -> Vec<Value> {
    let mut counts = Vec::new();
    for table in ["message", "message_key", "content", "trace"] {
        counts.extend(
            rows::query(data, &format!("SELECT '{table}' AS name, count(*) AS n FROM {table}")).await,
        );
    }
    counts
}

#[tokio::test]
async fn nothing_that_was_imported_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    copy_directory(&lake(), &data);
    let config = support::config(&data);
    for broker in BROKERS {
        let store = home.path().join(broker);
        write_store(When::After, broker, &store);
        let summary = import(&config, &store, broker).await.unwrap();
        assert_eq!((summary.messages, summary.lost_keys), (RocketMqCounts::default(), 0));
        assert!(summary.gaps.is_empty() && summary.skipped.is_empty(), "{summary:?}");
        let again = import(&config, &store, broker).await.unwrap();
        assert_eq!(again.commits, 0, "{again:?}");
    }
    assert_eq!(counts(&data).await, counts(&lake()).await);
    let report = support::open(&config).await.verify(mqlake::brokers::streams_of).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// A broker without new messages can have removed old ones.
#[tokio::test]
async fn what_the_broker_cannot_give_any_more_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    copy_directory(&lake(), &data);
    let config = support::config(&data);
    for broker in BROKERS {
        let store = home.path().join(broker);
        write_store(When::After, broker, &store);
        import(&config, &store, broker).await.unwrap();
    }
    let reset = &lines("golden/reset")[0];
    let server = Server::over(&data, |_| {}).await;
    let path = format!(
        "/api/v1/backtrack/preview?system=rocketmq&group=g-lag&topic=order-paid&timestamp={}",
        reset["timestamp"]
    );
    let preview = server.get(&path).await.json();
    for queue in preview["queues"].as_array().unwrap() {
        let is_same = |topic: &&Value| {
            topic["topic"] == "order-paid"
                && topic["broker"] == queue["broker"]
                && topic["queue_id"] == queue["queue_id"]
        };
        let topics = lines("golden/after/topics");
        let first = &topics.iter().find(is_same).unwrap()["min_offset"];
        assert_eq!(&queue["broker_first_offset"], first, "{queue}");
        let gone = first.as_i64().unwrap() - queue["from_offset"].as_i64().unwrap();
        assert_eq!(queue["gone"].as_i64(), Some(gone), "{queue}");
    }
}

#[tokio::test]
async fn what_is_left_is_imported_without_the_rest() {
    let mut wanted: Vec<(String, i64)> = (0..messages().rows)
        .filter(|row| !is_gone(*row))
        .map(|row| (messages().text("broker", row).to_owned(), messages().number("commit_log_offset", row)))
        .collect();
    wanted.sort();
    let found =
        rows::query(&lake_after(), "SELECT broker_group, physical_offset FROM message ORDER BY 1, 2").await;
    let found: Vec<(String, i64)> = found
        .iter()
        .map(|row| {
            (row["broker_group"].as_str().unwrap().to_owned(), row["physical_offset"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(found, wanted);
}

/// The hash of a string in Java, as an index file has it.
fn index_hash(topic: &str, key: &str) -> u32 {
    let text = format!("{topic}#{key}");
    let hash =
        text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    u32::try_from(hash.checked_abs().unwrap_or(0)).unwrap()
}

#[tokio::test]
async fn keys_of_removed_messages_are_reported() {
    // hash and offset id of the keys and unique ids of removed messages, with their store time
    let mut removed: HashMap<(String, String), i64> = HashMap::new();
    for row in (0..messages().rows).filter(|row| is_gone(*row)) {
        let (topic, id) = (messages().text("topic", row), messages().text("offset_msg_id", row));
        for key in keys_of(row).chain([messages().text("msg_id", row)]) {
            let hash = format!("#{:08x}", index_hash(topic, key));
            removed.insert((hash, id.to_owned()), messages().number("store_timestamp", row));
        }
    }
    let statement = "SELECT key, message_id, broker_group, CAST(create_time AS BIGINT) AS time FROM message_key \
         WHERE key_kind = 5";
    let mut by_broker: BTreeMap<String, u32> = BTreeMap::new();
    for row in rows::query(&lake_after(), statement).await {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let stored = removed.remove(&(text("key"), text("message_id"))).unwrap_or_else(|| panic!("{row}"));
        let earlier = stored - row["time"].as_i64().unwrap();
        assert!((0..1000).contains(&earlier), "{row}: {earlier} ms earlier");
        *by_broker.entry(text("broker_group")).or_default() += 1;
    }
    // of older ones the index is gone, too
    assert_eq!(by_broker, BTreeMap::from([("broker-a".to_owned(), 3291), ("broker-b".to_owned(), 3588)]));
}

#[tokio::test]
async fn the_route_tells_of_removed_messages_with_a_key() {
    let stored: HashSet<String> =
        rows::query(&lake_after(), "SELECT DISTINCT message_id FROM message_key WHERE key_kind = 5")
            .await
            .iter()
            .map(|row| row["message_id"].as_str().unwrap().to_owned())
            .collect();
    let server = Server::over(&lake_after(), |_| {}).await;
    let (mut asked, mut reported) = (0, 0);
    for query in lines("golden/query_by_key") {
        let found: Vec<&str> =
            query["found"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        if asked == 25 || found.len() > 60 || !found.iter().any(|id| stored.contains(*id)) {
            continue;
        }
        asked += 1;
        let (topic, key) = (query["topic"].as_str().unwrap(), query["key"].as_str().unwrap());
        let path =
            format!("/api/v1/messages?system=rocketmq&topic={}&key={}&limit=100", encode(topic), encode(key));
        let answer = server.get(&path).await.json();
        let ids = |list: &str, name: &str| -> HashSet<String> {
            let list = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().map(|message| message[name].as_str().unwrap().to_owned()).collect()
        };
        let (here, lost) = (ids("messages", "offset_message_id"), ids("lost", "offset_message_id"));
        for id in found {
            let offset = i64::from_str_radix(&id[16..], 16).unwrap();
            assert_eq!(here.contains(id), offset >= START_AFTER, "{path}: {id}");
            assert_eq!(lost.contains(id), stored.contains(id), "{path}: {id}");
        }
        reported += lost.len();
    }
    assert!(asked == 25 && reported >= 25, "{asked} {reported}");
}

/// The brokers' own answers after retention are among ours.
#[tokio::test]
async fn every_answer_of_the_brokers_is_still_found() {
    let statement = "SELECT k.subject, k.key, k.key_kind, m.store_host, m.physical_offset FROM message_key k \
         JOIN message m ON k.subject = m.subject AND k.broker_group = m.broker_group AND k.queue_id = m.queue_id \
           AND k.sequence = m.sequence WHERE k.key_kind < 4";
    let mut known: HashSet<(String, String, bool, String)> = HashSet::new();
    for row in rows::query(&lake_after(), statement).await {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let port = if text("store_host").ends_with(":10911") { "00002A9F" } else { "00002AB3" };
        let id = format!("7F000001{port}{:016X}", row["physical_offset"].as_i64().unwrap());
        known.insert((text("subject"), text("key"), row["key_kind"] == 0, id));
    }
    let text = |query: &Value, name: &str| query[name].as_str().unwrap().to_owned();
    for query in lines("golden/after/query_by_key") {
        for id in query["found"].as_array().unwrap() {
            let of = (text(&query, "topic"), text(&query, "key"), true, id.as_str().unwrap().to_owned());
            assert!(known.contains(&of), "{of:?}");
        }
    }
    for query in lines("golden/after/query_by_id") {
        if let Some(id) = query["found"].as_str() {
            let of = (text(&query, "topic"), text(&query, "id"), false, id.to_owned());
            assert!(known.contains(&of), "{of:?}");
        }
    }
}

#[tokio::test]
async fn what_was_removed_between_two_imports_is_a_gap() {
    let home = tempfile::tempdir().unwrap();
    let (early, late, data) = (home.path().join("early"), home.path().join("late"), home.path().join("data"));
    write_beginning(When::Before, BROKERS[0], 3, &early);
    write_store(When::After, BROKERS[0], &late);
    let config = support::config(&data);
    import(&config, &early, BROKERS[0]).await.unwrap();
    let summary = import(&config, &late, BROKERS[0]).await.unwrap();
    assert_eq!(summary.gaps.len(), 1, "{summary:?}");
    let gap = &summary.gaps[0];
    assert_eq!((gap.from, gap.to), (3 << 20, u64::try_from(START_AFTER).unwrap()));
    assert_offsets_without(&data, 3 << 20, START_AFTER).await;
    let again = import(&config, &late, BROKERS[0]).await.unwrap();
    assert_eq!((again.commits, again.gaps.len()), (0, 0), "{again:?}");
}

/// The first broker's messages are all there but for a stretch of its log.
async fn assert_offsets_without(data: &Path, from: i64, to: i64) {
    let mut wanted: Vec<i64> = (0..messages().rows)
        .filter(|row| messages().get("broker", *row) == BROKERS[0])
        .map(|row| messages().number("commit_log_offset", row))
        .filter(|offset| !(from..to).contains(offset))
        .collect();
    wanted.sort_unstable();
    let found = rows::query(data, "SELECT physical_offset FROM message ORDER BY 1").await;
    let found: Vec<i64> = found.iter().map(|row| row["physical_offset"].as_i64().unwrap()).collect();
    assert_eq!(found, wanted);
}
