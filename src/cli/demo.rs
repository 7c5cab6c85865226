//! `mqlake demo`: serves a sample to try. It only uses default settings, follows nothing, and only writes to tables of
//! its own.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Args;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::scratch::Scratch;
use super::serve::serve;
use super::signals::Stop;
use crate::brokers::qmq::import::ImportRequest;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::paths::{demo_mark, stream_sidecar, streams_folder};
use crate::lake::schema::SYSTEM_QMQ;
use crate::lake::{Lake, Store};
use crate::stream::Progress;

/// The end of the sample's week, 2024-05-27 00:00 in its zone: lists without a window look back from here.
const SAMPLE_END: &str = "2024-05-26T16:00:00Z";
/// The time zone of the sample.
const SAMPLE_ZONE: &str = "Asia/Shanghai";

/// The broker groups of the sample.
const GROUPS: [&str; 2] = ["bg1", "bg2"];

/// A log of the sample, as a compressed segment.
struct Log {
    broker_group: &'static str,
    folder: &'static str,
    segment: &'static str,
    packed: &'static [u8],
}

/// A week of a small cluster: two broker groups, 10,583 messages, 30,178 actions.
const SAMPLE: [Log; 4] = [
    Log {
        broker_group: "bg1",
        folder: "messagelog",
        segment: "00000000000000000000",
        packed: include_bytes!("../../tests/data/qmq-week-a/bg1/messagelog/00000000000000000000.seg.gz"),
    },
    Log {
        broker_group: "bg1",
        folder: "actionlog",
        segment: "00000000000000000000",
        packed: include_bytes!("../../tests/data/qmq-week-a/bg1/actionlog/00000000000000000000.seg.gz"),
    },
    Log {
        broker_group: "bg2",
        folder: "messagelog",
        segment: "00000000003221225472",
        packed: include_bytes!("../../tests/data/qmq-week-a/bg2/messagelog/00000000003221225472.seg.gz"),
    },
    Log {
        broker_group: "bg2",
        folder: "actionlog",
        segment: "00000000000000000000",
        packed: include_bytes!("../../tests/data/qmq-week-a/bg2/actionlog/00000000000000000000.seg.gz"),
    },
];

