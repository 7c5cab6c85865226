//! Resolves acks to messages.
//!
//! A pull binds a range of a consumer's pull sequences to a range of message sequences; an ack names pull sequences
//! only. [`AckState`] keeps the ranges of each (subject, group, consumer) of one broker group and intersects acks with
//! them, so the cost of an ack depends on the ranges it covers and not on its width.
//!
//! - **Broadcast**: pull sequences are message sequences; ranges are merged.
//! - **Restart**: a pull that begins at or below known sequences restarts the numbering there; ranges from there on
//!   belong to an earlier session of the consumer and are forgotten. `FOREVER_OFFLINE` forgets all.
//! - **ACK-STATE-BOUNDED**: at most `max_ranges` ranges; beyond it the oldest are forgotten and counted. Of
//!   acknowledged ranges the newest few per consumer are kept, since a broker can write an ack twice.
//!
//! The state is a pure function of the action log up to a position and is stored with each commit.

use std::sync::Arc;

use arrow::array::{AsArray, BinaryBuilder, Int64Builder, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use bytes::Bytes;
use hashbrown::HashMap;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;

use crate::config;
use crate::error::{Error, Result};

/// Bounds of an [`AckState`].
#[derive(Debug, Clone, Copy)]
pub struct AckLimits {
    /// Most ranges.
    pub max_ranges: usize,
    /// Acknowledged ranges kept per consumer.
    pub settled_per_consumer: usize,
}

impl From<&config::Acks> for AckLimits {
    fn from(settings: &config::Acks) -> AckLimits {
        AckLimits {
            max_ranges: settings.max_ranges,
            settled_per_consumer: settings.settled_ranges_per_consumer,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: i64,
    last: i64,
    first_message: i64,
    pulled_ms: i64,
    /// Number of pull sequences acknowledged so far. Acks can arrive out of order, so the highest one says nothing.
    acked: i64,
}

impl Range {
    fn is_settled(&self) -> bool {
        self.acked > self.last - self.first
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Consumer {
    /// By pull sequence, without overlap.
    ranges: Vec<Range>,
    /// Number of settled ranges among them.
    settled: usize,
}

/// What an ack covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// Messages `first..=last` of the subject.
    Messages {
        /// First message sequence.
        first: i64,
        /// Last message sequence.
        last: i64,
    },
    /// Pull sequences `first..=last` that no known pull covers.
    Unknown {
        /// First pull sequence.
        first: i64,
        /// Last pull sequence.
        last: i64,
    },
}

/// Pull ranges of one broker group.
#[derive(Debug)]
pub struct AckState {
    consumers: HashMap<Box<[u8]>, Consumer>,
    ranges: usize,
    /// Ranges forgotten because of `max_ranges`, since the log began.
    pub forgotten: u64,
    limits: AckLimits,
    key: Vec<u8>,
}

impl PartialEq for AckState {
    fn eq(&self, other: &Self) -> bool {
        self.consumers == other.consumers && self.forgotten == other.forgotten
    }
}

impl AckState {
    /// An empty state.
    #[must_use]
    pub fn new(limits: AckLimits) -> AckState {
        AckState { consumers: HashMap::new(), ranges: 0, forgotten: 0, limits, key: Vec::new() }
    }

    /// Ranges known.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.ranges
    }

    fn set_key(&mut self, subject: &[u8], group: &[u8], consumer: &[u8]) {
        self.key.clear();
        for part in [subject, group, consumer] {
            // lengths separate ("a", "bc") from ("ab", "c")
            self.key.extend_from_slice(&(part.len() as u32).to_be_bytes());
            self.key.extend_from_slice(part);
        }
    }

    /// Notes a pull of `first..=last`, which delivered messages from `first_message` on.
    #[allow(clippy::too_many_arguments)]
    pub fn pull(
        &mut self,
        subject: &[u8],
        group: &[u8],
        consumer: &[u8],
        broadcast: bool,
        (first, last): (i64, i64),
        first_message: i64,
        pulled_ms: i64,
    ) {
        if last < first {
            return;
        }
        self.set_key(subject, group, consumer);
        let entry = match self.consumers.get_mut(self.key.as_slice()) {
            Some(entry) => entry,
            None => self.consumers.entry(self.key.as_slice().into()).or_default(),
        };
        let before = entry.ranges.len();
        let range = Range { first, last, first_message, pulled_ms, acked: 0 };
        if broadcast {
            entry.unite(range);
        } else {
            entry.append(range);
        }
        self.ranges = self.ranges + entry.ranges.len() - before;
        if self.ranges > self.limits.max_ranges {
            self.forget_oldest();
        }
    }

    /// Resolves an ack of `first..=last`, calling `covered` in order of pull sequences.
    pub fn ack(
        &mut self,
        subject: &[u8],
        group: &[u8],
        consumer: &[u8],
        (first, last): (i64, i64),
        mut covered: impl FnMut(Covered),
    ) {
        self.set_key(subject, group, consumer);
        let Some(entry) = self.consumers.get_mut(self.key.as_slice()) else {
            covered(Covered::Unknown { first, last });
            return;
        };
        let mut next = first;
        let start = entry.ranges.partition_point(|range| range.last < first);
        let touched = entry.ranges.iter_mut().skip(start).take_while(|range| range.first <= last);
        for range in touched {
            let from = range.first.max(first);
            let to = range.last.min(last);
            if from > next {
                covered(Covered::Unknown { first: next, last: from - 1 });
            }
            let message = range.first_message + (from - range.first);
            covered(Covered::Messages { first: message, last: message + (to - from) });
            next = to.saturating_add(1);
            let was_settled = range.is_settled();
            range.acked = range.acked.saturating_add(to - from + 1);
            entry.settled += usize::from(range.is_settled() && !was_settled);
        }
        if next <= last {
            covered(Covered::Unknown { first: next, last });
        }
        let before = entry.ranges.len();
        entry.drop_settled(self.limits.settled_per_consumer);
        self.ranges -= before - entry.ranges.len();
    }

    /// Forgets a consumer whose numbering ended.
    pub fn forever_offline(&mut self, subject: &[u8], group: &[u8], consumer: &[u8]) {
        self.set_key(subject, group, consumer);
        if let Some(gone) = self.consumers.remove(self.key.as_slice()) {
            self.ranges -= gone.ranges.len();
        }
    }

    /// Forgets the oldest quarter of all ranges.
    fn forget_oldest(&mut self) {
        let mut times: Vec<i64> =
            self.consumers.values().flat_map(|c| c.ranges.iter().map(|r| r.pulled_ms)).collect();
        let quarter = (times.len() / 4).min(times.len().saturating_sub(1));
        let (_, cut, _) = times.select_nth_unstable(quarter);
        let cut = *cut;
        let before = self.ranges;
        self.consumers.retain(|_, consumer| {
            consumer.ranges.retain(|range| range.pulled_ms > cut);
            consumer.count_settled();
            !consumer.ranges.is_empty()
        });
        self.ranges = self.consumers.values().map(|c| c.ranges.len()).sum();
        self.forgotten += (before - self.ranges) as u64;
    }

    /// The state as a small Parquet file.
    ///
    /// # Errors
    /// Never in practice.
    pub fn to_bytes(&self) -> Result<Bytes> {
        let mut keys: Vec<&[u8]> = self.consumers.keys().map(AsRef::as_ref).collect();
        keys.sort_unstable();
        let mut names = [BinaryBuilder::new(), BinaryBuilder::new(), BinaryBuilder::new()];
        let mut numbers: [Int64Builder; 5] = std::array::from_fn(|_| Int64Builder::new());
        for key in keys {
            let Some(consumer) = self.consumers.get(key) else { continue };
            let parts = split_key(key);
            for range in &consumer.ranges {
                for (builder, part) in names.iter_mut().zip(parts) {
                    builder.append_value(part);
                }
                let values = [range.first, range.last, range.first_message, range.pulled_ms, range.acked];
                for (builder, value) in numbers.iter_mut().zip(values) {
                    builder.append_value(value);
                }
            }
        }
        let [mut subject, mut group, mut consumer] = names;
        let [mut first, mut last, mut message, mut pulled, mut acked] = numbers;
        let batch = RecordBatch::try_new(
            Arc::new(state_schema()),
            vec![
                Arc::new(subject.finish()),
                Arc::new(group.finish()),
                Arc::new(consumer.finish()),
                Arc::new(first.finish()),
                Arc::new(last.finish()),
                Arc::new(message.finish()),
                Arc::new(pulled.finish()),
                Arc::new(acked.finish()),
            ],
        )?;
        let properties = parquet::file::properties::WriterProperties::builder()
            .set_compression(parquet::basic::Compression::ZSTD(Default::default()))
            .set_key_value_metadata(Some(vec![KeyValue::new(
                "mqlake.forgotten".to_owned(),
                self.forgotten.to_string(),
            )]))
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        Ok(Bytes::from(writer.into_inner()?))
    }

    /// Reads a state back.
    ///
    /// # Errors
    /// [`Error::Invariant`] if the bytes are not an ack state.
    pub fn from_bytes(bytes: Bytes, limits: AckLimits) -> Result<AckState> {
        let broken = |what: &str| Error::Invariant(format!("ack state: {what}"));
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| broken(&error.to_string()))?;
        let forgotten = reader
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == "mqlake.forgotten"))
            .and_then(|pair| pair.value.as_deref()?.parse().ok())
            .unwrap_or(0);
        let mut state = AckState { forgotten, ..AckState::new(limits) };
        for batch in reader.build().map_err(|error| broken(&error.to_string()))? {
            let batch = batch?;
            if batch.schema().fields().len() != state_schema().fields().len() {
                return Err(broken("unknown columns"));
            }
            let text =
                |i: usize| batch.column(i).as_binary_opt::<i32>().ok_or_else(|| broken("a name column"));
            let number = |i: usize| {
                batch.column(i).as_primitive_opt::<Int64Type>().ok_or_else(|| broken("a number column"))
            };
            let (subject, group, consumer) = (text(0)?, text(1)?, text(2)?);
            let (first, last, message, pulled, acked) =
                (number(3)?, number(4)?, number(5)?, number(6)?, number(7)?);
            for row in 0..batch.num_rows() {
                state.set_key(subject.value(row), group.value(row), consumer.value(row));
                let entry = state.consumers.entry(state.key.as_slice().into()).or_default();
                entry.ranges.push(Range {
                    first: first.value(row),
                    last: last.value(row),
                    first_message: message.value(row),
                    pulled_ms: pulled.value(row),
                    acked: acked.value(row),
                });
                state.ranges += 1;
            }
        }
        state.consumers.values_mut().for_each(Consumer::count_settled);
        Ok(state)
    }
}

