//! SQL over HTTP: golden cases as files, formats, refusals, limits.

mod cases;
mod formats;
mod hostile;
mod isolation;
mod limits;
mod server;
mod store;
