//! Unusable queries and failing stores: what a client gets.

use axum::body::Body;
use axum::http::Request;

use crate::support::http::{Answer, Server, without_files};
use crate::support::week;

/// Route, parameter, query, field that the problem names.
const UNUSABLE: [(&str, &str, &str, &str); 7] = [
    ("/api/message", "backupQuery", r#"{"subject":"order.paid","len":2.5}"#, "len"),
    (
        "/api/message",
        "backupQuery",
        r#"{"subject":"order.paid","msgCreateTimeBegin":"now"}"#,
        "msgCreateTimeBegin",
    ),
    ("/api/message", "backupQuery", r#"{"subject":"order.paid","start":"zzz"}"#, "start"),
    ("/api/message", "backupQuery", "", "backupQuery"),
    ("/api/message/dead", "backupQuery", r#"{"subject":["x"]}"#, "subject"),
    ("/api/message/records", "recordQuery", r#"{"subject":"a","recordCode":"x"}"#, "recordCode"),
    ("/api/message/detail", "backupQuery", r#"{"subject":"a","sequence":"x"}"#, "sequence"),
];

#[tokio::test]
async fn an_unusable_query_is_400_and_names_the_field() {
    let server = Server::over(&week::lake(), |_| {}).await;
    for (route, parameter, query, field) in UNUSABLE {
        let answer = server.ask(route, parameter, query).await;
        assert_eq!(answer.status, 400, "{route} {query}");
        assert_eq!(answer.content_type.as_deref(), Some("application/problem+json"));
        assert_eq!(answer.json()["field"], field, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_token_of_another_subject_is_refused() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let first = server.ask("/api/message", "backupQuery", r#"{"subject":"order.paid","len":1}"#).await;
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let query = format!(r#"{{"subject":"price.changed","len":1,"start":"{next}"}}"#);
    let other = server.ask("/api/message", "backupQuery", &query).await;
    assert_eq!(other.status, 400, "{}", other.text());
}

#[tokio::test]
async fn bad_escapes_and_wrong_methods() {
    let server = Server::over(&week::lake(), |config| config.http.legacy_errors = true).await;
    for query in ["backupQuery=%zz", "backupQuery=%7", "backupQuery=%ff%fe"] {
        assert_eq!(server.get(&format!("/api/message?{query}")).await.status, 400, "{query}");
    }
    let post = server.send(Request::post("/api/message").body(Body::empty()).unwrap()).await;
    assert_eq!(post.status, 405);
    for path in ["/api/message/", "/api/message/x", "/", "/api"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

/// Asks every route of a server whose files are gone.
async fn with_lost_files(legacy_errors: bool) -> Vec<Answer> {
    let server = without_files(legacy_errors).await;
    let list = r#"{"subject":"order.paid","len":1}"#;
    let detail = r#"{"subject":"order.paid","brokerGroup":"bg2","sequence":2000}"#;
    let records = r#"{"subject":"order.paid","brokerGroup":"bg2","sequence":2000}"#;
    vec![
        server.ask("/api/message", "backupQuery", list).await,
        server.ask("/api/message/dead", "backupQuery", r#"{"subject":"dead.end","len":1}"#).await,
        server.ask("/api/message/detail", "backupQuery", detail).await,
        server.ask("/api/message/records", "recordQuery", records).await,
    ]
}

#[tokio::test]
async fn an_unavailable_store_is_503() {
    for answer in with_lost_files(false).await {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.content_type.as_deref(), Some("application/problem+json"));
    }
}

#[tokio::test]
async fn an_unavailable_store_has_the_original_empty_forms_in_legacy_mode() {
    let bodies: Vec<String> = with_lost_files(true).await.iter().map(|answer| answer.text()).collect();
    assert_eq!(bodies, ["{\"list\":[]}\n", "{\"list\":[]}\n", "null\n", "{\"records\":[]}\n"]);
}