impl Consumer {
    fn append(&mut self, range: Range) {
        if self.ranges.last().is_some_and(|known| known.last >= range.first) {
            let keep = self.ranges.partition_point(|known| known.first < range.first);
            self.ranges.truncate(keep);
            if let Some(cut) = self.ranges.last_mut() {
                cut.last = cut.last.min(range.first - 1);
            }
            self.count_settled();
        }
        match self.ranges.last_mut() {
            Some(known)
                if known.last + 1 == range.first
                    && known.first_message + (range.first - known.first) == range.first_message =>
            {
                if known.is_settled() {
                    // an ack that was written twice counts twice; what is appended now is unacked all the same
                    known.acked = known.last - known.first + 1;
                    self.settled -= 1;
                }
                known.last = range.last;
                known.pulled_ms = range.pulled_ms;
            }
            _ => self.ranges.push(range),
        }
    }

    fn unite(&mut self, range: Range) {
        let start = self.ranges.partition_point(|known| known.last.saturating_add(1) < range.first);
        let end = self.ranges.partition_point(|known| known.first <= range.last.saturating_add(1));
        let touched = self.ranges.get(start..end).unwrap_or_default();
        let first = touched.first().map_or(range.first, |known| known.first.min(range.first));
        let last = touched.last().map_or(range.last, |known| known.last.max(range.last));
        let acked = touched.iter().map(|known| known.acked).sum();
        let united = Range { first, last, first_message: first, pulled_ms: range.pulled_ms, acked };
        self.ranges.splice(start..end.max(start), [united]);
        self.count_settled();
    }

