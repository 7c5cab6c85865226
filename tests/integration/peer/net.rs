//! Listeners that can be taken down one by one, and just enough of HTTP/1.1 to answer a GET or POST.
//!
//! HTTP is written by hand so that an answer can break off at any byte. Request bodies are read and ignored.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

const MAX_LINE_BYTES: u64 = 1 << 20;

/// What a task belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    Http,
    Metaserver,
    /// The sync server of the group with this name.
    Sync(String),
    /// The detail server of the group with this name.
    Detail(String),
}

/// All listeners and connections.
#[derive(Default)]
pub(super) struct Net {
    listeners: Mutex<Vec<(Owner, AbortHandle)>>,
    connections: Mutex<Vec<(Owner, AbortHandle)>>,
}

impl Net {
    /// Listens on a free port of the loopback address and runs `serve` for each connection. The port.
    pub(super) fn listen<F>(
        self: &Arc<Self>,
        owner: Owner,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> u16
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("a bound socket").port();
        let listener = TcpListener::from_std(listener).expect("a runtime");
        let (net, of) = (Arc::clone(self), owner.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let connection = tokio::spawn(serve(stream)).abort_handle();
                let mut connections = net.connections.lock().unwrap();
                connections.retain(|(_, handle)| !handle.is_finished());
                connections.push((of.clone(), connection));
            }
        });
        self.listeners.lock().unwrap().push((owner, task.abort_handle()));
        port
    }

    /// Takes down the listeners of an owner.
    pub(super) fn close(&self, owner: &Owner) {
        abort(&self.listeners, |of| of == owner);
    }

    /// Breaks the connections that `chosen` picks.
    pub(super) fn drop_connections(&self, chosen: impl Fn(&Owner) -> bool) {
        abort(&self.connections, chosen);
    }

    /// Number of open connections that `chosen` picks.
    pub(super) fn connections(&self, chosen: impl Fn(&Owner) -> bool) -> usize {
        let open = |(owner, handle): &&(Owner, AbortHandle)| chosen(owner) && !handle.is_finished();
        self.connections.lock().unwrap().iter().filter(open).count()
    }

    /// Takes everything down.
    pub(super) fn stop(&self) {
        abort(&self.listeners, |_| true);
        abort(&self.connections, |_| true);
    }
}

fn abort(tasks: &Mutex<Vec<(Owner, AbortHandle)>>, chosen: impl Fn(&Owner) -> bool) {
    tasks.lock().unwrap().retain(|(owner, handle)| {
        if chosen(owner) {
            handle.abort();
        }
        !chosen(owner)
    });
}

/// The head of an HTTP request.
pub struct HttpRequest {
    /// Method, in capitals.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Decoded query fields; of a repeated one the first.
    pub query: HashMap<String, String>,
}

impl HttpRequest {
    /// A query field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

/// An HTTP answer.
#[derive(Default)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Content type, if announced.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the length is left unannounced.
    pub chunked: bool,
    /// Where the answer breaks off, given its whole length.
    pub cut: Option<Box<dyn FnOnce(usize) -> Option<usize> + Send>>,
}

impl HttpResponse {
    /// Text without a content type.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }
}

/// Answers the requests of one connection until it ends.
pub async fn serve_http<F>(stream: TcpStream, answer: impl Fn(HttpRequest) -> F)
where
    F: Future<Output = HttpResponse>,
{
    let mut stream = BufReader::new(stream);
    while let Ok(Some((request, keep))) = read_head(&mut stream).await {
        let mut response = answer(request).await;
        let cut = response.cut.take();
        let mut bytes = write_response(&response, keep);
        let at = cut.and_then(|cut| cut(bytes.len()));
        bytes.truncate(at.unwrap_or(usize::MAX));
        if stream.write_all(&bytes).await.is_err() || at.is_some() || !keep {
            break;
        }
    }
    let _ = stream.shutdown().await;
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(HttpRequest, bool)>> {
    let (mut lines, mut length, mut close) = (Vec::new(), 0, false);
    loop {
        let mut line = String::new();
        if stream.take(MAX_LINE_BYTES).read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "connection" => close = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        lines.push(line.to_owned());
    }
    tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
    let Some(first) = lines.first() else { return Ok(None) };
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let keep = !close && words.next() == Some("HTTP/1.1");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut fields = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        fields.entry(decode(name)).or_insert_with(|| decode(value));
    }
    Ok(Some((HttpRequest { method: method.to_owned(), path: path.to_owned(), query: fields }, keep)))
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*first),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn write_response(response: &HttpResponse, keep: bool) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {} Answer\r\n", response.status);
    if let Some(content_type) = response.content_type {
        out += &format!("Content-Type: {content_type}\r\n");
    }
    let chunked = response.chunked && keep;
    if chunked {
        out += "Transfer-Encoding: chunked\r\n";
    } else if !response.chunked {
        out += &format!("Content-Length: {}\r\n", response.body.len());
    }
    if !keep {
        out += "Connection: close\r\n";
    }
    let mut out = (out + "\r\n").into_bytes();
    if chunked && !response.body.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", response.body.len()).as_bytes());
    }
    out.extend_from_slice(&response.body);
    if chunked {
        out.extend_from_slice(if response.body.is_empty() { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" });
    }
    out
}
