//! Tests of TLS against a server with certificates made here.
#![allow(clippy::indexing_slicing)]

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::brokers::rocketmq::wire::client::connection::Connection;
use crate::brokers::rocketmq::wire::client::error::RemoteError;
use crate::brokers::rocketmq::wire::client::fake::{PATIENCE, Peer, listen, response, settings as plain};
use crate::brokers::rocketmq::wire::command::Command;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// PEM of a certificate for a host that nobody asks for, and of its key.
fn issued_by(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["some-broker.invalid".to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// A server with a certificate of `authority`. It asks for a certificate of the same if `mutual`.
fn acceptor(authority: &Authority, mutual: bool) -> TlsAcceptor {
    let (chain, key) = issued_by(authority);
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// Asks a server once.
async fn ask(acceptor: TlsAcceptor, settings: &TlsSettings) -> Result<Command, RemoteError> {
    let (listener, address) = listen().await;
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(stream) = acceptor.accept(stream).await else {
            return;
        };
        let mut peer = Peer::over(stream);
        if let Some(request) = peer.next().await {
            peer.answer(&response(&request, 0, &[1; 30_000])).await;
        }
    };
    let client = async {
        let tls = Some(Tls::load(settings).unwrap());
        let connection = Connection::open(
            &address,
            &crate::brokers::rocketmq::wire::client::connection::ConnectionSettings { tls, ..plain() },
        )
        .await?;
        connection.call(Command::request(106), "GET_BROKER_CLUSTER_INFO", PATIENCE).await
    };
    tokio::join!(server, client).1
}

fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn a_certificate_of_the_authority_is_taken_whatever_it_names() {
    let (dir, authority) = (TempDir::new().unwrap(), authority());
    let settings =
        TlsSettings { ca_file: Some(file(&dir, "ca.pem", &authority.pem())), ..TlsSettings::default() };
    let answer = ask(acceptor(&authority, false), &settings).await.unwrap();
    assert_eq!(answer.body.len(), 30_000);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_unless_any_is_accepted() {
    let (dir, ours, theirs) = (TempDir::new().unwrap(), authority(), authority());
    let mut settings =
        TlsSettings { ca_file: Some(file(&dir, "ca.pem", &ours.pem())), ..TlsSettings::default() };
    let error = ask(acceptor(&theirs, false), &settings).await.unwrap_err();
    assert!(
        matches!(&error, RemoteError::Connect { .. }) && error.to_string().contains("certificate"),
        "{error}"
    );
    settings.accept_any_certificate = true;
    ask(acceptor(&theirs, false), &settings).await.unwrap();
    ask(acceptor(&theirs, false), &TlsSettings { ca_file: None, ..settings }).await.unwrap();
}

#[tokio::test]
async fn a_server_can_ask_for_a_certificate() {
    let (dir, authority) = (TempDir::new().unwrap(), authority());
    let (chain, key) = issued_by(&authority);
    let mut settings = TlsSettings {
        ca_file: Some(file(&dir, "ca.pem", &authority.pem())),
        client: Some((file(&dir, "client.pem", &chain), file(&dir, "client.key", &key))),
        ..TlsSettings::default()
    };
    ask(acceptor(&authority, true), &settings).await.unwrap();
    settings.client = None;
    // The handshake seems to succeed.
    let error = ask(acceptor(&authority, true), &settings).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Closed { .. }), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_noticed() {
    let (listener, address) = listen().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"\0\0\0\x06\0\0\0\x02{}").await.unwrap();
    };
    let settings = TlsSettings { accept_any_certificate: true, ..TlsSettings::default() };
    let tls = Some(Tls::load(&settings).unwrap());
    let settings = crate::brokers::rocketmq::wire::client::connection::ConnectionSettings { tls, ..plain() };
    let (opened, ()) = tokio::join!(Connection::open(&address, &settings), server);
    assert!(matches!(opened, Err(RemoteError::Connect { .. })));
}

#[test]
fn settings_of_no_use_are_named() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(Tls::load(&TlsSettings::default()), Err(TlsError::NothingTrusted)));
    let with_ca = |path| Tls::load(&TlsSettings { ca_file: Some(path), ..TlsSettings::default() });
    assert!(matches!(with_ca(dir.path().join("missing")), Err(TlsError::File { .. })));
    let error = with_ca(file(&dir, "empty.pem", "nothing")).unwrap_err();
    assert!(error.to_string().ends_with("empty.pem: no certificate in it"), "{error}");
    let (ours, theirs) = (issued_by(&authority()), issued_by(&authority()));
    let client = Some((file(&dir, "a.pem", &ours.0), file(&dir, "b.key", &theirs.1)));
    let settings = TlsSettings { client, accept_any_certificate: true, ca_file: None };
    assert!(matches!(Tls::load(&settings), Err(TlsError::Settings(_))));
}
