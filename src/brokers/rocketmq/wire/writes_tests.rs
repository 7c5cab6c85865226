//! Tests of the requests that change something.

use super::*;

fn fields(request: WriteRequest) -> Vec<(String, String)> {
    request.into_inner().into_command().fields
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_reset_always_says_a_time() {
    for (to, timestamp, force, offset, queue_id) in [
        (ResetTo::Time { timestamp: 1_700_000_000_000, force: false }, "1700000000000", "false", "-1", "-1"),
        (ResetTo::Time { timestamp: -5, force: true }, "0", "true", "-1", "-1"),
        (ResetTo::End { force: true }, "-1", "true", "-1", "-1"),
        (ResetTo::End { force: false }, "-1", "false", "-1", "-1"),
        (ResetTo::Offset { queue_id: 2, offset: 17 }, "-1", "false", "17", "2"),
    ] {
        let expected = [
            ("topic", "T"),
            ("group", "g"),
            ("timestamp", timestamp),
            ("isForce", force),
            ("offset", offset),
            ("queueId", queue_id),
        ];
        assert_eq!(fields(reset_offset("T", "g", to)), pairs(&expected));
    }
}

#[test]
fn an_update_names_queue_and_offset() {
    let expected = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "2"), ("commitOffset", "17")];
    assert_eq!(fields(update_offset("T", "g", 2, 17)), pairs(&expected));
}

#[test]
fn a_sent_message_has_one_letter_names() {
    let message = SendMessage {
        producer_group: "p",
        topic: "T",
        queue_id: Some(3),
        sys_flag: 1,
        flag: 9,
        born_timestamp: 1_700_000_000_000,
        properties: "KEYS\u{1}k\u{2}",
        body: Bytes::from_static(b"hello"),
    };
    let command = send_message(message.clone()).into_inner().into_command();
    let expected = [
        ("a", "p"),
        ("b", "T"),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "3"),
        ("f", "1"),
        ("g", "1700000000000"),
        ("h", "9"),
        ("i", "KEYS\u{1}k\u{2}"),
        ("j", "0"),
        ("k", "false"),
        ("m", "false"),
    ];
    assert_eq!((command.code, command.body.as_ref()), (310, b"hello".as_slice()));
    assert_eq!(command.fields, pairs(&expected));
    let anywhere = send_message(SendMessage { queue_id: None, ..message }).into_inner().into_command();
    assert_eq!(anywhere.field("e"), Some("-1"));
}

#[test]
fn a_reset_table_is_read() {
    let body = br#"{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:5,
        "{\"topic\":\"T\",\"brokerName\":\"b\",\"queueId\":0}":"7"}}"#;
    let queue = |queue_id| MessageQueue { topic: "T".into(), broker: "b".into(), queue_id };
    assert_eq!(parse_reset_table(body).unwrap(), [(queue(1), 5), (queue(0), 7)]);
    assert_eq!(parse_reset_table(b"").unwrap(), []);
    assert_eq!(parse_reset_table(b"{\"offsetTable\":{}}").unwrap(), []);
    assert_eq!(parse_reset_table(b"{\"offsetTable\":[]}"), Err(AnswerError::Unreadable("offsetTable")));
}

#[test]
fn stored_is_distinguished_from_refused() {
    let response = |code| {
        let fields = pairs(&[("msgId", "7F"), ("queueId", "1"), ("queueOffset", "9")]);
        Command { fields, ..Command::request(code) }
    };
    for (code, warning) in [(0, None), (10, Some(10)), (11, Some(11)), (12, Some(12))] {
        let sent = Sent { message_id: "7F".into(), queue_id: 1, queue_offset: 9, warning };
        assert_eq!(Sent::parse(&response(code)), Ok(Some(sent)));
    }
    assert_eq!(Sent::parse(&response(14)), Ok(None));
    assert_eq!(Sent::parse(&Command::request(0)), Err(AnswerError::Missing("msgId")));
}
