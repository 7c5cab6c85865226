//! What operators ask.

use crate::support::http::Server;
use crate::support::week;

#[tokio::test]
async fn health_status_and_metrics() {
    let server = Server::over(&week::lake(), |_| {}).await;
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
    assert_eq!(server.get("/readyz").await.status, 200);
    let status = server.get("/api/status").await.json();
    let message =
        status["tables"].as_array().unwrap().iter().find(|t| t["name"] == "message").unwrap().clone();
    assert_eq!(message["rows"], 10_461);
    assert_eq!(message["recent_files"], 2, "the last UTC day is not over yet");
    let stream = &status["streams"][0];
    assert_eq!((&stream["broker_group"], &stream["log"]), (&"bg1".into(), &"message".into()));
    assert_eq!(stream["positions"][0]["position"], 2_688_751);
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("mqlake_table_rows{table=\"message\"} 10461"), "{metrics}");
    assert!(metrics.contains("mqlake_http_requests_total{route=\"/healthz\",status=\"200\"}"), "{metrics}");
}
