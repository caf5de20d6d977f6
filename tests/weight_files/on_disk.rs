//! Files on disk: what is replaced and what is not, and how much of a file is read.

use std::fs;
use std::path::PathBuf;

use fused_mlp::weights::{self, Keys};
use fused_mlp::{Error, NameModel};

use crate::file::{File, Small};
use crate::models::name_model;

/// A folder of a test's own, which is removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("fused-mlp-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn a_saved_model_is_loaded_and_replaces_the_one_before() {
    let folder = Folder::new("saved");
    let path = folder.path("model.safetensors");
    for seed in [1, 2] {
        weights::save(&path, &name_model(seed), &Keys::makemore()).unwrap();
        let read: NameModel = weights::load(&path, &Keys::makemore()).unwrap();
        assert_eq!(read, name_model(seed));
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);

    let mut bad = name_model(3);
    bad.input.bias[0] = f32::NAN;
    weights::save(&path, &bad, &Keys::makemore()).unwrap_err();
    let read: NameModel = weights::load(&path, &Keys::makemore()).unwrap();
    assert_eq!(read, name_model(2));
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let folder = Folder::new("unwritable");
    let path = folder.path("missing").join("model.safetensors");
    let error = weights::save(&path, &name_model(1), &Keys::makemore()).unwrap_err();
    let kind = std::io::ErrorKind::NotFound;
    assert_eq!(
        error,
        Error::File {
            action: "write",
            path: path.clone(),
            kind
        }
    );
    assert_eq!(
        error.to_string(),
        format!("cannot write {}: {kind}", path.display())
    );
    let error = weights::load::<NameModel>(&path, &Keys::makemore()).unwrap_err();
    assert_eq!(
        error,
        Error::File {
            action: "read",
            path,
            kind
        }
    );
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn a_file_larger_than_the_model_needs_is_refused_before_it_is_read() {
    let folder = Folder::new("large");
    let path = folder.path("model.safetensors");
    weights::save(&path, &name_model(1), &Keys::makemore()).unwrap();
    // A hole of four gigabytes at the end, which takes no place on the disk.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 32).unwrap();
    let load = || weights::load::<NameModel>(&path, &Keys::makemore().ignoring_others());
    let (error, largest) = crate::largest_request(|| load().unwrap_err());
    assert!(
        error.to_string().contains("the data: expected 13924 bytes"),
        "{error}"
    );
    assert!(largest < 4096, "{largest}");
}

#[test]
fn tensors_that_are_ignored_are_not_read() {
    let folder = Folder::new("ignored");
    let path = folder.path("model.safetensors");
    let large = 1_u64 << 32;
    let entry = format!(
        r#""x":{{"dtype":"U8","shape":[{large}],"data_offsets":[164,{}]}}"#,
        large + 164
    );
    let small = File::small().entry(&entry);
    fs::write(&path, small.bytes()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(8 + small.header.len() as u64 + 164 + large)
        .unwrap();
    let keys = Keys::makemore().ignoring_others();
    let (model, largest) = crate::largest_request(|| weights::load::<Small>(&path, &keys).unwrap());
    assert_eq!(model.output.bias[2], 40.0);
    assert!(largest < 4096, "{largest}");
}
