//! What the system tells: of this machine, of a process, of a directory.
//!
//! Read from `/proc`; what cannot be read counts as nothing, and shows as zero in the report.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Ticks of the processor clock in a second, as Linux tells them to every program (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;
const MIB: f64 = 1024.0 * 1024.0;
const SYNCS: usize = 200;

/// What a figure was measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this program may use.
    pub cores: usize,
    /// Their model.
    pub cpu_model: String,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Version of the kernel.
    pub kernel: String,
    /// Processes that wanted to run, over the minute before the start: far above zero spoils figures.
    pub load_before: f64,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            cpu_model: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            memory_mib: kib("/proc/meminfo", "MemTotal") / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
        }
    }
}

/// What one process took so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all its threads, milliseconds.
    pub cpu_ms: f64,
    /// Memory it holds now, MiB.
    pub rss_mib: f64,
    /// Memory it held at most, MiB.
    pub rss_peak_mib: f64,
}

/// What process `pid` took so far.
pub fn usage(pid: u32) -> Usage {
    let status = format!("/proc/{pid}/status");
    let mib = |name| kib(&status, name) as f64 / 1024.0;
    Usage {
        cpu_ms: cpu_ticks(&read(&format!("/proc/{pid}/stat"))) as f64 * 1000.0 / TICKS_PER_S,
        rss_mib: mib("VmRSS"),
        rss_peak_mib: mib("VmHWM"),
    }
}

/// Bytes that the files below `path` take on disk.
pub fn disk_bytes(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| disk_bytes(&entry.path())).sum()
}

/// Median time to append 4 KiB to a file in `dir` and make it durable; nothing else writing.
pub fn quiet_fsync_ms(dir: &Path) -> f64 {
    let path = dir.join("fsync-probe");
    let probe = || -> std::io::Result<Vec<Duration>> {
        let mut file = fs::File::create(&path)?;
        let mut took = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            file.write_all(&[0x5a; 4096])?;
            let since = Instant::now();
            file.sync_data()?;
            took.push(since.elapsed());
        }
        Ok(took)
    };
    let mut took = probe().unwrap_or_default();
    let _ = fs::remove_file(&path);
    took.sort_unstable();
    took.get(took.len() / 2).map_or(0.0, |median| median.as_secs_f64() * 1000.0)
}

/// MiB of so many bytes.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

/// User and system time out of `/proc/<pid>/stat`. The name of the program, in parentheses, may itself
/// hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // Fields 14 and 15 of proc(5), counted from 1; the first after the name is the third.
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum()
}

fn kib(path: &str, name: &str) -> u64 {
    let value = field(path, name).unwrap_or_default();
    value.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The value behind the first `name:` of a file of lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_a_name_with_parentheses() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 10 0 0 0 250 50 7 7 20 0 9 0 1 1";
        assert_eq!(cpu_ticks(stat), 300);
        assert_eq!(cpu_ticks(""), 0);
    }

    #[test]
    fn this_process_holds_memory_and_its_directory_takes_room() {
        let own = usage(std::process::id());
        assert!(own.rss_mib > 0.0 && own.rss_peak_mib >= own.rss_mib);
        assert!(disk_bytes(Path::new(env!("CARGO_MANIFEST_DIR"))) > 0);
    }
}
