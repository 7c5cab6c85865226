//! Forms of requests beyond the golden ones: encodings, dates, paging, ids of any age.

use crate::support::http::Server;
use crate::support::week;

#[tokio::test]
async fn the_first_of_two_parameters_counts() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let target = "/api/message?backupQuery={%22subject%22:%22order.paid%22,%22len%22:1}&backupQuery=x";
    assert_eq!(server.get(target).await.json()["list"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_accepted_form_of_a_date_means_the_same() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let forms = [
        r#""May 26, 2024 12:00:00 PM""#,
        r#""May 26, 2024, 12:00:00 PM""#,
        r#""2024-05-26 12:00:00""#,
        r#""2024-05-26T12:00:00+08:00""#,
        r#""2024-05-26T04:00:00Z""#,
        r#""20240526T040000Z""#,
        r#""2024年5月26日 下午12:00:00""#,
        "1716696000000",
        r#""1716696000000""#,
    ];
    let mut answers = Vec::new();
    for form in forms {
        let query = format!(r#"{{"subject":"order.paid","len":1000,"msgCreateTimeBegin":{form}}}"#);
        let answer = server.ask("/api/message", "backupQuery", &query).await;
        assert_eq!(answer.status, 200, "{form}: {}", answer.text());
        answers.push(answer.json());
    }
    assert!(!answers[0]["list"].as_array().unwrap().is_empty());
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_message_40_days_old_is_found_by_id_without_a_window() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let query = r#"{"subject":"user.login","messageId":"240414.075223.10.1.165.223.13392.5441"}"#;
    let answer = server.ask("/api/message", "backupQuery", query).await.json();
    assert_eq!(answer["list"][0]["sequence"], "109");
    let listed = server.ask("/api/message", "backupQuery", r#"{"subject":"user.login","len":1000}"#).await;
    assert!(!listed.text().contains("240414.075223"), "the default window of a list is 30 days");
}

#[tokio::test]
async fn pages_of_any_length_add_up_to_the_whole_list() {
    let server = Server::over(&week::lake(), |config| config.http.max_len = 7).await;
    let whole = Server::over(&week::lake(), |_| {}).await;
    let all = whole.ask("/api/message", "backupQuery", r#"{"subject":"dup.ids","len":1000}"#).await.json();
    for len in [1, 3, 7, 2_147_483_647] {
        let mut rows = Vec::new();
        let mut start = String::new();
        loop {
            let query = format!(r#"{{"subject":"dup.ids","len":{len},"start":"{start}"}}"#);
            let page = server.ask("/api/message", "backupQuery", &query).await.json();
            rows.extend(page["list"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => start = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(&rows, all["list"].as_array().unwrap(), "pages of {len}");
    }
}

#[tokio::test]
async fn a_missing_or_zero_len_gives_a_page_that_ends() {
    let server = Server::over(&week::lake(), |config| config.http.default_len = 5).await;
    for query in [
        r#"{"subject":"order.paid"}"#,
        r#"{"subject":"order.paid","len":0}"#,
        r#"{"subject":"order.paid","len":-1}"#,
    ] {
        let page = server.ask("/api/message", "backupQuery", query).await.json();
        assert_eq!(page["list"].as_array().unwrap().len(), 5);
        assert!(page["next"].is_string());
    }
}

#[tokio::test]
async fn a_begin_before_the_year_2000_is_no_empty_answer() {
    let server = Server::over(&week::lake(), |_| {}).await;
    let query = r#"{"subject":"order.paid","len":1,"msgCreateTimeBegin":"1970-01-01"}"#;
    let page = server.ask("/api/message", "backupQuery", query).await.json();
    assert_eq!(page["list"].as_array().unwrap().len(), 1);
}
