//! Names in folders that survive a power loss. Only the file system; nothing here knows what files hold.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Forces the entries of a folder to disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // other systems cannot open a folder as a file
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Forces a file and its entry in its folder.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes a folder with those above it, each entry forced.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() || folder.as_os_str().is_empty() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    make_folder(parent)?;
    match fs::create_dir(folder) {
        // another process was quicker, and may not have forced it yet
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
        _ => {}
    }
    sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_with_those_above_them() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a").join("b").join("c");
        make_folder(&deep).unwrap();
        make_folder(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(home.path().join("file"), "x").unwrap();
        make_folder(&home.path().join("file")).unwrap_err();
        make_folder(&home.path().join("file").join("below")).unwrap_err();
    }
}
