//! An OCI image layout in a tar archive, as `ctr images import` and `skopeo` read it. For one architecture it
//! also has the `manifest.json` that `docker load` needs where Docker keeps images in its own store.
//! Equal files give equal bytes: nothing in it depends on the machine or the time of day.
//!
//! The format is three small documents, <https://github.com/opencontainers/image-spec>.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::failure::{Outcome, While as _};
use crate::hash::sha256;

/// A file in an image.
pub(crate) struct File {
    /// Its path, without a slash at the beginning.
    pub(crate) path: String,
    /// Whether it is a program.
    pub(crate) executable: bool,
    /// What is in it.
    pub(crate) content: Vec<u8>,
}

/// An image for one architecture: a single layer and how it is run.
pub(crate) struct Image {
    /// The architecture as Go calls it: `amd64`, `arm64`.
    pub(crate) architecture: &'static str,
    /// All files.
    pub(crate) files: Vec<File>,
    /// `config` of the image: `Entrypoint`, `Cmd`, `User`, `Labels`.
    pub(crate) config: Value,
}

/// Writes an archive with the images of all architectures under one name, and returns the digest of
/// their index, by which the image is pulled.
pub(crate) fn write(
    archive: &Path,
    name: &str,
    created: DateTime<Utc>,
    images: &[Image],
) -> Outcome<String> {
    let mut blobs = Blobs::default();
    let mut manifests = Vec::new();
    let mut loadable = Vec::new();
    for image in images {
        let stored = blobs.image(image, created)?;
        manifests.push(stored.descriptor);
        loadable.push(json!({
            "Config": stored.config,
            "RepoTags": [name],
            "Layers": [stored.layer],
        }));
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    let index = bytes(&index)?;
    let digest = format!("sha256:{}", sha256(&index));
    let (_, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
    let annotations = json!({
        "org.opencontainers.image.ref.name": tag,
        // containerd knows the whole name by this one.
        "io.containerd.image.name": name,
    });
    let more = ("annotations", annotations);
    let index = blobs.add("application/vnd.oci.image.index.v1+json", index, Some(more));
    let layout = json!({"schemaVersion": 2, "manifests": [index]});
    let mut files = blobs.files();
    files.push(plain("index.json", bytes(&layout)?));
    files.push(plain(
        "oci-layout",
        br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    ));
    // The older format names one image of a tag, whatever the architecture.
    if images.len() == 1 {
        files.push(plain("manifest.json", bytes(&json!(loadable))?));
    }
    let packed = tar(&files).while_("packing the image")?;
    std::fs::write(archive, packed).while_(archive.display())?;
    Ok(digest)
}

/// An image that is in the layout.
struct Stored {
    /// The descriptor of its manifest.
    descriptor: Value,
    /// The path of its configuration.
    config: String,
    /// The path of its layer.
    layer: String,
}

/// What the layout stores by its digest.
#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Stores a blob and returns its descriptor, with one more member.
    fn add(&mut self, media_type: &str, content: Vec<u8>, more: Option<(&str, Value)>) -> Value {
        let hash = sha256(&content);
        let members = [
            ("mediaType", media_type.into()),
            ("digest", format!("sha256:{hash}").into()),
            ("size", content.len().into()),
        ];
        self.0.insert(hash, content);
        let members = members.into_iter().chain(more);
        Value::Object(members.map(|(name, value)| (name.into(), value)).collect())
    }

    /// Stores an image.
    fn image(&mut self, image: &Image, created: DateTime<Utc>) -> Outcome<Stored> {
        let layer = tar(&image.files).while_("packing the layer")?;
        let layer_id = format!("sha256:{}", sha256(&layer));
        let config = bytes(&json!({
            "created": created,
            "architecture": image.architecture,
            "os": "linux",
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [layer_id]},
            "history": [{"created": created, "created_by": "cargo xtask image"}],
        }))?;
        let packed = gzip(&layer).while_("compressing the layer")?;
        let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let manifest_type = "application/vnd.oci.image.manifest.v1+json";
        let (config_path, layer_path) = (path(&sha256(&config)), path(&sha256(&packed)));
        let manifest = bytes(&json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": self.add("application/vnd.oci.image.config.v1+json", config, None),
            "layers": [self.add(layer_type, packed, None)],
        }))?;
        let platform = json!({"architecture": image.architecture, "os": "linux"});
        Ok(Stored {
            descriptor: self.add(manifest_type, manifest, Some(("platform", platform))),
            config: config_path,
            layer: layer_path,
        })
    }

    fn files(self) -> Vec<File> {
        let blob = |(hash, content): (String, Vec<u8>)| plain(&path(&hash), content);
        self.0.into_iter().map(blob).collect()
    }
}

