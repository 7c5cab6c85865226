//! Answers are bounded in rows and in bytes, and whoever pages gets everything all the same.

use bytesize::ByteSize;
use serde_json::Value;

use crate::support::http::{Server, encode};
use crate::support::rocketmq;

/// All messages of a list, page by page, and the longest page in bytes.
async fn all_pages(server: &Server, path: &str) -> (Vec<Value>, usize) {
    let (mut found, mut longest, mut next) = (Vec::new(), 0, String::new());
    loop {
        let answer = server.get(&format!("{path}{next}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        longest = longest.max(answer.body.len());
        let mut answer = answer.json();
        let page = answer["messages"].as_array_mut().unwrap();
        assert!(!page.is_empty() || next.is_empty(), "an empty page");
        found.append(page);
        match answer["next"].as_str() {
            Some(token) => next = format!("&page={}", encode(token)),
            None => return (found, longest),
        }
    }
}

/// Answers of 64 KiB.
fn small(config: &mut mqlake::config::Config) {
    config.http.max_answer_bytes = ByteSize::kib(64);
    config.http.answer_memory = ByteSize::mib(2);
}

const LISTS: [&str; 5] = [
    "topic=order-paid&body=true",
    "topic=order-paid&copies=all&order=oldest",
    "topic=order-paid&tag=web&body=true&order=oldest",
    "topic=hot-key&key=the-hot-key&copies=all",
    "topic=hot-key&key=the-hot-key&order=oldest&body=true",
];

#[tokio::test]
async fn pages_end_before_an_answer_is_too_long_and_go_on() {
    let whole = Server::over(&rocketmq::lake(), |_| {}).await;
    let bounded = Server::over(&rocketmq::lake(), small).await;
    let newest = whole.get("/api/v1/messages?system=rocketmq&topic=order-paid&limit=500").await.json();
    let from = newest["messages"][499]["store_time"].as_i64().unwrap();
    for list in LISTS {
        let from = if list.contains("key=") { 0 } else { from };
        let path = format!("/api/v1/messages?system=rocketmq&limit=1000&from={from}&{list}");
        let (wanted, long) = all_pages(&whole, &path).await;
        let (found, longest) = all_pages(&bounded, &path).await;
        assert!(long > 128 * 1024, "{list}: no long answer, {long}");
        assert!(longest <= 64 * 1024, "{list}: {longest}");
        assert_eq!(found.len(), wanted.len(), "{list}");
        assert!(found == wanted, "{list}: other messages or another order");
    }
}

/// What cannot be cut is refused by name; without its body it is there.
#[tokio::test]
async fn one_message_that_is_too_long_is_named() {
    let server = Server::over(&rocketmq::lake(), |config| {
        config.http.max_answer_bytes = ByteSize::kib(16);
        config.http.answer_memory = ByteSize::mib(2);
    })
    .await;
    let path = "/api/v1/messages?system=rocketmq&topic=big-payload&limit=1000";
    let mut next = String::new();
    let refused = loop {
        let answer = server.get(&format!("{path}&body=true{next}")).await;
        if answer.status != 200 {
            break answer;
        }
        next = format!("&page={}", encode(answer.json()["next"].as_str().unwrap()));
    };
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("without its body"), "{}", refused.text());
    all_pages(&server, path).await;
}

/// Whoever comes first, nobody holds more than there is, and everybody is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_long_answers_share_the_memory() {
    let server = std::sync::Arc::new(
        Server::over(&rocketmq::lake(), |config| {
            config.http.max_answer_bytes = ByteSize::mib(1);
            config.http.answer_memory = ByteSize::mib(8);
            config.http.timeout = super::PATIENCE;
        })
        .await,
    );
    let asked = (0..64).map(|_| {
        let server = server.clone();
        tokio::spawn(async move {
            let answer =
                server.get("/api/v1/messages?system=rocketmq&topic=order-paid&body=true&limit=1000").await;
            (answer.status, answer.body.len(), answer.json()["messages"].as_array().unwrap().len())
        })
    });
    let answers = futures::future::join_all(asked.collect::<Vec<_>>()).await;
    let first = *answers[0].as_ref().unwrap();
    assert!(first.0 == 200 && first.1 <= 1 << 20 && first.2 > 100, "{first:?}");
    for answer in answers {
        assert_eq!(answer.unwrap(), first);
    }
}

