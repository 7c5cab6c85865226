//! The metaserver: discovery over HTTP, acquire-meta and register over TCP.
//!
//! It is never late and never breaks off; what it can get wrong is role, slave and identity.

use std::sync::Arc;

use mqlake::codec::cursor::{Cursor, Short};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Cluster;
use super::cluster::{Group, Register};
use super::frame::{self, BROKER_ERROR, Request, SUCCESS, UNKNOWN_CODE};
use super::net::{HttpRequest, HttpResponse};

const ACQUIRE_META: i16 = 40;
const REGISTER: i16 = 30;
/// Role codes that sync from another broker.
const SYNCING_ROLES: [i32; 4] = [1, 4, 6, 7];

/// Answers the requests of one TCP connection until it ends.
pub(super) async fn connection(cluster: Arc<Cluster>, stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let mut out = Vec::new();
    while let Ok(request) = frame::read(&mut stream).await {
        let Some(request) = request else {
            let _ = tokio::io::copy(&mut (&mut stream).take(u64::MAX), &mut tokio::io::sink()).await;
            return;
        };
        let (code, body) = answer(&cluster, &request);
        if request.is_one_way() {
            continue;
        }
        frame::begin(&mut out, &request, code);
        out.extend_from_slice(&body);
        frame::end(&mut out);
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

fn answer(cluster: &Cluster, request: &Request) -> (i16, Vec<u8>) {
    let answer = match request.code {
        ACQUIRE_META => acquire(cluster, &request.body),
        REGISTER => register(cluster, &request.body),
        _ => return (UNKNOWN_CODE, Vec::new()),
    };
    match answer {
        Ok(Some(body)) => (SUCCESS, body),
        Ok(None) | Err(Short) => (BROKER_ERROR, Vec::new()),
    }
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Short> {
    Ok(String::from_utf8_lossy(cursor.bytes_u16()?).into_owned())
}

fn acquire(cluster: &Cluster, body: &[u8]) -> Result<Option<Vec<u8>>, Short> {
    let mut cursor = Cursor::new(body);
    let (hostname, port) = (text(&mut cursor)?, cursor.i32()?);
    let settings = cluster.settings.read().unwrap().clone();
    let host_known = settings.hostname.is_none_or(|known| known == hostname);
    let group = cluster.groups.iter().find(|group| host_known && i32::from(group.serve_port) == port);
    let Some(group) = group.filter(|_| settings.has_slave) else { return Ok(None) };
    group.count(|counters| counters.acquires += 1);
    let sync = group.addresses.lock().unwrap().sync;
    let master =
        if SYNCING_ROLES.contains(&settings.role) { format!("127.0.0.1:{sync}") } else { String::new() };
    let mut out = Vec::new();
    frame::put_text(&mut out, &group.name);
    frame::put_text(&mut out, &master);
    out.extend_from_slice(&settings.role.to_be_bytes());
    Ok(Some(out))
}

/// Stores nothing that an answer depends on, as for the roles of slaves and backups.
fn register(cluster: &Cluster, body: &[u8]) -> Result<Option<Vec<u8>>, Short> {
    let mut cursor = Cursor::new(body);
    let (request_type, name, address) = (cursor.i32()?, text(&mut cursor)?, text(&mut cursor)?);
    let register = Register { request_type, address, role: cursor.i32()?, state: cursor.i32()? };
    if let Some(group) = find(cluster, &name) {
        group.count(|counters| {
            counters.registers += 1;
            counters.last_register = Some(register);
        });
    }
    Ok(Some(Vec::new()))
}

fn find<'a>(cluster: &'a Cluster, name: &str) -> Option<&'a Arc<Group>> {
    cluster.groups.iter().find(|group| group.name == name)
}

/// Answers `/meta/address` and `/slave/meta`.
pub(super) fn http(cluster: &Cluster, request: &HttpRequest) -> HttpResponse {
    match request.path.as_str() {
        "/meta/address" => {
            let port = cluster.meta_tcp.lock().unwrap();
            HttpResponse::text(200, format!("127.0.0.1:{port}"))
        }
        "/slave/meta" => {
            HttpResponse::text(200, slave(cluster, request.field("groupName").unwrap_or_default()))
        }
        _ => HttpResponse::text(404, ""),
    }
}

fn slave(cluster: &Cluster, name: &str) -> String {
    let Some(group) = find(cluster, name) else { return String::new() };
    group.count(|counters| counters.slave_lookups += 1);
    let settings = cluster.settings.read().unwrap();
    if !settings.has_slave || !settings.slave_http {
        return String::new();
    }
    format!("127.0.0.1:{}", group.addresses.lock().unwrap().detail)
}
