//! Reads arbitrary bytes as frames of RocketMQ's remoting protocol, each as an answer to every request, and as the
//! body of one. Frames encode to what decodes to them again, with both headers.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::rocketmq::wire::Command;
use mqlake_fuzz::brokers::rocketmq::wire::frame::{DEFAULT_MAX_FRAME, decode, encode};
use mqlake_fuzz::brokers::rocketmq::wire::header_error::HeaderType;
use mqlake_fuzz::brokers::rocketmq::wire::requests::{
    AllOffsets, ClusterInfo, ConsumeStats, Pull, TopicConfig, TopicRoute, TopicStats, parse_group_configs,
    parse_groups, parse_offset, parse_properties, parse_runtime_info, parse_store_time, parse_topic_configs,
    parse_topics,
};
use mqlake_fuzz::brokers::rocketmq::wire::writes::{Sent, parse_reset_table};

const MAX_FRAME: usize = 1 << 16;

fn check_frame(command: &Command) {
    for header_type in [HeaderType::Json, HeaderType::Compact] {
        let Ok(bytes) = encode(command, header_type, DEFAULT_MAX_FRAME) else { continue };
        let mut buffer = BytesMut::from(&*bytes);
        let read = decode(&mut buffer, DEFAULT_MAX_FRAME).expect("an encoded frame decodes");
        assert!(buffer.is_empty());
        assert_eq!(read, Some(as_written(command, header_type)));
    }
}

/// What the two headers cannot say.
fn as_written(command: &Command, header_type: HeaderType) -> Command {
    let mut command = command.clone();
    match header_type {
        // a single member of this name is a reference
        HeaderType::Json => {
            if matches!(&*command.fields, [(name, _)] if name == "$ref") {
                command.fields.clear();
            }
        }
        // no difference between an empty text and none
        HeaderType::Compact => {
            command.fields.retain(|(name, value)| !name.is_empty() && !value.is_empty());
            command.remark = command.remark.filter(|remark| !remark.is_empty());
        }
    }
    command
}

fn check_answer(command: &Command) {
    let _ = Pull::parse(command);
    let _ = Sent::parse(command);
    let _ = parse_offset(command);
    let _ = parse_store_time(command);
    let _ = command.not_supported();
    check_body(&command.body);
}

fn check_body(body: &[u8]) {
    let _ = TopicRoute::parse(body);
    let _ = ClusterInfo::parse(body);
    let _ = parse_topics(body);
    let _ = parse_groups(body);
    let _ = TopicConfig::parse(body);
    let _ = parse_topic_configs(body);
    let _ = AllOffsets::parse(body);
    let _ = ConsumeStats::parse(body);
    let _ = TopicStats::parse(body);
    let _ = parse_group_configs(body);
    let _ = parse_properties(body);
    let _ = parse_runtime_info(body);
    let _ = parse_reset_table(body);
}

fuzz_target!(|data: &[u8]| {
    let mut buffer = BytesMut::from(data);
    loop {
        let before = buffer.len();
        let Ok(Some(command)) = decode(&mut buffer, MAX_FRAME) else { break };
        assert!(before - buffer.len() <= MAX_FRAME && buffer.len() < before);
        check_frame(&command);
        check_answer(&command);
    }
    check_answer(&Command { body: Bytes::copy_from_slice(data), ..Command::request(0) });
});
