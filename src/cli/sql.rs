//! `mqlake sql`
use crate::config::Config;
use crate::error::Result;
use std::process::ExitCode;
/// sql
#[derive(Debug, clap::Args)]
pub(super) struct Sql {}
impl Sql {
    pub(super) async fn run(self, _config: Config) -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
}
