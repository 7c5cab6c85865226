//! A client that speaks raw frames, and crafted logs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mqlake::brokers::qmq::format::{action_log, message_log, payload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::peer::{GroupLogs, Peer, PeerSettings, frame};

pub(crate) const MESSAGE_SEGMENT: u64 = 1 << 30;
pub(crate) const ACTION_SEGMENT: u64 = 104_857_600;
pub(crate) const T: i64 = 1_700_000_000_000;
/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn week() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/qmq-week-a")
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// An answer to a log request: start offset and data.
pub(crate) type Answer = (i64, Vec<u8>);

pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The bytes of the next response, as they are.
    pub(crate) async fn read_raw(&mut self) -> std::io::Result<Vec<u8>> {
        let mut out = vec![0; 24];
        timeout(PATIENCE, self.0.read_exact(&mut out)).await.unwrap()?;
        let total = u32::from_be_bytes(out[..4].try_into().unwrap()) as usize;
        out.resize(4 + total, 0);
        timeout(PATIENCE, self.0.read_exact(&mut out[24..])).await.unwrap()?;
        Ok(out)
    }

    pub(crate) async fn call_raw(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.write(bytes).await;
        self.read_raw().await.unwrap()
    }

    /// Code and body of the response to a log request.
    pub(crate) async fn call(
        &mut self,
        kind: i8,
        message: i64,
        action: i64,
    ) -> std::io::Result<(i16, Vec<u8>)> {
        self.0.write_all(&frame::request(20, 9, 7, &frame::sync_body(kind, message, action))).await?;
        let raw = self.read_raw().await?;
        Ok((i16::from_be_bytes([raw[10], raw[11]]), raw[24..].to_vec()))
    }

    pub(crate) async fn try_ask(&mut self, kind: i8, message: i64, action: i64) -> std::io::Result<Answer> {
        let (code, body) = self.call(kind, message, action).await?;
        if code != 0 {
            return Err(std::io::Error::other(format!("code {code}")));
        }
        let size = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
        assert_eq!(body.len(), 12 + size);
        Ok((i64::from_be_bytes(body[4..12].try_into().unwrap()), body[12..].to_vec()))
    }

    pub(crate) async fn ask(&mut self, kind: i8, offset: i64) -> Answer {
        self.try_ask(kind, offset, offset).await.unwrap()
    }

    /// Whether a request gets no answer while later ones do.
    pub(crate) async fn is_unanswered(&mut self, kind: i8, offset: i64) -> bool {
        let body = frame::sync_body(kind, offset, offset);
        self.write(&frame::request(20, 9, 100, &body)).await;
        self.write(&frame::request(20, 9, 101, &frame::sync_body(3, 0, 0))).await;
        let first = self.read_raw().await.unwrap();
        // Longer than the second look takes.
        let second = timeout(Duration::from_millis(200), self.read_raw()).await;
        second.is_err() && first[14..18] == 101_i32.to_be_bytes()
    }

    /// Reads until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        // A reset is an end too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut out)).await.unwrap();
        out
    }
}

/// Reads a stream from an offset until an answer brings nothing: all data and the next offset.
pub(crate) async fn drain(client: &mut Client, kind: i8, mut offset: i64) -> (Vec<u8>, i64) {
    let mut out = Vec::new();
    loop {
        let (start, data) = client.ask(kind, offset).await;
        if data.is_empty() && start <= offset {
            return (out, offset);
        }
        out.extend_from_slice(&data);
        offset = if kind == 5 { start } else { start + data.len() as i64 };
    }
}

