//! The layers of settings above the defaults: the file and the variables. Each value knows its layer, so that an error
//! names the file or variable. Values are checked elsewhere.

use std::io::Read;
use std::path::Path;

use figment::error::{Actual, Kind};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::known::{Known, Meaning, nearest};
use super::variables::Variables;
use crate::error::{Error, Result};

/// Maximum bytes of a settings file: a larger file is certainly something else.
const MAX_BYTES: u64 = 32 << 20;

/// The file that is read if no other is named and it exists.
const DEFAULT_FILE: &str = "mqlake.toml";

/// A variable with our prefix that sets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The setting that its name would mean.
    pub setting: String,
    /// The variable that was probably meant.
    pub nearest: Option<String>,
}

/// Variables that set nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Probably mistyped variables.
    pub unknown: Vec<UnknownVariable>,
    /// Variables that Kubernetes sets for services.
    pub kubernetes: Vec<String>,
}

/// Name and values of one layer.
struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// Adds `file`, or `mqlake.toml` in the working directory if there is one.
pub(super) fn add_file(figment: Figment, file: Option<&Path>) -> Result<Figment> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let Some(text) = read(path, file.is_some())? else { return Ok(figment) };
    let values = toml::from_str(&text).map_err(|error| {
        // the library's text quotes the line, which may contain a secret
        let line = error.span().map(|span| 1 + text.bytes().take(span.start).filter(|c| *c == b'\n').count());
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        Error::Config(format!("{}{line}: {}", path.display(), error.message()))
    })?;
    Ok(figment.merge(Layer { name: path.display().to_string(), values }))
}

/// The text of a settings file, without a byte order mark; `None` if it does not exist and need not.
fn read(path: &Path, must_exist: bool) -> Result<Option<String>> {
    let fail = |what: &str| Err(Error::Config(format!("{}: {what}", path.display())));
    if path.as_os_str().is_empty() {
        return Err(Error::Config(
            "the name of the settings file is empty; leave out --config and MQLAKE_CONFIG to use \
             mqlake.toml"
                .into(),
        ));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Err(std::io::ErrorKind::IsADirectory.into()),
        false => file.take(MAX_BYTES + 1).read_to_end(&mut bytes),
    });
    match file {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return if must_exist { fail("no such file") } else { Ok(None) };
        }
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
            return fail("is a directory, not a settings file");
        }
        Err(error) => return fail(&format!("cannot be read: {error}")),
    }
    if bytes.len() as u64 > MAX_BYTES {
        return fail(&format!("is no settings file: it is larger than {} MiB", MAX_BYTES >> 20));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return fail("is not UTF-8 text; save it as UTF-8");
    };
    Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
}

/// Adds the variables that set something; returns those that do not.
pub(super) fn add_variables(
    mut figment: Figment,
    known: &Known,
    variables: &Variables,
) -> (Figment, Ignored) {
    let mut ignored = Ignored::default();
    for (name, rest, text) in variables.own() {
        match known.meaning(&rest, text) {
            Meaning::CommandLine => {}
            Meaning::Kubernetes => ignored.kubernetes.push(name.to_owned()),
            Meaning::Unknown(setting, nearest) => {
                ignored.unknown.push(UnknownVariable { name: name.to_owned(), setting, nearest });
            }
            Meaning::Setting(path, is_text) => {
                let Ok(parsed) = text.parse::<Value>();
                // for a text setting `12345` and `true` are texts; quotes are optional
                let value = match parsed {
                    Value::String(..) => parsed,
                    _ if is_text => Value::from(text),
                    _ => parsed,
                };
                let values = figment::util::nest(&path, value).into_dict().unwrap_or_default();
                figment = figment.merge(Layer { name: name.to_owned(), values });
            }
        }
    }
    (figment, ignored)
}

/// An error with one line per mistake in the settings, each with its file or variable and setting.
pub(super) fn explain(error: figment::Error, figment: &Figment, known: &Known) -> Error {
    let lines: Vec<String> = error.into_iter().map(|error| explain_one(&error, figment, known)).collect();
    Error::Config(lines.join("\n"))
}

fn explain_one(error: &figment::Error, figment: &Figment, known: &Known) -> String {
    let mut path = error.path.clone();
    if let Kind::UnknownField(name, allowed) = &error.kind {
        if path.last() != Some(name) {
            path.push(name.clone());
        }
        return placed(
            &path,
            figment,
            &format!("unknown setting `{}`; {}", path.join("."), hint(&path, allowed, known)),
        );
    }
    let what = match &error.kind {
        // the library's error quotes the text, and a URL can contain a password
        Kind::InvalidValue(Actual::Str(text), expected) if text.contains('@') => {
            format!("invalid value, expected {expected}")
        }
        Kind::Message(text) if text.contains('@') => {
            text.split('"').next().unwrap_or_default().trim_end_matches([':', ' ']).to_owned()
        }
        Kind::Message(text) if text.contains("socket address") => {
            format!("{text}; write address:port, such as 127.0.0.1:8080")
        }
        kind => kind.to_string(),
    };
    match path.is_empty() {
        true => what,
        false => placed(&path, figment, &format!("{}: {what}", path.join("."))),
    }
}

/// `what`, after the file or variable that set `path` or a parent of it.
fn placed(path: &[String], figment: &Figment, what: &str) -> String {
    let layer = (1..=path.len()).rev().find_map(|length| {
        let part = path.get(..length)?.join(".");
        // elements of a list have no layer of their own, so the list is looked up; defaults have no layer
        figment.find_metadata(&part).filter(|layer| layer.source.is_none())
    });
    layer.map_or_else(|| what.to_owned(), |layer| format!("{}: {what}", layer.name))
}

/// A suggestion for a mistyped `path`: a setting of its section, else any setting.
fn hint(path: &[String], allowed: &[&str], known: &Known) -> String {
    let Some((name, section)) = path.split_last() else { return String::new() };
    let here = nearest(name, allowed.iter().copied()).map(|near| {
        let parts: Vec<&str> = section.iter().map(String::as_str).chain([near]).collect();
        parts.join(".")
    });
    let is_name = |part: &&String| !part.bytes().all(|c| c.is_ascii_digit());
    let plain: Vec<&str> = path.iter().filter(is_name).map(String::as_str).collect();
    match here.or_else(|| known.nearest_setting(&plain.join("."))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", allowed.join(", ")),
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
