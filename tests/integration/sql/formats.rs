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

#[tokio::test]
async fn csv_tells_null_from_an_empty_text_also_inside_of_values() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let cases = [
        ("SELECT NULL AS a, '' AS b, 'x' AS c", "a,b,c\n,\"\",x\n"),
        ("SELECT '' AS a", "a\n\"\"\n"),
        ("SELECT NULL AS a", "a\n\n"),
        ("SELECT make_array('', NULL, 'x') AS a", "a\n\"[\"\"\"\",null,\"\"x\"\"]\"\n"),
        ("SELECT named_struct('k', '', 'n', NULL) AS a", "a\n\"{\"\"k\"\":\"\"\"\",\"\"n\"\":null}\"\n"),
        ("SELECT map(['k'], [CAST(NULL AS VARCHAR)]) AS a", "a\n\"{\"\"k\"\":null}\"\n"),
        (
            "SELECT 'a,b' AS \"x,y\", 'say \"hi\"' AS q, 'two\nlines' AS l",
            "\"x,y\",q,l\n\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n",
        ),
    ];
    for (statement, expected) in cases {
        assert_eq!(server.sql(statement, "text/csv").await.text(), expected, "{statement}");
    }
}

#[tokio::test]
async fn columns_of_one_name_are_numbered_in_json_and_kept_elsewhere() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let statement =
        "SELECT * FROM (SELECT 1 AS id, 'a' AS name) a JOIN (SELECT 1 AS id, 'b' AS name) b ON a.id = b.id";
    let object = r#"{"id":1,"name":"a","id_2":1,"name_2":"b"}"#;
    assert_eq!(server.sql(statement, "application/json").await.text(), format!("[{object}]"));
    assert_eq!(server.sql(statement, "application/x-ndjson").await.text(), format!("{object}\n"));
    assert_eq!(server.sql(statement, "text/csv").await.text(), "id,name,id,name\n1,a,1,b\n");
    let answer = server.sql(statement, "application/vnd.apache.arrow.stream").await;
    let reader = arrow::ipc::reader::StreamReader::try_new(answer.body.as_slice(), None).unwrap();
    let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "name", "id", "name"]);
}

#[tokio::test]
async fn members_of_a_json_body_that_are_not_known_are_refused_by_name() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let cases = [
        (r#"{"query":"SELECT 1","params":[1]}"#, Some("params")),
        (r#"{"query":"SELECT 1","Query":"SELECT 2"}"#, Some("Query")),
        (r#"{"sql":"SELECT 1"}"#, Some("sql")),
        (r#"{"query":1}"#, Some("query")),
        ("{}", Some("query")),
        (r#"["SELECT 1"]"#, None),
        ("SELECT 1", None),
    ];
    for (body, field) in cases {
        let answer = server.post("/api/sql", "application/json; charset=utf-8", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.content_type.as_deref(), Some("application/problem+json"));
        assert_eq!(answer.json()["field"].as_str(), field, "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_statement_that_is_too_long_is_refused_alike_whatever_its_length_and_form() {
    let server =
        Server::over(&week::lake(), |config| config.sql.max_statement = bytesize::ByteSize::kib(4)).await;
    for length in [5_000, 100_000, 2_500_000, 12_000_000] {
        let statement = format!("SELECT '{}'", "x".repeat(length));
        let json = serde_json::json!({"query": statement}).to_string();
        for (kind, body) in [("text/plain", &statement), ("application/json", &json)] {
            let answer = server.post("/api/sql", kind, body).await;
            assert_eq!(answer.status, 422, "{length} {kind}: {}", answer.text());
            assert_eq!(answer.content_type.as_deref(), Some("application/problem+json"));
            assert!(answer.json()["detail"].as_str().unwrap().contains("sql.max_statement"));
        }
    }
    // as much as is allowed, also if each byte takes six in JSON
    let statement = format!("SELECT '{}' AS s", "x".repeat(4096 - 14));
    let escaped: String = statement.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let answer = server.post("/api/sql", "application/json", &format!("{{\"query\":\"{escaped}\"}}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(server.sql(&statement, "*/*").await.status, 200);
}
