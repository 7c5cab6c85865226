//! Calls to the operating system about processes: memory in use, limits, priority, and killing. Linux only. On other
//! systems memory is unknown and nothing is limited or killed here, so limits are up to the operator.

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Resident memory that is not shared: without the program's code, which all processes share.
    pub(super) own: u64,
    /// Writable memory, whether it was touched or not. [`limit_memory`] limits it.
    pub(super) writable: u64,
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix_process::param::page_size;
    use rustix_process::process::{Pid, Resource, Rlimit, Signal, kill_process, nice, setrlimit};

    use super::Memory;

    pub(in super::super) fn memory(process: u32) -> Option<Memory> {
        let text = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
        let pages: Vec<u64> = text.split_ascii_whitespace().filter_map(|part| part.parse().ok()).collect();
        let [_, resident, shared, _, _, data, ..] = pages.as_slice() else { return None };
        let page = page_size() as u64;
        Some(Memory { own: resident.saturating_sub(*shared) * page, writable: data * page })
    }

    pub(in super::super) fn limit_memory(bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: None };
        let _ = setrlimit(Resource::Data, limit);
    }

    pub(in super::super) fn lower_priority() {
        let _ = nice(5);
        // the first process to kill when the machine runs out of memory
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }

    pub(in super::super) fn kill(process: u32) {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::Kill);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use super::Memory;

    pub(in super::super) fn memory(_process: u32) -> Option<Memory> {
        None
    }

    pub(in super::super) fn limit_memory(_bytes: u64) {}

    pub(in super::super) fn lower_priority() {}

    pub(in super::super) fn kill(_process: u32) {}
}

/// Lowers the priority of this process for CPU and memory, and disables core files.
pub(super) fn lower_priority() {
    linux::lower_priority();
}

/// Limits the writable memory of this process. An allocation beyond the limit fails.
pub(super) fn limit_memory(bytes: u64) {
    linux::limit_memory(bytes);
}

/// Memory of a process; `None` if it does not run.
pub(super) fn memory(process: u32) -> Option<Memory> {
    linux::memory(process)
}

/// Kills a process.
pub(super) fn kill(process: u32) {
    linux::kill(process);
}

/// Kills this process, whatever its threads do.
pub(super) fn end_self() -> ! {
    linux::kill(std::process::id());
    std::process::abort()
}
