//! `data`: the root of the tables, as a directory or a URL. Its form is checked here; nothing is opened or created.

use std::path::PathBuf;

use url::Url;

use crate::error::{Error, Result};

/// An error unless `data` is the path of a directory or the URL of a supported store.
pub(super) fn check(data: &str) -> Result<()> {
    let fail = |what: &str| Err(Error::Config(format!("data: {what}")));
    if data.trim().is_empty() {
        return fail("must not be empty; it is a directory, file:///path or s3://bucket/prefix");
    }
    // a single letter is a Windows drive, not a scheme
    let Some(url) = Url::parse(data).ok().filter(|url| url.scheme().len() > 1) else {
        return match data.contains("://") {
            true => fail("is not a URL; use a directory, file:///path or s3://bucket/prefix"),
            false => Ok(()),
        };
    };
    if url.password().is_some() || (!url.username().is_empty() && url.scheme() == "s3") {
        return fail("must not hold a user or password; keys belong into [storage] or the AWS_… variables");
    }
    match url.scheme() {
        "file" if url.to_file_path().is_err() => {
            fail(&format!("`{data}` is not a local path; write file:///path"))
        }
        "s3" if url.host_str().is_none_or(str::is_empty) => {
            fail(&format!("`{data}` names no bucket; write s3://bucket/prefix"))
        }
        "file" | "s3" | "memory" => Ok(()),
        scheme => fail(&format!(
            "scheme `{scheme}` of `{data}` is not supported; use a directory, file:///path or s3://bucket/prefix"
        )),
    }
}

/// The local directory that `data` names; `None` for an object store.
pub(super) fn local_dir(data: &str) -> Option<PathBuf> {
    if !data.contains("://") {
        return Some(PathBuf::from(data));
    }
    let url = Url::parse(data).ok()?;
    if url.scheme() == "file" { url.to_file_path().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_a_path_or_a_url_of_a_known_store() {
        let good = [
            "./mqlake-data",
            "/srv/mqlake",
            "123",
            "C:\\lake",
            "file:///srv",
            "s3://bucket",
            "s3://b/p/q",
            "memory:///",
        ];
        for data in good {
            check(data).unwrap();
        }
        let cases = [
            ("", "must not be empty"),
            (" ", "must not be empty"),
            ("gs://bucket/x", "scheme `gs`"),
            ("http://host/x", "scheme `http`"),
            ("hdfs://host/x", "scheme `hdfs`"),
            ("s3://", "names no bucket"),
            ("s3:bucket", "names no bucket"),
            ("s3://key:hidden@bucket/x", "must not hold a user or password"),
            ("file://host/x", "not a local path"),
            ("://x", "is not a URL"),
            ("s3://b ad/x", "is not a URL"),
        ];
        for (data, says) in cases {
            let error = check(data).unwrap_err();
            assert!(matches!(error, Error::Config(_)), "{data}");
            assert!(error.to_string().contains(says), "{data}: {error}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }
}
