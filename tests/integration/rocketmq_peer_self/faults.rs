//! What goes wrong on purpose, each for itself and all at once.

use super::client::{Client, LONG, cluster, fill, offsets, pull};
use crate::rocketmq_peer::{Cluster, Faults, HeaderType};
use std::time::{Duration, Instant};
use tokio::time::timeout;

async fn with(faults: Faults) -> (Cluster, Client) {
    let (cluster, client) = cluster().await;
    fill(&cluster, 0..20);
    cluster.set_faults(faults);
    (cluster, client)
}

#[tokio::test]
async fn torn_answers_end_the_connection() {
    let (cluster, _) = with(Faults { torn: 1.0, ..Faults::default() }).await;
    for _ in 0..20 {
        let mut client = Client::broker(&cluster, "broker-a").await;
        client.send(pull("T", 0, 0, &[])).await;
        let ended = client.receive().await.unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::UnexpectedEof);
    }
    assert_eq!(cluster.played().torn, 20);
    assert_eq!(Client::name_server(&cluster).await.call(106, &[]).await.code, 0);
}

#[tokio::test]
async fn cut_answers_are_whole_in_the_end() {
    let (cluster, mut client) = with(Faults { cut: 1.0, ..Faults::default() }).await;
    for header in [HeaderType::Json, HeaderType::Compact] {
        cluster.set(|settings| settings.header = header);
        assert_eq!(offsets(&client.pull("T", 0, 0).await), (0..20).collect::<Vec<_>>());
    }
    assert_eq!(cluster.played().cut, 2);
}

#[tokio::test]
async fn slow_answers_come_late() {
    let (_cluster, mut client) =
        with(Faults { slow: 1.0, slow_by: Duration::from_millis(150), ..Faults::default() }).await;
    let start = Instant::now();
    assert_eq!(client.pull("T", 0, 0).await.code, 0);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn errors_are_answered_and_not_executed() {
    let (cluster, mut client) = with(Faults { error: 1.0, ..Faults::default() }).await;
    cluster.add_group("g");
    let fields = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "0"), ("commitOffset", "5")];
    let answer = client.call(15, &fields).await;
    assert_eq!(answer.code, 2);
    assert!(answer.remark.unwrap().starts_with("[TIMEOUT_CLEAN_QUEUE]"));
    assert_eq!(cluster.consumer_offset("broker-a", "g", "T", 0), None);
}

#[tokio::test]
async fn silence_leaves_the_connection_open() {
    let (cluster, mut client) = with(Faults { silent: 1.0, ..Faults::default() }).await;
    client.send(pull("T", 0, 0, &[])).await;
    while cluster.played().silent == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(timeout(Duration::from_millis(200), client.stream.readable()).await.is_err());
    cluster.set_faults(Faults::default());
    assert_eq!(client.pull("T", 0, 0).await.code, 0);
}

#[tokio::test]
async fn a_stray_response_comes_first() {
    let (_cluster, mut client) = with(Faults { wrong_opaque: 1.0, ..Faults::default() }).await;
    let opaque = client.send(pull("T", 0, 0, &[])).await;
    let stray = client.receive().await.unwrap();
    assert!(stray.is_response() && stray.opaque != opaque);
    assert_eq!(client.receive().await.unwrap().opaque, opaque);
}

#[tokio::test]
async fn garbage_is_never_a_frame() {
    let (cluster, _) = with(Faults { garbage: 1.0, name_server: true, ..Faults::default() }).await;
    for number in 0..40 {
        cluster.set(|settings| {
            settings.header = if number % 2 == 0 { HeaderType::Json } else { HeaderType::Compact };
        });
        let mut client = Client::name_server(&cluster).await;
        client.send(crate::rocketmq_peer::Frame::request(106, 0, &[], b"")).await;
        assert_eq!(client.receive().await.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    }
}

/// A stubborn client gets everything in the end, and the same seed goes wrong in the same way.
#[tokio::test]
async fn everything_at_once() {
    let faults = Faults {
        torn: 0.1,
        cut: 0.3,
        slow: 0.1,
        slow_by: Duration::from_millis(5),
        error: 0.1,
        silent: 0.1,
        wrong_opaque: 0.2,
        garbage: 0.1,
        name_server: false,
        seed: 7,
    };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (cluster, mut client) = with(faults.clone()).await;
        for offset in 0..20 {
            timeout(LONG, stubborn(&cluster, &mut client, offset)).await.unwrap();
        }
        runs.push(cluster.played());
    }
    assert_eq!(runs[0], runs[1]);
    let played = runs[0];
    assert!(played.torn > 0 && played.garbage > 0 && played.silent > 0 && played.error > 0, "{played:?}");
}

async fn stubborn(cluster: &Cluster, client: &mut Client, offset: i64) {
    loop {
        let silences = cluster.played().silent;
        let opaque = client.send(pull("T", 0, offset, &[("maxMsgNums", "1")])).await;
        let answer = async {
            loop {
                match client.receive().await {
                    Ok(answer) if answer.opaque != opaque => {}
                    answer => break answer.ok(),
                }
            }
        };
        // Looks behind the scenes, because no time-out is right on every machine.
        let silence = async {
            while cluster.played().silent == silences {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let answer = tokio::select! { answer = answer => answer, () = silence => None };
        match answer {
            Some(answer) if answer.code == 0 => {
                assert_eq!(offsets(&answer), [offset]);
                return;
            }
            Some(answer) => assert_eq!(answer.code, 2),
            None => *client = Client::broker(cluster, "broker-a").await,
        }
    }
}
