//! Decodes arbitrary bytes as every body of the sync port and of the metaserver; what decodes encodes again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::qmq::wire::meta::{AcquireAnswer, AcquireRequest, RegisterRequest};
use mqlake_fuzz::brokers::qmq::wire::sync::{Answer, Checkpoint, Maxima, Request};

fuzz_target!(|data: &[u8]| {
    let mut again = Vec::new();
    if let Ok(request) = Request::decode(data) {
        assert_eq!(request.encode().as_slice(), data);
    }
    if let Ok(answer) = Answer::decode(data) {
        answer.encode(&mut again);
        assert_eq!(again, data);
    }
    if let Ok(maxima) = Maxima::decode(data) {
        again.clear();
        maxima.encode(&mut again);
        assert_eq!(again, data);
    }
    if let Ok(checkpoint) = Checkpoint::decode(data) {
        let _ = checkpoint.greatest_sequences();
    }
    let _ = AcquireRequest::decode(data);
    let _ = AcquireAnswer::decode(data);
    let _ = RegisterRequest::decode(data);
});