/// A hot key is paged whatever is filtered, and all filters see all of it.
#[tokio::test]
async fn pages_of_a_hot_key_are_the_same_with_every_filter() {
    let server = Server::over(&rocketmq::lake(), |_| {}).await;
    let path = "/api/v1/messages?system=rocketmq&topic=hot-key&key=the-hot-key";
    let (all, _) = all_pages(&server, &format!("{path}&limit=1000")).await;
    assert_eq!(all.len(), 470);
    let tags: std::collections::BTreeSet<&str> =
        all.iter().filter_map(|message| message["tags"].as_str()).collect();
    for order in ["newest", "oldest"] {
        let (copies, _) = all_pages(&server, &format!("{path}&copies=all&order={order}&limit=1000")).await;
        assert!(copies.len() >= 470);
        for limit in [7, 100] {
            let (paged, _) =
                all_pages(&server, &format!("{path}&copies=all&order={order}&limit={limit}")).await;
            assert!(paged == copies, "{order} {limit}");
        }
        for tag in &tags {
            let wanted: Vec<&Value> = copies
                .iter()
                .filter(|message| message["tags"] == *tag && message["topic"] == "hot-key")
                .collect();
            for limit in [7, 1000] {
                let tagged = format!("{path}&tag={}&order={order}&limit={limit}", encode(tag));
                let (paged, _) = all_pages(&server, &tagged).await;
                assert!(paged.iter().eq(wanted.iter().copied()), "{tag} {order} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn too_many_rows_of_a_key_are_refused_with_a_way_out() {
    let server = Server::over(&rocketmq::lake(), |config| config.http.max_lookup_rows = 100).await;
    let path = "/api/v1/messages?system=rocketmq&topic=hot-key&key=the-hot-key&limit=5";
    let answer = server.get(path).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(answer.json()["type"], "urn:mqlake:problem:limit-reached");
    assert!(answer.text().contains("http.max_lookup_rows"), "{}", answer.text());
    assert!(answer.text().contains("`from`"), "{}", answer.text());
    // a shorter time has fewer
    let whole = Server::over(&rocketmq::lake(), |_| {}).await;
    let newest = whole.get(path).await.json();
    let time = newest["messages"][4]["store_time"].as_i64().unwrap();
    let answer = server.get(&format!("{path}&from={time}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["messages"], newest["messages"]);
}

#[tokio::test]
async fn too_many_ids_of_a_trace_are_refused() {
    let server = Server::over(&rocketmq::lake(), |_| {}).await;
    let ids = vec!["A"; 101].join(",");
    let answer = server.get(&format!("/api/v1/traces?system=rocketmq&id={ids}")).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("100 ids"), "{}", answer.text());
}

#[tokio::test]
async fn an_answer_without_pages_is_refused_if_it_is_too_long() {
    let whole = Server::over(&rocketmq::lake(), |_| {}).await;
    for path in [
        "/api/v1/traces?system=rocketmq&topic=order-paid&key=order-55",
        "/api/v1/offsets?system=rocketmq&topic=order-paid&timestamp=0",
    ] {
        let answer = whole.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let long = answer.body.len() as u64;
        for (most, status) in [(long, 200), (long - 1, 422)] {
            let bounded =
                Server::over(&rocketmq::lake(), |config| config.http.max_answer_bytes = ByteSize(most)).await;
            let answer = bounded.get(path).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            if status == 422 {
                assert!(answer.text().contains("http.max_answer_bytes"), "{}", answer.text());
            }
        }
    }
}

/// The messages of a window arrive in parts; all of them do.
#[tokio::test]
async fn a_replay_streams_everything_in_parts() {
    let server = Server::over(&rocketmq::lake(), |config| {
        config.http.answer_memory = ByteSize::mib(64);
        config.http.max_concurrency = 1;
    })
    .await;
    let body = r#"{"system":"rocketmq","topic":"order-paid","from":0,"to":"2100-01-01"}"#;
    let answer = server.post("/api/v1/backtrack/replay", "application/json", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let golden = rocketmq::messages();
    let wanted = (0..golden.rows).filter(|row| golden.get("topic", *row) == "order-paid").count();
    assert_eq!(lines.len(), wanted);
    let bodies =
        lines.iter().filter(|line| !line["body"].is_null() || !line["body_base64"].is_null()).count();
    let too_large = lines.iter().filter(|line| line["body_size"].as_i64() > Some(1 << 20)).count();
    assert_eq!(bodies + too_large, wanted);
}
