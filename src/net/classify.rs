//! From what went wrong to a [`Fault`]: errors of the operating system and of TLS.

use std::io;

use super::wire::{Meter, SocketError};
use crate::fault::Fault;

/// The class of an operating system error that says that this machine has run out of something.
pub(super) fn exhausted(os: i32) -> Option<Fault> {
    match os {
        libc::EMFILE | libc::ENFILE => Some(Fault::TOO_MANY_OPEN_FILES),
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => Some(Fault::NO_LOCAL_PORTS),
        libc::ENOBUFS | libc::ENOMEM => Some(Fault::NO_MEMORY),
        _ => None,
    }
}

/// The class of a failure to connect.
pub(super) fn dial(error: &io::Error) -> Fault {
    if let Some(fault) = error.raw_os_error().and_then(exhausted) {
        return fault;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::DIAL_REFUSED,
        io::ErrorKind::TimedOut => Fault::DIAL_TIMEOUT,
        io::ErrorKind::ConnectionReset => Fault::TCP_RESET,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Fault::DIAL_UNREACHABLE,
        _ if error.raw_os_error().is_some() => Fault::DIAL_UNKNOWN,
        _ => Fault::DIAL,
    }
}

/// The class of a failure on an open connection.
pub(super) fn socket(error: SocketError) -> Fault {
    if let Some(fault) = error.os.and_then(exhausted) {
        return fault;
    }
    match error.kind {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Fault::TCP_RESET,
        io::ErrorKind::BrokenPipe => Fault::TCP_BROKEN_PIPE,
        io::ErrorKind::TimedOut => Fault::TCP_TIMEOUT,
        _ if error.os.is_some() => Fault::TCP_UNKNOWN,
        _ => Fault::TCP,
    }
}

/// The class of a failed handshake, and what happened in words.
pub(super) fn handshake(error: &io::Error, meter: &Meter) -> (Fault, String) {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return (tls_fault(tls), tls.to_string());
    }
    if let Some(seen) = meter.error() {
        return (socket(seen), error.to_string());
    }
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return (Fault::TLS, "connection closed during the handshake".to_owned());
    }
    (Fault::TLS, error.to_string())
}

fn tls_fault(error: &rustls::Error) -> Fault {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => Fault::TLS_UNKNOWN_AUTHORITY,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Fault::TLS_HOSTNAME_MISMATCH,
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                Fault::TLS_CERTIFICATE_TIME
            }
            _ => Fault::TLS_BAD_CERTIFICATE,
        },
        rustls::Error::AlertReceived(_) => Fault::TLS_ALERT,
        _ => Fault::TLS,
    }
}

/// The class of a failure to read, and what happened in words.
pub(super) fn reading(error: &io::Error, meter: &Meter) -> (Fault, String) {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return (tls_fault(tls), tls.to_string());
    }
    // The first error tells the cause: a write may have failed before.
    let fault = socket(meter.error().unwrap_or(SocketError { kind: error.kind(), os: error.raw_os_error() }));
    (fault, fault.message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operating_system_errors_become_classes() {
        for (os, dialing, open) in [
            (libc::EMFILE, Fault::TOO_MANY_OPEN_FILES, Fault::TOO_MANY_OPEN_FILES),
            (libc::ENFILE, Fault::TOO_MANY_OPEN_FILES, Fault::TOO_MANY_OPEN_FILES),
            (libc::EADDRNOTAVAIL, Fault::NO_LOCAL_PORTS, Fault::NO_LOCAL_PORTS),
            (libc::ENOBUFS, Fault::NO_MEMORY, Fault::NO_MEMORY),
            (libc::ECONNREFUSED, Fault::DIAL_REFUSED, Fault::TCP_UNKNOWN),
            (libc::ETIMEDOUT, Fault::DIAL_TIMEOUT, Fault::TCP_TIMEOUT),
            (libc::ECONNRESET, Fault::TCP_RESET, Fault::TCP_RESET),
            (libc::EPIPE, Fault::DIAL_UNKNOWN, Fault::TCP_BROKEN_PIPE),
            (libc::ENETUNREACH, Fault::DIAL_UNREACHABLE, Fault::TCP_UNKNOWN),
            (libc::EHOSTUNREACH, Fault::DIAL_UNREACHABLE, Fault::TCP_UNKNOWN),
        ] {
            let error = io::Error::from_raw_os_error(os);
            assert_eq!(dial(&error), dialing, "{error}");
            assert_eq!(socket(SocketError { kind: error.kind(), os: Some(os) }), open, "{error}");
        }
    }

    #[test]
    fn tls_errors_become_classes() {
        use rustls::{AlertDescription, CertificateError as Bad, Error};
        for (error, fault) in [
            (Error::InvalidCertificate(Bad::UnknownIssuer), Fault::TLS_UNKNOWN_AUTHORITY),
            (Error::InvalidCertificate(Bad::NotValidForName), Fault::TLS_HOSTNAME_MISMATCH),
            (Error::InvalidCertificate(Bad::Expired), Fault::TLS_CERTIFICATE_TIME),
            (Error::InvalidCertificate(Bad::NotValidYet), Fault::TLS_CERTIFICATE_TIME),
            (Error::InvalidCertificate(Bad::BadSignature), Fault::TLS_BAD_CERTIFICATE),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), Fault::TLS_ALERT),
            (Error::DecryptError, Fault::TLS),
        ] {
            let wrapped = io::Error::new(io::ErrorKind::InvalidData, error.clone());
            assert_eq!(handshake(&wrapped, &Meter::default()).0, fault, "{error}");
        }
    }
}
