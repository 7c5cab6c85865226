//! Every offset by time, how far groups were, what queues held, and where a reset puts a group.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Differences;
use crate::support::http::{Server, encode};
use crate::support::rocketmq::{lake, lake_after, lines};
use crate::support::rows;

/// Topic, broker, queue.
type Queue = (String, String, i64);

fn queue(row: &Value, topic: &str, broker: &str) -> Queue {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    (text(topic), text(broker), row["queue_id"].as_i64().unwrap())
}

/// Offsets and store times of the messages of each queue, and the end of the queue.
async fn queues(data: &std::path::Path) -> HashMap<Queue, (Vec<(i64, i64)>, i64)> {
    let mut queues: HashMap<Queue, (Vec<(i64, i64)>, i64)> = HashMap::new();
    let statement =
        "SELECT subject, broker_group, queue_id, max_offset FROM consumer_progress WHERE consumer_group = ''";
    for row in rows::query(data, statement).await {
        let end = row["max_offset"].as_i64().unwrap();
        queues.entry(queue(&row, "subject", "broker_group")).or_default().1 = end;
    }
    let statement =
        "SELECT subject, broker_group, queue_id, sequence, CAST(store_time AS BIGINT) AS stored FROM message";
    for row in rows::query(data, statement).await {
        let message = (row["sequence"].as_i64().unwrap(), row["stored"].as_i64().unwrap());
        queues.entry(queue(&row, "subject", "broker_group")).or_default().0.push(message);
    }
    queues
}

async fn compare_searches(data: &std::path::Path, file: &str) -> usize {
    let queues = queues(data).await;
    let mut different = Differences::default();
    let searches = lines(file);
    for search in &searches {
        let (messages, end) = &queues[&queue(search, "topic", "broker")];
        let time = search["timestamp"].as_i64().unwrap();
        let first = messages.iter().map(|(offset, _)| *offset).min().unwrap_or(*end);
        let lower = messages.iter().filter(|(_, stored)| *stored >= time).map(|(offset, _)| *offset).min();
        let upper = messages.iter().filter(|(_, stored)| *stored <= time).map(|(offset, _)| *offset).max();
        different.equal("lower", search, &json!(lower.unwrap_or(*end)), &search["lower"]);
        different.equal("upper", search, &json!(upper.unwrap_or(first)), &search["upper"]);
        // without a boundary brokers look for the lower one
        different.equal("offset", search, &search["offset"], &search["lower"]);
    }
    different.assert_none();
    searches.len()
}

#[tokio::test]
async fn every_time_lies_where_the_brokers_say() {
    assert_eq!(compare_searches(&lake(), "golden/search_offset").await, 3332);
}

#[tokio::test]
async fn every_time_lies_where_the_brokers_say_after_retention() {
    assert_eq!(compare_searches(&lake_after(), "golden/after/search_offset").await, 3156);
}

/// The route has the rule of the brokers; it is asked for some of the times.
#[tokio::test]
async fn the_route_finds_the_offset_of_a_time() {
    for (data, file) in [(lake(), "golden/search_offset"), (lake_after(), "golden/after/search_offset")] {
        let server = Server::over(&data, |_| {}).await;
        let mut by_time: Vec<((String, i64), Vec<Value>)> = Vec::new();
        for search in lines(file) {
            let time = (search["topic"].as_str().unwrap().to_owned(), search["timestamp"].as_i64().unwrap());
            match by_time.iter_mut().find(|(known, _)| *known == time) {
                Some((_, searches)) => searches.push(search),
                None => by_time.push((time, vec![search])),
            }
        }
        let step = by_time.len() / 6;
        for ((topic, time), searches) in by_time.iter().skip(7).step_by(step) {
            for boundary in ["lower", "upper"] {
                let path = format!(
                    "/api/v1/offsets?system=rocketmq&topic={}&timestamp={time}&boundary={boundary}",
                    encode(topic)
                );
                let answer = server.get(&path).await.json();
                let found = answer["offsets"].as_array().unwrap();
                for search in searches {
                    let wanted = json!({
                        "broker": search["broker"], "queue_id": search["queue_id"], "offset": search[boundary],
                    });
                    assert!(found.contains(&wanted), "{path}: {wanted} is not in {answer}");
                }
            }
        }
    }
}

