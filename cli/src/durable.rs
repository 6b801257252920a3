//! Files that are on disk, whole, before anybody relies on them.
//!
//! Whoever looks at a path sees what was there before or what takes its place, never half of it, after a crash too.
//! What was begun and cut off lies in `NAME.part` and stands in nobody's way: the next one writes over it.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// This user alone.
    Private,
    /// Whoever the umask lets.
    Shared,
    /// As another file has it: its permission bits.
    Bits(u32),
}

/// Puts `bytes` in the place of what is at `path`, and returns when that is on disk.
///
/// # Errors
/// When it cannot be written; then what was there is there.
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    let part = part_of(path);
    let written = write(&part, bytes, mode).and_then(|()| fs::rename(&part, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&part);
        Failure::file("write", path, e)
    })?;
    sync_parent(path)
}

/// Puts what is in the file `from`, under its mode, in the place of what is at `to`.
///
/// # Errors
/// When the one cannot be read or the other not be written.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let read = |e| Failure::file("read", from, e);
    let bytes = zeroize::Zeroizing::new(fs::read(from).map_err(read)?);
    replace(to, &bytes, mode_of(from)?)
}

/// The mode of the file at `path`.
///
/// # Errors
/// When there is none.
pub fn mode_of(path: &Path) -> Result<Mode, Failure> {
    let metadata = fs::metadata(path).map_err(|e| Failure::file("read", path, e))?;
    Ok(Mode::Bits(metadata.permissions().mode() & 0o777))
}

/// Writes a file that was not there, for this user alone, and returns when it is on disk under its name.
///
/// # Errors
/// When it was there, or cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // `create_new`: a secret that is overwritten is a secret that is lost.
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_dir_of(path)
}

/// Gives what is at `from` the name `to` in the same directory, and returns when that is on disk.
///
/// # Errors
/// When it cannot be moved.
pub fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|e| Failure::file("move", from, e))?;
    sync_parent(to)
}

/// Has what was done to the names in the directory of `path` on disk.
///
/// # Errors
/// When it cannot be synced.
pub fn sync_parent(path: &Path) -> Result<(), Failure> {
    sync_dir_of(path).map_err(|e| Failure::file("sync the directory of", path, e))
}

fn sync_dir_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

fn write(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let (new, exact) = match mode {
        Mode::Private => (0o600, Some(0o600)),
        Mode::Shared => (0o666, None),
        Mode::Bits(bits) => (0o600, Some(bits)),
    };
    let mut file = File::options().write(true).create(true).truncate(true).mode(new).open(path)?;
    // One that was left behind has its own mode, and nothing secret in it yet.
    if let Some(bits) = exact {
        file.set_permissions(Permissions::from_mode(bits))?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// A crash left half of it behind, readable by everybody: the next one goes over it, and nothing stays.
    #[test]
    fn a_file_is_replaced_though_an_earlier_one_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        for (bytes, asked, expected) in
            [("one", Mode::Private, 0o600), ("two", Mode::Bits(0o640), 0o640)]
        {
            let part = part_of(&path);
            fs::write(&part, "a longer text that was cut off").unwrap();
            fs::set_permissions(&part, Permissions::from_mode(0o644)).unwrap();
            replace(&path, bytes.as_bytes(), asked).unwrap();
            assert_eq!(
                (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
                (bytes, expected)
            );
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
        }
        let copied = dir.path().join("copy.toml");
        copy(&path, &copied).unwrap();
        assert_eq!((fs::read_to_string(&copied).unwrap().as_str(), mode(&copied)), ("two", 0o640));
    }

    #[test]
    fn what_cannot_be_replaced_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        assert_eq!(replace(&path, b"bytes", Mode::Private).unwrap_err().code, "file");
        assert_eq!(fs::read_to_string(path.join("inside")).unwrap(), "kept");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_new_file_is_private_and_takes_no_others_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("one", 0o600));
    }
}
