//! A small client that asks one thing at a time, and a cluster to ask.

use crate::rocketmq_peer::frame::{self, Frame};
use crate::rocketmq_peer::{Cluster, ClusterSettings, HeaderType, Message, Record};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything takes here.
pub const LONG: Duration = Duration::from_secs(20);

pub struct Client {
    pub stream: TcpStream,
    pub header: HeaderType,
    opaque: i32,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a listener");
        Self { stream, header: HeaderType::Json, opaque: 0 }
    }

    pub async fn broker(cluster: &Cluster, broker: &str) -> Self {
        Self::connect(cluster.broker_addr(broker)).await
    }

    pub async fn name_server(cluster: &Cluster) -> Self {
        Self::connect(cluster.name_server_addr()).await
    }

    /// Sends a request; its opaque.
    pub async fn send(&mut self, request: Frame) -> i32 {
        self.opaque += 1;
        let request = Frame { opaque: self.opaque, header: self.header, ..request };
        self.stream.write_all(&request.encode()).await.expect("a connection");
        self.opaque
    }

    /// The next frame, whatever it answers.
    pub async fn receive(&mut self) -> io::Result<Frame> {
        timeout(LONG, frame::read(&mut self.stream)).await.expect("an answer in time")
    }

    /// Asks and takes the next frame as the answer.
    pub async fn ask(&mut self, request: Frame) -> Frame {
        let opaque = self.send(request).await;
        let answer = self.receive().await.expect("an answer");
        assert!(answer.is_response() && answer.opaque == opaque, "{answer:?}");
        answer
    }

    pub async fn call(&mut self, code: i32, fields: &[(&str, &str)]) -> Frame {
        self.ask(Frame::request(code, 0, fields, b"")).await
    }

    /// A call that succeeds with strict JSON as body.
    pub async fn json(&mut self, code: i32, fields: &[(&str, &str)]) -> Value {
        let answer = self.call(code, fields).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        serde_json::from_slice(&answer.body).expect("strict JSON")
    }

    /// A call that succeeds with text as body.
    pub async fn text(&mut self, code: i32, fields: &[(&str, &str)]) -> String {
        let answer = self.call(code, fields).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        String::from_utf8(answer.body).expect("text")
    }

    /// The offset that a request about a queue answers: 29, 30, 31.
    pub async fn offset(&mut self, code: i32, topic: &str, queue: i32, more: &[(&str, &str)]) -> i64 {
        let queue = queue.to_string();
        let fields = [&[("topic", topic), ("queueId", &queue)], more].concat();
        let answer = self.call(code, &fields).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.number("offset")
    }

    pub async fn pull(&mut self, topic: &str, queue: i32, offset: i64) -> Frame {
        self.ask(pull(topic, queue, offset, &[])).await
    }

    /// Whether the server closed the connection without another byte.
    pub async fn is_closed(&mut self) -> bool {
        self.receive().await.is_err()
    }
}

/// A pull of a pure reader; `more` replaces fields.
pub fn pull(topic: &str, queue: i32, offset: i64, more: &[(&str, &str)]) -> Frame {
    let (queue, offset) = (queue.to_string(), offset.to_string());
    let fields = [
        ("consumerGroup", "TOOLS_CONSUMER"),
        ("topic", topic),
        ("queueId", &queue),
        ("queueOffset", &offset),
        ("maxMsgNums", "32"),
        ("sysFlag", "4"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "15000"),
        ("subscription", "*"),
        ("subVersion", "0"),
    ];
    Frame::request(11, 0, &[&fields[..], more].concat(), b"")
}

/// Queue offsets of the messages of an answer.
pub fn offsets(answer: &Frame) -> Vec<i64> {
    Record::parse_all(&answer.body).iter().map(|record| record.queue_offset).collect()
}

/// Code and next offset of the answer to a pull.
pub fn next(answer: &Frame) -> (i32, i64) {
    (answer.code, answer.number("nextBeginOffset"))
}

/// A cluster with a topic `T` of two queues on each broker and a reader at `broker-a`.
pub async fn cluster() -> (Cluster, Client) {
    let cluster = Cluster::start(ClusterSettings::default()).await;
    cluster.set_queues("T", 2);
    let client = Client::broker(&cluster, "broker-a").await;
    (cluster, client)
}

/// Appends messages with these store times to queue 0 of `T`; their physical offsets.
pub fn fill(cluster: &Cluster, times: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let message = |time: i64| Message { store_time: Some(time), ..Message::text(&format!("at {time}")) };
    times.into_iter().map(|time| cluster.append("broker-a", "T", 0, message(time)).1).collect()
}
