//! Bodies of the sync requests of a broker and of their answers (`SyncRequest`, `SyncLogProcessor`).
//!
//! Shapes only: this module never decides which offset to ask for next and never looks into the log bytes of an
//! answer. It covers the sync port of a normal broker, not that of a delay server.

use thiserror::Error;

use crate::codec::cursor::{Cursor, Short};

/// Size of a request body in bytes.
pub const REQUEST_BYTES: usize = 17;
/// What stands before the data of an answer, in bytes.
pub const ANSWER_HEADER_BYTES: usize = 12;

/// What a sync request asks for. The codes are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum SyncType {
    /// Bytes of the action log.
    Action = 1,
    /// Bytes of the message log.
    Message = 2,
    /// The end offsets of both logs.
    Heartbeat = 3,
    /// Index records derived from the message log.
    Index = 5,
}

impl SyncType {
    /// The code on the wire.
    #[must_use]
    pub const fn as_i8(self) -> i8 {
        self as i8
    }

    /// The type with this code, if a normal broker knows one.
    #[must_use]
    pub const fn from_i8(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Action),
            2 => Some(Self::Message),
            3 => Some(Self::Heartbeat),
            5 => Some(Self::Index),
            _ => None,
        }
    }

    /// `action`, `message`, `heartbeat` or `index`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Message => "message",
            Self::Heartbeat => "heartbeat",
            Self::Index => "index",
        }
    }
}

/// Why bytes are not the body of a sync request or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SyncError {
    /// The body ends too early.
    #[error("the body ends inside its {0}")]
    Truncated(&'static str),
    /// The body continues after its last field.
    #[error("{0} bytes left over after the last field of the body")]
    LeftOver(usize),
    /// The size of the data is negative.
    #[error("negative data size {0}")]
    NegativeSize(i32),
    /// The body has fewer data bytes than it announces.
    #[error("{found} data bytes instead of the {announced} announced")]
    DataCut {
        /// Data bytes by the size field.
        announced: usize,
        /// Data bytes there are.
        found: usize,
    },
    /// The sync type is not one of a normal broker.
    #[error("unknown sync type {0}")]
    UnknownSyncType(i8),
}

fn short(field: &'static str) -> impl Fn(Short) -> SyncError {
    move |Short| SyncError::Truncated(field)
}

fn used_up(cursor: &Cursor<'_>) -> Result<(), SyncError> {
    match cursor.remaining() {
        0 => Ok(()),
        left => Err(SyncError::LeftOver(left)),
    }
}

/// Body of a sync request. Offsets are byte positions in the logs; a negative one means the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// What is requested.
    pub sync_type: SyncType,
    /// Offset in the message log.
    pub message_offset: i64,
    /// Offset in the action log. An empty index answer can repeat this one, not the other.
    pub action_offset: i64,
}

impl Request {
    /// The bytes of the body.
    #[must_use]
    pub fn encode(&self) -> [u8; REQUEST_BYTES] {
        let mut out = [0; REQUEST_BYTES];
        let fields = [self.sync_type.as_i8().cast_unsigned()].into_iter();
        let offsets = [self.message_offset, self.action_offset].into_iter().flat_map(i64::to_be_bytes);
        out.iter_mut().zip(fields.chain(offsets)).for_each(|(place, byte)| *place = byte);
        out
    }

    /// Reads a body.
    ///
    /// # Errors
    /// A length other than [`REQUEST_BYTES`], or an unknown type.
    pub fn decode(body: &[u8]) -> Result<Self, SyncError> {
        let mut cursor = Cursor::new(body);
        let code = cursor.i8().map_err(short("sync type"))?;
        let message_offset = cursor.i64().map_err(short("message offset"))?;
        let action_offset = cursor.i64().map_err(short("action offset"))?;
        used_up(&cursor)?;
        let sync_type = SyncType::from_i8(code).ok_or(SyncError::UnknownSyncType(code))?;
        Ok(Self { sync_type, message_offset, action_offset })
    }
}

