//! What `/api/v1` answers where names are not exact, something waits, traces are silent, or a queue was used anew.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::lake::Level;
use mqlake::lake::schema::MESSAGE;
use serde_json::{Value, json};

use super::made::{Made, Stored, T, id};
use crate::support::http::{Server, encode};
use crate::support::{self, generate, week};

/// Texts of one member of the items of a list.
fn texts(list: &Value, name: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

/// Orders 0 to 4, one a second, and where groups stand.
async fn orders() -> Made {
    let mut made = Made::new();
    for number in 0..5 {
        made.order(number, &format!("k{number} all"));
    }
    made.import(r#""Orders@g":{0:3}"#).await;
    made
}

/// Every form of a time means the same wherever one is taken.
#[tokio::test]
async fn a_time_is_taken_in_every_form_everywhere() {
    let made = orders().await;
    let server = made.server().await;
    for text in [
        "1764489602000",
        "2025-11-30T08:00:02Z",
        "2025-11-30T16:00:02.000+0800",
        "2025-11-30T16:00:02+08",
        "2025-11-30 16:00:02",
        "2025-11-30 16:00:02 +0800",
        "20251130160002",
        "\u{3000}2025-11-30T08:00:02Z\n",
    ] {
        // as it is, and with a plus sign that was not escaped
        for text in [encode(text), text.replace(['\u{3000}', '\n'], "").replace(' ', "%20")] {
            let offsets = format!("/api/v1/offsets?system=rocketmq&topic=Orders&timestamp={text}");
            let answer = server.get(&offsets).await;
            assert_eq!(answer.json()["offsets"][0]["offset"], 2, "{text}: {}", answer.text());
            let path =
                format!("/api/v1/backtrack/preview?system=rocketmq&topic=Orders&group=g&timestamp={text}");
            assert_eq!(server.get(&path).await.json()["queues"][0]["from_offset"], 2, "{text}");
            let path = format!("/api/v1/messages?system=rocketmq&topic=Orders&from={text}&order=oldest");
            let answer = server.get(&path).await.json();
            assert_eq!(answer["messages"][0]["queue_offset"], 2, "{text}: {answer}");
        }
        let body =
            json!({"system": "rocketmq", "topic": " Orders\u{a0}", "from": text, "to": "now", "limit": 1});
        let answer = server.post("/api/v1/backtrack/replay", "application/json", &body.to_string()).await;
        // the clock of this server stands before the messages
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, ""), "{text}");
    }
    let now = server.get("/api/v1/offsets?system=rocketmq&topic=Orders&timestamp=now").await.json();
    assert_eq!(now["offsets"][0]["offset"], 0);
}

/// -1 means the end of a queue to brokers, to routes and to SQL functions.
#[tokio::test]
async fn minus_one_is_the_end_of_the_queue() {
    let made = orders().await;
    let end = made.get("/api/v1/offsets?system=rocketmq&topic=Orders&timestamp=-1").await;
    assert_eq!(end["offsets"][0]["offset"], 5, "{end}");
    let upper = made.get("/api/v1/offsets?system=rocketmq&topic=Orders&timestamp=-1&boundary=upper").await;
    assert_eq!(upper["offsets"][0]["offset"], 4, "{upper}");
    let preview =
        made.get("/api/v1/backtrack/preview?system=rocketmq&topic=Orders&group=g&timestamp=-1").await;
    assert_eq!((&preview["queues"][0]["from_offset"], &preview["messages"]), (&json!(5), &json!(0)));
    let of_sql = "SELECT lower_offset, upper_offset FROM offsets_at('rocketmq', 'Orders ', -1)";
    assert_eq!(made.sql(of_sql).await, [json!({"lower_offset": 5, "upper_offset": 4})]);
    let of_sql = "SELECT from_offset FROM backtrack_preview('rocketmq', 'g', 'Orders', '-1')";
    assert_eq!(made.sql(of_sql).await, [json!({"from_offset": 5})]);
}

