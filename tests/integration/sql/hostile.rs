//! Every `tests/cases/sql-hostile/*.sql` against a server of its own: each statement has the outcome that stands above
//! it, and after each the same process answers. `README.md` there says how to read the files.

use std::path::Path;

use super::server::Serving;

struct Case {
    outcome: String,
    statement: String,
}

/// Settings and cases of a file.
fn read(name: &str) -> (String, Vec<Case>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sql-hostile").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let settings = blocks.next().unwrap().strip_prefix("-- settings: ").unwrap().replace(", ", "\n");
    let case = |block: &str| {
        let (outcome, statement) = block.split_once('\n').unwrap();
        Case { outcome: outcome.strip_prefix("-- ").unwrap().to_owned(), statement: expanded(statement) }
    };
    (settings, blocks.map(case).collect())
}

/// `«text×3»` is text three times.
fn expanded(statement: &str) -> String {
    let mut parts = statement.split('«');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (repeated, rest) = part.split_once('»').unwrap();
        let (repeated, times) = repeated.rsplit_once('×').unwrap();
        text.push_str(&repeated.repeat(times.parse().unwrap()));
        text.push_str(rest);
    }
    text
}

fn is_as_expected(expected: &str, outcome: &str) -> bool {
    let Some(named) = expected.strip_prefix("limit ") else { return outcome == expected };
    // `sql.max_row` is not `sql.max_rows`
    let is_named = |detail: &str| {
        detail.match_indices(named).any(|(at, _)| {
            let behind = detail[at + named.len()..].chars().next();
            behind.is_none_or(|behind| !behind.is_alphanumeric() && behind != '_')
        })
    };
    outcome.strip_prefix("limit ").is_some_and(is_named)
}

async fn run(name: &str) {
    let (settings, cases) = read(name);
    let server = Serving::start(&settings);
    let lookup = server.lookup().await.text;
    let mut wrong = Vec::new();
    for case in &cases {
        let answer = server.sql(&case.statement).await;
        let outcome = answer.outcome();
        if !is_as_expected(&case.outcome, &outcome) {
            let statement: String = case.statement.chars().take(200).collect();
            wrong.push(format!("{statement}\n  expected {}\n  was {outcome}", case.outcome));
        }
        assert_eq!(server.get("/healthz").await.status, 200, "{}", case.statement);
        assert_eq!(server.lookup().await.text, lookup, "{}", case.statement);
    }
    assert!(
        wrong.is_empty(),
        "{name}: {} of {}\n{}\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n"),
        server.log()
    );
    let after = server.sql("SELECT 1 AS one").await;
    assert_eq!(after.text, r#"[{"one":1}]"#);
    assert!(server.pid() > 0 && super::server::is_alive(server.pid()));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    run("memory.sql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time() {
    run("time.sql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spill() {
    run("spill.sql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_or_cannot_be_computed() {
    run("refused.sql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_and_size() {
    run("nesting.sql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_ones_that_are_answered() {
    run("answered.sql").await;
}

#[test]
fn there_are_more_than_a_hundred() {
    let names = ["memory.sql", "time.sql", "spill.sql", "refused.sql", "nesting.sql", "answered.sql"];
    assert!(names.iter().map(|name| read(name).1.len()).sum::<usize>() > 150);
    assert_eq!(expanded("a«b c×2»d«(×3»"), "ab cb cd(((");
}
