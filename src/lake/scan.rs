//! A physical plan over chosen files of a table: the one place that describes our files to DataFusion.
//!
//! It does not choose the files to read; callers prune first.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::Column;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::file::LakeFile;
use super::schema::{DAY_COLUMN, TableDef};
use crate::error::{Error, Result};

/// URL under which the lake's store is registered with DataFusion.
const STORE_URL: &str = "mqlake://lake";

/// What to scan.
pub struct Scan<'a> {
    /// The table.
    pub def: &'static TableDef,
    /// Its folder inside the store.
    pub folder: &'a Path,
    /// Schema under which the plan reads the files (plain or view strings).
    pub file_schema: SchemaRef,
    /// Files of each partition of the plan.
    pub groups: Vec<Vec<Arc<LakeFile>>>,
    /// Positions of the columns in the table (the partition column is last).
    pub projection: Option<&'a Vec<usize>>,
    /// Filter that prunes row groups, pages and rows. It may be incomplete: the caller filters again.
    pub predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Maximum rows wanted; only set if the predicate is complete.
    pub limit: Option<usize>,
    /// Whether each partition returns its rows in the table's order, so its files must follow one another in it.
    pub ordered: bool,
    /// Readers with caches; `None` for DataFusion's own.
    pub readers: Option<Arc<dyn ParquetFileReaderFactory>>,
    /// Parquet options of the session.
    pub options: TableParquetOptions,
}

/// The partition column as a field.
#[must_use]
pub fn day_field() -> FieldRef {
    Arc::new(Field::new(DAY_COLUMN, DataType::Date32, false))
}

/// The URL form of [`STORE_URL`].
///
/// # Errors
/// Never in practice; the text is constant.
pub fn store_url() -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(STORE_URL).map_err(|error| Error::Invariant(error.to_string()))
}

impl Scan<'_> {
    /// Builds the plan.
    ///
    /// # Errors
    /// [`Error::Invariant`] if the projection does not fit the table.
    pub fn plan(self) -> Result<Arc<dyn ExecutionPlan>> {
        let table_schema = TableSchema::builder(self.file_schema.clone())
            .with_table_partition_cols(vec![day_field()])
            .build();
        let mut source = ParquetSource::new(table_schema)
            .with_table_parquet_options(self.options)
            .with_enable_page_index(true);
        if let Some(predicate) = self.predicate {
            source = source.with_predicate(predicate);
        }
        if let Some(readers) = self.readers {
            source = source.with_parquet_file_reader_factory(readers);
        }
        let groups = self
            .groups
            .iter()
            .map(|files| FileGroup::new(files.iter().map(|file| partitioned(self.folder, file)).collect()))
            .collect();
        let mut config = FileScanConfigBuilder::new(store_url()?, Arc::new(source))
            .with_file_groups(groups)
            .with_limit(self.limit)
            .with_projection_indices(self.projection.cloned())
            .map_err(|error| Error::Invariant(error.to_string()))?;
        if self.ordered
            && let Some(ordering) = ordering(self.def, &self.file_schema)
        {
            config = config.with_output_ordering(vec![ordering]);
        }
        let statistics = Statistics::new_unknown(&config_schema(&self.file_schema));
        Ok(DataSourceExec::from_data_source(config.with_statistics(statistics).build()))
    }
}

fn config_schema(file_schema: &SchemaRef) -> arrow::datatypes::Schema {
    let mut fields: Vec<FieldRef> = file_schema.fields().iter().cloned().collect();
    fields.push(day_field());
    arrow::datatypes::Schema::new(fields)
}

/// The table's order as DataFusion expresses it.
#[must_use]
pub(super) fn ordering(def: &TableDef, schema: &SchemaRef) -> Option<LexOrdering> {
    let keys = def.sort.iter().filter_map(|key| {
        let column = Column::new_with_schema(key.column, schema).ok()?;
        let options = SortOptions { descending: key.descending, nulls_first: false };
        Some(PhysicalSortExpr::new(Arc::new(column), options))
    });
    LexOrdering::new(keys)
}

fn partitioned(folder: &Path, file: &LakeFile) -> PartitionedFile {
    let epoch = chrono::NaiveDate::default();
    let days = i32::try_from((file.day - epoch).num_days()).unwrap_or(0);
    let partitioned = PartitionedFile::new_from_meta(ObjectMeta {
        location: object_path(folder, &file.path),
        // files are immutable: the name alone identifies the content
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size: file.size,
        e_tag: None,
        version: None,
    })
    .with_partition_values(vec![ScalarValue::Date32(Some(days))]);
    match &file.bytes {
        Some(bytes) => partitioned.with_extension(InMemory(bytes.clone())),
        None => partitioned,
    }
}

/// The bytes of a [`PartitionedFile`] that is in memory only, as its extension.
#[derive(Debug, Clone)]
pub struct InMemory(pub bytes::Bytes);

/// Path of a data file inside the store.
#[must_use]
pub fn object_path(folder: &Path, relative: &str) -> Path {
    relative.split('/').fold(folder.clone(), |path, part| path.join(part))
}
