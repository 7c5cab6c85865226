//! Gathers the runs of a file from its column of subjects, once a file; see [`super::runs`].

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use super::files::{CachedReader, FileCache, FileIndex, off_the_request_threads};
use super::runs::{FileRuns, is_by_kind, span_column};
use crate::error::{Error, Result};
use crate::lake::schema::TableDef;

impl FileCache {
    /// The run of each subject in a file, from the cache or gathered now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn runs(&self, reader: &CachedReader, def: &'static TableDef) -> Result<Arc<FileRuns>> {
        let gather = async {
            let (index, reader, def) = (reader.index().await?, reader.clone(), def);
            if reader.bytes.is_some() {
                return gather(reader, &index, def).await.map(Arc::new);
            }
            // reads whole columns
            let gathered = async move { gather(reader, &index, def).await.map(Arc::new) };
            off_the_request_threads(gathered).await?
        };
        self.runs.try_get_with_by_ref(&reader.path, gather).await.map_err(|error: Arc<Error>| {
            Error::store(format!("reading the subjects of {}", reader.path), error)
        })
    }
}

/// Gathers the runs of a file.
///
/// # Errors
/// [`Error::Store`].
async fn gather(reader: CachedReader, index: &FileIndex, def: &TableDef) -> Result<FileRuns> {
    let path = reader.path.clone();
    let fail = |error| Error::store(format!("reading {path}"), error);
    // with subjects as dictionary keys, rows are compared by number
    let schema = with_subject_keys(index.arrow.schema());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let arrow = ArrowReaderMetadata::try_new(index.parquet.clone(), options).map_err(fail)?;
    let span = span_column(def);
    let by_kind = is_by_kind(def);
    let columns = ["subject", span].into_iter().chain(by_kind.then_some("kind"));
    let mask = ProjectionMask::columns(index.parquet.file_metadata().schema_descr(), columns);
    let mut gathered = FileRuns::default();
    for row_group in 0..index.parquet.num_row_groups() {
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(reader.clone(), arrow.clone())
            .with_row_groups(vec![row_group])
            .with_projection(mask.clone())
            .build()
            .map_err(fail)?;
        let mut at = 0;
        while let Some(batch) = batches.try_next().await.map_err(fail)? {
            gathered.add(row_group, at, &batch, span, by_kind)?;
            at += batch.num_rows();
        }
    }
    Ok(gathered)
}

fn with_subject_keys(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        if field.name() == "subject" {
            let keys = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Arc::new(Field::new(field.name(), keys, field.is_nullable()))
        } else {
            field.clone()
        }
    });
    Schema::new(fields.collect::<Vec<_>>())
}