/// Body of the answer to an action, message or index request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Action and message: offset of the first data byte. Index: the offset to ask for next.
    pub start_offset: i64,
    /// Log bytes or index records; can be empty.
    pub data: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// A size field that is negative or does not fit the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, SyncError> {
        let mut cursor = Cursor::new(body);
        let size = cursor.i32().map_err(short("data size"))?;
        let start_offset = cursor.i64().map_err(short("start offset"))?;
        let announced = usize::try_from(size).map_err(|_| SyncError::NegativeSize(size))?;
        let found = cursor.remaining();
        let data = cursor.bytes(announced).map_err(|Short| SyncError::DataCut { announced, found })?;
        used_up(&cursor)?;
        Ok(Self { start_offset, data })
    }

    /// Appends the body. The data may have at most 2147483647 bytes; the size of more is wrapped.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.data.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.start_offset.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// Body of the answer to a heartbeat: the end offsets of the logs of the answering broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maxima {
    /// End of the message log.
    pub message: i64,
    /// End of the action log.
    pub action: i64,
}

impl Maxima {
    /// Reads a body.
    ///
    /// # Errors
    /// A length other than 16 bytes.
    pub fn decode(body: &[u8]) -> Result<Self, SyncError> {
        let mut cursor = Cursor::new(body);
        let message = cursor.i64().map_err(short("message maximum"))?;
        let action = cursor.i64().map_err(short("action maximum"))?;
        used_up(&cursor)?;
        Ok(Self { message, action })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.message.to_be_bytes());
        out.extend_from_slice(&self.action.to_be_bytes());
    }
}

/// Body of the answer to a checkpoint request: how far the answering broker has read, as text (`qmq-wire` 3.7 and 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint<'a> {
    /// Lines: version, offset, then `queue/greatest sequence`.
    pub messages: &'a [u8],
    /// Progress of pulls and acks.
    pub actions: &'a [u8],
}

