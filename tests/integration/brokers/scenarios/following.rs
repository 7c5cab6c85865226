//! A server and a broker that live as they should: the first sync, growth, restarts of either.

use crate::brokers::Broker;
use crate::brokers::server::{Server, check, store};

/// What a broker has before anybody follows it comes in, whole and once.
pub(in crate::brokers) async fn first_sync<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let all: Vec<u32> = broker.grow(130).collect();
    let server = Server::start(&config).await;
    server.wait_for("a first sync", &broker, &all).await;
    server.wait("following", |source| source.state == "following").await;
    let source = server.source().unwrap();
    assert!(source.gaps.is_empty(), "{:?}", source.gaps);
    assert_eq!(source.broker_group.as_deref(), Some(B::GROUP));
    server.stop().await;
    check("a first sync", store(&config), &broker, &all).await;
}

/// What comes while a broker is followed is seen, be it one message or many, with no restart.
pub(in crate::brokers) async fn growth<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let server = Server::start(&config).await;
    server.wait("following", |source| source.state == "following").await;
    let mut all = Vec::new();
    for messages in [1, 1, 70, 2, 40] {
        all.extend(broker.grow(messages));
        server.wait_for(&format!("{messages} more"), &broker, &all).await;
    }
    server.stop().await;
    check("growth", store(&config), &broker, &all).await;
}

/// A server that is started again goes on where it was: nothing is stored again, nothing that came meanwhile is missing.
/// A broker that is started again, elsewhere, is found without a restart of the server.
pub(in crate::brokers) async fn restart<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let mut all: Vec<u32> = broker.grow(30).collect();
    let server = Server::start(&config).await;
    server.wait_for("before", &broker, &all).await;
    server.stop().await;
    all.extend(broker.grow(25));
    let server = Server::start(&config).await;
    server.wait_for("what came while the server was away", &broker, &all).await;
    all.extend(broker.restart(20).await);
    server.wait_for("what came while the broker was away", &broker, &all).await;
    all.extend(broker.grow(5));
    server.wait_for("after", &broker, &all).await;
    server.stop().await;
    check("restarts", store(&config), &broker, &all).await;
    // nothing is left to do for another start
    let server = Server::start(&config).await;
    server.wait("following", |source| source.state == "following").await;
    server.wait_for("once more", &broker, &all).await;
    server.stop().await;
    check("another start", store(&config), &broker, &all).await;
}
