//! Weight files on disk: read in part, and replaced as a whole.

use alloc::format;
use std::ffi::OsString;
use std::fs::{self, File, FileType, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rand_xoshiro::Xoshiro256PlusPlus;

use super::keys::Keys;
use super::read;
use super::source::Source;
use super::to_bytes;
use super::training::{read_state, state_to_bytes};
use crate::error::Error;
use crate::model::Model;
use crate::training::TrainingState;

/// Writes a model to a file, in the place of one that is there.
///
/// The bytes go to a temporary file beside it, which is flushed to the disk and then renamed: whatever happens, there is the
/// old file or the new one, whole. If anything fails, the temporary file is removed; a process that is killed may leave it, as
/// `.NAME.PROCESS-NUMBER.tmp`. On Unix the new file has the permissions of the old one. It belongs to the user who writes it, and
/// other hard links keep the old one.
///
/// A symbolic link is followed: it stays, and the file that it leads to is replaced. Nothing but a regular file is replaced: a
/// directory, a device, a named pipe, a socket, and a link to one of these or to nothing are errors, and stay as they are.
///
/// # Errors
///
/// [`Error::NotARegularFile`] if something else is there; [`Error::File`] if it cannot be written, as where its folder is
/// missing; as [`to_bytes`] otherwise.
pub fn save<M: Model>(path: impl AsRef<Path>, model: &M, keys: &Keys) -> Result<(), Error> {
    write(path.as_ref(), &to_bytes(model, keys)?)
}

/// Reads a model from a file: its header, and then the tensors of the model, if the header has them all in their shapes.
///
/// # Errors
///
/// [`Error::File`] if it cannot be read; [`Error::WeightFile`] as the [module](super) says.
pub fn load<M: Model>(path: impl AsRef<Path>, keys: &Keys) -> Result<M, Error> {
    read::model(&mut OnDisk::open(path.as_ref())?, keys)
}

/// Writes a training state, and the generator that draws the run's batches, to a file, as [`save`] does.
///
/// # Errors
///
/// [`Error::NotARegularFile`] and [`Error::File`] as [`save`]; as [`state_to_bytes`] otherwise.
pub fn save_state<M: Model>(
    path: impl AsRef<Path>,
    state: &TrainingState<M>,
    generator: Option<&Xoshiro256PlusPlus>,
) -> Result<(), Error> {
    write(path.as_ref(), &state_to_bytes(state, generator)?)
}

/// Reads a training state from a file, and the generator if there is one, as [`load`] does.
///
/// # Errors
///
/// [`Error::File`] if it cannot be read; as [`state_from_bytes`](super::state_from_bytes) otherwise.
pub fn load_state<M: Model>(
    path: impl AsRef<Path>,
) -> Result<(TrainingState<M>, Option<Xoshiro256PlusPlus>), Error> {
    read_state(&mut OnDisk::open(path.as_ref())?)
}

/// A file that is open for reading.
struct OnDisk<'a> {
    path: &'a Path,
    file: File,
    len: u64,
}

impl<'a> OnDisk<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let open = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok(Self { path, file, len })
        };
        open().map_err(|error| failed("read", path, &error))
    }
}

impl Source for OnDisk<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Error> {
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(into))
            .map_err(|error| failed("read", self.path, &error))
    }
}

/// Puts a file of these bytes in the place of one that may be there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let permissions = permissions(path)?;
    let write = |file: &mut File| {
        // Before the first byte, so that nobody reads it who could not read the old one.
        keep(permissions, file)?;
        file.write_all(bytes)
    };
    follow(path)
        .and_then(|target| replace(&target, write))
        .map_err(|error| failed("write", path, &error))
}

/// The permissions of the file that a path leads to, if there is one yet. Refuses what is not a regular file: a rename would
/// put one in the place of a device as well.
fn permissions(path: &Path) -> Result<Option<Permissions>, Error> {
    let refused = |found| {
        Err(Error::NotARegularFile {
            path: path.to_path_buf(),
            found,
        })
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.permissions())),
        Ok(metadata) => refused(described(metadata.file_type())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("write", path, &error)),
        Err(_) if path.is_symlink() => refused("a symbolic link to nothing"),
        Err(_) => Ok(None),
    }
}

/// Gives a new file the permissions of the old one, if there was one.
///
/// On Unix only: elsewhere they are the flag that a file is read-only, and such a file could not be renamed or removed. They are
/// not set where they are the same, because file systems that have none refuse it.
fn keep(permissions: Option<Permissions>, file: &File) -> io::Result<()> {
    match permissions {
        Some(old) if cfg!(unix) && file.metadata()?.permissions() != old => {
            file.set_permissions(old)
        }
        _ => Ok(()),
    }
}

/// What an error calls a file that is not a regular one.
fn described(file_type: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if file_type.is_char_device() || file_type.is_block_device() {
            return "a device";
        }
        if file_type.is_fifo() {
            return "a named pipe";
        }
        if file_type.is_socket() {
            return "a socket";
        }
    }
    if file_type.is_dir() {
        "a directory"
    } else {
        "something else"
    }
}

/// The path that symbolic links end at. Renaming to the path of a link would replace the link.
fn follow(path: &Path) -> io::Result<PathBuf> {
    if path.is_symlink() {
        fs::canonicalize(path)
    } else {
        Ok(path.to_path_buf())
    }
}

fn failed(action: &'static str, path: &Path, error: &io::Error) -> Error {
    Error::File {
        action,
        path: path.to_path_buf(),
        kind: error.kind(),
    }
}

fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (mut file, temporary) = create_beside(path)?;
    let written = write(&mut file).and_then(|()| file.sync_all());
    drop(file); // some systems do not rename an open file
    let result = written.and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // If this fails too, the first failure is the one to tell of.
        fs::remove_file(&temporary).ok();
    }
    result
}

/// A new file in the same folder, so that it can be renamed to `path`.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{number}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match File::create_new(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            // Left by a process of the same number that was ended in the middle.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// A folder of its own, which is removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("fused-mlp-{name}-{}", std::process::id()));
            fs::create_dir(&path).expect("a new folder can be made");
            Self(path)
        }

        fn files(&self) -> Vec<OsString> {
            let entries = fs::read_dir(&self.0).expect("the folder can be read");
            entries
                .map(|entry| entry.expect("it is not changed meanwhile").file_name())
                .collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_file_and_no_other() {
        let folder = Folder::new("half-way");
        let path = folder.0.join("model.safetensors");
        fs::write(&path, "old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"ne")?;
            assert_eq!(folder.files().len(), 2); // it is there, beside the old one
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(folder.files(), ["model.safetensors"]);

        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(folder.files(), ["model.safetensors"]);
    }

    #[test]
    fn a_rename_that_fails_removes_the_temporary_file() {
        let folder = Folder::new("rename");
        let path = folder.0.join("model.safetensors");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old"), "old").unwrap();
        assert!(replace(&path, |file| file.write_all(b"new")).is_err());
        assert_eq!(folder.files(), ["model.safetensors"]);
        assert_eq!(fs::read(path.join("old")).unwrap(), b"old");
    }

    #[test]
    fn a_temporary_name_that_is_taken_is_passed_over() {
        let folder = Folder::new("taken");
        let path = folder.0.join("model.safetensors");
        let (_, first) = create_beside(&path).unwrap();
        let (_, second) = create_beside(&path).unwrap();
        assert_ne!(first, second);
        assert_eq!(first.parent(), path.parent());
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        for path in ["", "/", ".."] {
            let error = replace(Path::new(path), |_| Ok(())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}");
        }
    }
}
