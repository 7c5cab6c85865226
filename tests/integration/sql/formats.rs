//! Formats by `Accept`, and the two methods.

use axum::body::Body;
use axum::http::Request;

use crate::support::http::{Server, encode};
use crate::support::week;

const STATEMENT: &str = "SELECT subject, sequence, create_time, tags FROM message WHERE message_id = '240520.000803.10.3.192.80.4960.1'";

#[tokio::test]
async fn json_ndjson_and_csv() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let json = server.sql(STATEMENT, "application/json").await;
    assert_eq!(json.content_type.as_deref(), Some("application/json;charset=utf-8"));
    assert_eq!(
        json.text(),
        r#"[{"subject":"user.signup","sequence":0,"create_time":"2024-05-19T16:08:03.505Z","tags":[]}]"#
    );
    let lines = server.sql(STATEMENT, "application/x-ndjson").await;
    assert_eq!(lines.text().lines().count(), 1);
    let csv = server.sql(STATEMENT, "text/csv").await;
    assert_eq!(csv.text(), "subject,sequence,create_time,tags\nuser.signup,0,2024-05-19T16:08:03.505Z,[]\n");
}

#[tokio::test]
async fn an_arrow_stream() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let answer = server.sql("SELECT * FROM record", "application/vnd.apache.arrow.stream").await;
    let reader = arrow::ipc::reader::StreamReader::try_new(answer.body.as_slice(), None).unwrap();
    let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 35_880);
}

#[tokio::test]
async fn an_empty_answer_has_the_form_of_a_full_one() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let statement = "SELECT subject, sequence FROM message WHERE subject = 'nobody'";
    assert_eq!(server.sql(statement, "application/json").await.text(), "[]");
    assert_eq!(server.sql(statement, "application/x-ndjson").await.text(), "");
    assert_eq!(server.sql(statement, "text/csv").await.text(), "subject,sequence\n");
}

#[tokio::test]
async fn get_and_post() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let get = server.get(&format!("/api/sql?q={}", encode("SELECT 1 AS one"))).await;
    assert_eq!(get.text(), r#"[{"one":1}]"#);
    let request = Request::post("/api/sql").header("content-type", "application/json");
    let post = server.send(request.body(Body::from(r#"{"query":"SELECT 1 AS one"}"#)).unwrap()).await;
    assert_eq!(post.text(), r#"[{"one":1}]"#);
    assert_eq!(server.get("/api/sql").await.status, 400);
    assert_eq!(server.sql(" ", "application/json").await.status, 400);
    assert_eq!(server.sql("SELECT 1", "image/png").await.status, 406);
}

#[tokio::test]
async fn refusals_are_problems_with_a_reason() {
    let server = Server::over(&week::lake(), |_| {}).await;
    for statement in
        ["DELETE FROM message", "SET a.b = 1", "COPY (SELECT 1) TO 'x.csv'", "SELECT nothing FROM message"]
    {
        let answer = server.sql(statement, "*/*").await;
        assert_eq!(answer.status, 400, "{statement}: {}", answer.text());
        assert_eq!(answer.content_type.as_deref(), Some("application/problem+json"));
    }
    let answer = server.sql("DROP TABLE message", "*/*").await.json();
    assert!(answer["detail"].as_str().unwrap().contains("read-only"), "{answer}");
}