#[tokio::test]
async fn a_time_in_the_wrong_unit_is_refused_with_a_hint() {
    let made = orders().await;
    let server = made.server().await;
    for (text, hint) in [
        ("1764489600", "did you mean 1764489600000"),
        ("1764489600.5", "did you mean 1764489600500"),
        ("1764489600000000", "did you mean 1764489600000"),
        ("20251130", "2025-11-30"),
        ("-2", "-1 means the end of a queue"),
        ("-1764489600", "-1 means the end of a queue"),
        ("yesterday", "yyyy-MM-dd HH:mm:ss"),
    ] {
        for (name, path) in [
            ("timestamp", "/api/v1/offsets?system=rocketmq&topic=Orders&timestamp="),
            ("timestamp", "/api/v1/backtrack/preview?system=rocketmq&topic=Orders&group=g&timestamp="),
            ("from", "/api/v1/messages?system=rocketmq&topic=Orders&from="),
            ("to", "/api/v1/dead-letters?system=rocketmq&group=g&to="),
        ] {
            let answer = server.get(&format!("{path}{text}")).await;
            let problem = answer.json();
            assert_eq!(
                (answer.status.as_u16(), &problem["field"]),
                (400, &json!(name)),
                "{path}{text}: {problem}"
            );
            assert!(problem["detail"].as_str().unwrap().contains(hint), "{path}{text}: {problem}");
        }
        let statement = format!("SELECT * FROM offsets_at('rocketmq', 'Orders', '{text}')");
        let answer = server.sql(&statement, "application/json").await;
        assert_eq!(answer.status, 400, "{text}: {}", answer.text());
        let hint = if text == "yesterday" { "ISO 8601" } else { hint };
        assert!(answer.text().contains(hint), "{text}: {}", answer.text());
    }
    // no end of a queue is meant by the bounds of a window
    let answer = server.get("/api/v1/messages?system=rocketmq&topic=Orders&to=-1").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["field"]), (400, &json!("to")));
    let body = r#"{"system":"rocketmq","topic":"Orders","from":1764489600,"to":"now"}"#;
    let answer = server.post("/api/v1/backtrack/replay", "application/json", body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["field"]), (400, &json!("from")));
    assert!(answer.text().contains("1764489600000"), "{}", answer.text());
}

