//! `mqlake demo`
use crate::config::Config;
use crate::error::Result;
use std::process::ExitCode;
/// demo
#[derive(Debug, clap::Args)]
pub(super) struct Demo {}
impl Demo {
    pub(super) async fn run(self, _config: Config) -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
}
