//! Request and response codes in use, with their names and what a response code means to the user (RocketMQ
//! remoting: requests, response codes).

/// Codes of requests.
#[allow(missing_docs)] // the names are those of the protocol
pub mod request {
    pub const PULL_MESSAGE: i32 = 11;
    pub const QUERY_MESSAGE: i32 = 12;
    pub const UPDATE_CONSUMER_OFFSET: i32 = 15;
    pub const GET_ALL_TOPIC_CONFIG: i32 = 21;
    pub const GET_BROKER_CONFIG: i32 = 26;
    pub const GET_BROKER_RUNTIME_INFO: i32 = 28;
    pub const SEARCH_OFFSET_BY_TIMESTAMP: i32 = 29;
    pub const GET_MAX_OFFSET: i32 = 30;
    pub const GET_MIN_OFFSET: i32 = 31;
    pub const GET_EARLIEST_MSG_STORETIME: i32 = 32;
    pub const VIEW_MESSAGE_BY_ID: i32 = 33;
    pub const GET_ALL_CONSUMER_OFFSET: i32 = 43;
    pub const GET_ROUTEINFO_BY_TOPIC: i32 = 105;
    pub const GET_BROKER_CLUSTER_INFO: i32 = 106;
    pub const GET_ALL_SUBSCRIPTIONGROUP_CONFIG: i32 = 201;
    pub const GET_TOPIC_STATS_INFO: i32 = 202;
    pub const GET_ALL_TOPIC_LIST_FROM_NAMESERVER: i32 = 206;
    pub const GET_CONSUME_STATS: i32 = 208;
    pub const INVOKE_BROKER_TO_RESET_OFFSET: i32 = 222;
    pub const QUERY_TOPIC_CONSUME_BY_WHO: i32 = 300;
    pub const SEND_MESSAGE_V2: i32 = 310;
    pub const GET_TOPIC_CONFIG: i32 = 351;
}

/// Codes of responses.
#[allow(missing_docs)] // the names are those of the protocol
pub mod response {
    pub const SUCCESS: i32 = 0;
    pub const SYSTEM_ERROR: i32 = 1;
    pub const SYSTEM_BUSY: i32 = 2;
    pub const REQUEST_CODE_NOT_SUPPORTED: i32 = 3;
    pub const FLUSH_DISK_TIMEOUT: i32 = 10;
    pub const SLAVE_NOT_AVAILABLE: i32 = 11;
    pub const FLUSH_SLAVE_TIMEOUT: i32 = 12;
    pub const MESSAGE_ILLEGAL: i32 = 13;
    pub const SERVICE_NOT_AVAILABLE: i32 = 14;
    pub const VERSION_NOT_SUPPORTED: i32 = 15;
    pub const NO_PERMISSION: i32 = 16;
    pub const TOPIC_NOT_EXIST: i32 = 17;
    pub const PULL_NOT_FOUND: i32 = 19;
    pub const PULL_RETRY_IMMEDIATELY: i32 = 20;
    pub const PULL_OFFSET_MOVED: i32 = 21;
    pub const QUERY_NOT_FOUND: i32 = 22;
    pub const SUBSCRIPTION_PARSE_FAILED: i32 = 23;
    pub const SUBSCRIPTION_NOT_EXIST: i32 = 24;
    pub const SUBSCRIPTION_NOT_LATEST: i32 = 25;
    pub const SUBSCRIPTION_GROUP_NOT_EXIST: i32 = 26;
    pub const FILTER_DATA_NOT_EXIST: i32 = 27;
    pub const FILTER_DATA_NOT_LATEST: i32 = 28;
    pub const INVALID_PARAMETER: i32 = 29;
    pub const CONSUMER_NOT_ONLINE: i32 = 206;
    pub const CONSUME_MSG_TIMEOUT: i32 = 207;
    pub const NO_MESSAGE: i32 = 208;
    pub const FLOW_CONTROL: i32 = 215;
    pub const NOT_LEADER_FOR_QUEUE: i32 = 501;
    pub const GO_AWAY: i32 = 1500;
}

/// Name of a request, if it is one of [`request`].
#[must_use]
pub const fn request_name(code: i32) -> Option<&'static str> {
    Some(match code {
        request::PULL_MESSAGE => "PULL_MESSAGE",
        request::QUERY_MESSAGE => "QUERY_MESSAGE",
        request::UPDATE_CONSUMER_OFFSET => "UPDATE_CONSUMER_OFFSET",
        request::GET_ALL_TOPIC_CONFIG => "GET_ALL_TOPIC_CONFIG",
        request::GET_BROKER_CONFIG => "GET_BROKER_CONFIG",
        request::GET_BROKER_RUNTIME_INFO => "GET_BROKER_RUNTIME_INFO",
        request::SEARCH_OFFSET_BY_TIMESTAMP => "SEARCH_OFFSET_BY_TIMESTAMP",
        request::GET_MAX_OFFSET => "GET_MAX_OFFSET",
        request::GET_MIN_OFFSET => "GET_MIN_OFFSET",
        request::GET_EARLIEST_MSG_STORETIME => "GET_EARLIEST_MSG_STORETIME",
        request::VIEW_MESSAGE_BY_ID => "VIEW_MESSAGE_BY_ID",
        request::GET_ALL_CONSUMER_OFFSET => "GET_ALL_CONSUMER_OFFSET",
        request::GET_ROUTEINFO_BY_TOPIC => "GET_ROUTEINFO_BY_TOPIC",
        request::GET_BROKER_CLUSTER_INFO => "GET_BROKER_CLUSTER_INFO",
        request::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => "GET_ALL_SUBSCRIPTIONGROUP_CONFIG",
        request::GET_TOPIC_STATS_INFO => "GET_TOPIC_STATS_INFO",
        request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => "GET_ALL_TOPIC_LIST_FROM_NAMESERVER",
        request::GET_CONSUME_STATS => "GET_CONSUME_STATS",
        request::INVOKE_BROKER_TO_RESET_OFFSET => "INVOKE_BROKER_TO_RESET_OFFSET",
        request::QUERY_TOPIC_CONSUME_BY_WHO => "QUERY_TOPIC_CONSUME_BY_WHO",
        request::SEND_MESSAGE_V2 => "SEND_MESSAGE_V2",
        request::GET_TOPIC_CONFIG => "GET_TOPIC_CONFIG",
        _ => return None,
    })
}

