//! TLS 1.3, on both sides of the door: certificates and keys from PEM, and what rustls makes of them.
//!
//! Invariant: there is no older version and no way to skip a check. The one client that believes a
//! certificate without its authority, [`Client::pinned`], believes exactly that one certificate.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate in what should have some.
    #[error("there is no certificate in it; expected PEM, -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// No private key in what should have one.
    #[error("there is no private key in it; expected PEM, -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// It is none that can be used, or key and certificate do not belong together.
    #[error("it cannot be used")]
    Unusable(#[source] rustls::Error),
    /// An authority that is none.
    #[error("it cannot be used")]
    Authority(#[source] rustls::client::VerifierBuilderError),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Unusable(error)
    }
}

/// A certificate with those that lead to its authority.
#[derive(Clone, Debug)]
pub struct Chain(Vec<CertificateDer<'static>>);

impl Chain {
    /// The certificates in `pem`, the own one first.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match chain {
            Ok(chain) if !chain.is_empty() => Ok(Self(chain)),
            _ => Err(TlsError::NoCertificate),
        }
    }

    /// Each certificate's bytes.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// As authorities: whoever they signed is believed.
    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.0 {
            roots.add(certificate.clone())?;
        }
        Ok(Arc::new(roots))
    }
}

/// A private key. Never printed.
pub struct Key(PrivateKeyDer<'static>);

impl Key {
    /// The first private key in `pem`.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        PrivateKeyDer::from_pem_slice(pem).map(Self).map_err(|_| TlsError::NoKey)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A server's side.
#[derive(Clone)]
pub struct Server(Arc<ServerConfig>);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server(..)")
    }
}

impl Server {
    /// Shows `chain`, of which `key` is the key. A caller may show a certificate by one of `callers`; one
    /// that shows another does not get in.
    ///
    /// # Errors
    /// When key and certificate do not belong together, or an authority is none.
    pub fn new(chain: Chain, key: Key, callers: Option<&Chain>) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(&[&TLS13])?;
        let builder = match callers {
            None => builder.with_no_client_auth(),
            Some(callers) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(callers.roots()?, provider());
                // Health and checkpoints are for everybody: who shows none is judged call by call.
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(TlsError::Authority)?)
            }
        };
        let mut config = builder.with_single_cert(chain.0, key.0)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A certificate is looked at each time, and nothing is kept of callers who have gone.
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }

    /// For the library.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.clone()
    }
}

/// A client's side.
#[derive(Clone)]
pub struct Client(ClientConfig);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

impl Client {
    /// Believes servers by `authorities`, or by those of this machine, and shows `own` where asked.
    ///
    /// # Errors
    /// When an authority is none, or key and certificate do not belong together.
    pub fn new(authorities: Option<&Chain>, own: Option<(Chain, Key)>) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(&[&TLS13])?;
        let builder = match authorities {
            None => builder.with_platform_verifier(),
            Some(authorities) => {
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(authorities.roots()?, provider());
                builder.with_webpki_verifier(verifier.build().map_err(TlsError::Authority)?)
            }
        };
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain.0, key.0)?,
        };
        Ok(Self(config))
    }

    /// Believes the one server that shows the first certificate of `chain`, by whatever name.
    ///
    /// # Errors
    /// Never, unless TLS 1.3 is not built in.
    pub fn pinned(chain: &Chain) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(&[&TLS13])?;
        let certificate = chain.0.first().ok_or(TlsError::NoCertificate)?.clone();
        let pinned = Arc::new(Pinned { certificate, provider: provider() });
        let builder = builder.dangerous().with_custom_certificate_verifier(pinned);
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(config))
    }

    /// For the library.
    pub const fn config(&self) -> &ClientConfig {
        &self.0
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Whoever has the key of this certificate.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
