//! The archives with store directories, unpacked.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::support::rocketmq::extract;

/// Unpacks the archive that a path begins with, unless that is done; returns where the path leads.
pub(super) fn unpack(path: &str, home: &Path) -> PathBuf {
    let (name, _) = path.split_once('/').unwrap_or_else(|| panic!("{path}: is no ARCHIVE/DIRECTORY"));
    let target = home.join(name);
    if !target.exists() {
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/reports/{name}.tar.gz"));
        let file = std::fs::File::open(&archive).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        extract(&bytes, &target);
    }
    home.join(path)
}
