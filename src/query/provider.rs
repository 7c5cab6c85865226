//! A table of the lake for DataFusion: the committed and hot files that the statement has pinned, pruned by their
//! statistics. It holds no snapshot of its own. The pinned snapshot is an extension of the statement's configuration.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::catalog::Pinned;
use super::files::FileCache;
use crate::lake::scan::{Scan, day_field};
use crate::lake::schema::{ColumnType, DAY_COLUMN, TableDef};
use crate::lake::{Bound, LakeFile};

/// One table, at the version that a statement has pinned.
pub(super) struct LakeTable {
    def: &'static TableDef,
    files: FileCache,
    file_schema: SchemaRef,
    schema: SchemaRef,
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeTable").field("table", &self.def.name).finish_non_exhaustive()
    }
}

impl LakeTable {
    pub(super) fn new(def: &'static TableDef, files: FileCache) -> LakeTable {
        let file_schema = view_schema(def);
        let mut fields: Vec<FieldRef> = file_schema.fields().iter().cloned().collect();
        fields.push(day_field());
        LakeTable { def, files, schema: Arc::new(Schema::new(fields)), file_schema }
    }

    fn prune(
        &self,
        state: &dyn Session,
        all: &[Arc<LakeFile>],
        filters: &[Expr],
    ) -> Result<Vec<Arc<LakeFile>>> {
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(all.to_vec()) };
        let df_schema = DFSchema::try_from(self.schema.clone())?;
        let physical = state.create_physical_expr(filter, &df_schema)?;
        let predicate =
            PruningPredicateBuilder::new().with_file_schema(self.schema.clone()).try_build(physical);
        // a filter that statistics cannot evaluate prunes nothing
        let Ok(predicate) = predicate else { return Ok(all.to_vec()) };
        let keep = predicate.prune(&FilesStatistics { files: all, schema: &self.schema })?;
        Ok(all.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
    }
}

/// The file schema with text and bytes as views, which DataFusion reads from Parquet without copying.
fn view_schema(def: &TableDef) -> SchemaRef {
    let fields = def.columns.iter().map(|column| {
        let data_type = match column.column_type {
            ColumnType::Text => DataType::Utf8View,
            ColumnType::Binary => DataType::BinaryView,
            other => other.arrow(),
        };
        Field::new(column.name, data_type, column.nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let external = |error: crate::error::Error| DataFusionError::External(Box::new(error));
        let pinned = state.config().get_extension::<Pinned>().unwrap_or_default();
        let table = pinned.table(self.def).map_err(external)?;
        let files = self.prune(state, &table.files, filters)?;
        if files.is_empty() {
            // a scan of no files would have no partition at all
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let scan = Scan {
            def: self.def,
            folder: &table.folder,
            file_schema: self.file_schema.clone(),
            groups: vec![files],
            projection,
            // the plan above filters rows, and pushes its filter down to the pages
            predicate: None,
            limit: if filters.is_empty() { limit } else { None },
            ordered: false,
            readers: Some(Arc::new(self.files.clone())),
            options: state.default_table_options().parquet,
        };
        scan.plan().map_err(external)
    }
}

struct FilesStatistics<'a> {
    files: &'a [Arc<LakeFile>],
    schema: &'a SchemaRef,
}

impl FilesStatistics<'_> {
    fn bounds(&self, column: &Column, pick: impl Fn(&LakeFile) -> Option<Bound>) -> Option<ArrayRef> {
        let data_type = self.schema.field_with_name(&column.name).ok()?.data_type();
        let values = self.files.iter().map(|file| scalar(data_type, pick(file)));
        ScalarValue::iter_to_array(values.collect::<Option<Vec<_>>>()?).ok()
    }
}

fn scalar(data_type: &DataType, bound: Option<Bound>) -> Option<ScalarValue> {
    Some(match (data_type, bound) {
        (_, None) => ScalarValue::try_from(data_type).ok()?,
        (DataType::Utf8View, Some(Bound::Text(text))) => ScalarValue::Utf8View(Some(text)),
        (DataType::Int8, Some(Bound::Number(n))) => ScalarValue::Int8(Some(i8::try_from(n).ok()?)),
        (DataType::Int32, Some(Bound::Number(n))) => ScalarValue::Int32(Some(i32::try_from(n).ok()?)),
        (DataType::Int64, Some(Bound::Number(n))) => ScalarValue::Int64(Some(n)),
        (DataType::Timestamp(_, zone), Some(Bound::Number(n))) => {
            ScalarValue::TimestampMillisecond(Some(n), zone.clone())
        }
        (DataType::Date32, Some(Bound::Number(n))) => ScalarValue::Date32(Some(i32::try_from(n).ok()?)),
        _ => return None,
    })
}

fn day_bound(file: &LakeFile) -> Bound {
    Bound::Number((file.day - chrono::NaiveDate::default()).num_days())
}

impl PruningStatistics for FilesStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |file| match column.name.as_str() {
            DAY_COLUMN => Some(day_bound(file)),
            name => file.stats.columns.get(name).map(|stats| stats.min.clone()),
        })
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |file| match column.name.as_str() {
            DAY_COLUMN => Some(day_bound(file)),
            name => file.stats.columns.get(name).map(|stats| stats.max.clone()),
        })
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = self.files.iter().map(|file| match column.name.as_str() {
            DAY_COLUMN => Some(0),
            name => file.stats.columns.get(name).map(|stats| stats.nulls),
        });
        Some(Arc::new(nulls.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.files.iter().map(|file| file.stats.rows))))
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &std::collections::HashSet<ScalarValue>,
    ) -> Option<arrow::array::BooleanArray> {
        None
    }
}
