//! Searches by time, and queries by key and physical offset.

use super::client::{Client, cluster, fill, offsets};
use crate::rocketmq_peer::{Frame, Message, Record};

async fn search(client: &mut Client, time: i64, boundary: &str) -> i64 {
    let time = time.to_string();
    client.offset(29, "T", 0, &[("timestamp", &time), ("boundaryType", boundary)]).await
}

#[tokio::test]
async fn searches_by_time() {
    let (cluster, mut client) = cluster().await;
    assert_eq!(search(&mut client, 5, "LOWER").await, 0);
    fill(&cluster, [50, 100, 100, 100, 300, 300]);
    let physical = cluster.queue_records("broker-a", "T", 0)[1].physical;
    cluster.drop_before("broker-a", physical, true);
    for (time, lower, upper) in
        [(200, 4, 3), (100, 1, 3), (301, 6, 5), (300, 4, 5), (99, 1, 1), (i64::MAX, 6, 5)]
    {
        assert_eq!(search(&mut client, time, "LOWER").await, lower, "lower of {time}");
        assert_eq!(search(&mut client, time, "unknown").await, lower, "lower of {time}");
        assert_eq!(search(&mut client, time, "upper").await, upper, "upper of {time}");
    }
    cluster.set(|settings| settings.boundaries = false);
    for (time, nearest) in [(0, 1), (190, 3), (210, 4), (999, 5)] {
        assert_eq!(search(&mut client, time, "UPPER").await, nearest, "nearest of {time}");
    }
}

#[tokio::test]
async fn unknown_queues_answer_nothing() {
    let (_cluster, mut client) = cluster().await;
    for topic in ["T", "none"] {
        assert_eq!(client.offset(30, topic, 9, &[]).await, 0);
        assert_eq!(client.offset(31, topic, 9, &[]).await, 0);
        assert_eq!(client.call(32, &[("topic", topic), ("queueId", "9")]).await.number("timestamp"), -1);
    }
}

async fn by_key(client: &mut Client, key: &str, begin: i64, end: i64, more: &[(&str, &str)]) -> Frame {
    let (begin, end) = (begin.to_string(), end.to_string());
    let fields =
        [("topic", "T"), ("key", key), ("maxNum", "100"), ("beginTimestamp", &begin), ("endTimestamp", &end)];
    client.call(12, &[&fields[..], more].concat()).await
}

#[tokio::test]
async fn queries_by_key() {
    let (cluster, mut client) = cluster().await;
    for number in 0..100 {
        let message = Message {
            keys: format!("k{number} all"),
            unique_key: format!("U{number}"),
            store_time: Some(10_500 + number * 300),
            ..Message::text("x")
        };
        cluster.append("broker-a", "T", (number % 2) as i32, message);
    }
    let all = i64::MAX;
    for key in ["k7", "U7"] {
        let found = by_key(&mut client, key, 0, all, &[]).await;
        let records = Record::parse_all(&found.body);
        assert_eq!((found.code, records.len(), records[0].property("UNIQ_KEY")), (0, 1, Some("U7")));
        assert_eq!(found.number("indexLastUpdateTimestamp"), 10_500 + 99 * 300);
    }
    // The newest, in the order of the log.
    let found = Record::parse_all(&by_key(&mut client, "all", 0, all, &[]).await.body);
    let times: Vec<_> = found.iter().map(|record| record.store_time).collect();
    assert_eq!(times, (36..100).map(|number| 10_500 + number * 300).collect::<Vec<_>>());
    let found = by_key(&mut client, "all", 0, all, &[("_UNIQUE_KEY_QUERY", "true")]).await;
    assert_eq!(offsets(&found).len(), 32);
    // Times are whole seconds after the first one, rounded down: message 4 counts as 11,500.
    assert_eq!(by_key(&mut client, "k4", 11_700, all, &[]).await.code, 22);
    assert_eq!(by_key(&mut client, "k4", 11_500, 11_500, &[]).await.code, 0);
    for (key, more) in [("none", ("x", "y")), ("k7", ("topic", "none")), ("k7", ("maxNum", "0"))] {
        assert_eq!(by_key(&mut client, key, 0, all, &[more]).await.code, 22);
    }
    cluster.drop_before("broker-a", i64::MAX, true);
    assert_eq!(by_key(&mut client, "k7", 0, all, &[]).await.code, 22);
}

#[tokio::test]
async fn keys_with_one_hash_are_taken_for_one_another() {
    let (cluster, mut client) = cluster().await;
    cluster.append("broker-a", "T", 0, Message { keys: "Aa".to_owned(), ..Message::text("x") });
    let found = by_key(&mut client, "BB", 0, i64::MAX, &[]).await;
    assert_eq!(Record::parse_all(&found.body)[0].property("KEYS"), Some("Aa"));
}

#[tokio::test]
async fn views_by_physical_offset() {
    let (cluster, mut client) = cluster().await;
    let physical = fill(&cluster, 0..3);
    let mut view = async |offset: i64| client.call(33, &[("offset", &offset.to_string())]).await;
    for (offset, at) in (0..).zip(&physical) {
        assert_eq!(offsets(&view(*at).await), [offset]);
    }
    for wrong in [-1, physical[1] + 1, physical[2] + 1000, i64::MAX] {
        let answer = view(wrong).await;
        assert_eq!((answer.code, answer.body.len()), (1, 0), "{wrong}");
    }
    // Nobody checks that a record starts there: the length of the body is taken for a size.
    let answer = view(physical[0] + 84).await;
    assert_eq!((answer.code, answer.body), (0, b"\0\0\0\x04".to_vec()));
    cluster.drop_before("broker-a", physical[1], false);
    assert_eq!(view(physical[0]).await.code, 1);
    assert_eq!(view(physical[1]).await.code, 0);
    cluster.edit_record("broker-a", physical[1], |raw| raw[4] = 0);
    assert_eq!(view(physical[1]).await.body[4], 0);
}

#[tokio::test]
async fn records_go_into_the_next_file_when_they_do_not_fit() {
    let (cluster, _) = cluster().await;
    let body = vec![1; 400_000];
    let places: Vec<_> = (0..4)
        .map(|_| cluster.append("broker-b", "T", 0, Message { body: body.clone(), ..Message::default() }).1)
        .collect();
    assert_eq!((places[0], places[2]), (0, 1 << 20));
    assert!(places[1] > 400_000 && places[3] > places[2]);
}
