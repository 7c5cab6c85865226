//! What a broker reports about itself, its topics and its groups: 21, 26, 28, 201 and 202.

use super::broker::Broker;
use super::frame::Frame;
use super::json::{DATA_VERSION, map, queue_key, quoted};
use super::response::{Answer, Response, required};
use super::settings::ClusterSettings;
use super::topics::group_json;
use serde_json::json;

/// 21.
pub(super) fn topics(broker: &Broker) -> Answer {
    let rows = map(broker.topics.iter().map(|(topic, config)| (quoted(topic), config.to_json(topic))));
    let body = format!(
        r#"{{{DATA_VERSION},"mappingDataVersion":{{"counter":0,"stateVersion":0,"timestamp":0}},"topicConfigTable":{rows},"topicQueueMappingDetailMap":{{}}}}"#
    );
    Ok(Response::body(body))
}

/// 26.
pub(super) fn settings(broker: &Broker, settings: &ClusterSettings) -> Answer {
    let rows = [
        ("brokerName", broker.name.clone()),
        ("brokerClusterName", broker.cluster.clone()),
        ("brokerId", "0".to_owned()),
        ("listenPort", broker.port.to_string()),
        ("fileReservedTime", "72".to_owned()),
        ("mappedFileSizeCommitLog", broker.log.file_bytes.to_string()),
        ("useServerSideResetOffset", settings.server_side_reset.to_string()),
        ("autoCreateSubscriptionGroup", settings.create_groups.to_string()),
        ("autoCreateTopicEnable", settings.create_topics.to_string()),
        ("slaveReadEnable", "false".to_owned()),
        ("enablePropertyFilter", "false".to_owned()),
        ("timerWheelEnable", "true".to_owned()),
    ];
    let lines = rows.map(|(name, value)| format!("{name}={value}\n"));
    Ok(Response::body(lines.concat()))
}

/// 28.
pub(super) fn runtime(broker: &Broker) -> Answer {
    let log = &broker.log;
    let first = log.first_live();
    let table = json!({"table": {
        "bootTimestamp": broker.boot_time.to_string(),
        "brokerVersionDesc": "V5_3_3",
        "commitLogMinOffset": log.start.to_string(),
        "commitLogMaxOffset": log.visible_end().to_string(),
        "earliestMessageTimeStamp": first.map_or(-1, |first| first.store_time).to_string(),
    }});
    Ok(Response::body(table.to_string()))
}

/// 201.
pub(super) fn groups(broker: &Broker) -> Answer {
    let rows = map(broker.groups.iter().map(|group| (quoted(group), group_json(group))));
    Ok(Response::body(format!(r#"{{{DATA_VERSION},"forbiddenTable":{{}},"subscriptionGroupTable":{rows}}}"#)))
}

/// 202.
pub(super) fn topic_stats(broker: &Broker, request: &Frame) -> Answer {
    let topic = required(request, "topic")?;
    let config = broker.topic(topic)?;
    let rows = (0..config.read_queues.max(config.write_queues)).map(|queue| {
        let view = broker.view(topic, queue);
        let row = format!(
            r#"{{"lastUpdateTimestamp":{},"maxOffset":{},"minOffset":{}}}"#,
            view.last_update(),
            view.max,
            view.min
        );
        (queue_key(topic, &broker.name, queue), row)
    });
    Ok(Response::body(format!(r#"{{"offsetTable":{},"topicPutTps":0.0}}"#, map(rows))))
}
