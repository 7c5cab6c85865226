//! **OWN-ORIGIN**: which requests this server answers as long as it has no authentication.
//!
//! A browser that can reach this server also shows pages of other sites. Two checks keep those out. First, the host
//! name of a request must be one of this server's. Otherwise a page whose name was made to resolve to this server (DNS
//! rebinding) could read everything. Second, a request that can change something, or costs much, must not come from a
//! page of another origin. Clients that are not browsers do not send these fields and are not affected.
//!
//! It authenticates nobody and reads no body; [`super::body`] checks content types.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Problem;
use super::server::OverSocket;
use crate::config;
use crate::config::hosts::{Authority, Host, HostPattern, Origin};
use crate::error::{Error, Result};

/// Route of statements: reads, but possibly expensive ones.
const SQL_ROUTE: &str = "/api/sql";
/// Minimum time between two log lines about refused names.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The names and origins of this server.
#[derive(Debug)]
pub(super) struct Guard {
    is_loopback: bool,
    hosts: Vec<HostPattern>,
    origins: Vec<Origin>,
    logged: Mutex<Option<Instant>>,
}

impl Guard {
    /// A guard with the names and origins of the settings.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid name or origin.
    pub(super) fn new(http: &config::Http) -> Result<Guard> {
        let wrong = |name: &str, text: &str| Error::Config(format!("http.{name} has `{text}`"));
        let hosts =
            http.hosts.iter().map(|text| HostPattern::parse(text).ok_or_else(|| wrong("hosts", text)));
        let origins =
            http.origins.iter().map(|text| Origin::parse(text).ok_or_else(|| wrong("origins", text)));
        Ok(Guard {
            is_loopback: http.listen.ip().to_canonical().is_loopback(),
            hosts: hosts.collect::<Result<_>>()?,
            origins: origins.collect::<Result<_>>()?,
            logged: Mutex::new(None),
        })
    }

    /// Checks whether a request may be answered.
    ///
    /// # Errors
    /// The problem with which it is refused.
    pub(super) fn admit(&self, request: &Request) -> std::result::Result<(), Problem> {
        let own = self.host_of(request)?;
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let is_costly = request.uri().path() == SQL_ROUTE && !is_visit(request.headers());
        if is_read && !is_costly {
            return Ok(());
        }
        self.check_origin(request.headers(), own.as_ref())
    }

    fn is_own_host(&self, authority: &Authority) -> bool {
        let is_known = match &authority.host {
            // reserved: no public name server can make it resolve elsewhere
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => self.is_own_address(*address),
        };
        is_known || self.hosts.iter().any(|pattern| pattern.matches(authority))
    }

    /// A page cannot make an address lead elsewhere, so every address counts as this server's: load balancers and
    /// containers translate addresses, so the server does not know its own. On a loopback listener only loopback
    /// addresses count.
    fn is_own_address(&self, address: IpAddr) -> bool {
        !self.is_loopback || address.is_loopback()
    }

    /// The host of a request; `None` if it has none, as with HTTP/1.0 clients.
    fn host_of(&self, request: &Request) -> std::result::Result<Option<Authority>, Problem> {
        let mut fields = request.headers().get_all(HOST).iter();
        let (field, another) = (fields.next(), fields.next());
        if another.is_some() {
            return Err(unreadable_host("the request has several Host fields"));
        }
        let mut found = None;
        // a host in the request target, as in HTTP/2, takes precedence over the field
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        for text in [field.map(axum::http::HeaderValue::as_bytes), target].into_iter().flatten() {
            let authority = std::str::from_utf8(text).ok().and_then(Authority::parse);
            let Some(authority) = authority else {
                let text = String::from_utf8_lossy(text);
                return Err(unreadable_host(&format!("`{}` is no host", text.escape_debug())));
            };
            if !self.is_own_host(&authority) {
                return Err(self.foreign_host(&String::from_utf8_lossy(text)));
            }
            found = Some(authority);
        }
        if found.is_none()
            && request.version() == Version::HTTP_11
            && request.extensions().get::<OverSocket>().is_some()
        {
            return Err(unreadable_host("the request has no Host field"));
        }
        Ok(found)
    }

    fn foreign_host(&self, host: &str) -> Problem {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        // rate-limited, because anybody can cause these lines
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            let host = host.escape_debug().to_string();
            tracing::warn!(
                host,
                "a request for another host name was refused; if it is yours, list it in http.hosts"
            );
        }
        drop(logged);
        Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            format!("this server does not answer under the name `{}`", host.escape_debug()),
        )
        .hint("ask by address or as localhost, or list the name in http.hosts of the server's settings")
    }

    /// Refuses a request that comes from a page of another origin.
    fn check_origin(&self, headers: &HeaderMap, own: Option<&Authority>) -> std::result::Result<(), Problem> {
        let mut fields = headers.get_all(ORIGIN).iter();
        let (field, another) = (fields.next(), fields.next());
        if another.is_some() {
            return Err(foreign_origin("the request has several Origin fields".to_owned()));
        }
        if let Some(field) = field {
            let origin = field.to_str().ok().and_then(Origin::parse);
            if origin.as_ref().is_some_and(|origin| self.origins.contains(origin)) {
                return Ok(());
            }
            let is_own = origin.zip(own).is_some_and(|(origin, own)| origin.is_of(own));
            if !is_own {
                let text = String::from_utf8_lossy(field.as_bytes()).escape_debug().to_string();
                return Err(foreign_origin(format!("the request comes from a page of `{text}`")));
            }
        }
        // another port of the same host is the same site, but another origin
        let is_own_site = |site: &str| site == "same-origin" || site == "none";
        for site in headers.get_all("sec-fetch-site") {
            if !site.to_str().is_ok_and(is_own_site) {
                let text = String::from_utf8_lossy(site.as_bytes()).escape_debug().to_string();
                return Err(foreign_origin(format!("the request comes from a page elsewhere ({text})")));
            }
        }
        Ok(())
    }
}

fn unreadable_host(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-host", what)
        .hint("send one Host field with the name or address of the server")
}

fn foreign_origin(what: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", what)
        .hint("ask from a page of this server or from a program, or list the origin in http.origins of the server's settings")
}

/// Middleware: passes a request on, or answers with the reason why it is refused.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Whether the request is a navigation, such as a followed link: its answer is shown to the user, so a page cannot send
/// many of them unnoticed.
fn is_visit(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("sec-fetch-mode", "navigate")
        && (is("sec-fetch-dest", "document") || !headers.contains_key("sec-fetch-dest"))
}
