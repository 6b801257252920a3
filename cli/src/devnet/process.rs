//! The `consignd` processes of a development network: started, looked at, signalled.
//!
//! A pid alone proves nothing, because the system reuses them: before every signal the process's own
//! command line is compared with ours. Signals go to one pid, never to a name.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::home::NodeHome;
use crate::failure::{Exit, Failure};

const POLL: Duration = Duration::from_millis(25);

/// The `consignd` that belongs to this `consign`: named by `CONSIGND`, or in the same directory.
///
/// # Errors
/// When there is none.
pub fn consignd() -> Result<PathBuf, Failure> {
    let named = std::env::var_os("CONSIGND").map(PathBuf::from);
    let beside = || std::env::current_exe().ok().map(|own| own.with_file_name("consignd"));
    let path = named.or_else(beside).unwrap_or_else(|| PathBuf::from("consignd"));
    if path.is_file() {
        return Ok(path);
    }
    let message = format!("no consignd at {}", path.display());
    Err(Failure::operational("no_consignd", message, "build it, or name it in CONSIGND"))
}

/// Starts the node, unless it runs. Its output goes to its log.
///
/// # Errors
/// When the process cannot be started.
pub fn start(consignd: &Path, node: &NodeHome) -> Result<Option<Child>, Failure> {
    if running(node).is_some() {
        return Ok(None);
    }
    let mut append = fs::OpenOptions::new();
    let log = append
        .create(true)
        .append(true)
        .open(&node.log)
        .map_err(|e| Failure::file("open", &node.log, e))?;
    let errors = log.try_clone().map_err(|e| Failure::file("open", &node.log, e))?;
    let child = Command::new(consignd)
        .arg("run")
        .arg("--config")
        .arg(&node.config)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A group of its own: an interrupt at the terminal is for `consign`, not for the node.
        .process_group(0)
        .spawn()
        .map_err(|e| Failure::file("start", consignd, e))?;
    fs::write(&node.pid, format!("{}\n", child.id()))
        .map_err(|e| Failure::file("write", &node.pid, e))?;
    Ok(Some(child))
}

/// The process that runs the node, if one does.
pub fn running(node: &NodeHome) -> Option<Pid> {
    let text = fs::read_to_string(&node.pid).ok()?;
    let raw: i32 = text.trim().parse().ok()?;
    let pid = Pid::from_raw(raw)?;
    runs_config(raw, &node.config).then_some(pid)
}

/// Asks the node to stop, and waits until it has.
///
/// # Errors
/// When it still runs after `patience`.
pub fn stop(node: &NodeHome, patience: Duration) -> Result<bool, Failure> {
    signal(node, Signal::TERM, patience)
}

/// Ends the node without asking, as a power cut would, and waits until it is gone.
///
/// # Errors
/// When it still runs after `patience`.
pub fn kill(node: &NodeHome, patience: Duration) -> Result<bool, Failure> {
    signal(node, Signal::KILL, patience)
}

/// The last `lines` of the node's log.
pub fn log_tail(node: &NodeHome, lines: usize) -> String {
    let text = fs::read(&node.log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Whether there was a process to signal.
fn signal(node: &NodeHome, signal: Signal, patience: Duration) -> Result<bool, Failure> {
    let Some(pid) = running(node) else { return Ok(false) };
    let message = |why: &str| format!("{} (process {}) {why}", node.party, pid.as_raw_nonzero());
    kill_process(pid, signal).map_err(|e| {
        Failure::new(Exit::Operational, "signal", message(&e.to_string()), "is it yours?")
    })?;
    let since = Instant::now();
    while running(node).is_some() {
        if since.elapsed() > patience {
            let help = format!(
                "look at {}, or `consign devnet fault kill {}`",
                node.log.display(),
                node.party
            );
            let message = message(&format!("still runs after {} s", patience.as_secs()));
            return Err(Failure::operational("still_running", message, help));
        }
        std::thread::sleep(POLL);
    }
    let _ = fs::remove_file(&node.pid);
    Ok(true)
}

/// Whether process `pid` is a `consignd` with this configuration. One that ended has no command line.
fn runs_config(pid: i32, config: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let program = arguments.first().map(|first| String::from_utf8_lossy(first).into_owned());
    let named = program.is_some_and(|name| {
        Path::new(&name)
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("consignd"))
    });
    named && arguments.contains(&config.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(dir: &Path) -> NodeHome {
        NodeHome {
            party: "airline".parse().unwrap(),
            url: String::new(),
            config: dir.join("consignd.toml"),
            log: dir.join("consignd.log"),
            pid: dir.join("consignd.pid"),
        }
    }

    /// The pid file names this very test: alive, but no consignd. It must survive.
    #[test]
    fn a_process_that_is_not_our_node_is_never_signalled() {
        let dir = tempfile::tempdir().unwrap();
        let node = home(dir.path());
        fs::write(&node.pid, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(running(&node), None);
        assert_eq!(kill(&node, Duration::from_secs(1)), Ok(false));
    }

    /// A shell that waits for input stands in for the node, under its name and with its argument.
    #[test]
    fn our_node_is_found_by_its_pid_and_stopped_once() {
        let dir = tempfile::tempdir().unwrap();
        let node = home(dir.path());
        let program = dir.path().join("consignd");
        fs::copy("/bin/sh", &program).unwrap();
        let mut child = Command::new(&program)
            .args(["-c", "echo up; read line", "run", "--config"])
            .arg(&node.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A process has its command line a moment after it was started.
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        fs::write(&node.pid, format!("{}\n", child.id())).unwrap();
        assert!(running(&node).is_some());
        assert_eq!(stop(&node, Duration::from_secs(20)), Ok(true));
        assert!(!child.wait().unwrap().success());
        assert_eq!(stop(&node, Duration::from_secs(20)), Ok(false));
    }
}
