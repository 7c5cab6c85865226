//! Output buffer of the decoders of compressed bodies.

/// The stream is damaged, cut, or of another kind.
#[derive(Debug)]
pub(super) struct BadStream;

/// Takes decoded bytes up to a limit, and keeps or only counts them.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) kept: Option<Vec<u8>>,
    pub(super) bytes: usize,
    limit: usize,
    full: bool,
}

impl Output {
    pub(super) fn new(limit: usize, keep: bool) -> Self {
        Self { kept: keep.then(Vec::new), bytes: 0, limit, full: false }
    }

    /// Whether more bytes came than the limit allows.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn push(&mut self, decoded: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes);
        self.full |= decoded.len() > room;
        let taken = decoded.get(..room).unwrap_or(decoded);
        self.bytes += taken.len();
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(taken);
        }
    }
}