/// Consoles paste blanks of every width; clients write ids in either case; brokers split keys at blanks.
#[tokio::test]
async fn names_and_ids_are_found_as_people_paste_them() {
    let mut made = Made::new();
    let grpc = "0108719066FF9A489C04DB99CA0000ab0f";
    for (offset, unique, keys) in [
        (0, id(0).to_lowercase(), "order 9"),
        (1, id(1), "order 10"),
        (2, grpc.to_owned(), "9"),
        // a key that is the id of another message
        (3, id(3), &id(1)),
    ] {
        let properties = [("KEYS", keys)];
        let stored =
            Stored { topic: "Orders", offset, after: offset, properties: &properties, ..Stored::default() };
        made.put(&unique, &stored);
    }
    made.import("").await;
    let server = made.server().await;
    let offset_id = "0000000000000000000000000000000";
    for (what, wanted) in [
        (format!("id={}", id(0)), json!([0])),
        (format!("id={}", id(0).to_lowercase()), json!([0])),
        (format!("id={}", id(1).to_lowercase()), json!([1])),
        (format!("id={}", grpc.to_uppercase()), json!([2])),
        (format!("id={}", grpc.to_lowercase()), json!([2])),
        (format!("id=%E3%80%80{}%0D%0A", id(1)), json!([1])),
        (format!("key={}", id(1)), json!([3])),
        ("key=order%209".to_owned(), json!([0])),
        ("key=9%20order".to_owned(), json!([0])),
        ("key=order".to_owned(), json!([1, 0])),
        ("key=9%C2%A0".to_owned(), json!([2, 0])),
        ("key=order%209%2010".to_owned(), json!([])),
    ] {
        for topic in ["Orders", "%20Orders%09", "Orders%E3%80%80"] {
            let path = format!("/api/v1/messages?system=rocketmq&topic={topic}&{what}");
            let answer = server.get(&path).await.json();
            let offsets: Vec<i64> = answer["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| message["queue_offset"].as_i64().unwrap())
                .collect();
            assert_eq!(json!(offsets), wanted, "{path}: {answer}");
        }
    }
    // an offset id stands against unique ids
    let answer = server.get(&format!("/api/v1/messages?system=rocketmq&id={offset_id}0")).await.json();
    assert_eq!(answer["messages"][0]["queue_offset"], 0, "{answer}");
}

#[tokio::test]
async fn an_id_leads_to_its_messages_without_a_topic() {
    let mut made = orders().await;
    let (retry, dead) = ([("RETRY_TOPIC", "Orders")], [("RETRY_TOPIC", "Gone")]);
    let of = |topic, properties| Stored { topic, after: 9000, properties, ..Stored::default() };
    made.put(&id(1), &of("%RETRY%g", &retry));
    made.put(&id(90), &of("%DLQ%g", &dead));
    made.import(r#""Orders@g":{0:3}"#).await;
    let of_id = |number: u32| format!("/api/v1/messages?system=rocketmq&id={}", id(number));
    assert_eq!(texts(&made.get(&of_id(1)).await["messages"], "topic"), ["Orders"]);
    let all = made.get(&format!("{}&copies=all", of_id(1))).await;
    assert_eq!(texts(&all["messages"], "topic"), ["%RETRY%g", "Orders"]);
    // only a copy is left
    assert_eq!(texts(&made.get(&of_id(90)).await["messages"], "topic"), ["%DLQ%g"]);

    let server = Server::over(&week::lake(), |_| {}).await;
    let path = "/api/v1/messages?system=qmq&id=240526.205842.10.2.93.5.19500.9059";
    let answer = server.get(path).await.json();
    assert_eq!(texts(&answer["messages"], "topic"), ["order.paid"], "{answer}");
    // a window and a key still need a topic
    for what in ["", "&key=a", "&from=0"] {
        let answer = server.get(&format!("/api/v1/messages?system=rocketmq{what}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["field"]), (400, &json!("topic")), "{what}");
    }
}

/// A message that waits, hangs or was given up is found by its key as by its id, and only in its topic.
#[tokio::test]
async fn traces_by_key_find_what_is_stored_as_copies_only() {
    let mut made = Made::new();
    made.order(0, "plain");
    let real = ("REAL_TOPIC", "Orders");
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 8] = [
        ("SCHEDULE_TOPIC_XXXX", "delay", &[real, ("DELAY", "18"), ("REAL_QID", "0")]),
        ("rmq_sys_wheel_timer", "timer", &[real, ("TIMER_OUT_MS", "1764576000000")]),
        ("RMQ_SYS_TRANS_HALF_TOPIC", "half", &[real, ("TRAN_MSG", "true")]),
        ("TRANS_CHECK_MAX_TIME_TOPIC", "check_max", &[real, ("TRAN_MSG", "true")]),
        ("%RETRY%g", "retry", &[("RETRY_TOPIC", "Orders")]),
        ("%DLQ%g", "dead", &[("RETRY_TOPIC", "Orders")]),
        // a retry that waits for its delay, and one of a group with a namespace
        ("SCHEDULE_TOPIC_XXXX", "delay", &[("REAL_TOPIC", "%RETRY%g"), ("RETRY_TOPIC", "Orders")]),
        ("%DLQ%ns%g", "dead", &[("RETRY_TOPIC", "ns%Orders")]),
    ];
    for (number, (topic, _, properties)) in (1_u32..).zip(&cases) {
        let key = format!("w-{number}");
        let mut all = vec![("KEYS", key.as_str())];
        all.extend_from_slice(properties);
        let (offset, after) = (i64::from(number), i64::from(number));
        made.put(&id(number), &Stored { topic, offset, after, properties: &all, ..Stored::default() });
    }
    made.import("").await;
    let server = made.server().await;
    for (number, (topic, kind, _)) in (1_u32..).zip(&cases) {
        let key = format!("/api/v1/traces?system=rocketmq&key=w-{number}&topic=");
        let graph = server.get(&format!("{key}Orders")).await.json();
        assert_eq!(texts(&graph["copies"], "topic"), [*topic], "{number}: {graph}");
        assert_eq!(texts(&graph["copies"], "kind"), [*kind], "{number}: {graph}");
        let by_id = server.get(&format!("/api/v1/traces?system=rocketmq&id={}", id(number))).await.json();
        assert_eq!(graph, by_id, "{number}");
        let other = server.get(&format!("{key}Other")).await.json();
        assert_eq!((&other["copies"], &other["known"]["topic"]), (&json!([]), &json!(false)), "{number}");
        // a list shows where it is
        let list =
            server.get(&format!("/api/v1/messages?system=rocketmq&topic=Orders&key=w-{number}")).await.json();
        let is_whole = number < 8;
        assert_eq!(list["known"]["reason"], if is_whole { "only_copies" } else { "other_topic" }, "{list}");
    }
}

/// One id in two topics, with what a producer and a consumer reported.
#[tokio::test]
async fn a_topic_narrows_a_trace() {
    let mut made = Made::new();
    for (topic, after) in [("MG_30", 0), ("MG_31", 5)] {
        made.put(&id(1), &Stored { topic, after, ..Stored::default() });
    }
    let (shown, only_reported) = (id(1), id(2));
    for (number, topic) in [(0, "MG_30"), (1, "MG_31")] {
        let sent = format!("Pub^A{T}^AR^Ap^A{topic}^A{shown}^At^Ak^Ah:1^A5^A3^A0^A{number}^Atrue^B");
        made.trace(number, 10, &sent);
    }
    made.trace(2, 20, &format!("SubBefore^A{T}^AR^Ag^Areq^A{shown}^A0^Ak^B"));
    made.trace(3, 20, &format!("SubBefore^A{T}^AR^Ag^Areq2^A{only_reported}^A0^Ak^B"));
    made.import("").await;
    let server = made.server().await;
    let of = async |id: &str, topic: &str| {
        let graph = server.get(&format!("/api/v1/traces?system=rocketmq&id={id}{topic}")).await.json();
        let count = |name: &str| graph[name].as_array().unwrap().len();
        (count("copies"), count("sends"), count("consumers"), graph["known"]["reason"].clone())
    };
    assert_eq!(of(&shown, "").await, (2, 2, 1, Value::Null));
    assert_eq!(of(&shown, "&topic=MG_31").await, (1, 1, 1, Value::Null));
    assert_eq!(of(&shown, "&topic=MG_30%09").await, (1, 1, 1, Value::Null));
    assert_eq!(of(&shown, "&topic=NOPE").await, (0, 0, 0, json!("other_topic")));
    // nothing shows the topic of what only a consumer reported
    assert_eq!(of(&only_reported, "").await, (0, 0, 1, Value::Null));
    assert_eq!(of(&only_reported, "&topic=MG_30").await, (0, 0, 1, Value::Null));
    assert_eq!(of(&only_reported, "&topic=NOPE").await, (0, 0, 0, json!("unknown_topic")));
    assert_eq!(of(&id(77), "").await, (0, 0, 0, json!("unknown_id")));
}

/// Brokers name a group with its namespace, traces without.
#[tokio::test]
async fn a_group_with_a_namespace_is_one_group() {
    let mut made = Made::new();
    let (topic, group) = ("MQ_INST_1_x%pay", "MQ_INST_1_x%GID");
    made.put(&id(1), &Stored { topic, ..Stored::default() });
    made.put(&id(2), &Stored { topic, offset: 1, after: 1, ..Stored::default() });
    let retry = [("RETRY_TOPIC", topic)];
    for (prefix, after) in [("%RETRY%", 100), ("%DLQ%", 200)] {
        let topic = format!("{prefix}{group}");
        made.put(&id(1), &Stored { topic: &topic, after, properties: &retry, ..Stored::default() });
    }
    let shown = id(1);
    for (number, success) in [(0, "false"), (1, "true")] {
        made.trace(
            number,
            300,
            &format!(
                "SubBefore^A{T}^AR^AGID^Ar{number}^A{shown}^A0^A^B\
                 SubAfter^Ar{number}^A{shown}^A7^A{success}^A^A0^A{T}^AGID^B"
            ),
        );
    }
    made.import(&format!(r#""{topic}@{group}":{{0:2}}"#)).await;
    let graph = made.get(&format!("/api/v1/traces?system=rocketmq&id={shown}")).await;
    let consumers = graph["consumers"].as_array().unwrap();
    assert_eq!(consumers.len(), 1, "{graph}");
    let consumer = &consumers[0];
    assert_eq!(
        (&consumer["group"], &consumer["retries"], &consumer["dead_letters"]),
        (&json!(group), &json!(1), &json!(1))
    );
    assert_eq!(consumer["deliveries"].as_array().unwrap().len(), 2);
    for name in [group, "GID"] {
        let (topic, group) = (encode(topic), encode(name));
        let path =
            format!("/api/v1/backtrack/preview?system=rocketmq&topic={topic}&group={group}&timestamp={T}");
        let preview = made.get(&path).await;
        let queue = &preview["queues"][0];
        assert_eq!((&queue["to_offset"], &queue["to_is_known"]), (&json!(2), &json!(true)), "{preview}");
        assert_eq!((&preview["messages"], &preview["consumed"]), (&json!(2), &json!(1)), "{preview}");
        let dead = made.get(&format!("/api/v1/dead-letters?system=rocketmq&group={group}")).await;
        assert_eq!(texts(&dead["messages"], "message_id"), [id(1)], "{dead}");
        let statement = format!(
            "SELECT messages, consumed, consumed_by FROM backtrack_preview('rocketmq', '{name}', 'MQ_INST_1_x%pay', {T})"
        );
        let wanted = json!({"messages": 2, "consumed": 1, "consumed_by": "traces"});
        assert_eq!(made.sql(&statement).await, [wanted], "{name}");
    }
    let traces = format!("/api/v1/traces?system=rocketmq&id={shown}&topic=pay");
    assert_eq!(made.get(&traces).await["copies"].as_array().unwrap().len(), 3);
}

/// A call whose reports were stored on different days is one call, however far apart and whenever they came.
#[tokio::test]
async fn a_delivery_across_midnight_is_one_row() {
    const DAY: i64 = 86_400_000;
    let mut made = Made::new();
    let before = |request: &str, message: &str| format!("SubBefore^A{T}^AR^Ag^A{request}^A{message}^A0^A^B");
    let after = |request: &str, message: &str| {
        format!("SubAfter^A{request}^A{message}^A9^Atrue^A^A0^A{}^Ag^B", T + 2000)
    };
    let late = 16 * 3_600_000 - 1;
    made.trace(0, late, &before("r0", "m0"));
    made.trace(1, late, &(before("r1", "m1") + &before("r1", "m2") + &after("r1", "m2")));
    made.trace(2, late, &before("r2", "m3"));
    made.import("").await;
    made.trace(3, late + 2, &after("r0", "m0"));
    made.trace(4, late + 5 * DAY, &(after("r1", "m1") + &after("r3", "m4")));
    made.import("").await;
    let deliveries = made
        .sql("SELECT msg_id, request_id, outcome, cost_ms, CAST(dt AS VARCHAR) AS dt FROM trace_deliveries ORDER BY 1")
        .await;
    let row = |message, request, outcome, cost: Option<i64>, dt| {
        let mut row = json!({"msg_id": message, "request_id": request, "outcome": outcome, "dt": dt});
        if let Some(cost) = cost {
            row["cost_ms"] = cost.into();
        }
        row
    };
    let wanted = [
        row("m0", "r0", "success", Some(9), "2025-11-30"),
        row("m1", "r1", "success", Some(9), "2025-11-30"),
        row("m2", "r1", "success", Some(9), "2025-11-30"),
        row("m3", "r2", "unknown", None, "2025-11-30"),
        row("m4", "r3", "success", Some(9), "2025-12-05"),
    ];
    assert_eq!(deliveries, wanted);
    let of_day = "SELECT msg_id FROM trace_deliveries WHERE dt = '2025-11-30' ORDER BY 1";
    assert_eq!(made.sql(of_day).await.len(), 4);
    let slow = "SELECT CAST(dt AS VARCHAR) AS dt, deliveries, unfinished FROM slow_consumers ORDER BY 1";
    assert_eq!(
        made.sql(slow).await,
        [
            json!({"dt": "2025-11-30", "deliveries": 3, "unfinished": 1}),
            json!({"dt": "2025-12-05", "deliveries": 1, "unfinished": 0}),
        ]
    );
}

/// Go clients write the address of the consumer behind the keys of a begin.
#[tokio::test]
async fn the_host_of_a_consumer_is_read_where_its_client_writes_it() {
    let mut made = Made::new();
    let shown = id(1);
    made.put(&shown, &Stored { topic: "Orders", ..Stored::default() });
    made.trace(0, 5, &format!("SubBefore^A{T}^AR^Ag^Ar1^A{shown}^A0^Ak^A172.16.5.9^B"));
    made.trace(1, 6, &format!("SubAfter^Ar1^A{shown}^A9^Atrue^Ak^A0^A{T}^Ag^B"));
    made.trace(2, 7, &format!("SubBefore^A{T}^AR^Ah^Ar2^A{shown}^A0^Ak^B"));
    made.import("").await;
    let graph = made.get(&format!("/api/v1/traces?system=rocketmq&id={shown}")).await;
    let host = |consumer: usize| graph["consumers"][consumer]["deliveries"][0]["client_host"].clone();
    assert_eq!((host(0), host(1)), (json!("172.16.5.9"), json!("0.0.0.0")), "{graph}");
    let hosts = made.sql("SELECT client_host FROM trace_deliveries ORDER BY consumer_group").await;
    assert_eq!(hosts, [json!({"client_host": "172.16.5.9"}), json!({"client_host": "0.0.0.0"})]);
}

/// Without traces the position of a group shows what it has passed; without a place nobody knows.
#[tokio::test]
async fn a_group_without_traces_has_passed_what_lies_before_its_place() {
    let made = orders().await;
    let preview = async |group: &str| {
        let path = format!(
            "/api/v1/backtrack/preview?system=rocketmq&topic=Orders&group={group}&timestamp={}",
            T + 1000
        );
        made.get(&path).await
    };
    let silent = preview("g").await;
    assert_eq!((&silent["messages"], &silent["consumed"]), (&json!(2), &json!(2)), "{silent}");
    assert_eq!(silent["consumed_by"], "offsets", "{silent}");
    assert_eq!(silent["gone"], Value::Null, "nothing shows what the broker still has: {silent}");
    let unknown = preview("nobody").await;
    assert_eq!((&unknown["messages"], &unknown["consumed"]), (&json!(4), &Value::Null), "{unknown}");
    assert_eq!(
        (&unknown["known"]["group"], &unknown["known"]["reason"]),
        (&json!(false), &json!("unknown_group"))
    );
    let rows = made
        .sql(&format!(
            "SELECT consumed, consumed_by FROM backtrack_preview('rocketmq', 'g', 'Orders', {})",
            T + 1000
        ))
        .await;
    assert_eq!(rows, [json!({"consumed": 2, "consumed_by": "offsets"})]);
}

/// Offsets that are missing between the two places are not reported as missing.
#[tokio::test]
async fn a_preview_tells_what_is_not_kept() {
    let mut made = Made::new();
    made.order(0, "a");
    made.order(5, "b");
    made.import(r#""Orders@g":{0:6}"#).await;
    let path = format!("/api/v1/backtrack/preview?system=rocketmq&topic=Orders&group=g&timestamp={T}");
    let preview = made.get(&path).await;
    assert_eq!(
        (&preview["messages"], &preview["queues"][0]["not_kept"]),
        (&json!(2), &json!(4)),
        "{preview}"
    );
}

/// An empty answer says what is known.
#[tokio::test]
async fn nothing_found_says_what_is_known() {
    let made = orders().await;
    let server = made.server().await;
    for (path, reason, members) in [
        (
            "messages?system=rocketmq&topic=Order",
            "unknown_topic",
            json!({"topic": false, "similar": ["Orders"]}),
        ),
        ("messages?system=qmq&topic=Orders", "unknown_topic", json!({"topic": false})),
        ("messages?system=rocketmq&topic=Orders&key=no", "unknown_key", json!({"topic": true, "key": false})),
        ("messages?system=rocketmq&topic=Orders&id=no", "unknown_id", json!({"topic": true, "id": false})),
        ("messages?system=rocketmq&id=no", "unknown_id", json!({"id": false})),
        ("messages?system=rocketmq&topic=Orders&from=2026-01-01", "after_watermark", json!({"topic": true})),
        ("messages?system=rocketmq&topic=Orders&to=2025-01-01", "before_kept", json!({"kept_from": T})),
        ("messages?system=rocketmq&topic=Orders&key=k1&tag=no", "no_match", json!({"key": true})),
        ("messages?system=rocketmq&topic=%25LMQ%25a", "light_queue", json!({})),
        ("dead-letters?system=rocketmq&group=g", "no_match", json!({"group": true})),
        ("dead-letters?system=rocketmq&group=gg", "unknown_group", json!({"group": false})),
        ("dead-letters?system=qmq&group=gg", "unknown_group", json!({"group": false})),
        ("traces?system=rocketmq&id=no", "unknown_id", json!({"id": false})),
        ("traces?system=rocketmq&key=no&topic=Orders", "unknown_key", json!({"key": false, "topic": true})),
    ] {
        let answer = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let known = &answer.json()["known"];
        assert_eq!(known["reason"], reason, "{path}: {known}");
        assert!(!known["detail"].as_str().unwrap().is_empty(), "{path}");
        for (name, value) in members.as_object().unwrap() {
            assert_eq!(&known[name], value, "{path}: {name} of {known}");
        }
    }
    // where something is found nothing is said, and neither on later pages
    for path in ["messages?system=rocketmq&topic=Orders", "dead-letters?system=rocketmq&group=g&limit=1"] {
        let answer = server.get(&format!("/api/v1/{path}")).await.json();
        assert_eq!(answer["messages"] == json!([]), answer["known"] != Value::Null, "{path}: {answer}");
    }
    let answer = server.get("/api/v1/offsets?system=rocketmq&topic=order&timestamp=0").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json()["detail"].as_str().unwrap().contains("Orders"), "{}", answer.text());
}

/// A topic made anew, a queue that lost its end, and a broker that began anew: offsets are those of the queue as it is.
#[tokio::test]
async fn offsets_are_those_of_the_queue_as_it_is() {
    let mut made = Made::new();
    // 0 to 9, then the topic is made anew: 0 to 3
    for (number, offset) in (0..10).chain(0..4).enumerate() {
        let number = u32::try_from(number).unwrap();
        let stored = Stored { topic: "Anew", offset, after: i64::from(number) * 1000, ..Stored::default() };
        made.put(&id(number), &stored);
    }
    // records of the oldest transactions have no place in the queue
    for (offset, sys_flag) in [(0, 0), (0, 4), (1, 8), (0, 12), (2, 0)] {
        made.put(&id(200), &Stored { topic: "Old", offset, after: 30_000, sys_flag, ..Stored::default() });
    }
    made.import(r#""Anew@g1":{0:10},"Anew@g2":{0:2}"#).await;
    for (topic, time, lower, upper) in [
        ("Anew", 4_000_000_000_000, 4, 3),
        ("Anew", T, 0, 0),
        ("Anew", T + 5000, 0, 0),
        ("Anew", T + 12_000, 2, 2),
        ("Old", 4_000_000_000_000, 3, 2),
    ] {
        for (boundary, wanted) in [("lower", lower), ("upper", upper)] {
            let path =
                format!("/api/v1/offsets?system=rocketmq&topic={topic}&timestamp={time}&boundary={boundary}");
            assert_eq!(made.get(&path).await["offsets"][0]["offset"], wanted, "{path}");
        }
    }
    for (group, to, consumed) in [("g1", 4, Value::Null), ("g2", 2, json!(2))] {
        let path = format!(
            "/api/v1/backtrack/preview?system=rocketmq&topic=Anew&group={group}&timestamp={}",
            T + 10_000
        );
        let preview = made.get(&path).await;
        let queue = &preview["queues"][0];
        assert_eq!((&queue["from_offset"], &queue["to_offset"]), (&json!(0), &json!(to)), "{preview}");
        assert_eq!((&preview["messages"], &preview["consumed"]), (&json!(to), &consumed), "{preview}");
    }
    // both lives are listed
    let list = made.get("/api/v1/messages?system=rocketmq&topic=Anew").await;
    assert_eq!(list["messages"].as_array().unwrap().len(), 14);
}

/// Messages of a light queue are stored in another topic, all at one offset.
#[tokio::test]
async fn light_queues_are_found_by_id_and_key() {
    let mut made = Made::new();
    for number in 0..4_u32 {
        let key = format!("k{}", number % 2);
        let properties = [("KEYS", key.as_str()), ("INNER_MULTI_DISPATCH", "%LMQ%dev-1,%LMQ%dev-2")];
        let body = format!("b{number}");
        let stored = Stored { topic: "mqtt", body: &body, properties: &properties, ..Stored::default() };
        made.put(&id(number), &stored);
    }
    made.import("").await;
    let server = made.server().await;
    let bodies = async |what: &str| {
        let path = format!("/api/v1/messages?system=rocketmq&body=true&order=oldest&{what}");
        let answer = server.get(&path).await.json();
        (texts(&answer["messages"], "body"), answer)
    };
    for topic in ["mqtt", "%25LMQ%25dev-1", "%25LMQ%25dev-2"] {
        let (found, answer) = bodies(&format!("topic={topic}&id={}", id(1))).await;
        assert_eq!(found, ["b1"], "{topic}: {answer}");
        let (found, answer) = bodies(&format!("topic={topic}&key=k1")).await;
        assert_eq!(found, ["b1", "b3"], "{topic}: {answer}");
        let traces = format!("/api/v1/traces?system=rocketmq&topic={topic}&key=k0");
        assert_eq!(
            texts(&server.get(&traces).await.json()["copies"], "message_id"),
            [id(0), id(2)],
            "{topic}"
        );
    }
    assert!(bodies(&format!("topic=%25LMQ%25dev-3&id={}", id(1))).await.0.is_empty());
    // all of one place and millisecond, page by page
    let mut found = Vec::new();
    let mut page = String::new();
    loop {
        let (bodies, answer) = bodies(&format!("topic=mqtt&limit=1{page}")).await;
        found.extend(bodies);
        let Some(next) = answer["next"].as_str() else { break };
        page = format!("&page={}", encode(next));
    }
    assert_eq!(found, ["b0", "b1", "b2", "b3"]);
}

/// Rows of both systems on one day stay in files of their own when the day is settled, so each has its own watermark.
#[tokio::test]
async fn a_watermark_is_that_of_its_own_system() {
    let mut made = Made::new();
    made.order(0, "k");
    let store = tempfile::tempdir().unwrap();
    generate::store_at(store.path(), &[T + 3_600_000]);
    let config = support::config(&made.data());
    let lake = support::open(&config).await;
    let request =
        ImportRequest { store: store.path().to_owned(), broker_group: "bg".to_owned(), skip_corrupt: false };
    // on that day nothing is settled; the import of the other store settles what both have
    let now = DateTime::from_timestamp_millis(T).unwrap() + TimeDelta::hours(2);
    lake.import(&request, &config, Arc::default(), now).await.unwrap();
    let files = async || lake.table(&MESSAGE).unwrap().refresh().await.unwrap().files;
    assert!(files().await.iter().all(|file| file.level == Level::Recent));
    made.import("").await;
    assert_eq!(files().await.iter().filter(|file| file.level == Level::Settled).count(), 2);
    for (system, topic, newest) in [("rocketmq", "Orders", T), ("qmq", "clocks", T + 3_600_000)] {
        let answer = made.get(&format!("/api/v1/messages?system={system}&topic={topic}")).await;
        assert_eq!(answer["watermark"], newest, "{system}: {answer}");
    }
}
