//! From sorted batches to the bytes of one Parquet file.
//!
//! Encodings, bloom filters, page and row group sizes follow [`TableDef`]; `sorting_columns` and the page
//! index are always written, the Arrow schema never, so that every engine sees plain Parquet types. Nothing here
//! sorts or touches storage.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::file::{FileStats, MAX_BOUND_BYTES};
use super::schema::{Column, ColumnType, Encoding, TableDef};
use crate::config;
use crate::error::Result;

/// Encoded bytes at which a row group ends, however few rows it has.
pub(super) const MAX_ROW_GROUP_BYTES: usize = 32 << 20;

/// Bytes of a page of [`Encoding::Document`].
const DOCUMENT_PAGE_BYTES: usize = 16 << 10;
/// Maximum rows of a page in tables that are read by row.
const SMALL_PAGE_ROWS: usize = 1024;
/// Maximum rows of a row group in tables that are read by row: a reader skips its small pages one by one.
const SMALL_ROW_GROUP_ROWS: usize = 32 * 1024;
/// Rows between two checks of the page limits.
const LIMIT_CHECK_ROWS: usize = 1024;
/// As `LIMIT_CHECK_ROWS`, for tables with a column of [`Encoding::Document`].
const DOCUMENT_CHECK_ROWS: usize = 32;

/// The bytes of a file and their statistics.
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
    /// If the writer refuses the settings.
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
        // with large bodies a row group reaches its limit of bytes before its limit of rows
        if self.writer.in_progress_size() >= MAX_ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Bytes encoded so far, an estimate.
    #[must_use]
    pub(super) fn encoded_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If the remaining rows cannot be encoded.
    pub fn finish(mut self) -> Result<EncodedFile> {
        let metadata: ParquetMetaData = self.writer.finish()?;
        let stats = FileStats::from_parquet(self.def, &metadata);
        let bytes = Bytes::from(std::mem::take(self.writer.inner_mut()));
        Ok(EncodedFile { bytes, stats })
    }
}

/// Maximum rows of a row group.
pub(super) fn row_group_rows(def: &TableDef, settings: &config::Lake) -> usize {
    if def.is_read_by_row {
        settings.row_group_rows.min(SMALL_ROW_GROUP_ROWS)
    } else {
        settings.row_group_rows
    }
}

/// In tables that are read by row only long texts are compressed. Bit-packed numbers and dictionary indexes hardly
/// shrink, and for a single row creating a decompressor per column takes longer than decoding the page.
fn properties(def: &TableDef, settings: &config::Lake) -> Result<WriterProperties> {
    let page_rows =
        if def.is_read_by_row { settings.page_rows.min(SMALL_PAGE_ROWS) } else { settings.page_rows };
    let row_group_rows = row_group_rows(def, settings);
    let has_documents = def.columns.iter().any(|column| column.encoding == Encoding::Document);
    let check_rows = if has_documents { DOCUMENT_CHECK_ROWS } else { LIMIT_CHECK_ROWS };
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(settings.zstd_level)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        // ids and subjects are shorter, so their bounds are exact; a key can have 30 kB, and each page has two bounds
        .set_column_index_truncate_length(Some(MAX_BOUND_BYTES))
        .set_statistics_truncate_length(Some(MAX_BOUND_BYTES))
        .set_max_row_group_row_count(Some(row_group_rows))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows.min(check_rows))
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
            Encoding::Dictionary => {
                if def.is_read_by_row && column.column_type == ColumnType::Text {
                    builder = builder.set_column_compression(path.clone(), Compression::UNCOMPRESSED);
                }
            }
            Encoding::Delta => {
                builder = builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), parquet::basic::Encoding::DELTA_BINARY_PACKED);
                if def.is_read_by_row {
                    builder = builder.set_column_compression(path.clone(), Compression::UNCOMPRESSED);
                }
            }
            Encoding::DeltaText => {
                builder = builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), parquet::basic::Encoding::DELTA_BYTE_ARRAY);
                let is_first = def.sort.first().is_some_and(|key| key.column == column.name);
                if def.is_read_by_row && is_first {
                    // sorted texts share long prefixes, which the encoding already removes
                    builder = builder.set_column_compression(path.clone(), Compression::UNCOMPRESSED);
                }
            }
            Encoding::Plain => builder = builder.set_column_dictionary_enabled(path.clone(), false),
            Encoding::Document => {
                for leaf in document_leaves(column) {
                    builder = builder.set_column_data_page_size_limit(leaf, DOCUMENT_PAGE_BYTES);
                }
                // values are mostly distinct: a lookup of one row would read their whole dictionary
                if let Some(values) = document_leaves(column).pop() {
                    builder = builder.set_column_dictionary_enabled(values, false);
                }
            }
        }
        // bounds of bodies would be as large as the bodies and prune nothing
        if column.encoding == Encoding::Document {
            for leaf in document_leaves(column) {
                builder = builder.set_column_statistics_enabled(leaf, EnabledStatistics::None);
            }
        }
        if column.bloom {
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), 0.01)
                .set_column_bloom_filter_max_ndv(path, row_group_rows as u64);
        }
    }
    Ok(builder.build())
}

/// The leaves of a column; the leaf with the values comes last.
fn document_leaves(column: &Column) -> Vec<ColumnPath> {
    let entry =
        |leaf: &str| ColumnPath::from(vec![column.name.to_owned(), "key_value".to_owned(), leaf.to_owned()]);
    match column.column_type {
        ColumnType::TextMap => vec![entry("key"), entry("value")],
        _ => vec![ColumnPath::from(column.name)],
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
