//! A bounds-checked reader of integers and strings over a byte slice.
//!
//! Formats of brokers consist of big-endian integers and length-prefixed strings. The cursor reads them in order without
//! copying. It never reads past the slice: a read that does not fit fails and leaves the cursor where it was. It never
//! interprets strings as UTF-8.

use thiserror::Error;

/// The slice ends before the value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the bytes end before the value does")]
pub struct Short;

/// Why a length-prefixed string could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StrError {
    /// The slice ends inside the length or the string.
    #[error("the bytes end before the string does")]
    Short,
    /// The length, a signed 16-bit number, is negative.
    #[error("negative string length {0}")]
    NegativeLength(i16),
}

impl From<Short> for StrError {
    fn from(Short: Short) -> Self {
        Self::Short
    }
}

/// A reading position in a byte slice.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

macro_rules! integer {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`Short`] if the slice ends first.
        #[inline]
        pub fn $name(&mut self) -> Result<$name, Short> {
            self.array().map($name::from_be_bytes)
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `bytes`.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    #[inline]
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number of bytes not read yet.
    #[inline]
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Short)?;
        self.rest = rest;
        Ok(*head)
    }

    integer! {
        /// Reads an unsigned byte.
        u8
        /// Reads a signed byte.
        i8
        /// Reads an unsigned 16-bit integer.
        u16
        /// Reads a signed 16-bit integer.
        i16
        /// Reads an unsigned 32-bit integer.
        u32
        /// Reads a signed 32-bit integer.
        i32
        /// Reads a signed 64-bit integer.
        i64
    }

    /// Reads `length` bytes.
    ///
    /// # Errors
    /// [`Short`] if fewer are left.
    #[inline]
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Short)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads a string with a signed 16-bit length, as raw bytes.
    ///
    /// # Errors
    /// [`StrError::NegativeLength`], or [`StrError::Short`] if the slice ends first.
    #[inline]
    pub fn str16(&mut self) -> Result<&'a [u8], StrError> {
        let mut ahead = *self;
        let length = ahead.i16()?;
        let text = ahead.bytes(usize::try_from(length).map_err(|_| StrError::NegativeLength(length))?)?;
        *self = ahead;
        Ok(text)
    }

    /// Reads bytes with an unsigned 16-bit length.
    ///
    /// # Errors
    /// [`Short`] if the slice ends first.
    #[inline]
    pub fn bytes_u16(&mut self) -> Result<&'a [u8], Short> {
        let mut ahead = *self;
        let length = ahead.u16()?;
        let bytes = ahead.bytes(usize::from(length))?;
        *self = ahead;
        Ok(bytes)
    }
}

/// Appends a 16-bit length and the bytes.
///
/// Like the brokers' own writer it keeps only the low 16 bits of a length above 65535, so the result is unreadable then.
pub(crate) fn put_bytes16(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_big_endian_integers_in_order() {
        let bytes = [
            0xff, 0xfe, 0x01, 0x02, 0xff, 0xff, 0xde, 0xc1, 0x0a, 0xde, 0xff, 0xff, 0xff, 0xfe, 0x00, 0x00,
            0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00,
        ];
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.u8(), Ok(0xff));
        assert_eq!(cursor.i8(), Ok(-2));
        assert_eq!(cursor.i16(), Ok(0x0102));
        assert_eq!(cursor.u16(), Ok(0xffff));
        assert_eq!(cursor.u32(), Ok(0xdec1_0ade));
        assert_eq!(cursor.i32(), Ok(-2));
        assert_eq!(cursor.remaining(), 8);
        assert_eq!(cursor.i64(), Ok(1_700_000_000_000));
        assert_eq!(cursor.u8(), Err(Short));
    }

    #[test]
    fn strings_with_bad_lengths_fail_and_leave_the_cursor_in_place() {
        let mut cursor = Cursor::new(&[0xff, 0xff, 1]);
        assert_eq!(cursor.str16(), Err(StrError::NegativeLength(-1)));
        assert_eq!(cursor.remaining(), 3);
        let mut cursor = Cursor::new(&[0, 2, b'a']);
        assert_eq!(cursor.str16(), Err(StrError::Short));
        assert_eq!(cursor.bytes_u16(), Err(Short));
        assert_eq!(cursor.bytes(4), Err(Short));
        assert_eq!(cursor.i64(), Err(Short));
        assert_eq!(cursor.rest(), [0, 2, b'a']);
    }

    #[test]
    fn lengths_above_32767_are_readable_as_unsigned_only() {
        let mut bytes = Vec::new();
        put_bytes16(&mut bytes, &[7; 40_000]);
        assert_eq!(Cursor::new(&bytes).bytes_u16().unwrap().len(), 40_000);
        assert_eq!(Cursor::new(&bytes).str16(), Err(StrError::NegativeLength(-25_536)));
    }

    proptest! {
        #[test]
        fn what_is_put_is_read_and_its_prefixes_are_short(
            text in proptest::collection::vec(any::<u8>(), 0..300),
            tail in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let mut bytes = Vec::new();
            put_bytes16(&mut bytes, &text);
            for end in 0..bytes.len() {
                prop_assert_eq!(Cursor::new(bytes.get(..end).unwrap()).str16(), Err(StrError::Short));
            }
            bytes.extend_from_slice(&tail);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.str16(), Ok(text.as_slice()));
            prop_assert_eq!(cursor.rest(), tail.as_slice());
        }

        #[test]
        fn arbitrary_bytes_and_lengths_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            length: usize,
        ) {
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.bytes(length).is_ok(), length <= bytes.len());
            while cursor.str16().is_ok() || cursor.i64().is_ok() || cursor.u8().is_ok() {}
            prop_assert_eq!(cursor.remaining(), 0);
        }
    }
}