/// Import a sample week of two QMQ broker groups, serve it, and print requests to paste
///
/// The data goes into a temporary directory that is removed at the end, or to --data, where it stays. Settings files and
/// MQLAKE_… variables have no effect, so the demo never touches tables or clusters that you have configured. Tables
/// of others at --data are left alone.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Address and port to listen on [default: 127.0.0.1:8080, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Demo {
    /// Runs on default settings, with the tables at `data` if it is given.
    pub(super) async fn run(self, data: Option<String>, stop: Stop) -> Result<ExitCode> {
        stop.heed();
        let scratch = Scratch::new(&stop)?;
        let mut config = Config::default();
        config.set_data(data.unwrap_or_else(|| scratch.0.join("data").display().to_string()))?;
        config.http.time_zone = Some(SAMPLE_ZONE.to_owned());
        config.http.listen = match self.listen {
            Some(listen) => listen,
            None => free_address(config.http.listen).await,
        };
        let now: DateTime<Utc> =
            SAMPLE_END.parse().map_err(|_| Error::Config("the sample's end".to_owned()))?;
        println!("replaying the sample: one week, two broker groups …");
        let store = scratch.0.join("store");
        tokio::select! {
            imported = import(&config, &store) => imported?,
            () = stop.asked() => return Ok(ExitCode::SUCCESS),
        }
        let data = config.data.clone();
        serve(config, Arc::new(move || now), stop, |address| println!("{}", tour(address, &data))).await?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn import(config: &Config, store: &Path) -> Result<()> {
    let lake = open_own(config).await?;
    for log in &SAMPLE {
        unpack(log, store)?;
    }
    for broker_group in GROUPS {
        let request = ImportRequest {
            store: store.join(broker_group),
            broker_group: broker_group.to_owned(),
            skip_corrupt: false,
        };
        let summary = lake.import(&request, config, Arc::new(Progress::default()), Utc::now()).await?;
        let messages = summary.messages;
        if summary.commits == 0 {
            println!("  {broker_group}: was there already");
            continue;
        }
        println!(
            "  {broker_group}: {} messages, {} retries, {} dead letters, {} records",
            messages.normal, messages.retry, messages.dead, summary.actions.records
        );
    }
    Ok(())
}

/// Opens or creates the lake of the settings. Fails if it exists and is not the demo's own; nothing is written then.
async fn open_own(config: &Config) -> Result<Arc<Lake>> {
    let store = Store::open(&config.data, &config.storage)?;
    let mark = demo_mark(&store.root);
    let is_marked = match store.objects.head(&mark).await {
        Ok(_) => true,
        Err(object_store::Error::NotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    let own = GROUPS.map(|group| stream_sidecar(&store.root, SYSTEM_QMQ, group));
    let folder = streams_folder(&store.root);
    let streams: Vec<_> = store.objects.list(Some(&folder)).try_collect().await?;
    let is_other = |at: &object_store::path::Path| !is_marked || !own.contains(at);
    let names = streams.iter().map(|stream| &stream.location).filter(|at| is_other(at));
    let mut others: Vec<String> = names
        .filter_map(|at| {
            let system = at.parts().rev().nth(1)?;
            Some(format!("{} {}", system.as_ref(), at.filename()?.trim_end_matches(".json")))
        })
        .collect();
    others.sort();
    let foreign = || {
        Error::Usage(format!(
            "{} holds tables that are not the demo's{}{}; nothing was changed. Pass another --data, or look at them with \
             `mqlake serve --data {}`",
            config.data,
            if others.is_empty() { "" } else { ": " },
            others.join(", "),
            config.data
        ))
    };
    if !others.is_empty() {
        return Err(foreign());
    }
    let lake = match Lake::open_existing(store.clone(), config.lake.clone()).await {
        Ok(lake) => lake,
        Err(Error::NoData(_)) => Lake::open(store, config.lake.clone()).await?,
        Err(error) => return Err(error),
    };
    if is_marked {
        return Ok(Arc::new(lake));
    }
    if has_rows(&lake).await? {
        return Err(foreign());
    }
    lake.store.put_durably(&mark, "{}\n".into()).await?;
    Ok(Arc::new(lake))
}

async fn has_rows(lake: &Lake) -> Result<bool> {
    for table in lake.tables() {
        if !table.refresh().await?.files.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unpack(log: &Log, store: &Path) -> Result<()> {
    let folder = store.join(log.broker_group).join(log.folder);
    let path = folder.join(log.segment);
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(log.packed)
        .read_to_end(&mut bytes)
        .and_then(|_| std::fs::create_dir_all(&folder))
        .and_then(|()| std::fs::write(&path, bytes))
        .map_err(|error| Error::input(&path, format!("the sample cannot be unpacked: {error}")))
}

async fn free_address(wanted: SocketAddr) -> SocketAddr {
    match tokio::net::TcpListener::bind(wanted).await {
        Ok(_) => wanted,
        Err(_) => SocketAddr::new(wanted.ip(), 0),
    }
}

fn tour(address: SocketAddr, data: &str) -> String {
    let url = format!("http://{address}");
    format!(
        r#"
listening on {url} (the clock stands at the end of the sample's week)

# the newest messages of a subject
curl -sG {url}/api/message --data-urlencode 'backupQuery={{"subject":"order.paid","len":3}}'

# one message by its id, whatever its age
curl -sG {url}/api/message --data-urlencode 'backupQuery={{"subject":"order.paid","messageId":"240526.205842.10.2.93.5.19500.9059"}}'

# its content
curl -sG {url}/api/message/detail --data-urlencode 'backupQuery={{"subject":"order.paid","brokerGroup":"bg1","sequence":106}}'

# who pulled and acknowledged it
curl -sG {url}/api/message/records --data-urlencode 'recordQuery={{"subject":"order.paid","brokerGroup":"bg1","sequence":106,"recordCode":0}}'

# dead letters of a subject, and why one died
curl -sG {url}/api/message/dead --data-urlencode 'backupQuery={{"subject":"dead.end","len":3}}'
curl -sG {url}/api/message/records --data-urlencode 'recordQuery={{"subject":"dead.end","messageId":"240526.203424.10.0.24.116.23589.9027","recordCode":1}}'

# SQL, as JSON, CSV, NDJSON or Arrow
curl -s {url}/api/sql -d 'SELECT subject, count(*) AS messages FROM message GROUP BY subject ORDER BY 2 DESC LIMIT 5'
curl -s {url}/api/sql -H 'Accept: text/csv' -d 'SELECT * FROM redelivery ORDER BY retries DESC LIMIT 5'
curl -s {url}/api/sql -d 'SHOW TABLES'

# for operators
curl -s {url}/api/status
curl -s {url}/metrics

# the files themselves, for any engine
#   {data}/message/dt=*/*.parquet

Ctrl-C ends the demo."#
    )
}
