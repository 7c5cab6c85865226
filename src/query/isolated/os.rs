//! What the system is asked for processes: memory in use, limits, priority, and an end at once. Linux only; elsewhere
//! the questions have no answer and the limits are those of operators alone.

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// What is its own and in memory: without the program's text, which all processes share.
    pub(super) own: u64,
    /// What it could write to, touched or not: what [`limit_memory`] counts.
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

    pub(in super::super) fn be_modest() {
        let _ = nice(5);
        // of all processes this one is missed least
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

    pub(in super::super) fn be_modest() {}

    pub(in super::super) fn kill(_process: u32) {}
}

/// A worker's own priority: behind everything else, for the processor and when memory runs out. Leaves no core files.
pub(super) fn be_modest() {
    linux::be_modest();
}

/// Sets the limit of this process: an allocation beyond it fails.
pub(super) fn limit_memory(bytes: u64) {
    linux::limit_memory(bytes);
}

/// Memory of a process, if it lives.
pub(super) fn memory(process: u32) -> Option<Memory> {
    linux::memory(process)
}

/// Ends a process at once.
pub(super) fn kill(process: u32) {
    linux::kill(process);
}

/// Ends this process at once, whatever its threads do.
pub(super) fn end_self() -> ! {
    linux::kill(std::process::id());
    std::process::abort()
}
