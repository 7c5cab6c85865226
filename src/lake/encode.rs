//! From sorted batches to the bytes of one Parquet file.
//!
//! Encodings, bloom filters, page and row group sizes follow [`TableDef`]; `sorting_columns` and the page
//! index are always written, the Arrow schema never, so that every engine sees plain Parquet types. This
//! file never sorts and never touches storage.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::file::FileStats;
use super::schema::{Column, ColumnType, Encoding, TableDef};
use crate::config;
use crate::error::Result;

/// Encoded bytes after which a row group is ended whatever its rows.
pub(super) const MAX_ROW_GROUP_BYTES: usize = 32 << 20;

/// Bytes of a file and what they hold.
#[derive(Debug)]
pub struct EncodedFile {
    /// The file.
    pub bytes: Bytes,
    /// Its statistics.
    pub stats: FileStats,
}

/// Writes one file from batches that are already in the table's order.
pub struct FileEncoder {
    def: &'static TableDef,
    writer: ArrowWriter<Vec<u8>>,
}

impl FileEncoder {
    /// Starts a file.
    ///
    /// # Errors
    /// If the settings are refused by the writer.
    pub fn new(def: &'static TableDef, settings: &config::Lake) -> Result<FileEncoder> {
        let options = ArrowWriterOptions::new()
            .with_properties(properties(def, settings)?)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), def.file_schema(), options)?;
        Ok(FileEncoder { def, writer })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// If the columns do not fit the table.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch)?;
        // rows with large bodies: a row group ends by size before it ends by rows
        if self.writer.in_progress_size() >= MAX_ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Bytes encoded so far, roughly.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If the rest cannot be encoded.
    pub fn finish(mut self) -> Result<EncodedFile> {
        let metadata: ParquetMetaData = self.writer.finish()?;
        let stats = FileStats::from_parquet(self.def, &metadata);
        let bytes = Bytes::from(std::mem::take(self.writer.inner_mut()));
        Ok(EncodedFile { bytes, stats })
    }
}

fn properties(def: &TableDef, settings: &config::Lake) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(settings.zstd_level)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        // ids and subjects are short: whole bounds prune exactly
        .set_column_index_truncate_length(None)
        .set_statistics_truncate_length(None)
        .set_max_row_group_row_count(Some(settings.row_group_rows))
        .set_data_page_row_count_limit(settings.page_rows)
        // the page limit is only looked at after each such batch
        .set_write_batch_size(settings.page_rows.min(1024))
        .set_created_by(concat!("mqlake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some(sorting_columns(def)));
    for column in def.columns {
        let path = match column.column_type {
            ColumnType::TextList => {
                ColumnPath::from(vec![column.name.to_owned(), "list".to_owned(), "element".to_owned()])
            }
            _ => ColumnPath::from(column.name),
        };
        match column.encoding {
            Encoding::Dictionary => {}
            Encoding::Delta => {
                builder = builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), parquet::basic::Encoding::DELTA_BINARY_PACKED);
            }
            Encoding::DeltaText => {
                builder = builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), parquet::basic::Encoding::DELTA_BYTE_ARRAY);
            }
            Encoding::Plain => builder = builder.set_column_dictionary_enabled(path.clone(), false),
        }
        // bounds of bodies would be as large as the bodies and prune nothing
        for path in unbounded(column) {
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        if column.bloom {
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), 0.01)
                .set_column_bloom_filter_max_ndv(path, settings.row_group_rows as u64);
        }
    }
    Ok(builder.build())
}

fn unbounded(column: &Column) -> Vec<ColumnPath> {
    let entry =
        |leaf: &str| ColumnPath::from(vec![column.name.to_owned(), "key_value".to_owned(), leaf.to_owned()]);
    match column.column_type {
        ColumnType::Binary => vec![ColumnPath::from(column.name)],
        ColumnType::TextMap => vec![entry("key"), entry("value")],
        _ => Vec::new(),
    }
}

fn sorting_columns(def: &TableDef) -> Vec<SortingColumn> {
    def.sort
        .iter()
        .filter_map(|key| {
            Some(SortingColumn {
                column_idx: i32::try_from(def.index_of(key.column)?).ok()?,
                descending: key.descending,
                nulls_first: false,
            })
        })
        .collect()
}
