//! Reads arbitrary bytes as messages back to back (as in a detail answer), and as an attribute map.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::qmq::format::payload::{Payload, attributes, encode_attributes, encode_with_body};

fn check_attributes(body: &[u8]) {
    let Ok(pairs) = attributes(body) else { return };
    assert_eq!(pairs.is_empty(), body.is_empty());
    assert!(pairs.len() * 4 <= body.len());
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
    // A replaced byte of bad UTF-8 takes three, so only short texts are sure to fit their lengths again.
    if body.len() <= usize::from(u16::MAX) / 6 {
        let again = encode_attributes(&pairs);
        let again = attributes(&again).expect("encoded attributes decode");
        assert!(again.iter().map(|(key, value)| (&**key, &**value)).eq(pairs));
    }
}

fuzz_target!(|data: &[u8]| {
    check_attributes(data);
    let mut rest = data;
    while let Ok(payload) = Payload::decode(rest) {
        assert!(payload.size > 0 && payload.size <= rest.len());
        assert_eq!(payload.tags().count(), payload.tags().len());
        check_attributes(payload.body);
        let tags: Result<Vec<&str>, _> = payload.tags().map(std::str::from_utf8).collect();
        let subject = std::str::from_utf8(payload.subject);
        let id = std::str::from_utf8(payload.message_id);
        if let (Ok(tags), Ok(subject), Ok(id)) = (tags, subject, id) {
            let again = encode_with_body(
                payload.flags,
                payload.create_time_ms,
                payload.expire_or_schedule_time_ms,
                subject,
                id,
                &tags,
                payload.body,
            );
            assert_eq!(again, rest[..payload.size]);
        }
        rest = &rest[payload.size..];
    }
});
