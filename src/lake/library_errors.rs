//! What errors of libraries become: those of the store, the table format and the columns, and of tasks that end early.
//!
//! The conversions are apart from the error type so that what only decodes bytes can be built without these libraries.
//! None of them gives advice; the caller does where it knows what was being done.

use crate::error::Error;

impl From<object_store::Error> for Error {
    fn from(source: object_store::Error) -> Self {
        Error::store("object store", source)
    }
}

impl From<deltalake::DeltaTableError> for Error {
    fn from(source: deltalake::DeltaTableError) -> Self {
        Error::store("Delta log", source)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(source: parquet::errors::ParquetError) -> Self {
        Error::store("Parquet file", source)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(source: arrow::error::ArrowError) -> Self {
        Error::Invariant(format!("columns do not fit: {source}"))
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(source: tokio::task::JoinError) -> Self {
        Error::Invariant(format!("a background task ended early: {source}"))
    }
}
