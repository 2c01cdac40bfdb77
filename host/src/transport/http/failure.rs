//! What to say when there is no answer.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::super::policy::ResolveError;
use super::super::{Answer, FailedKind};

/// An error and its causes in one line, each once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error).skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// An error and its causes; an I/O error's inner error is one of them.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| inner(*error))
}

fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// What can be done about a certificate that does not verify.
pub(in crate::transport) fn tls_advice(error: &(dyn Error + 'static)) -> Option<String> {
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
    let advice = match tls {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "the server's certificate is self-signed or comes from an authority that this machine does not know; \
                 set verify = \"/path/to/authority.pem\" (verify = false turns verification off)"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the server's certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; is this machine's clock right?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host name; write the host as it stands in the certificate"
            }
            CertificateError::Revoked => "the server's certificate has been revoked",
            _ => {
                "the server's certificate cannot be used (an authority's certificate, as `openssl req -x509` makes them, \
                 is not accepted as a server's own)"
            }
        },
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS on this port, or speaks something else first",
        _ => return None,
    };
    Some(format!("{advice} ({tls})"))
}

/// The answer to a request that got none.
pub(super) fn failed(error: reqwest::Error) -> Answer {
    let connecting = error.is_connect();
    let timeout = error.is_timeout();
    // The URL may hold secrets, and the delivery names its endpoint anyway.
    let error = error.without_url();
    if let Some(denied) = causes(&error).find_map(|cause| cause.downcast_ref::<ResolveError>()) {
        let kind = match denied {
            ResolveError::Unknown { .. } => FailedKind::NotSent,
            ResolveError::Denied { .. } => FailedKind::Never,
        };
        return Answer::failed(kind, denied.to_string());
    }
    if let Some(advice) = tls_advice(&error) {
        return Answer::failed(FailedKind::NotSent, format!("TLS: {advice}"));
    }
    let text = chain(&error);
    if error.is_builder() {
        Answer::failed(FailedKind::Never, text)
    } else if connecting && timeout {
        Answer::failed(FailedKind::NotSent, "no connection within 10 seconds; is the host right, and does a firewall let it through?")
    } else if connecting {
        Answer::failed(FailedKind::NotSent, text)
    } else {
        Answer::failed(FailedKind::Unknown, text)
    }
}
