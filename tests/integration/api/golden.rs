//! The original server's answers to 696 requests over the sample week (`tests/data/qmq-week-a/golden`).
//!
//! `keep`: equal. `fix`: the better answer. `error`: 400, or the original's form in legacy mode.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::http::{Answer, Server};
use crate::support::week;

#[tokio::test]
async fn every_answer_is_kept_or_better() {
    let failures = replay(false).await;
    assert!(failures.is_empty(), "{} requests:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn legacy_errors_restore_the_original_forms() {
    let failures = replay(true).await;
    assert!(failures.is_empty(), "{} requests:\n{}", failures.len(), failures.join("\n"));
}

async fn replay(legacy_errors: bool) -> Vec<String> {
    let server = Server::over(&week::lake(), |config| config.http.legacy_errors = legacy_errors).await;
    replay_on(&server, legacy_errors).await
}

/// Sends every request to a server; returns what is wrong.
pub async fn replay_on(server: &Server, legacy_errors: bool) -> Vec<String> {
    let mut tokens: HashMap<u64, String> = HashMap::new();
    let mut failures = Vec::new();
    let requests = week::lines("golden/api.jsonl.gz");
    assert_eq!(requests.len(), 696);
    for request in &requests {
        let mut query = request["query"].as_str().unwrap().to_owned();
        if let Some(chain) = request.get("chain") {
            let token = tokens.get(&chain.as_u64().unwrap()).cloned();
            query = query.replace("@NEXT", &token.unwrap_or_else(|| "there was no next".to_owned()));
        }
        let route = request["route"].as_str().unwrap();
        let answer = server.ask(route, request["param"].as_str().unwrap(), &query).await;
        let is_right = match request["class"].as_str().unwrap() {
            "error" if legacy_errors => answer.status == 200 && is_form(&answer, &request["body"]),
            "error" => answer.status == 400 && is_problem(&answer),
            _ => {
                let got = answer.json();
                if let Some(next) = got.get("next").and_then(Value::as_str) {
                    tokens.insert(request["n"].as_u64().unwrap(), next.to_owned());
                }
                let wanted = request.get("better").unwrap_or(&request["body"]);
                answer.status == 200 && is_same(&got, wanted, request.get("order").is_some())
            }
        };
        if !is_right {
            failures.push(format!("{} {route} {query}: {} {}", request["n"], answer.status, answer.text()));
        }
    }
    failures
}

fn is_form(answer: &Answer, body: &Value) -> bool {
    if answer.body.is_empty() {
        return body == "" && answer.content_type.is_none();
    }
    answer.json() == *body
}

fn is_problem(answer: &Answer) -> bool {
    answer.content_type.as_deref() == Some("application/problem+json")
        && answer.json()["status"] == 400
        && answer.json()["hint"].is_string()
}

/// The comparison rules of the API's specification: lists in order (or in order per consumer group), records
/// and tags as sets, of a token only whether there is one.
fn is_same(got: &Value, wanted: &Value, per_group: bool) -> bool {
    if got.get("next").is_some() != wanted.get("next").is_some() {
        return false;
    }
    if let Some(records) = wanted.get("records") {
        return sorted(records) == sorted(&got["records"]);
    }
    if let Some(list) = wanted.get("list") {
        let (Some(got), Some(wanted)) = (got["list"].as_array(), list.as_array()) else { return false };
        if !per_group {
            return got == wanted;
        }
        let group = |row: &Value| row["consumerGroup"].to_string();
        let stable = |rows: &[Value]| {
            let mut rows = rows.to_vec();
            rows.sort_by_key(group);
            rows
        };
        return stable(got) == stable(wanted);
    }
    if wanted.get("attrs").is_some() {
        let without_tags = |value: &Value| {
            let mut value = value.clone();
            value.as_object_mut().unwrap().remove("tags");
            value
        };
        return without_tags(got) == without_tags(wanted) && sorted(&got["tags"]) == sorted(&wanted["tags"]);
    }
    got == wanted
}

fn sorted(list: &Value) -> Vec<String> {
    let mut texts: Vec<String> = list.as_array().unwrap().iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}