impl<'a> Checkpoint<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// A length beyond the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, SyncError> {
        let mut cursor = Cursor::new(body);
        cursor.i8().map_err(short("checkpoint version"))?;
        let mut part = |field| {
            let length = cursor.i32().map_err(short(field))?;
            let length = usize::try_from(length).map_err(|_| SyncError::NegativeSize(length))?;
            cursor.bytes(length).map_err(short(field))
        };
        Ok(Self { messages: part("message checkpoint")?, actions: part("action checkpoint")? })
    }

    /// The greatest sequence of every queue, by its full name; lines of another form are left out.
    #[must_use]
    pub fn greatest_sequences(&self) -> Vec<(String, i64)> {
        let text = String::from_utf8_lossy(self.messages);
        let queue = |line: &str| {
            let (name, sequence) = line.rsplit_once('/')?;
            Some((name.to_owned(), sequence.parse().ok()?))
        };
        text.lines().skip(2).filter_map(queue).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::brokers::qmq::format::payload::tests::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The worked example of 3.7.
    #[test]
    fn a_checkpoint_has_the_greatest_sequence_of_every_queue() {
        let body = hex("01 0000001f 320a3435340a255245545259256f7264657225672f310a6f726465722f310a \
                        0000001c 330a2d310a6f726465722f310a672f302f322f310a63312f312f310a");
        let queues = Checkpoint::decode(&body).unwrap().greatest_sequences();
        assert_eq!(queues, [("%RETRY%order%g".to_owned(), 1), ("order".to_owned(), 1)]);
        for end in 0..body.len() {
            assert!(Checkpoint::decode(&body[..end]).is_err(), "{end} bytes");
        }
    }

    fn request(sync_type: SyncType, message_offset: i64, action_offset: i64) -> Request {
        Request { sync_type, message_offset, action_offset }
    }

    #[test]
    fn worked_examples_of_requests() {
        for (text, expected) in [
            ("05 ffffffffffffffff ffffffffffffffff", request(SyncType::Index, -1, -1)),
            ("03 00000000000001c6 00000000000000d2", request(SyncType::Heartbeat, 454, 210)),
        ] {
            assert_eq!(expected.encode().as_slice(), hex(text));
            assert_eq!(Request::decode(&hex(text)), Ok(expected));
        }
    }

    #[test]
    fn worked_examples_of_answers() {
        let index = "0000000000000000 0000018bcfe56800 0005 6f72646572 0002 6d31
            0000000000000001 0000018bcfe56801 0005 6f72646572 0002 6d32
            0000000000000000 0000018bcfe56802 000e 255245545259256f726465722567 0002 6d33
            0000000000000001 0000018bcfe56803 0005 6f72646572 0002 6d34";
        for (header, data, start_offset) in [
            ("00000075 00000000000001c6", index, 454),
            ("00000014 0000000000000071", "c3b2a1000000 00000037 0005 6f72646572 0001 67", 113),
            ("00000000 00000000000000d2", "", 210),
        ] {
            let (bytes, data) = (hex(&format!("{header}{data}")), hex(data));
            let answer = Answer { start_offset, data: &data };
            assert_eq!(Answer::decode(&bytes), Ok(answer));
            let mut again = Vec::new();
            answer.encode(&mut again);
            assert_eq!(again, bytes);
        }
    }

    #[test]
    fn worked_example_of_the_maxima() {
        let bytes = hex("00000000000001c6 00000000000000d2");
        let maxima = Maxima { message: 454, action: 210 };
        assert_eq!(Maxima::decode(&bytes), Ok(maxima));
        let mut again = Vec::new();
        maxima.encode(&mut again);
        assert_eq!(again, bytes);
    }

    #[test]
    fn answers_whose_size_does_not_fit_are_named() {
        for (text, expected) in [
            ("", SyncError::Truncated("data size")),
            ("00000001 00", SyncError::Truncated("start offset")),
            ("ffffffff 0000000000000000", SyncError::NegativeSize(-1)),
            ("00000003 0000000000000000 0102", SyncError::DataCut { announced: 3, found: 2 }),
            ("00000001 0000000000000000 0102", SyncError::LeftOver(1)),
        ] {
            assert_eq!(Answer::decode(&hex(text)), Err(expected), "{text}");
        }
    }

    #[test]
    fn requests_of_another_length_or_type_are_named() {
        let bytes = request(SyncType::Action, 1, 2).encode();
        assert_eq!(Request::decode(&bytes[..16]), Err(SyncError::Truncated("action offset")));
        assert_eq!(Request::decode(&[bytes.as_slice(), &[0; 24]].concat()), Err(SyncError::LeftOver(24)));
        for code in i8::MIN..=i8::MAX {
            let mut bytes = bytes;
            bytes[0] = code.cast_unsigned();
            match SyncType::from_i8(code) {
                Some(known) => assert_eq!((known.as_i8(), Request::decode(&bytes).is_ok()), (code, true)),
                None => assert_eq!(Request::decode(&bytes), Err(SyncError::UnknownSyncType(code))),
            }
        }
        assert_eq!(Maxima::decode(&[0; 15]), Err(SyncError::Truncated("action maximum")));
        assert_eq!(Maxima::decode(&[0; 17]), Err(SyncError::LeftOver(1)));
    }

    proptest! {
        #[test]
        fn encoding_then_decoding_is_identity(first: i64, second: i64, data in vec(any::<u8>(), 0..50)) {
            for code in [1, 2, 3, 5] {
                let request = request(SyncType::from_i8(code).unwrap(), first, second);
                prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
            }
            let mut bytes = Vec::new();
            let answer = Answer { start_offset: first, data: &data };
            answer.encode(&mut bytes);
            prop_assert_eq!(Answer::decode(&bytes), Ok(answer));
            for end in 0..bytes.len() {
                prop_assert!(Answer::decode(&bytes[..end]).is_err());
            }
            let mut bytes = Vec::new();
            let maxima = Maxima { message: first, action: second };
            maxima.encode(&mut bytes);
            prop_assert_eq!(Maxima::decode(&bytes), Ok(maxima));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(prop_oneof![2 => Just(0), 1 => any::<u8>()], 0..40)) {
            let _ = (Request::decode(&bytes), Maxima::decode(&bytes));
            if let Ok(answer) = Answer::decode(&bytes) {
                prop_assert_eq!(answer.data.len() + ANSWER_HEADER_BYTES, bytes.len());
            }
        }
    }
}
