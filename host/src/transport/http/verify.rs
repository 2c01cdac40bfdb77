//! How a client of HTTP verifies certificates.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder};

use super::super::{Verify, install_crypto};
use super::failure::chain;

/// A file of authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("verify = {path:?}: {cause}; name a PEM file with the authorities' certificates")]
pub struct VerifyError {
    path: PathBuf,
    cause: String,
}

/// Lets a client verify certificates as the settings say. A file is read now.
///
/// # Errors
/// [`VerifyError`].
pub fn verified(builder: ClientBuilder, verify: &Verify) -> Result<ClientBuilder, VerifyError> {
    install_crypto();
    match verify {
        Verify::System | Verify::Switch(true) => Ok(builder),
        Verify::Switch(false) => Ok(builder.tls_danger_accept_invalid_certs(true)),
        Verify::File(path) => authorities(path).map(|all| builder.tls_certs_only(all)),
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, VerifyError> {
    let wrong = |cause: String| VerifyError { path: path.to_owned(), cause };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(chain(&error)))?;
    if certificates.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(certificates)
}
