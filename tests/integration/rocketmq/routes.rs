//! The routes of `/api/v1` over the sample cluster: keys, ids, lists, copies, dead letters and traces.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::effort;
use crate::support::http::{Server, encode};
use crate::support::rocketmq::{keys_of, lake, lines, messages};

/// All messages of a list, page by page.
async fn all_pages(server: &Server, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let answer = server.get(&format!("{path}{next}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let mut answer = answer.json();
        found.append(answer["messages"].as_array_mut().unwrap());
        match answer["next"].as_str() {
            Some(token) => next = format!("&page={}", encode(token)),
            None => return found,
        }
    }
}

fn offset_ids(found: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> =
        found.iter().map(|message| message["offset_message_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// Offset ids of the golden messages of which something is true.
fn wanted(is_wanted: impl Fn(usize) -> bool) -> Vec<&'static str> {
    let rows = (0..messages().rows).filter(|row| is_wanted(*row));
    let mut ids: Vec<&str> = rows.map(|row| messages().text("offset_msg_id", row)).collect();
    ids.sort_unstable();
    ids
}

fn is_of(topic: &str, row: usize) -> bool {
    messages().get("topic", row) == topic
}

fn stored(row: usize) -> i64 {
    messages().number("store_timestamp", row)
}

fn assert_order(found: &[Value], is_newest_first: bool) {
    let times: Vec<i64> = found.iter().map(|message| message["store_time"].as_i64().unwrap()).collect();
    let is_right = |pair: &[i64]| if is_newest_first { pair[0] >= pair[1] } else { pair[0] <= pair[1] };
    assert!(times.windows(2).all(is_right));
}

#[tokio::test]
async fn keys_and_ids() {
    let server = Server::over(&lake(), |_| {}).await;
    for query in lines("golden/query_by_key").iter().step_by(15) {
        let (topic, key) = (query["topic"].as_str().unwrap(), query["key"].as_str().unwrap());
        let path = format!(
            "/api/v1/messages?system=rocketmq&topic={}&key={}&limit=1000",
            encode(topic),
            encode(key)
        );
        let found = all_pages(&server, &path).await;
        let of_key = wanted(|row| is_of(topic, row) && keys_of(row).any(|known| known == key));
        assert_eq!(offset_ids(&found), of_key, "{query}");
    }
    // 470 messages; a broker shows 64 of them
    let path = "/api/v1/messages?system=rocketmq&topic=hot-key&key=the-hot-key&limit=100";
    let found = all_pages(&server, path).await;
    assert_eq!(found.len(), 470);
    assert_order(&found, true);
    for query in lines("golden/query_by_id").iter().step_by(20) {
        let (topic, id) = (query["topic"].as_str().unwrap(), query["id"].as_str().unwrap());
        let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        for id in [id.to_owned(), if is_hex { id.to_lowercase() } else { id.to_owned() }] {
            let path = format!("/api/v1/messages?system=rocketmq&topic={}&id={}", encode(topic), encode(&id));
            let found = all_pages(&server, &path).await;
            let ids = offset_ids(&found);
            match query["found"].as_str() {
                Some(known) => assert!(ids.contains(&known), "{query}: {ids:?}"),
                // too old for the Java client's window
                None => assert!(!ids.is_empty(), "{query}"),
            }
        }
    }
}

/// A message found by its key is stored inline with the key, one found by its id comes from its own row.
#[tokio::test]
async fn a_key_tells_what_an_id_tells() {
    let server = Server::over(&lake(), |_| {}).await;
    let of = |topic: &str, what: &str| {
        format!("/api/v1/messages?system=rocketmq&topic={}&limit=1000&body=true&{what}", encode(topic))
    };
    let (mut compared, mut asked) = (0, std::collections::HashSet::new());
    let (step, least) = if effort::is_long() { (41, 500) } else { (163, 120) };
    for row in (0..messages().rows).step_by(step) {
        let topic = messages().text("topic", row);
        for key in keys_of(row).take(2) {
            if !asked.insert((topic, key)) {
                continue;
            }
            for message in
                all_pages(&server, &of(topic, &format!("key={}", encode(key)))).await.iter().take(5)
            {
                let id = message["offset_message_id"].as_str().unwrap();
                let by_id = all_pages(&server, &of(topic, &format!("id={id}"))).await;
                // an inner batch has one offset id for all its messages
                assert!(by_id.contains(message), "{key}: {message:#} is not in {by_id:#?}");
                compared += 1;
            }
        }
    }
    assert!(compared > least, "{compared}");
}

/// Messages of one millisecond on both sides of the end of a page.
#[tokio::test]
async fn pages_of_a_key_end_anywhere() {
    let server = Server::over(&lake(), |_| {}).await;
    let path = "/api/v1/messages?system=rocketmq&topic=hot-key&key=the-hot-key";
    for order in ["newest", "oldest"] {
        let whole = all_pages(&server, &format!("{path}&order={order}&limit=1000")).await;
        for limit in [1, 7] {
            assert_eq!(
                all_pages(&server, &format!("{path}&order={order}&limit={limit}")).await,
                whole,
                "{limit}"
            );
        }
    }
}

#[tokio::test]
async fn lists_in_pages() {
    let server = Server::over(&lake(), |_| {}).await;
    let base = "/api/v1/messages?system=rocketmq&topic=order-paid";
    let found = all_pages(&server, &format!("{base}&limit=1000")).await;
    assert_eq!(offset_ids(&found), wanted(|row| is_of("order-paid", row)));
    assert_order(&found, true);

    let mut times: Vec<i64> =
        (0..messages().rows).filter(|row| is_of("order-paid", *row)).map(stored).collect();
    times.sort_unstable();
    let (from, to) = (times[1000], times[1060]);
    let within = move |row: usize| is_of("order-paid", row) && (from..to).contains(&stored(row));
    let window = format!("{base}&from={from}&to={to}&limit=7");
    let found = all_pages(&server, &format!("{window}&order=oldest")).await;
    assert_eq!(offset_ids(&found), wanted(within));
    assert_order(&found, false);
    let found = all_pages(&server, &format!("{window}&tag=web&body=true")).await;
    assert_eq!(
        offset_ids(&found),
        wanted(|row| within(row) && messages().get("properties", row)["TAGS"] == "web")
    );
    for message in &found {
        let body = message["body"].as_str().map(str::len);
        assert_eq!(body.map(|length| length as i64), message["body_size"].as_i64(), "{message}");
    }
}

/// With copies a topic's list has the retries of its messages, and where they waited.
#[tokio::test]
async fn copies_of_a_topics_messages() {
    let server = Server::over(&lake(), |_| {}).await;
    let path = "/api/v1/messages?system=rocketmq&topic=stock-changed&copies=all&limit=1000";
    let found = all_pages(&server, path).await;
    let rows = (0..messages().rows).filter(|row| is_of("stock-changed", *row));
    let ids: std::collections::HashSet<&str> = rows.map(|row| messages().text("msg_id", row)).collect();
    assert_eq!(offset_ids(&found), wanted(|row| ids.contains(messages().text("msg_id", row))));
    let of_kind = |kind: &str| found.iter().filter(|message| message["kind"] == kind).count();
    assert_eq!((of_kind("normal"), of_kind("retry"), of_kind("delay")), (929, 200, 200));
}

#[tokio::test]
async fn dead_letters_of_a_group() {
    let server = Server::over(&lake(), |_| {}).await;
    for (group, many) in [("g-grpc", 48), ("g-order-flaky", 216)] {
        let path = format!("/api/v1/dead-letters?system=rocketmq&group={group}&limit=100");
        let found = all_pages(&server, &path).await;
        assert_eq!(found.len(), many);
        assert_eq!(offset_ids(&found), wanted(|row| is_of(&format!("%DLQ%{group}"), row)));
    }
}

/// What consumers did, by their own account.
#[tokio::test]
async fn deliveries_in_traces() {
    let server = Server::over(&lake(), |_| {}).await;
    let mut by_id: BTreeMap<String, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
    for delivery in lines("truth/deliveries") {
        let text = |name: &str| delivery[name].as_str().unwrap().to_owned();
        by_id.entry(text("msg_id")).or_default().entry(text("group")).or_default().push(delivery);
    }
    for (id, groups) in by_id {
        let answer = server.get(&format!("/api/v1/traces?system=rocketmq&id={id}")).await.json();
        let consumers = answer["consumers"].as_array().unwrap();
        for (group, mut wanted) in groups {
            wanted.sort_by_key(|delivery| delivery["t"].as_i64());
            let consumer = consumers.iter().find(|consumer| consumer["group"] == group);
            let found = consumer.map(|consumer| consumer["deliveries"].as_array().unwrap()).unwrap();
            let outcomes: Vec<&str> =
                found.iter().map(|delivery| delivery["outcome"].as_str().unwrap()).collect();
            assert_eq!(outcomes.len(), wanted.len(), "{id} {group}: {outcomes:?}");
            for (outcome, delivery) in outcomes.into_iter().zip(&wanted) {
                let results: &[&str] = match delivery["result"].as_str() {
                    Some("CONSUME_SUCCESS" | "SUCCESS") => &["success"],
                    Some("RECONSUME_LATER" | "SUSPEND_CURRENT_QUEUE_A_MOMENT") => &["failed", "timed_out"],
                    _ => &["exception", "returned_null", "failed", "timed_out"],
                };
                assert!(results.contains(&outcome), "{id} {group}: {outcome}, but {delivery}");
            }
        }
    }
}

/// Every `tests/cases/api/*.txt`: requests, each followed by its answer.
///
/// `UPDATE_CASES=1 cargo test rocketmq::routes` writes the answers anew; read the difference before you commit it.
#[tokio::test]
async fn cases_answer_what_the_files_say() {
    let server = Server::over(&lake(), |_| {}).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/api");
    let update = std::env::var_os("UPDATE_CASES").is_some();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut fresh = String::new();
        for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
            // remarks, the request, its answer
            let (head, wanted): (Vec<&str>, Vec<&str>) =
                block.lines().partition(|line| line.starts_with("# ") || line.starts_with("GET "));
            let request = head.iter().find_map(|line| line.strip_prefix("GET ")).unwrap();
            let answer = server.get(request).await.json();
            if !update {
                let wanted: Value = serde_json::from_str(&wanted.join("\n")).unwrap();
                assert_eq!(answer, wanted, "{}: {request}", path.display());
            }
            let answer = serde_json::to_string_pretty(&answer).unwrap();
            fresh.push_str(&format!("{}\n{answer}\n\n", head.join("\n")));
        }
        if update {
            std::fs::write(&path, format!("{}\n", fresh.trim_end())).unwrap();
        }
    }
}
