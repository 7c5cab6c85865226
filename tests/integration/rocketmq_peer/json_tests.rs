//! JSON with bare numbers and objects as keys.

use super::*;
use serde_json::json;

#[test]
fn reads_bare_numbers_as_keys() {
    let text =
        "{\n\t\"t\":{\n\t\t\"a:{1:@g\":{0:12,1 : 10\n\t},\"list\":[1, 2,-3],\"n\":-1.5,\"q\":\"\\\"{4:\"}}";
    let read = read(text);
    assert_eq!(
        read,
        json!({"t": {"a:{1:@g": {"0": 12, "1": 10}, "list": [1, 2, -3], "n": -1.5, "q": "\"{4:"}})
    );
}

#[test]
fn escapes_what_is_not_ascii() {
    assert_eq!(ascii("a\u{e9}\u{1F600}"), "a\\u00E9\\uD83D\\uDE00");
}

#[test]
fn writes_queues_as_keys() {
    let row = map([(queue_key("T", "broker-a", 1), "5")]);
    assert_eq!(row, r#"{{"brokerName":"broker-a","queueId":1,"topic":"T"}:5}"#);
}
