//! Signatures of requests (RocketMQ remoting: signature; the same for ACL 1.0 and 2.0).
//!
//! [`Credentials::sign`] adds the access key and a signature over all fields and the body, so it is the last step
//! before a request is sent. The secret is used up when the credentials are created: it is neither stored nor shown.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use thiserror::Error;

use super::command::Command;

const ACCESS_KEY: &str = "AccessKey";
const SECURITY_TOKEN: &str = "SecurityToken";
const SIGNATURE: &str = "Signature";

/// Why texts cannot be used as credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CredentialsError {
    /// A broker would take the request for one without a user.
    #[error("the access key is empty")]
    NoAccessKey,
    /// The secret is empty or cannot be used for a signature.
    #[error("the secret key is empty or unusable")]
    BadSecretKey,
}

/// A user and its signing key.
#[derive(Clone)]
pub struct Credentials {
    access_key: String,
    security_token: Option<String>,
    mac: Hmac<Sha1>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Creates credentials from an access key (in ACL 2.0 the user name), its secret key (the password), and a security
    /// token if the service that issued them also issued one.
    ///
    /// # Errors
    /// [`CredentialsError`] if the access key or the secret key is empty.
    pub fn new(
        access_key: &str,
        secret_key: &str,
        security_token: Option<&str>,
    ) -> Result<Self, CredentialsError> {
        if access_key.is_empty() {
            return Err(CredentialsError::NoAccessKey);
        }
        if secret_key.is_empty() {
            return Err(CredentialsError::BadSecretKey);
        }
        let mac = Hmac::new_from_slice(secret_key.as_bytes()).map_err(|_| CredentialsError::BadSecretKey)?;
        let security_token = security_token.filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Self { access_key: access_key.to_owned(), security_token, mac })
    }

    /// Adds access key, security token and signature to the fields. Signing again replaces them. Nothing in fields or
    /// body may change afterwards; opaque, flag and remark may.
    pub fn sign(&self, command: &mut Command) {
        let fields = &mut command.fields;
        fields.retain(|(name, _)| ![ACCESS_KEY, SECURITY_TOKEN, SIGNATURE].contains(&name.as_str()));
        fields.push((ACCESS_KEY.to_owned(), self.access_key.clone()));
        if let Some(token) = &self.security_token {
            fields.push((SECURITY_TOKEN.to_owned(), token.clone()));
        }
        let signature = self.signature(command);
        command.fields.push((SIGNATURE.to_owned(), signature));
    }

    /// The values of the fields in the order of their names, then the body, under HMAC-SHA1 and in Base64.
    fn signature(&self, command: &Command) -> String {
        // Java orders texts by their UTF-16 code units, and of two fields with one name the last counts.
        let sorted: BTreeMap<Vec<u16>, &str> = command
            .fields
            .iter()
            .map(|(name, value)| (name.encode_utf16().collect(), value.as_str()))
            .collect();
        let mut mac = self.mac.clone();
        for value in sorted.into_values() {
            mac.update(value.as_bytes());
        }
        mac.update(&command.body);
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
