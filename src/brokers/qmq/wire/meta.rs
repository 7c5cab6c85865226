//! Bodies of the two metaserver requests a backup sends, and of their answers (`BrokerAcquireMetaRequestSerializer`,
//! `BrokerRegisterRequestSerializer` and their counterparts).
//!
//! Shapes only. The caller decides which role a peer may claim: registering as master takes the group away from the
//! real one, so a client should only make requests with [`RegisterRequest::backup_heartbeat`].

use thiserror::Error;

use crate::codec::cursor::{Cursor, Short, StrError, put_bytes16};

/// What a broker process is in its group. The codes are those of the wire and of the metaserver's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Role {
    /// Takes messages and hands them out.
    Master = 0,
    /// Copies the master.
    Slave = 1,
    /// Known to the metaserver, not in use.
    Standby = 2,
    /// Delay server of an old kind.
    Delay = 3,
    /// Copies the slave and keeps the history.
    Backup = 4,
    /// Delay server that takes messages.
    DelayMaster = 5,
    /// Copies the delay master.
    DelaySlave = 6,
    /// Keeps the history of a delay server.
    DelayBackup = 7,
}

impl Role {
    /// The code on the wire.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        self as i32
    }

    /// The role with this code, if there is one.
    #[must_use]
    pub const fn from_i32(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Master),
            1 => Some(Self::Slave),
            2 => Some(Self::Standby),
            3 => Some(Self::Delay),
            4 => Some(Self::Backup),
            5 => Some(Self::DelayMaster),
            6 => Some(Self::DelaySlave),
            7 => Some(Self::DelayBackup),
            _ => None,
        }
    }

    /// The name operators know, for instance `BACKUP`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Slave => "SLAVE",
            Self::Standby => "STANDBY",
            Self::Delay => "DELAY",
            Self::Backup => "BACKUP",
            Self::DelayMaster => "DELAY_MASTER",
            Self::DelaySlave => "DELAY_SLAVE",
            Self::DelayBackup => "DELAY_BACKUP",
        }
    }
}

/// What a broker is ready to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum State {
    /// `RW`: takes messages and hands them out.
    ReadWrite = 1,
    /// `R`: only hands out.
    Read = 2,
    /// `W`: only takes.
    Write = 3,
    /// `NRW`: neither; the state of every backup.
    Neither = 4,
}

impl State {
    /// The code on the wire.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        self as i32
    }

    /// The state with this code, if there is one.
    #[must_use]
    pub const fn from_i32(code: i32) -> Option<Self> {
        match code {
            1 => Some(Self::ReadWrite),
            2 => Some(Self::Read),
            3 => Some(Self::Write),
            4 => Some(Self::Neither),
            _ => None,
        }
    }
}

/// Why a broker registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum RegisterType {
    /// It came up.
    Online = 0,
    /// It is still there.
    Heartbeat = 1,
    /// It goes away.
    Offline = 2,
}

impl RegisterType {
    /// The code on the wire.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        self as i32
    }

    /// The type with this code, if there is one.
    #[must_use]
    pub const fn from_i32(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Online),
            1 => Some(Self::Heartbeat),
            2 => Some(Self::Offline),
            _ => None,
        }
    }
}

/// Why bytes are not the body of a metaserver request or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MetaError {
    /// The body ends too early.
    #[error("the body ends inside its {0}")]
    Truncated(&'static str),
    /// A string has a negative length.
    #[error("negative length {length} of the {field}")]
    NegativeLength {
        /// Which of the strings.
        field: &'static str,
        /// The length found.
        length: i16,
    },
    /// The body continues after its last field.
    #[error("{0} bytes left over after the last field of the body")]
    LeftOver(usize),
    /// A code has no meaning.
    #[error("unknown {field} {code}")]
    UnknownCode {
        /// What the code is for.
        field: &'static str,
        /// The code found.
        code: i32,
    },
}

/// Reads the fields of a body in order and names the one that fails.
struct Fields<'a>(Cursor<'a>);

