//! Listeners of the loopback address that can be taken down one by one, with their connections.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Tasks and the servers they belong to.
type Tasks = Mutex<Vec<(String, JoinHandle<()>)>>;

#[derive(Default)]
pub(super) struct Net {
    listeners: Tasks,
    connections: Tasks,
}

impl Net {
    /// Listens on a port, or a free one if that is 0, and runs `serve` for each connection. The port.
    pub(super) fn listen<F>(
        self: &Arc<Self>,
        server: &str,
        port: u16,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> u16
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("a bound socket").port();
        let listener = TcpListener::from_std(listener).expect("a runtime");
        let (net, of) = (Arc::downgrade(self), server.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let Some(net) = net.upgrade() else { return };
                let connection = tokio::spawn(serve(stream));
                let mut connections = net.connections.lock().unwrap();
                connections.retain(|(_, task)| !task.is_finished());
                connections.push((of.clone(), connection));
            }
        });
        self.listeners.lock().unwrap().push((server.to_owned(), task));
        port
    }

    /// Takes a server down; afterwards its port is free.
    pub(super) async fn close(&self, server: &str) {
        stop(&self.listeners, |of| of == server).await;
        stop(&self.connections, |of| of == server).await;
    }

    /// Breaks the connections of a server.
    pub(super) fn drop_connections(&self, server: &str) {
        drop(abort(&self.connections, |of| of == server));
    }

    /// Number of open connections of a server.
    pub(super) fn connections(&self, server: &str) -> usize {
        let open = |(of, task): &&(String, JoinHandle<()>)| of == server && !task.is_finished();
        self.connections.lock().unwrap().iter().filter(open).count()
    }

    /// Takes everything down.
    pub(super) fn stop(&self) {
        drop(abort(&self.listeners, |_| true));
        drop(abort(&self.connections, |_| true));
    }
}

/// Aborts the tasks that `chosen` picks.
fn abort(tasks: &Tasks, chosen: impl Fn(&str) -> bool) -> Vec<JoinHandle<()>> {
    let mut tasks = tasks.lock().unwrap();
    let picked = tasks.extract_if(.., |(server, _)| chosen(server));
    picked.map(|(_, task)| task).inspect(JoinHandle::abort).collect()
}

async fn stop(tasks: &Tasks, chosen: impl Fn(&str) -> bool) {
    for task in abort(tasks, chosen) {
        let _ = task.await;
    }
}