/// Name of a response code, and in a few words what it means to the user. `None` if it is none of [`response`].
#[must_use]
pub const fn explain_response(code: i32) -> Option<(&'static str, &'static str)> {
    Some(match code {
        response::SUCCESS => ("SUCCESS", "done"),
        response::SYSTEM_ERROR => ("SYSTEM_ERROR", "the request failed there"),
        response::SYSTEM_BUSY => ("SYSTEM_BUSY", "the server takes no such requests at present"),
        response::REQUEST_CODE_NOT_SUPPORTED => {
            ("REQUEST_CODE_NOT_SUPPORTED", "this server does not serve the request, it is older or a proxy")
        }
        response::FLUSH_DISK_TIMEOUT => ("FLUSH_DISK_TIMEOUT", "stored, but not known to be on disk"),
        response::SLAVE_NOT_AVAILABLE => ("SLAVE_NOT_AVAILABLE", "stored, but on no slave"),
        response::FLUSH_SLAVE_TIMEOUT => ("FLUSH_SLAVE_TIMEOUT", "stored, but not known to be on a slave"),
        response::MESSAGE_ILLEGAL => ("MESSAGE_ILLEGAL", "the broker does not take such a message"),
        response::SERVICE_NOT_AVAILABLE => {
            ("SERVICE_NOT_AVAILABLE", "the broker takes no messages: its disk is full, or it is a slave")
        }
        response::VERSION_NOT_SUPPORTED => ("VERSION_NOT_SUPPORTED", "a proxy wants the name of the broker"),
        response::NO_PERMISSION => {
            ("NO_PERMISSION", "not signed in, not allowed, or broker, topic or group is not readable")
        }
        response::TOPIC_NOT_EXIST => ("TOPIC_NOT_EXIST", "there is no such topic"),
        response::PULL_NOT_FOUND => ("PULL_NOT_FOUND", "no message at this offset yet"),
        response::PULL_RETRY_IMMEDIATELY => {
            ("PULL_RETRY_IMMEDIATELY", "no message matched, go on at the next offset")
        }
        response::PULL_OFFSET_MOVED => ("PULL_OFFSET_MOVED", "the queue has no such offset"),
        response::QUERY_NOT_FOUND => ("QUERY_NOT_FOUND", "there is no such message or offset"),
        response::SUBSCRIPTION_PARSE_FAILED => {
            ("SUBSCRIPTION_PARSE_FAILED", "the filter expression is not readable")
        }
        response::SUBSCRIPTION_NOT_EXIST => ("SUBSCRIPTION_NOT_EXIST", "the group has no such subscription"),
        response::SUBSCRIPTION_NOT_LATEST => {
            ("SUBSCRIPTION_NOT_LATEST", "the group changed its subscription")
        }
        response::SUBSCRIPTION_GROUP_NOT_EXIST => {
            ("SUBSCRIPTION_GROUP_NOT_EXIST", "there is no such consumer group")
        }
        response::FILTER_DATA_NOT_EXIST => ("FILTER_DATA_NOT_EXIST", "the group has no such filter"),
        response::FILTER_DATA_NOT_LATEST => ("FILTER_DATA_NOT_LATEST", "the group changed its filter"),
        response::INVALID_PARAMETER => ("INVALID_PARAMETER", "a parameter is wrong, such as the queue id"),
        response::CONSUMER_NOT_ONLINE => ("CONSUMER_NOT_ONLINE", "no consumer of the group is connected"),
        response::CONSUME_MSG_TIMEOUT => ("CONSUME_MSG_TIMEOUT", "the consumer took too long"),
        response::NO_MESSAGE => ("NO_MESSAGE", "there is no message"),
        response::FLOW_CONTROL => ("FLOW_CONTROL", "too many requests"),
        response::NOT_LEADER_FOR_QUEUE => {
            ("NOT_LEADER_FOR_QUEUE", "another broker leads this queue of a static topic")
        }
        response::GO_AWAY => ("GO_AWAY", "the server is shutting down"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_protocol() {
        assert_eq!(request_name(11), Some("PULL_MESSAGE"));
        assert_eq!(request_name(310), Some("SEND_MESSAGE_V2"));
        // A heart-beat, and the request that creates a missing group, are no requests of this client.
        assert_eq!((request_name(34), request_name(352)), (None, None));
        assert_eq!((0..400).filter(|code| request_name(*code).is_some()).count(), 22);
        assert_eq!(explain_response(17), Some(("TOPIC_NOT_EXIST", "there is no such topic")));
        assert_eq!((0..2000).filter(|code| explain_response(*code).is_some()).count(), 29);
        assert_eq!(explain_response(18), None);
    }
}
