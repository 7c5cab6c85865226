//! SQL over HTTP: golden cases as files, formats, refusals, limits.

mod cases;
mod formats;
mod limits;
