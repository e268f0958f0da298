//! TLS for the server: an API server sends its token over TLS only.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::clients::Clients;

/// The server's side of TLS, and who clients are that show a certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    pub config: Arc<ServerConfig>,
    pub clients: Arc<Clients>,
}

/// The server's side of TLS, from PEM files. With `client_ca`, certificates of clients that it vouches for are looked at; nobody has to show one, but a bad one
/// ends the connection. The process has installed its TLS provider before.
///
/// # Errors
/// Says which file is not what it should be.
pub fn load(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| format!("cannot read the certificate `{}`: {error}", cert.display()))?;
    if chain.is_empty() {
        return Err(format!("`{}` holds no certificate", cert.display()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("cannot read the private key `{}`: {error}", key.display()))?;
    let builder = match client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let bad = |error: &dyn std::fmt::Display| format!("cannot read the authority of clients `{}`: {error}", path.display());
            for root in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
                roots.add(root.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().map_err(|error| bad(&error))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| format!("the certificate and its key do not fit: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
