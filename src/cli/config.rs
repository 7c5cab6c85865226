//! `mqlake config`: shows and checks the settings. It starts no server and opens no store.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::qmq_conf::Report;
use crate::config::{Config, MASK, SkipFile};
use crate::error::{Error, Result};
use crate::follow::Follow;
use crate::lake::Store;

/// Words in the names of options whose values are secrets.
const SECRETS: [&str; 4] = ["secret", "token", "password", "key"];

/// Show or check the settings
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Print the effective settings as TOML, without secrets.
    Print,
    /// Check all settings and say what became of those of --qmq-conf.
    Check,
}

impl ConfigCommand {
    /// Runs on loaded and checked settings; `report` is that of `--qmq-conf`, if it was given.
    pub(super) fn run(self, config: &Config, report: Option<&Report>) -> Result<ExitCode> {
        let text = match self.action {
            Action::Print => effective(config)?,
            Action::Check => checked(config, report)?,
        };
        super::output::out_bytes(text.as_bytes());
        Ok(ExitCode::SUCCESS)
    }
}

/// The settings as TOML with secrets masked. Settings without a value are left out.
fn effective(config: &Config) -> Result<String> {
    let mut shown = config.clone();
    for (name, value) in &mut shown.storage {
        let name = name.to_ascii_lowercase();
        if SECRETS.iter().any(|part| name.contains(part)) {
            MASK.clone_into(value);
        }
    }
    for source in &mut shown.qmq {
        let urls = [Some(&mut source.meta_server_endpoint), source.acquire_server_meta_url.as_mut()];
        for url in urls.into_iter().flatten().filter(|url| url.password().is_some()) {
            // cannot fail: a URL that has a password can have another
            let _ = url.set_password(Some(MASK));
        }
    }
    toml::to_string(&shown).map_err(|error| Error::Config(format!("cannot be shown as TOML: {error}")))
}

fn checked(config: &Config, report: Option<&Report>) -> Result<String> {
    if config.data.contains("://") && !config.data.starts_with("file:") {
        // opens no connection; for a directory it is left out, since it would be created
        Store::open(&config.data, &config.storage)?;
    }
    Follow::check(config)?;
    for path in config.qmq.iter().filter_map(|source| source.skip_file.as_deref()) {
        SkipFile::open(path).poll()?;
    }
    let report = report.map(Report::to_string).unwrap_or_default();
    Ok(format!("ok\n{report}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{QmqSource, RocketMqSource, Secret};

    fn config() -> Config {
        let mut config = Config::default();
        config.qmq.push(QmqSource::new("http://me:hidden@meta.example/meta/address".parse().unwrap()));
        config.qmq.push(QmqSource::new("http://other.example/meta/address".parse().unwrap()));
        config.rocketmq.push(RocketMqSource {
            name_servers: vec!["10.0.0.1:9876".to_owned()],
            access_key: Some("reader".to_owned()),
            secret_key: Some(Secret::new("hidden")),
            security_token: Some(Secret::new("hidden")),
            ..RocketMqSource::default()
        });
        let options = [
            ("aws_region", "eu-central-1"),
            ("aws_access_key_id", "hidden"),
            ("aws_secret_access_key", "hidden"),
            ("AWS_SESSION_TOKEN", "hidden"),
            ("azure_Password", "hidden"),
        ];
        config.storage = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        config
    }

    #[test]
    fn secrets_are_not_printed() {
        let printed = effective(&config()).unwrap();
        assert!(!printed.contains("hidden"), "{printed}");
        assert_eq!(printed.matches(MASK).count(), 7);
        assert!(printed.contains("aws_region = \"eu-central-1\""));
        assert!(printed.contains("http://me:***@meta.example/"));
    }

    #[test]
    fn what_is_printed_loads_as_the_same_settings() {
        let printed = effective(&config()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mqlake.toml");
        std::fs::write(&file, &printed).unwrap();
        let origin =
            crate::config::Origin { file: Some(&file), qmq_conf: None, variables: &Default::default() };
        let again = Config::load(&origin).unwrap().config;
        assert_eq!(effective(&again).unwrap(), printed);
    }

    #[test]
    fn a_check_is_ok_or_reports_a_broken_skip_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skip.properties");
        let mut config = config();
        config.qmq[1].skip_file = Some(path.clone());
        assert_eq!(checked(&config, None).unwrap(), "ok\n");
        let report = Report { dir: "conf".into(), unknown: vec!["x".into()], ..Report::default() };
        assert_eq!(checked(&config, Some(&report)).unwrap(), format!("ok\n{report}"));
        std::fs::write(&path, "a=\\u\n").unwrap();
        assert!(checked(&config, None).unwrap_err().to_string().contains("skip.properties, line 1"));
    }
}
