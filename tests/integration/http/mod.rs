//! The listener as a client on the network meets it: bytes in, bytes out.

mod answers;
mod connections;
mod content_types;
mod hosts;
mod observe;
mod origins;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mqlake::config::Config;
use mqlake::http::{App, router};
use mqlake::query::Catalog;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support;

/// Longest wait for anything, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server on a socket of this process.
pub struct Listening {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Over a data directory.
    pub async fn over(data: &Path, change: impl FnOnce(&mut Config)) -> Listening {
        mqlake::http::install_metrics().unwrap();
        let mut config = support::config(data);
        change(&mut config);
        let lake = support::open(&config).await;
        let catalog = Arc::new(Catalog::open(lake, &config.cache).await.unwrap());
        let settings = config.http.clone();
        let app = Arc::new(App::new(catalog, config, Arc::new(support::week_end)).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(mqlake::http::serve(listener, router(app), settings, async {
            let _ = stopped.await;
        }));
        Listening { address, stop: Some(stop), task }
    }

    /// Sends bytes and reads until the server closes.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // a server that has seen enough may close before it has all
        let _ = stream.write_all(request.as_bytes()).await;
        read_to_end(&mut stream).await
    }

    /// One request with these lines of a head, and a body; the connection ends with it.
    pub async fn request(&self, line: &str, headers: &[&str], body: &str) -> String {
        let mut text = format!("{line}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        self.raw(&format!("{text}\r\n{body}")).await
    }

    /// Stops, and waits for the end.
    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

/// Everything until the server closes, in whichever way.
pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status of a raw answer.
pub fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// The last part of the problem's type, or nothing.
pub fn problem(answer: &str) -> String {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return String::new() };
    if !head.to_ascii_lowercase().contains("application/problem+json") {
        return String::new();
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
    body["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}