/// Where a blob is.
fn path(hash: &str) -> String {
    format!("blobs/sha256/{hash}")
}

/// A file that is no program.
pub(crate) fn plain(path: &str, content: Vec<u8>) -> File {
    File {
        path: path.to_owned(),
        executable: false,
        content,
    }
}

/// An archive of files and of the folders that they are in, all owned by root, without times.
fn tar(files: &[File]) -> std::io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| Path::new(&file.path).ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    for folder in folders {
        let mut header = header(EntryType::Directory, true, 0);
        archive.append_data(&mut header, folder, std::io::empty())?;
    }
    for file in files {
        let size = file.content.len() as u64;
        let mut header = header(EntryType::Regular, file.executable, size);
        archive.append_data(&mut header, &file.path, file.content.as_slice())?;
    }
    archive.into_inner()
}

fn header(kind: EntryType, executable: bool, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_size(size);
    header.set_mtime(0);
    header
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(content)?;
    packed.finish()
}

fn bytes(document: &Value) -> Outcome<Vec<u8>> {
    Ok(serde_json::to_vec(document)?)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a failed test may panic"
    )]

    use super::*;

    fn image(content: &str) -> Image {
        Image {
            architecture: "amd64",
            files: vec![plain("etc/x/y", content.as_bytes().to_vec())],
            config: json!({"User": "65532:65532"}),
        }
    }

    #[test]
    fn equal_files_give_equal_bytes_and_others_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        let made = |file: &str, content: &str| {
            let path = folder.path().join(file);
            let digest = write(&path, "x:1", DateTime::UNIX_EPOCH, &[image(content)]).unwrap();
            (digest, std::fs::read(path).unwrap())
        };
        assert_eq!(made("1", "a"), made("2", "a"));
        assert_ne!(made("1", "a").0, made("3", "b").0);
    }

    fn written(images: &[Image]) -> BTreeMap<String, Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tar");
        write(&path, "x/y:1", DateTime::UNIX_EPOCH, images).unwrap();
        let mut found = BTreeMap::new();
        let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            std::io::copy(&mut entry, &mut content).unwrap();
            found.insert(name, content);
        }
        found
    }

    #[test]
    fn docker_finds_the_configuration_and_the_layer_of_one_architecture() {
        let found = written(&[image("a")]);
        let manifest: Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"], json!(["x/y:1"]));
        let file = |path: &Value| &found[path.as_str().unwrap()];
        let config: Value = serde_json::from_slice(file(&manifest[0]["Config"])).unwrap();
        assert_eq!(config["architecture"], "amd64");
        let layers = manifest[0]["Layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        let mut layer = Vec::new();
        let packed = file(&layers[0]).as_slice();
        std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut layer).unwrap();
        let id = format!("sha256:{}", sha256(&layer));
        assert_eq!(config["rootfs"]["diff_ids"], json!([id]));
        // The format has one image for a tag.
        let arm = Image {
            architecture: "arm64",
            ..image("b")
        };
        assert!(!written(&[image("a"), arm]).contains_key("manifest.json"));
    }

    #[test]
    fn every_descriptor_names_a_blob_with_its_size_and_digest() {
        let found = written(&[image("a")]);
        let mut open = vec![found["index.json"].clone()];
        let mut seen = 0;
        while let Some(document) = open.pop() {
            let Ok(document) = serde_json::from_slice::<Value>(&document) else {
                continue;
            };
            let lists = ["manifests", "layers"].map(|list| document[list].as_array().cloned());
            let all = lists.into_iter().flatten().flatten();
            for descriptor in all.chain(document.get("config").cloned()) {
                let Some(digest) = descriptor["digest"].as_str() else {
                    continue;
                };
                let hash = digest.strip_prefix("sha256:").unwrap();
                let blob = &found[&format!("blobs/sha256/{hash}")];
                assert_eq!(descriptor["size"], blob.len());
                assert_eq!(sha256(blob), hash);
                seen += 1;
                open.push(blob.clone());
            }
        }
        // The index, the manifest, its configuration and its layer.
        assert_eq!(seen, 4);
    }
}
