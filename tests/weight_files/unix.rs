//! What saving does where links, devices and the like are, and with permissions.

use std::ffi::OsString;
use std::fs::{self, FileType, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fused_mlp::weights::{self, Keys};
use fused_mlp::{Error, NameModel, Sgd, Trainer};

use crate::models::name_model;
use crate::on_disk::Folder;

/// What comes of saving a model, and of saving a state.
fn save_both(path: &Path) -> [Result<(), Error>; 2] {
    let model = name_model(1);
    let state = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap().state();
    [
        weights::save(path, &model, &Keys::makemore()),
        weights::save_state(path, &state, None),
    ]
}

/// Each file of a folder by its name: what it is, which it is, and where it leads if it is a link.
fn listing(folder: &Path) -> Vec<(OsString, FileType, u64, Option<PathBuf>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap(); // does not follow links
            let link = fs::read_link(entry.path()).ok();
            (
                entry.file_name(),
                metadata.file_type(),
                metadata.ino(),
                link,
            )
        })
        .collect();
    files.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    files
}

/// Asserts that nothing can be saved to a path, because of what is there, and that nothing changes in the folder.
fn assert_not_replaced(folder: &Folder, path: &Path, found: &'static str) {
    let before = listing(&folder.path(""));
    for result in save_both(path) {
        let error = result.unwrap_err();
        let expected = Error::NotARegularFile {
            path: path.into(),
            found,
        };
        assert_eq!(error, expected);
        let message = format!(
            "cannot write {}: it is {found}, not a regular file",
            path.display()
        );
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(listing(&folder.path("")), before);
}

/// Asserts that nothing can be saved to a path or to a link to it.
fn assert_neither_it_nor_its_link_is_replaced(folder: &Folder, path: &Path, found: &'static str) {
    assert_not_replaced(folder, path, found);
    let link = folder.path("link");
    symlink(path, &link).unwrap();
    assert_not_replaced(folder, &link, found);
}

#[test]
fn saving_does_not_replace_a_directory() {
    let folder = Folder::new("directory");
    let directory = folder.path("directory");
    fs::create_dir(&directory).unwrap();
    assert_neither_it_nor_its_link_is_replaced(&folder, &directory, "a directory");
    assert_not_replaced(&folder, &directory.join(".."), "a directory");
    assert!(listing(&directory).is_empty());
}

#[test]
fn saving_does_not_replace_a_named_pipe() {
    let folder = Folder::new("pipe");
    let pipe = folder.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert_neither_it_nor_its_link_is_replaced(&folder, &pipe, "a named pipe");
}

#[test]
fn saving_does_not_replace_a_socket() {
    let folder = Folder::new("socket");
    let socket = folder.path("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert_neither_it_nor_its_link_is_replaced(&folder, &socket, "a socket");
}

/// A device that a test can put at risk: its own, which takes root to make, or the system's, which takes root to replace.
fn device(folder: &Folder) -> Option<PathBuf> {
    let own = folder.path("device");
    let mut mknod = Command::new("mknod");
    mknod.arg(&own).args(["c", "1", "3"]).stderr(Stdio::null());
    if mknod.status().is_ok_and(|status| status.success()) {
        return Some(own);
    }
    let is_root = fs::metadata(folder.path("")).unwrap().uid() == 0;
    (!is_root).then(|| "/dev/null".into())
}

#[test]
fn saving_does_not_replace_a_device() {
    let folder = Folder::new("device");
    let Some(device) = device(&folder) else {
        let message = "SKIPPED: root cannot make a device here, so that no device was saved to";
        return writeln!(io::stderr(), "{message}").unwrap();
    };
    let file_type = || fs::symlink_metadata(&device).unwrap().file_type();
    let before = file_type();
    assert_neither_it_nor_its_link_is_replaced(&folder, &device, "a device");
    assert_eq!(file_type(), before);
}

#[test]
fn saving_does_not_replace_a_link_that_leads_nowhere() {
    let folder = Folder::new("nowhere");
    let link = folder.path("link");
    for target in ["missing", "missing/model.safetensors"] {
        symlink(target, &link).unwrap();
        assert_not_replaced(&folder, &link, "a symbolic link to nothing");
        fs::remove_file(&link).unwrap();
    }
    symlink("link", &link).unwrap();
    let before = listing(&folder.path(""));
    for result in save_both(&link) {
        let error = result.unwrap_err();
        assert!(
            matches!(
                error,
                Error::File {
                    action: "write",
                    ..
                }
            ),
            "{error}"
        );
    }
    assert_eq!(listing(&folder.path("")), before);
}

#[test]
fn saving_through_links_replaces_the_file_that_they_lead_to() {
    let folder = Folder::new("links");
    fs::create_dir(folder.path("runs")).unwrap();
    let file = folder.path("runs/model.safetensors");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let link = folder.path("latest");
    symlink("best", &link).unwrap();
    symlink("runs/model.safetensors", folder.path("best")).unwrap();

    let before = listing(&folder.path(""));
    let model = name_model(2);
    weights::save(&link, &model, &Keys::makemore()).unwrap();
    assert_eq!(weights::load(&file, &Keys::makemore()), Ok(model.clone()));
    let state = Trainer::new(model, Sgd::new(0.1)).unwrap().state();
    weights::save_state(&link, &state, None).unwrap();
    assert_eq!(weights::load_state::<NameModel>(&file), Ok((state, None)));
    assert_eq!(listing(&folder.path("")), before);
    assert_eq!(listing(&folder.path("runs")).len(), 1);
    let metadata = fs::symlink_metadata(&file).unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.mode() & 0o7777, 0o600);
}

#[test]
fn a_saved_file_has_the_permissions_of_the_one_that_it_replaces() {
    let folder = Folder::new("permissions");
    let [path, other] = ["model.safetensors", "other"].map(|name| folder.path(name));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    for result in save_both(&path) {
        result.unwrap();
    }
    fs::write(&other, "").unwrap();
    assert_eq!(mode(&path), mode(&other)); // those of any new file

    for permissions in [0o600, 0o664, 0o400] {
        fs::set_permissions(&path, Permissions::from_mode(permissions)).unwrap();
        for result in save_both(&path) {
            result.unwrap();
            assert_eq!(mode(&path), permissions);
        }
    }
    assert_eq!(listing(&folder.path("")).len(), 2);
}