#[tokio::test]
async fn progress_is_that_of_the_last_day() {
    let statement = "SELECT subject, consumer_group, broker_group, queue_id, consumer_offset, min_offset, max_offset \
         FROM consumer_progress";
    for (data, topics) in [(lake(), "golden/topics"), (lake_after(), "golden/after/topics")] {
        let mut groups: HashMap<(String, Queue), Value> = HashMap::new();
        for row in rows::query(&data, statement).await {
            let group = row["consumer_group"].as_str().unwrap().to_owned();
            let sample = groups.insert((group, queue(&row, "subject", "broker_group")), row);
            assert!(sample.is_none(), "two samples of one moment: {sample:?}");
        }
        let of = |group: &str, row: &Value| groups.get(&(group.to_owned(), queue(row, "topic", "broker")));
        let mut compared = 0;
        for stats in lines("golden/consume_stats").iter().filter(|stats| stats["day"] == 3) {
            let sample = of(stats["group"].as_str().unwrap(), stats).unwrap_or_else(|| panic!("{stats}"));
            assert_eq!(sample["consumer_offset"], stats["consumer_offset"], "{stats}");
            compared += 1;
        }
        assert_eq!(compared, 96);
        for topic in lines(topics) {
            match of("", &topic) {
                Some(sample) => {
                    assert_eq!(sample["min_offset"], topic["min_offset"], "{topic}");
                    assert_eq!(sample["max_offset"], topic["max_offset"], "{topic}");
                }
                // a queue in which nothing was ever stored
                None => assert_eq!(topic["max_offset"], 0, "{topic}"),
            }
        }
    }
}

/// A group was reset to a time, and consumed from there.
#[tokio::test]
async fn a_preview_begins_where_the_brokers_reset_to() {
    let server = Server::over(&lake(), |_| {}).await;
    let resets = lines("golden/reset");
    let first = &resets[0];
    let path = format!(
        "/api/v1/backtrack/preview?system=rocketmq&group={}&topic={}&timestamp={}",
        first["group"].as_str().unwrap(),
        first["topic"].as_str().unwrap(),
        first["timestamp"]
    );
    let answer = server.get(&path).await.json();
    let previews = answer["queues"].as_array().unwrap();
    assert_eq!((resets.len(), previews.len()), (8, 8));
    for reset in &resets {
        let is_same = |preview: &&Value| {
            preview["broker"] == reset["broker"] && preview["queue_id"] == reset["queue_id"]
        };
        let preview = previews.iter().find(is_same).unwrap();
        assert_eq!(preview["from_offset"], reset["after"], "{reset} {preview}");
        let (from, to) = (preview["from_offset"].as_i64(), preview["to_offset"].as_i64());
        assert_eq!(preview["messages"].as_i64(), to.zip(from).map(|(to, from)| to - from), "{preview}");
        assert_eq!((&preview["to_is_known"], &preview["gone"]), (&json!(true), &json!(0)), "{preview}");
    }
    assert_eq!(answer["messages"], 3124);
}

/// The functions answer as the routes do.
#[tokio::test]
async fn sql_functions_answer_as_the_routes() {
    let server = Server::over(&lake(), |_| {}).await;
    let reset = &lines("golden/reset")[0];
    let (group, topic) = (reset["group"].as_str().unwrap(), reset["topic"].as_str().unwrap());
    let time = reset["timestamp"].as_i64().unwrap();
    for (boundary, column) in [("lower", "lower_offset"), ("upper", "upper_offset")] {
        let path =
            format!("/api/v1/offsets?system=rocketmq&topic={topic}&timestamp={time}&boundary={boundary}");
        let statement = format!(
            "SELECT broker_group AS broker, queue_id, {column} AS offset \
             FROM offsets_at('rocketmq', '{topic}', {time}) ORDER BY 1, 2"
        );
        let rows = rows::query(&lake(), &statement).await;
        assert_eq!((rows.len(), json!(rows)), (8, server.get(&path).await.json()["offsets"].clone()));
    }
    let path =
        format!("/api/v1/backtrack/preview?system=rocketmq&group={group}&topic={topic}&timestamp={time}");
    // a time can be written in several ways
    let iso = chrono::DateTime::from_timestamp_millis(time).unwrap().to_rfc3339();
    for time in [time.to_string(), format!("'{iso}'"), format!("TIMESTAMP '{iso}'")] {
        let statement = format!(
            "SELECT broker_group AS broker, queue_id, from_offset, to_offset, to_is_known, messages, consumed, \
               broker_first_offset, gone \
             FROM backtrack_preview('rocketmq', '{group}', '{topic}', {time}) ORDER BY 1, 2"
        );
        let rows = rows::query(&lake(), &statement).await;
        assert_eq!((rows.len(), json!(rows)), (8, server.get(&path).await.json()["queues"].clone()));
    }
}
