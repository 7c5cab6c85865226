//! The name server: routes, brokers and topics, from what the running brokers registered.

use super::broker::Broker;
use super::frame::Frame;
use super::handlers::unknown;
use super::json::{ascii, list, map, quoted};
use super::response::{Answer, Response, SYSTEM_ERROR, TOPIC_NOT_EXIST, refuse, required};
use super::settings::ClusterSettings;
use std::collections::{BTreeMap, BTreeSet};

/// From this version ordinal on, routes are strict JSON.
const STRICT_VERSION: i32 = 401;

pub(super) fn answer(
    settings: &ClusterSettings,
    brokers: &BTreeMap<String, Broker>,
    request: &Frame,
) -> Answer {
    let running = || brokers.values().filter(|broker| broker.running);
    let topics = || running().flat_map(|broker| broker.registered.keys()).collect::<BTreeSet<_>>();
    let topic_list =
        |topics: BTreeSet<&String>| Response::body(format!(r#"{{"topicList":{}}}"#, list(topics)));
    match request.code {
        105 => {
            let asks =
                request.version >= STRICT_VERSION || request.field("acceptStandardJsonOnly") == Some("true");
            let topic = request.field("topic").unwrap_or_default();
            let on: Vec<_> = running().filter(|broker| broker.registered.contains_key(topic)).collect();
            route(topic, &on, asks && !settings.old_routes)
        }
        106 => {
            let rows = running().map(|broker| (quoted(&broker.name), broker_data(broker, false)));
            let names: BTreeSet<_> = running().map(|broker| &broker.name).collect();
            let clusters = map([(quoted(&settings.name), list(names))]);
            let brokers = map(rows);
            Ok(Response::body(format!(r#"{{"brokerAddrTable":{brokers},"clusterAddrTable":{clusters}}}"#)))
        }
        206 if !settings.topic_list => refuse(Response::error(SYSTEM_ERROR, "disable")),
        206 => Ok(topic_list(topics())),
        224 => {
            let known = required(request, "cluster")? == settings.name;
            Ok(topic_list(if known { topics() } else { BTreeSet::new() }))
        }
        code => unknown(code),
    }
}

fn broker_data(broker: &Broker, strict: bool) -> String {
    let id = if strict { "\"0\"" } else { "0" };
    let (name, cluster) = (quoted(&broker.name), quoted(&broker.cluster));
    format!(
        r#"{{"brokerAddrs":{{{id}:"{}"}},"brokerName":{name},"cluster":{cluster},"enableActingMaster":false}}"#,
        broker.address()
    )
}

fn route(topic: &str, brokers: &[&Broker], strict: bool) -> Answer {
    if brokers.is_empty() {
        let remark = format!("No topic route info in name server for the topic: {topic}");
        return refuse(Response::error(TOPIC_NOT_EXIST, remark));
    }
    let datas: Vec<_> = brokers.iter().map(|broker| broker_data(broker, strict)).collect();
    let queues = brokers.iter().map(|broker| {
        let (name, config) = (quoted(&broker.name), &broker.registered[topic]);
        format!(
            r#"{{"brokerName":{name},"perm":{},"readQueueNums":{},"topicSysFlag":0,"writeQueueNums":{}}}"#,
            config.perm, config.read_queues, config.write_queues
        )
    });
    let queues: Vec<_> = queues.collect();
    let body = format!(
        r#"{{"brokerDatas":[{}],"filterServerTable":{{}},"queueDatas":[{}]}}"#,
        datas.join(","),
        queues.join(",")
    );
    Ok(Response::body(if strict { ascii(&body) } else { body }))
}
