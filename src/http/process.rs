//! `process_…`: metrics of this process from `/proc`, under the names that Prometheus' own clients use. Empty on
//! systems without `/proc`.

use std::fmt::Write;
use std::fs::read_to_string;

/// Clock ticks per second in `/proc`, the same on every Linux.
const TICKS: f64 = 100.0;

/// Appends the metrics.
pub(super) fn render(text: &mut String) {
    let (stat, status) = (read_to_string("/proc/self/stat"), read_to_string("/proc/self/status"));
    let (Ok(stat), Ok(status)) = (stat, status) else { return };
    let fields = Fields::of(&stat);
    let started = read_to_string("/proc/stat").ok().and_then(|stat| {
        let boot: f64 = line(&stat, "btime ")?.parse().ok()?;
        // 22nd field: ticks since the system started
        Some(boot + fields.number(22)? / TICKS)
    });
    let files = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64);
    let most_files = read_to_string("/proc/self/limits")
        .ok()
        .and_then(|limits| line(&limits, "Max open files")?.split_whitespace().next()?.parse::<f64>().ok());
    let kib = |name: &str| {
        let value = line(&status, name)?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()?;
        Some(value * 1024.0)
    };
    let cpu = fields.number(14).zip(fields.number(15)).map(|(user, system)| (user + system) / TICKS);
    let threads = line(&status, "Threads:").and_then(|threads| threads.trim().parse::<f64>().ok());
    let metrics = [
        ("process_cpu_seconds_total", "counter", "Seconds of processor time used.", cpu),
        ("process_resident_memory_bytes", "gauge", "Bytes of memory in use.", kib("VmRSS:")),
        ("process_virtual_memory_bytes", "gauge", "Bytes of address space in use.", kib("VmSize:")),
        (
            "process_start_time_seconds",
            "gauge",
            "Start of the process, seconds since the Unix epoch.",
            started,
        ),
        ("process_open_fds", "gauge", "Open files and connections.", files),
        ("process_max_fds", "gauge", "Most open files and connections.", most_files),
        ("process_threads", "gauge", "Threads.", threads),
    ];
    for (name, kind, help, value) in metrics {
        let Some(value) = value else { continue };
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
    }
}

/// The rest of the line that begins with a name.
fn line<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// Fields of `/proc/self/stat` after the name of the program, which can contain any characters.
struct Fields<'t>(Vec<&'t str>);

impl<'t> Fields<'t> {
    fn of(stat: &'t str) -> Fields<'t> {
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        Fields(rest.split_whitespace().collect())
    }

    /// A field by its number in the manual, where the first field after the name is the third.
    fn number(&self, number: usize) -> Option<f64> {
        self.0.get(number.checked_sub(3)?)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let fields = Fields::of("7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 12345 1 2");
        assert_eq!((fields.number(14), fields.number(15)), (Some(250.0), Some(50.0)));
        assert_eq!((fields.number(22), fields.number(99)), (Some(12345.0), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_all_of_them() {
        let mut text = String::new();
        render(&mut text);
        assert_eq!(text.lines().filter(|line| line.starts_with("# HELP process_")).count(), 7, "{text}");
    }
}
