//! Tests of windows over files: what is in memory, files that are cut or grow, searches across chunks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::Write;

use super::*;

/// Bytes that no two places nearby have alike, and that are not zero.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8 + 1).collect()
}

/// A file with this content.
fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

#[test]
fn gives_what_is_asked_for_or_all_there_is() {
    let content = content(2 * CHUNK_BYTES + 1000);
    let file = file(&content);
    let mut window = FileWindow::open(file.path()).unwrap();
    assert_eq!(window.length(), content.len() as u64);
    // forward, with the rest of a chunk kept; back; further than a chunk; and beyond the end
    for (position, bytes) in [
        (0, 10),
        (500, CHUNK_BYTES),
        (CHUNK_BYTES, CHUNK_BYTES + 500),
        (3, 10),
        (0, 2 * CHUNK_BYTES + 1),
        (content.len() - 5, 4),
        (content.len() - 5, usize::MAX),
        (content.len(), 1),
        (content.len() + 7, 1),
    ] {
        let rest = content.get(position..).unwrap_or_default();
        let given = window.at(position as u64, bytes).unwrap();
        assert!(given.len() >= bytes.min(rest.len()), "{position} {bytes}: {}", given.len());
        assert!(rest.starts_with(given), "{position} {bytes}");
        let given = given.to_vec();
        assert_eq!(window.in_memory(position as u64), given);
    }
    assert_eq!(window.at(u64::MAX, 1).unwrap(), b"");
}

#[test]
fn every_byte_is_read_once_on_the_way() {
    let content = content(3 * CHUNK_BYTES + 17);
    let file = file(&content);
    let counter = Arc::new(AtomicU64::new(0));
    let mut window = FileWindow::open(file.path()).unwrap().counted_by(counter.clone());
    let mut seen = Vec::new();
    while seen.len() < content.len() {
        let bytes = window.at(seen.len() as u64, CHUNK_BYTES / 4).unwrap();
        let step = bytes.len().min(1000);
        seen.extend_from_slice(&bytes[..step]);
    }
    assert_eq!(seen, content);
    assert_eq!(counter.load(Ordering::Relaxed), content.len() as u64);
}

#[test]
fn a_file_that_grows_ends_where_it_ended() {
    let mut file = file(b"0123456789");
    let mut window = FileWindow::open(file.path()).unwrap();
    let mut listed = FileWindow::open(file.path()).unwrap().up_to(4);
    file.write_all(b"later").unwrap();
    assert_eq!(window.at(0, 100).unwrap(), b"0123456789");
    assert_eq!(listed.at(0, 100).unwrap(), b"0123");
    assert_eq!(FileWindow::open(file.path()).unwrap().up_to(99).length(), 15);
}

#[test]
fn a_file_that_is_cut_ends_where_it_ends_now() {
    let file = file(&content(CHUNK_BYTES + 1000));
    let mut window = FileWindow::open(file.path()).unwrap();
    assert_eq!(window.at(0, 1).unwrap().len(), CHUNK_BYTES);
    file.as_file().set_len(CHUNK_BYTES as u64 + 10).unwrap();
    let position = CHUNK_BYTES as u64 - 10;
    assert_eq!(window.at(position, 1000).unwrap().len(), 20);
    assert_eq!(window.length(), CHUNK_BYTES as u64 + 10);
    assert_eq!(window.at(window.length(), 1).unwrap(), b"");
}

#[test]
fn what_was_forgotten_is_read_again() {
    let file = file(b"old");
    let mut window = FileWindow::open(file.path()).unwrap();
    assert_eq!(window.at(0, 3).unwrap(), b"old");
    std::fs::write(file.path(), b"new").unwrap();
    assert_eq!(window.at(0, 3).unwrap(), b"old");
    window.forget();
    assert_eq!(window.in_memory(0), b"");
    assert_eq!(window.at(0, 3).unwrap(), b"new");
}

#[test]
fn finds_across_chunks() {
    let mut content = vec![7; 2 * CHUNK_BYTES + 100];
    let places = [0, 100, CHUNK_BYTES - 1, 2 * CHUNK_BYTES - 2, content.len() - 3];
    for at in places {
        content[at..at + 3].copy_from_slice(b"abc");
    }
    // not a whole one at the end
    content.extend_from_slice(b"ab");
    let file = file(&content);
    let mut window = FileWindow::open(file.path()).unwrap();
    let mut from = 0;
    for at in places {
        assert_eq!(window.find(b"abc", from, u64::MAX).unwrap(), Some(at as u64));
        from = at as u64 + 1;
    }
    assert_eq!(window.find(b"abc", from, u64::MAX).unwrap(), None);
}

#[test]
fn a_search_ends_behind_many_zeros() {
    let mut content = vec![1; 10];
    content.resize(5 * CHUNK_BYTES, 0);
    content.extend_from_slice(b"abc");
    let file = file(&content);
    let mut window = FileWindow::open(file.path()).unwrap();
    let at = 5 * CHUNK_BYTES as u64;
    assert_eq!(window.find(b"abc", 0, 2 * CHUNK_BYTES as u64).unwrap(), None);
    assert_eq!(window.find(b"abc", 0, u64::MAX).unwrap(), Some(at));
    assert_eq!(window.skip_zeros(10).unwrap(), at);
    assert_eq!(window.skip_zeros(9).unwrap(), 9);
    assert_eq!(window.skip_zeros(at + 3).unwrap(), at + 3);
    file.as_file().set_len(at).unwrap();
    let mut window = FileWindow::open(file.path()).unwrap();
    assert_eq!(window.skip_zeros(CHUNK_BYTES as u64).unwrap(), at);
}

#[test]
fn zeros() {
    assert!(is_zero(b""));
    assert!(is_zero(&[0; 10_000]));
    for at in [0, 4095, 4096, 9999] {
        let mut bytes = [0; 10_000];
        bytes[at] = 1;
        assert!(!is_zero(&bytes), "{at}");
    }
}
