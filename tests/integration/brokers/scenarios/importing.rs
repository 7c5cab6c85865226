//! One broker, read both ways: its store directory is imported, and it is followed. Nothing comes twice.

use crate::brokers::Broker;
use crate::brokers::server::{Server, check, store};
use crate::support;

/// An imported broker is followed from where the import ended, and its grown store brings nothing that was followed.
pub(in crate::brokers) async fn an_import_then_following<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let mut all: Vec<u32> = broker.grow(60).collect();
    import(&broker, &config, home.path()).await;
    check("an import", store(&config), &broker, &all).await;
    let server = Server::start(&config).await;
    server.wait("following", |source| source.state == "following").await;
    server.wait_for("what was imported", &broker, &all).await;
    broker.assert_nothing_received();
    all.extend(broker.grow(45));
    server.wait_for("what is new", &broker, &all).await;
    server.stop().await;
    check("following after an import", store(&config), &broker, &all).await;
    import(&broker, &config, home.path()).await;
    check("an import of what was followed", store(&config), &broker, &all).await;
}

/// The store of a broker that is followed brings what was not received yet, and following goes on behind it.
pub(in crate::brokers) async fn following_then_an_import<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let mut all: Vec<u32> = broker.grow(40).collect();
    let server = Server::start(&config).await;
    server.wait_for("before", &broker, &all).await;
    server.stop().await;
    for messages in [0, 35] {
        all.extend(broker.grow(messages));
        import(&broker, &config, home.path()).await;
        check("an import after following", store(&config), &broker, &all).await;
    }
    all.extend(broker.grow(30));
    let server = Server::start(&config).await;
    server.wait_for("following after an import", &broker, &all).await;
    all.extend(broker.grow(10));
    server.wait_for("growth", &broker, &all).await;
    server.stop().await;
    check("following after an import", store(&config), &broker, &all).await;
}

async fn import<B: Broker>(broker: &B, config: &mqlake::config::Config, home: &std::path::Path) {
    let directory = home.join("store");
    if directory.exists() {
        std::fs::remove_dir_all(&directory).unwrap();
    }
    broker.write_store(&directory);
    let lake = support::open(config).await;
    B::import(&lake, config, &directory).await.unwrap();
}