    fn count_settled(&mut self) {
        self.settled = self.ranges.iter().filter(|range| range.is_settled()).count();
    }

    /// Drops the oldest settled ranges beyond `keep`, once there are twice as many, since it walks all ranges.
    fn drop_settled(&mut self, keep: usize) {
        if self.settled <= keep * 2 {
            return;
        }
        let mut excess = self.settled - keep;
        self.ranges.retain(|range| {
            let drop = excess > 0 && range.is_settled();
            excess -= usize::from(drop);
            !drop
        });
        self.settled = keep;
    }
}

fn split_key(key: &[u8]) -> [&[u8]; 3] {
    let mut rest = key;
    std::array::from_fn(|_| {
        let Some((length, tail)) = rest.split_first_chunk::<4>() else { return &[][..] };
        let length = (u32::from_be_bytes(*length) as usize).min(tail.len());
        let (part, after) = tail.split_at(length);
        rest = after;
        part
    })
}

fn state_schema() -> Schema {
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    // raw bytes: names need not be valid UTF-8
    let text = |name: &str| Field::new(name, DataType::Binary, false);
    Schema::new(vec![
        text("subject"),
        text("consumer_group"),
        text("consumer_id"),
        number("first_pull_sequence"),
        number("last_pull_sequence"),
        number("first_message_sequence"),
        number("pulled_ms"),
        number("acked_pull_sequences"),
    ])
}

#[cfg(test)]
#[path = "acks_tests.rs"]
mod tests;
