//! Opaque tokens of `/api/v1`: where the next page begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::query::lookup::MessagePlace;

/// Version of the token's form.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Token {
    v: u8,
    /// Checksum of the query that the page belongs to.
    q: u32,
    p: MessagePlace,
}

/// A token for the page of a query that begins at `place`.
pub(super) fn encode(query: &str, place: MessagePlace) -> String {
    let token = Token { v: VERSION, q: crc32fast::hash(query.as_bytes()), p: place };
    let body = serde_json::to_vec(&token).unwrap_or_default();
    let mut bytes = crc32fast::hash(&body).to_be_bytes().to_vec();
    bytes.extend(body);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of a token begins.
pub(super) fn decode(query: &str, text: &str) -> Result<MessagePlace, Refusal> {
    let wrong = |what: &str| Refusal::field("page", what);
    let foreign = "is no token of this server: pass `next` of the previous page unchanged, or leave it out";
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong(foreign))?;
    let (sum, body) = bytes.split_first_chunk::<4>().ok_or_else(|| wrong(foreign))?;
    if crc32fast::hash(body).to_be_bytes() != *sum {
        return Err(wrong(foreign));
    }
    let token: Token = serde_json::from_slice(body).map_err(|_| wrong(foreign))?;
    if token.v != VERSION || token.q != crc32fast::hash(query.as_bytes()) {
        return Err(wrong("belongs to another query; begin again without it"));
    }
    Ok(token.p)
}
