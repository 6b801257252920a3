//! What a doctor measures: ports, disk, time to sync, other nodes. Judging is not done here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use consign_rpc::tls::Client;
use consign_rpc::views::StatusView;
use consign_types::time::Millis;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use rustls::pki_types::ServerName;
use serde::Deserialize;

use super::judge::{PeerState, PortState};
use crate::clock;
use crate::config::Listener;
use crate::health::exchange;

/// Time to reach a peer, for each of its addresses.
const CONNECT: Duration = Duration::from_secs(3);
/// Bytes that each fsync has to keep.
const BLOCK_BYTES: usize = 4096;
/// `statfs` says this of a file system in memory.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// The directory itself, or what is nearest above it where it is not made yet.
pub fn nearest(dir: &Path) -> PathBuf {
    let there = dir.ancestors().find(|path| path.is_dir() && !path.as_os_str().is_empty());
    there.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Free and total bytes of the disk of `dir`, and whether it is memory.
///
/// # Errors
/// When the system does not say.
pub fn disk(dir: &Path) -> io::Result<(u64, u64, bool)> {
    let found = rustix::fs::statvfs(dir)?;
    let kind = rustix::fs::statfs(dir)?;
    #[allow(clippy::unnecessary_cast, reason = "its width is the platform's")]
    let in_memory = kind.f_type as i64 == TMPFS_MAGIC;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok((bytes(found.f_bavail), bytes(found.f_blocks), in_memory))
}

/// How long each of `count` syncs of 4 KiB takes in `dir`, as the node syncs its votes. The file goes.
///
/// # Errors
/// When the directory cannot be written.
pub fn fsyncs(dir: &Path, count: u32) -> io::Result<Vec<Duration>> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let took = sync_often(&file, count);
    fs::remove_file(&path)?;
    took
}

fn sync_often(file: &File, count: u32) -> io::Result<Vec<Duration>> {
    let one = |i: u32| {
        let begun = Instant::now();
        file.write_all_at(&[i as u8; BLOCK_BYTES], u64::from(i % 64) * BLOCK_BYTES as u64)?;
        file.sync_data()?;
        Ok(begun.elapsed())
    };
    (0..count).map(one).collect()
}

/// Whether the port can be had now. Nothing stays bound.
pub fn port(listener: Listener) -> PortState {
    let tried = if listener.udp {
        UdpSocket::bind(listener.address).map(|_| ())
    } else {
        TcpListener::bind(listener.address).map(|_| ())
    };
    match tried.map_err(|e| e.kind()) {
        Ok(()) => PortState::Free,
        Err(ErrorKind::PermissionDenied) => PortState::Forbidden,
        Err(ErrorKind::AddrNotAvailable) => PortState::NotOurs,
        Err(_) => PortState::Taken,
    }
}

/// Whether one of a peer's addresses answers over TCP.
pub fn peer(addresses: &[String]) -> PeerState {
    let mut state = PeerState::NotTried;
    for address in addresses {
        let Some((host, port)) = tcp_address(address) else { continue };
        match connect(&host, port) {
            Ok(()) => return PeerState::Reached(address.clone()),
            Err(e) => state = PeerState::Unreachable(format!("{address}: {e}")),
        }
    }
    state
}

fn connect(host: &str, port: u16) -> io::Result<()> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn tcp_address(address: &str) -> Option<(String, u16)> {
    let address = Multiaddr::from_str(address).ok()?;
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => ip.to_string(),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.into_owned(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some((host, port)),
        _ => None,
    }
}

/// What another node says of itself, and how its clock stands to ours.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its own words.
    pub status: StatusView,
    /// How far its clock is ahead of ours, and how exactly that is known, in milliseconds; none before its
    /// first block.
    pub ahead: Option<(i64, u64)>,
}

#[derive(Deserialize)]
struct Answer {
    result: StatusView,
}

/// Asks the node at `host:port`, over TLS where there is one to believe.
///
/// # Errors
/// When nobody answers, or no node does.
pub fn ask(host: &str, tls: Option<&Client>) -> Result<Asked, String> {
    let addresses = host.to_socket_addrs().map_err(|e| format!("{host}: {e}"))?;
    let address = addresses.into_iter().next().ok_or_else(|| format!("{host} has no address"))?;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"chain_getStatus","params":{}}"#;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{call}",
        call.len()
    );
    let begun = Instant::now();
    let before = clock::now();
    let named = |tls| Ok::<_, String>((tls, server_name(host)?));
    let (_, body) = exchange(address, tls.map(named).transpose()?, &request)?;
    let way = begun.elapsed().as_millis() as u64;
    let answer: Answer =
        serde_json::from_str(&body).map_err(|_| format!("{host} answers, but is no node"))?;
    let status = answer.result;
    // Its clock when it answered: the time of its last block and the age of that. We asked half of the
    // way before the answer came.
    let ahead = status.last_commit_age_ms.and_then(|age| {
        let theirs = i64::try_from(status.time.ms.checked_add(age)?).ok()?;
        let ours = i64::try_from(before.0.checked_add(way / 2)?).ok()?;
        Some((theirs.checked_sub(ours)?, way / 2 + 1))
    });
    Ok(Asked { status, ahead })
}

/// The name that the node at `host:port` must have a certificate of.
fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    ServerName::try_from(name.to_owned()).map_err(|e| format!("{name}: {e}"))
}

/// The address that a node that listens on `address` answers at, on this machine.
pub fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, address.port())
}

/// Whether the system says that its clock is synchronised: the kernel's word, which systemd passes on.
pub fn synchronised() -> Option<bool> {
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()?;
    match String::from_utf8_lossy(&asked.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// From when until when a certificate holds, of its DER; none where it is none, or of a time before 1970.
pub fn validity(certificate: &[u8]) -> Option<(Millis, Millis)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let of = certificate.validity();
    let ms = |seconds: i64| Some(Millis(u64::try_from(seconds).ok()?.checked_mul(1_000)?));
    Some((ms(of.not_before.timestamp())?, ms(of.not_after.timestamp())?))
}
