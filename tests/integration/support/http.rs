//! Requests against an application in this process, without a socket.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::TryStreamExt;
use http_body_util::BodyExt;
use mqlake::brokers::qmq::import::ImportRequest;
use mqlake::config::Config;
use mqlake::http::{App, router};
use mqlake::lake::{Lake, Store};
use mqlake::query::Catalog;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use tower::ServiceExt;

/// An application over a data directory.
pub struct Server(axum::Router);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    pub headers: axum::http::HeaderMap,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Statements run in processes of the program under test; the first statement starts one.
fn workers() -> mqlake::query::Program {
    mqlake::query::Program { path: env!("CARGO_BIN_EXE_mqlake").into(), warm: 0 }
}

impl Server {
    /// With the clock at the end of the sample's week.
    pub async fn over(data: &Path, change: impl FnOnce(&mut Config)) -> Server {
        let mut config = super::config(data);
        change(&mut config);
        let lake = super::open(&config).await;
        Server::with_lake(lake, config).await
    }

    pub async fn with_lake(lake: Arc<Lake>, config: Config) -> Server {
        Server::with_workers(lake, config, workers()).await
    }

    /// With statements run by another program.
    pub async fn with_workers(lake: Arc<Lake>, config: Config, workers: mqlake::query::Program) -> Server {
        mqlake::http::install_metrics().unwrap();
        let catalog = Arc::new(Catalog::open(lake, &config.cache).await.unwrap());
        let app = App::new(catalog, config, Arc::new(super::week_end)).unwrap();
        Server(router(Arc::new(app.with_sql_workers(workers).unwrap())))
    }

    /// With the clock at a moment, epoch milliseconds.
    pub async fn at(lake: Arc<Lake>, config: Config, now_ms: i64) -> Server {
        mqlake::http::install_metrics().unwrap();
        let catalog = Arc::new(Catalog::open(lake, &config.cache).await.unwrap());
        let clock = Arc::new(move || chrono::DateTime::from_timestamp_millis(now_ms).unwrap());
        Server(router(Arc::new(App::new(catalog, config, clock).unwrap())))
    }

    /// Over routes.
    pub fn of(routes: axum::Router) -> Server {
        mqlake::http::install_metrics().unwrap();
        Server(routes)
    }

    /// With something that follows clusters.
    pub fn following(catalog: Arc<Catalog>, config: Config, follow: Arc<mqlake::follow::Follow>) -> Server {
        mqlake::http::install_metrics().unwrap();
        let app = App::new(catalog, config, Arc::new(super::week_end)).unwrap().with_follow(follow);
        Server(router(Arc::new(app.with_sql_workers(workers()).unwrap())))
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.0.clone().oneshot(request).await.unwrap();
        let content_type =
            response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, content_type, body, headers }
    }

    pub async fn get(&self, path_and_query: &str) -> Answer {
        self.send(Request::get(path_and_query).body(Body::empty()).unwrap()).await
    }

    /// A documented route with its JSON parameter.
    pub async fn post(&self, path_and_query: &str, kind: &str, body: &str) -> Answer {
        let request = Request::post(path_and_query).header("content-type", kind);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub async fn ask(&self, route: &str, parameter: &str, json: &str) -> Answer {
        self.get(&format!("{route}?{parameter}={}", encode(json))).await
    }

    pub async fn sql(&self, statement: &str, accept: &str) -> Answer {
        let request = Request::post("/api/sql").header("accept", accept);
        self.send(request.body(Body::from(statement.to_owned())).unwrap()).await
    }
}

pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A server whose files are gone.
pub async fn without_files(legacy_errors: bool) -> Server {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    super::week::write_store("bg2", &store);
    let objects = Arc::new(object_store::memory::InMemory::new());
    let url = url::Url::parse("memory:///lake").unwrap();
    let mut config = super::config(home.path());
    config.http.legacy_errors = legacy_errors;
    let lake = Lake::open(Store::with_objects(objects.clone(), url).unwrap(), config.lake.clone()).await;
    let lake = Arc::new(lake.unwrap());
    let request = ImportRequest { store, broker_group: "bg2".to_owned(), skip_corrupt: false };
    lake.import(&request, &config, Arc::default(), super::week_end()).await.unwrap();
    let server = Server::with_lake(lake, config).await;
    let listed: Vec<_> = objects.list(None).try_collect().await.unwrap();
    for object in listed {
        objects.delete(&object.location).await.unwrap();
    }
    server
}
