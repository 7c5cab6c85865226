//! `mqlake serve`
use crate::config::Config;
use crate::error::Result;
use std::process::ExitCode;
/// serve
#[derive(Debug, clap::Args)]
pub(super) struct Serve {}
impl Serve {
    pub(super) async fn run(self, _config: Config) -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
}
