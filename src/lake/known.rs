//! Which records of a broker's log the tables have, whichever stream brought them.
//!
//! A record is recognized by its offset in the log and by what was stored there. So an import needs no history of who
//! read what: not for a log that lost its end and was overwritten, not for copies taken at different times, and not
//! beside what was received from the running broker. Only one window of the log is in memory at a time.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{binary, col, lit};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use super::file::LakeFile;
use super::scan::{Scan, store_url};
use super::schema::MESSAGE;
use super::{Lake, StreamId, sql_error};
use crate::error::{Error, Result};

/// Length of the window, in bytes of the log.
const WINDOW_BYTES: u64 = 1 << 30;

/// Properties that identify a record at its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordFingerprint {
    /// Broker's clock.
    pub store_time: i64,
    /// Queue.
    pub queue_id: i32,
    /// Checksum of the body as stored.
    pub body_crc: i32,
    /// Bytes of the record.
    pub stored_size: i32,
}

/// The place of a message in its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMessage {
    /// Stored topic.
    pub topic: String,
    /// Queue.
    pub queue_id: i32,
    /// Queue offset.
    pub queue_offset: i64,
}

/// The records of a broker that the tables have.
pub struct KnownRecords {
    objects: Arc<dyn ObjectStore>,
    folder: Path,
    files: Vec<Arc<LakeFile>>,
    system: String,
    broker: String,
    /// The range of the log whose records are in memory.
    window: Range<u64>,
    records: Vec<(u64, RecordFingerprint)>,
}

