//! Big-endian fields at fixed positions of bytes whose length was checked before.
//!
//! A field beyond the end of the bytes reads as zero. Never use this for formats that contain lengths.

/// The signed 16-bit integer at `at`.
pub(super) fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(array_at(bytes, at))
}

/// The signed 32-bit integer at `at`.
pub(super) fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(array_at(bytes, at))
}

/// The signed 64-bit integer at `at`.
pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_what_lies_beyond_the_end() {
        let bytes = [1, 0xff, 0xfe, 0, 0, 0, 0, 0, 7];
        assert_eq!(
            (i16_at(&bytes, 1), i32_at(&bytes, 5), i64_at(&bytes, 1)),
            (-2, 7, -0x0001_ffff_ffff_fff9)
        );
        assert_eq!((i16_at(&bytes, 8), i32_at(&bytes, 6), i64_at(&bytes, usize::MAX)), (0, 0, 0));
    }
}
