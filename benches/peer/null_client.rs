//! A client that reads both streams of a sync server to their ends and decodes only the frames: the upper bound for any
//! client.

use super::peer::frame;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SYNC_LOG: i16 = 20;
const VERSION: i16 = 9;
const TYPE_ACTION: i8 = 1;
const TYPE_INDEX: i8 = 5;
/// Bytes of a log answer before its data: frame head, size and start offset.
const ANSWER_HEAD_BYTES: usize = 36;

/// Reads the streams that have a start offset, at the same time and each on its own connection.
pub(super) async fn run(address: &str, index_from: Option<i64>, action_from: Option<i64>) -> Value {
    let start = |sync_type, from: Option<i64>| {
        let address = address.to_owned();
        from.map(|from| tokio::spawn(async move { drain(&address, sync_type, from).await }))
    };
    let (index, action) = (start(TYPE_INDEX, index_from), start(TYPE_ACTION, action_from));
    let mut result = json!({});
    for (name, task) in [("index", index), ("action", action)] {
        if let Some(task) = task {
            result[name] = task.await.expect("a task").expect("a sync server");
        }
    }
    result
}

/// Reads one stream with one request in flight, until an answer has no new data.
async fn drain(address: &str, sync_type: i8, from: i64) -> std::io::Result<Value> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut offset, mut requests, mut bytes, mut buffer) = (from, 0_u64, 0_u64, Vec::new());
    let started = Instant::now();
    let mut took = started.elapsed();
    loop {
        let body = frame::sync_body(sync_type, offset, offset);
        stream.write_all(&frame::request(SYNC_LOG, VERSION, requests as i32, &body)).await?;
        requests += 1;
        let mut head = [0; ANSWER_HEAD_BYTES];
        stream.read_exact(&mut head[..24]).await?;
        let code = i16::from_be_bytes([head[10], head[11]]);
        if code != frame::SUCCESS {
            return Err(std::io::Error::other(format!("code {code}")));
        }
        stream.read_exact(&mut head[24..]).await?;
        let (_, fields) = head.split_at(24);
        let size = u32::from_be_bytes(fields[..4].try_into().expect("4 bytes"));
        let start = i64::from_be_bytes(fields[4..].try_into().expect("8 bytes"));
        buffer.resize(size as usize, 0);
        stream.read_exact(&mut buffer).await?;
        bytes += u64::from(size);
        let next = if sync_type == TYPE_INDEX { start } else { start + i64::from(size) };
        if next <= offset {
            break;
        }
        offset = next;
        took = started.elapsed();
    }
    let seconds = took.as_secs_f64();
    let rate = bytes as f64 / seconds.max(1e-9) / 1e6;
    Ok(
        json!({"bytes": bytes, "seconds": seconds, "requests": requests, "next": offset, "mb_per_second": rate}),
    )
}
