//! Opens arbitrary bytes as a segment of a spool: never a panic, never a frame whose checksum fails, and what is left
//! takes new frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::stream::spool::{Frame, Spool, SpoolSettings};

fuzz_target!(|data: &[u8]| {
    let folder = std::env::temp_dir().join(format!("mqlake-fuzz-spool-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("00000000000000000000.spool"), data).unwrap();
    let settings = SpoolSettings { segment_bytes: 1 << 16, max_bytes: 1 << 20 };
    if let Ok(mut spool) = Spool::open(&folder, settings) {
        if let Some(start) = spool.start() {
            let mut reader = spool.reader(start).unwrap();
            while let Ok(Some(frame)) = reader.next() {
                assert!(frame.from <= frame.to);
            }
        }
        let from = spool.end().unwrap_or(0);
        if let Some(to) = from.checked_add(1) {
            spool.append(&Frame { kind: 1, from, to, payload: b"more" }).unwrap();
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
});