impl<'a> Fields<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self(Cursor::new(body))
    }

    fn number(&mut self, field: &'static str) -> Result<i32, MetaError> {
        self.0.i32().map_err(|Short| MetaError::Truncated(field))
    }

    fn code<T>(&mut self, field: &'static str, known: impl FnOnce(i32) -> Option<T>) -> Result<T, MetaError> {
        let code = self.number(field)?;
        known(code).ok_or(MetaError::UnknownCode { field, code })
    }

    fn text(&mut self, field: &'static str) -> Result<String, MetaError> {
        let text = self.0.str16().map_err(|error| match error {
            StrError::Short => MetaError::Truncated(field),
            StrError::NegativeLength(length) => MetaError::NegativeLength { field, length },
        })?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn end(self) -> Result<(), MetaError> {
        match self.0.remaining() {
            0 => Ok(()),
            left => Err(MetaError::LeftOver(left)),
        }
    }
}

/// Body of a request for the place of a broker in the cluster. The two fields are its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquireRequest {
    /// Host name, at most 32767 bytes; a longer one is unreadable.
    pub hostname: String,
    /// Serve port. A backup does not listen on it.
    pub serve_port: i32,
}

impl AcquireRequest {
    /// Reads a body; invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// A body that ends too early or too late, or a negative length.
    pub fn decode(body: &[u8]) -> Result<Self, MetaError> {
        let mut fields = Fields::new(body);
        let hostname = fields.text("host name")?;
        let serve_port = fields.number("serve port")?;
        fields.end()?;
        Ok(Self { hostname, serve_port })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes16(out, self.hostname.as_bytes());
        out.extend_from_slice(&self.serve_port.to_be_bytes());
    }
}

/// Body of the answer to an [`AcquireRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquireAnswer {
    /// Broker group the asker belongs to.
    pub group: String,
    /// Where to sync from, `ip:port`; empty for a role that does not sync.
    pub sync_address: String,
    /// Role of the asker.
    pub role: Role,
}

impl AcquireAnswer {
    /// Reads a body; invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// A body that ends too early or too late, a negative length, or an unknown role.
    pub fn decode(body: &[u8]) -> Result<Self, MetaError> {
        let mut fields = Fields::new(body);
        let group = fields.text("group")?;
        let sync_address = fields.text("sync address")?;
        let role = fields.code("role", Role::from_i32)?;
        fields.end()?;
        Ok(Self { group, sync_address, role })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes16(out, self.group.as_bytes());
        put_bytes16(out, self.sync_address.as_bytes());
        out.extend_from_slice(&self.role.as_i32().to_be_bytes());
    }
}

/// Body of a register request. Its answer has no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRequest {
    /// Why the broker registers.
    pub register_type: RegisterType,
    /// Its group.
    pub group: String,
    /// Its own address, `ip:port`.
    pub address: String,
    /// Its role.
    pub role: Role,
    /// Its state.
    pub state: State,
}

impl RegisterRequest {
    /// The one request a backup sends: a heartbeat with role BACKUP and state NRW.
    #[must_use]
    pub fn backup_heartbeat(group: &str, address: &str) -> Self {
        Self {
            register_type: RegisterType::Heartbeat,
            group: group.to_owned(),
            address: address.to_owned(),
            role: Role::Backup,
            state: State::Neither,
        }
    }

    /// Reads a body; invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// A body that ends too early or too late, a negative length, or an unknown code.
    pub fn decode(body: &[u8]) -> Result<Self, MetaError> {
        let mut fields = Fields::new(body);
        let register_type = fields.code("register type", RegisterType::from_i32)?;
        let group = fields.text("group")?;
        let address = fields.text("address")?;
        let role = fields.code("role", Role::from_i32)?;
        let state = fields.code("state", State::from_i32)?;
        fields.end()?;
        Ok(Self { register_type, group, address, role, state })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.register_type.as_i32().to_be_bytes());
        put_bytes16(out, self.group.as_bytes());
        put_bytes16(out, self.address.as_bytes());
        out.extend_from_slice(&self.role.as_i32().to_be_bytes());
        out.extend_from_slice(&self.state.as_i32().to_be_bytes());
    }
}

/// Body of the answer to a [`RegisterRequest`]: nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterAnswer;

impl RegisterAnswer {
    /// Reads a body.
    ///
    /// # Errors
    /// A body that is not empty.
    pub fn decode(body: &[u8]) -> Result<Self, MetaError> {
        Fields::new(body).end().map(|()| Self)
    }

    /// The bytes of the body.
    #[must_use]
    pub const fn encode(self) -> [u8; 0] {
        []
    }
}

#[cfg(test)]
#[path = "meta_tests.rs"]
mod tests;