/// Status and bytes after the head of an HTTP answer.
pub(crate) async fn get(address: SocketAddr, target: &str) -> (u16, Vec<u8>) {
    let mut client = Client::connect(address).await;
    client.write(format!("GET {target} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes()).await;
    let raw = client.rest().await;
    let head = raw.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&raw[9..12]).unwrap().parse().unwrap();
    (status, raw[head + 4..].to_vec())
}

pub(crate) fn encoded(json: &str) -> String {
    json.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The payloads of the worked example, in log order.
pub(crate) fn example_payloads() -> [Vec<u8>; 4] {
    let make = |n: i64, subject, id, tags: &[&str], more: &[(&str, &str)]| {
        let time = (T + n).to_string();
        let mut attributes = vec![("qmq_createTime", time.as_str())];
        attributes.extend(more);
        payload::encode(0, T + n, T + 400, subject, id, tags, &attributes)
    };
    [
        make(0, "order", "m1", &[], &[("k", "v")]),
        make(1, "order", "m2", &["t1", "t2"], &[]),
        make(2, "%RETRY%order%g", "m3", &[], &[]),
        make(3, "order", "m4", &[], &[]),
    ]
}

/// The logs of the worked example, 454 and 210 bytes.
pub(crate) fn example() -> (Vec<u8>, Vec<u8>) {
    let mut messages = Vec::new();
    let heads = [(0, "order"), (1, "order"), (0, "%RETRY%order%g"), (1, "%RETRY%order%g")];
    for ((sequence, subject), payload) in heads.into_iter().zip(example_payloads()) {
        message_log::encode(&mut messages, 3, T + 500, sequence, subject, &payload);
    }
    let actions = "c3b2a100 00 00 00000037 0005 6f72646572 0001 67 0002 6331 0000018bcfe56be8 00
        0000000000000000 0000000000000001 0000000000000000 0000000000000001
        c3b2a100 00 01 00000026 0005 6f72646572 0001 67 0002 6331 0000018bcfe56fd0 0000000000000000 0000000000000001
        c3b2a100 00 00 00000037 0005 6f72646572 0001 67 0002 6331 0000018bcfe56ddc 00
        0000000000000002 0000000000000001 0000000000000003 0000000000000002
        c3b2a100 00 02 00000016 0005 6f72646572 0001 67 0002 6331 0000018bcfe573b8";
    (messages, hex(actions))
}

pub(crate) async fn example_peer(settings: PeerSettings) -> Peer {
    let (messages, actions) = example();
    let logs = GroupLogs::from_bytes("g1", vec![(0, messages)], vec![(0, actions)]);
    Peer::start(vec![logs], settings).await
}

/// Many messages of all versions, some without id, some made by the broker: log bytes and the index records.
pub(crate) fn messages(count: i64, time: i64) -> (Vec<u8>, Vec<u8>) {
    let (mut log, mut index) = (Vec::new(), Vec::new());
    for n in 0..count {
        let subject = format!("s{}", n * 7 % 9);
        let named = if n % 501 == 7 { "real" } else { &subject };
        let id = if n % 97 == 5 { String::new() } else { format!("240520.{n:06}.10.0.0.1") };
        let text = "x".repeat((n * 31 % 80) as usize);
        let payload = payload::encode(0, time + n, time, named, &id, &[], &[("a", &text)]);
        message_log::encode(&mut log, (1 + n % 3) as u8, time + n, n, &subject, &payload);
        if !id.is_empty() {
            mqlake::brokers::qmq::format::index_log::encode(
                &mut index,
                n,
                time + n,
                named.as_bytes(),
                id.as_bytes(),
            );
        }
    }
    (log, index)
}

/// Pulls of one message each.
pub(crate) fn actions(count: i64, time: i64) -> Vec<u8> {
    let mut log = Vec::new();
    for n in 0..count {
        let kind = action_log::ActionKind::Pull {
            broadcast: false,
            first_sequence: n,
            last_sequence: n,
            first_message_sequence: n,
            last_message_sequence: n,
        };
        let (subject, consumer_group, consumer_id) = (&b"s1"[..], &b"g"[..], &b"c"[..]);
        let action =
            action_log::Action { subject, consumer_group, consumer_id, timestamp_ms: time + n, kind };
        action_log::encode(&mut log, &action);
    }
    log
}

/// A group whose logs have two segments each, and its index records: all of them, and those of the first segment.
pub(crate) fn two_segments(name: &str, count: i64) -> (GroupLogs, Vec<u8>) {
    let (mut first, index) = messages(count, T);
    message_log::encode_end_of_segment(&mut first, T + count, 13);
    let (second, more) = messages(count / 4, T + count);
    let mut ended = actions(count, T);
    action_log::encode_end_of_segment(&mut ended, &[0xff; 20]);
    let logs = GroupLogs::from_bytes(
        name,
        vec![(MESSAGE_SEGMENT, first), (2 * MESSAGE_SEGMENT, second)],
        vec![(ACTION_SEGMENT, ended), (2 * ACTION_SEGMENT, actions(count / 4, T + count))],
    );
    (logs, [index, more].concat())
}

impl Client {
    /// Whether a heartbeat gets no answer and the connection stays open.
    pub(crate) async fn is_deaf(&mut self) -> bool {
        self.write(&frame::request(20, 9, 101, &frame::sync_body(3, 0, 0))).await;
        timeout(Duration::from_millis(200), self.read_raw()).await.is_err()
    }
}
