//! Names of columns in JSON, where a name must be unique in an object: a repeated name gets `_2`, `_3` and so on.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::error::Result;

/// The schema with unique names.
#[must_use]
pub(crate) fn distinct_names(schema: &SchemaRef) -> SchemaRef {
    let mut taken: HashSet<String> = HashSet::new();
    let first: HashSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if first.len() == schema.fields().len() {
        return schema.clone();
    }
    let fields = schema.fields().iter().map(|field| -> FieldRef {
        let name = field.name();
        if taken.insert(name.clone()) {
            return field.clone();
        }
        // a name of another column is not taken
        let free = (2_usize..).map(|number| format!("{name}_{number}"));
        let free = free.filter(|name| !first.contains(name.as_str())).find(|name| taken.insert(name.clone()));
        Arc::new(field.as_ref().clone().with_name(free.unwrap_or_default()))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The same rows under other names.
///
/// # Errors
/// If `schema` does not fit these rows.
pub(crate) fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)?)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Int8, true)).collect();
        let schema = distinct_names(&Arc::new(Schema::new(fields)));
        schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn names_are_unique_and_the_first_column_keeps_its_name() {
        assert_eq!(names(&["a", "b"]), ["a", "b"]);
        assert_eq!(names(&["a", "a", "a"]), ["a", "a_2", "a_3"]);
        assert_eq!(names(&["a", "a", "a_2", "b", "b"]), ["a", "a_3", "a_2", "b", "b_2"]);
        assert_eq!(names(&["", ""]), ["", "_2"]);
    }
}
