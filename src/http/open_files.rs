//! The limit on open files of this process. Connections and data files share it.

/// The limit before and after it was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenFiles {
    pub(super) before: u64,
    pub(super) now: u64,
}

/// Raises the soft limit to the hard limit; `None` if there is no limit, or it is unknown.
#[cfg(target_os = "linux")]
pub(super) fn raise() -> Option<OpenFiles> {
    use rustix_process::process::{Resource, Rlimit, getrlimit, setrlimit};
    let found = getrlimit(Resource::Nofile);
    let before = found.current?;
    let wanted = found.maximum.unwrap_or(before);
    if wanted > before {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: found.maximum });
        if let Err(error) = raised {
            tracing::warn!(%error, "the limit on open files cannot be raised");
        }
    }
    Some(OpenFiles { before, now: getrlimit(Resource::Nofile).current.unwrap_or(before) })
}

/// Raises the soft limit to the hard limit; `None` if there is no limit, or it is unknown.
#[cfg(not(target_os = "linux"))]
pub(super) fn raise() -> Option<OpenFiles> {
    None
}