impl Lake {
    /// The records of a broker in the newest snapshot of `message`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn known_records(&self, system: &str, broker: &str) -> Result<KnownRecords> {
        let table = self.table(&MESSAGE)?;
        let mut files = table.refresh().await?.files;
        files.retain(|file| {
            file.stats.may_contain_text("system", system)
                && file.stats.may_contain_text("broker_group", broker)
                && file.stats.number_range(OFFSET).is_some()
        });
        Ok(KnownRecords {
            objects: self.store.objects.clone(),
            folder: table.folder.clone(),
            files,
            system: system.to_owned(),
            broker: broker.to_owned(),
            window: 0..0,
            records: Vec::new(),
        })
    }

    /// Whether any table has a position of a stream.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_begun(&self, stream: &StreamId) -> Result<bool> {
        for table in self.tables() {
            if table.position(stream).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

const OFFSET: &str = "physical_offset";

impl KnownRecords {
    /// Offset after the last known record: none at this offset or after it is known.
    #[must_use]
    pub fn end(&self) -> u64 {
        let ends = self.files.iter().filter_map(|file| file.stats.number_range(OFFSET));
        ends.map(|(_, greatest)| u64::try_from(greatest).map_or(0, |greatest| greatest.saturating_add(1)))
            .max()
            .unwrap_or(0)
    }

    /// Whether all known records at an offset are in memory.
    #[must_use]
    pub fn is_loaded(&self, offset: u64) -> bool {
        self.window.contains(&offset) || offset >= self.end()
    }

    /// Reads the known records of the window that begins at an offset.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn load(&mut self, offset: u64) -> Result<()> {
        let window = offset..offset.saturating_add(WINDOW_BYTES);
        self.records = Vec::new();
        let mut records = Vec::new();
        self.each(&window, &FINGERPRINT_COLUMNS, |batch| {
            let [offsets, times] = [OFFSET, "create_time"].map(|name| numbers(batch, name));
            let [queues, crcs, sizes] =
                ["queue_id", "body_crc", "stored_size"].map(|name| numbers(batch, name));
            let (offsets, times, queues, crcs, sizes) = (offsets?, times?, queues?, crcs?, sizes?);
            let small = |number: i64| i32::try_from(number).unwrap_or(i32::MIN);
            for row in self.rows(batch, &window)? {
                let fingerprint = RecordFingerprint {
                    store_time: times.value(row),
                    queue_id: small(queues.value(row)),
                    body_crc: small(crcs.value(row)),
                    stored_size: small(sizes.value(row)),
                };
                records.push((u64::try_from(offsets.value(row)).unwrap_or(0), fingerprint));
            }
            Ok(())
        })
        .await?;
        records.sort_unstable();
        // a record with several messages has a row for each
        records.dedup();
        (self.records, self.window) = (records, window);
        Ok(())
    }

    /// Whether a record is known. Its offset must be loaded, see [`KnownRecords::is_loaded`].
    #[must_use]
    pub fn has(&self, offset: u64, fingerprint: RecordFingerprint) -> bool {
        self.records.binary_search(&(offset, fingerprint)).is_ok()
    }

    /// The known messages at an offset or after it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn messages_from(&self, offset: u64) -> Result<Vec<KnownMessage>> {
        let mut messages = Vec::new();
        let range = offset..u64::MAX;
        self.each(&range, &["subject", "queue_id", "sequence"], |batch| {
            let unexpected = || Error::Invariant("a file of `message` has unexpected columns".to_owned());
            let topics = batch.column_by_name("subject").and_then(|c| c.as_string_opt::<i32>());
            let topics = topics.ok_or_else(unexpected)?;
            let (queues, offsets) = (numbers(batch, "queue_id")?, numbers(batch, "sequence")?);
            messages.extend(self.rows(batch, &range)?.into_iter().map(|row| KnownMessage {
                topic: topics.value(row).to_owned(),
                queue_id: i32::try_from(queues.value(row)).unwrap_or(-1),
                queue_offset: offsets.value(row),
            }));
            Ok(())
        })
        .await?;
        Ok(messages)
    }

    /// Passes on columns of the pages that can have records of a range of the log.
    async fn each(
        &self,
        range: &Range<u64>,
        columns: &[&str],
        mut take: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let is_in_range = |file: &&Arc<LakeFile>| {
            let range_of_file = file.stats.number_range(OFFSET);
            range_of_file.is_some_and(|(least, greatest)| overlaps(range, least, greatest))
        };
        let files: Vec<Arc<LakeFile>> = self.files.iter().filter(is_in_range).cloned().collect();
        if files.is_empty() {
            return Ok(());
        }
        let schema = MESSAGE.file_schema();
        let bound = |offset: u64| lit(i64::try_from(offset).unwrap_or(i64::MAX));
        let column = || col(OFFSET, &schema);
        let predicate = binary(
            binary(column().map_err(sql_error)?, Operator::GtEq, bound(range.start), &schema)
                .map_err(sql_error)?,
            Operator::And,
            binary(column().map_err(sql_error)?, Operator::LtEq, bound(range.end), &schema)
                .map_err(sql_error)?,
            &schema,
        )
        .map_err(sql_error)?;
        let named = ["system", "broker_group", OFFSET].iter().chain(columns);
        let projection: Vec<usize> = named.filter_map(|name| MESSAGE.index_of(name)).collect();
        let scan = Scan {
            def: &MESSAGE,
            folder: &self.folder,
            file_schema: schema.clone(),
            groups: vec![files],
            projection: Some(&projection),
            predicate: Some(predicate),
            limit: None,
            ordered: false,
            readers: None,
            options: Default::default(),
        };
        let runtime = RuntimeEnvBuilder::new().build_arc().map_err(sql_error)?;
        runtime.register_object_store(store_url()?.as_ref(), self.objects.clone());
        let context = Arc::new(TaskContext::default().with_runtime(runtime));
        let mut batches = scan.plan()?.execute(0, context).map_err(sql_error)?;
        while let Some(batch) = batches.try_next().await.map_err(sql_error)? {
            take(&batch)?;
        }
        Ok(())
    }

    /// Rows of the broker in a range of the log.
    fn rows(&self, batch: &RecordBatch, range: &Range<u64>) -> Result<Vec<usize>> {
        let unexpected = || Error::Invariant("a file of `message` has unexpected columns".to_owned());
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let (systems, brokers) =
            (text("system").ok_or_else(unexpected)?, text("broker_group").ok_or_else(unexpected)?);
        let offsets = numbers(batch, OFFSET)?;
        let is_wanted = |row: &usize| {
            offsets.is_valid(*row)
                && u64::try_from(offsets.value(*row)).is_ok_and(|offset| range.contains(&offset))
                && brokers.value(*row) == self.broker
                && systems.value(*row) == self.system
        };
        Ok((0..batch.num_rows()).filter(is_wanted).collect())
    }
}

const FINGERPRINT_COLUMNS: [&str; 4] = ["create_time", "queue_id", "body_crc", "stored_size"];

fn overlaps(range: &Range<u64>, least: i64, greatest: i64) -> bool {
    let offset = |number: i64| u64::try_from(number).unwrap_or(0);
    offset(greatest) >= range.start && offset(least) < range.end
}

fn numbers(batch: &RecordBatch, name: &str) -> Result<arrow::array::PrimitiveArray<Int64Type>> {
    let column = batch.column_by_name(name);
    let column =
        column.ok_or_else(|| Error::Invariant(format!("a file of `message` has no column `{name}`")))?;
    Ok(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}
