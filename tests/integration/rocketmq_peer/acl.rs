//! Signatures of requests: SHA-1, HMAC and the check of ACL 2.0, written by hand so that they check the client's.
//!
//! Knows one user and no rights: whoever signs correctly may do everything.

use super::frame::Frame;
use super::response::{NO_PERMISSION, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BLOCK_BYTES: usize = 64;
/// Up to this version ordinal the mark of unique key queries is left out of the check.
const LAST_WITHOUT_MARK: i32 = 399;

/// The user that brokers know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// Access key, which is the user name.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl Acl {
    /// The refusal of a request that is not signed as it has to be.
    pub(super) fn check(&self, request: &Frame) -> Option<Response> {
        let refuse = |remark: &str| Some(Response::error(NO_PERMISSION, remark));
        let Some(user) = request.field("AccessKey").filter(|user| !user.is_empty()) else {
            return refuse("username cannot be null.");
        };
        if user != self.access_key {
            return refuse(&format!("User:{user} is not found."));
        }
        if request.field("Signature") != Some(&self.signature(request)) {
            return refuse("check signature failed.");
        }
        None
    }

    /// Signature of a request that has all fields but this one.
    pub fn signature(&self, request: &Frame) -> String {
        let unmarked = request.version <= LAST_WITHOUT_MARK;
        let mut content = Vec::new();
        // The names are ASCII, so their order in a map is that of UTF-16.
        for (name, value) in &request.fields {
            if name != "Signature" && !(unmarked && name == "_UNIQUE_KEY_QUERY") {
                content.extend_from_slice(value.as_bytes());
            }
        }
        content.extend_from_slice(&request.body);
        STANDARD.encode(hmac_sha1(self.secret_key.as_bytes(), &content))
    }
}

/// HMAC-SHA1 (RFC 2104).
fn hmac_sha1(key: &[u8], content: &[u8]) -> [u8; 20] {
    let mut block = [0; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..20].copy_from_slice(&sha1(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner: Vec<u8> = block.iter().map(|byte| byte ^ 0x36).chain(content.iter().copied()).collect();
    let outer: Vec<u8> = block.iter().map(|byte| byte ^ 0x5C).chain(sha1(&inner)).collect();
    sha1(&outer)
}

/// SHA-1 (RFC 3174).
fn sha1(content: &[u8]) -> [u8; 20] {
    let mut padded = content.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(BLOCK_BYTES), 0);
    if padded.len() - content.len() < 9 {
        padded.resize(padded.len() + BLOCK_BYTES, 0);
    }
    let length_at = padded.len() - 8;
    padded[length_at..].copy_from_slice(&(content.len() as u64 * 8).to_be_bytes());
    let mut state: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    for block in padded.chunks_exact(BLOCK_BYTES) {
        let mut words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| u32::from_be_bytes(*word.first_chunk().expect("4 bytes")))
            .collect();
        for at in 16..80 {
            let word = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words.push(word.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mix, constant) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5A82_7999),
                1 => (b ^ c ^ d, 0x6ED9_EBA1),
                2 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(mix).wrapping_add(e).wrapping_add(constant);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next.wrapping_add(*word));
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
