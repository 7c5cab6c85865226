//! What is lost: the spool, what retention removed before it was read, the end of a log, a broker with all it had.

use mqlake::stream::SourceStatus;

use crate::brokers::Broker;
use crate::brokers::server::{Server, check, store};

/// A spool that is lost only costs asking the broker once more.
pub(in crate::brokers) async fn a_lost_spool<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let mut all = Vec::new();
    for messages in [40, 25, 0] {
        all.extend(broker.grow(messages));
        let server = Server::start(&config).await;
        server.wait_for("with a new spool", &broker, &all).await;
        server.wait("following", |source| source.state == "following").await;
        server.stop().await;
        check("with a new spool", store(&config), &broker, &all).await;
        std::fs::remove_dir_all(config.follow.spool.as_ref().unwrap()).unwrap();
    }
}

/// What retention removed before it was read is a gap that is reported, exactly, and remembered; the rest is followed.
pub(in crate::brokers) async fn gaps<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let mut all: Vec<u32> = broker.grow(30).collect();
    let mut wanted = Vec::new();
    let server = Server::start(&config).await;
    server.wait_for("before", &broker, &all).await;
    server.wait("no gaps", |source| source.gaps.is_empty()).await;
    server.stop().await;
    for _ in 0..2 {
        let new = broker.grow(50);
        let removed = new.start..new.start + 20;
        broker.remove_before(removed.end);
        all.extend(removed.end..new.end);
        wanted.extend(broker.gaps(removed));
        let server = Server::start(&config).await;
        server.wait_for("behind a gap", &broker, &all).await;
        server.wait("the gaps", |source| source.gaps.len() >= wanted.len()).await;
        assert_gaps(&server, &mut wanted);
        if let Some(alarm) = B::GAP_ALARM {
            server.wait(alarm, |source| source.alarms.contains_key(alarm)).await;
        }
        server.stop().await;
        check("a gap", store(&config), &broker, &all).await;
    }
    // gaps are not forgotten by a restart
    let server = Server::start(&config).await;
    server.wait("the gaps", |source| source.gaps.len() >= wanted.len()).await;
    assert_gaps(&server, &mut wanted);
    server.stop().await;
}

fn assert_gaps(server: &Server, wanted: &mut [(String, u64, u64)]) {
    wanted.sort();
    let source = server.source().unwrap();
    let shown = serde_json::to_value(&source).unwrap();
    assert_eq!(shown["gaps"].as_array().unwrap().len(), wanted.len(), "{shown}");
    let mut found = source.gaps;
    found.sort_by(|a, b| (&a.stream, a.from).cmp(&(&b.stream, b.from)));
    assert_eq!(found.len(), wanted.len(), "{found:?} instead of {wanted:?}");
    for (gap, (stream, from, to)) in found.iter().zip(wanted.iter()) {
        assert!(gap.stream.ends_with(stream), "{found:?} instead of {wanted:?}");
        assert_eq!((gap.from, gap.to), (*from, *to), "{found:?} instead of {wanted:?}");
    }
}

/// A broker that lost the end of its log and has other messages there: the loss is noticed, with the server running or
/// not, what was followed stays, and what is new comes in.
pub(in crate::brokers) async fn a_log_that_went_back<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let mut present: Vec<u32> = broker.grow(50).collect();
    let mut all = present.clone();
    let mut server = Server::start(&config).await;
    server.wait_for("before", &broker, &all).await;
    // shorter than before while it is followed; longer while the server is away
    for (lost, messages, is_followed) in [(20, 12, true), (10, 40, false)] {
        let what = format!("{lost} messages lost, {messages} others");
        present.truncate(present.len() - lost as usize);
        let new;
        if is_followed {
            new = broker.lose(lost, messages).await;
        } else {
            server.stop().await;
            new = broker.lose(lost, messages).await;
            server = Server::start(&config).await;
        }
        server = accepted(&what, &broker, &config, server, &all).await;
        if !B::GOES_ON_BY_ITSELF {
            all.extend(&present);
        }
        present.extend(new.clone());
        all.extend(new);
        server.wait_for(&what, &broker, &all).await;
        let new = broker.grow(5);
        present.extend(new.clone());
        all.extend(new);
        server.wait_for(&what, &broker, &all).await;
    }
    server.stop().await;
    check("a log that went back", store(&config), &broker, &all).await;
}

/// A broker that was lost with all it had, and made anew under its name: what was followed stays, what is new comes in,
/// with a new log that is shorter than the old one, and with one that is longer.
pub(in crate::brokers) async fn a_broker_made_anew<B: Broker>() {
    let home = tempfile::tempdir().unwrap();
    let mut broker = B::start().await;
    let config = broker.settings(home.path());
    let mut all: Vec<u32> = broker.grow(40).collect();
    let mut server = Server::start(&config).await;
    server.wait_for("before", &broker, &all).await;
    for (messages, is_followed) in [(15, true), (60, false)] {
        let what = format!("made anew with {messages} messages");
        let new;
        if is_followed {
            new = broker.make_anew(messages).await;
        } else {
            server.stop().await;
            new = broker.make_anew(messages).await;
            server = Server::start(&config).await;
        }
        server = accepted(&what, &broker, &config, server, &all).await;
        all.extend(new);
        server.wait_for(&what, &broker, &all).await;
    }
    all.extend(broker.grow(10));
    server.wait_for("growth of the new broker", &broker, &all).await;
    server.stop().await;
    check("a broker made anew", store(&config), &broker, &all).await;
}

/// Waits until it is noticed that the log is another one, and lets an operator accept it where one has to.
async fn accepted<B: Broker>(
    what: &str,
    broker: &B,
    config: &mqlake::config::Config,
    server: Server,
    before: &[u32],
) -> Server {
    for log in B::ANOTHER_LOG {
        let is_noticed = |(about, text): (&str, &String)| log.contains(&about) && text.contains(B::ADVICE);
        let is_so =
            |source: &SourceStatus| source.alarms.iter().any(|(about, text)| is_noticed((about, text)));
        server.wait(what, is_so).await;
    }
    if B::GOES_ON_BY_ITSELF {
        return server;
    }
    server.wait_for(&format!("{what}: nothing is appended"), broker, before).await;
    server.stop().await;
    broker.accept(config).await;
    Server::start(config).await
}
