//! What can go wrong with a request, as stable numeric classes, and whose side failed.
//!
//! The numbers follow k6's `error_code` where k6 has one, so that dashboards and scripts carry over. Scripts see the code
//! as `res.error_code`, the summary groups by it. Nothing here formats a particular error: that is the job of the layer
//! that saw it.
//!
//! | range | what |
//! | --- | --- |
//! | 1000 - 1099 | general: bad URL, timeout |
//! | 1100 - 1199 | name resolution |
//! | 1200 - 1299 | TCP |
//! | 1300 - 1399 | TLS |
//! | 1400 - 1599 | HTTP statuses: 1000 and the status |
//! | 1600 - 1699 | HTTP/2 (k6's numbers, kept free) |
//! | 1700 - 1799 | bodies: decompression |
//! | 1800 - 1899 | HTTP: the response breaks the protocol or a bound; redirects |
//! | 1900 - 1999 | the machine that generates the load |
//! | 2000 - 2099 | the script |

use serde::{Deserialize, Serialize};

/// Whose side a failure is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The system under test answered wrongly, or not at all.
    Target,
    /// Something between: name resolution, routing.
    Network,
    /// The journey: a script error, a bad URL, a wrong option.
    Script,
    /// loadr itself or the machine it runs on: file descriptors, ports, memory.
    Generator,
}

impl Side {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Network => "network",
            Self::Script => "script",
            Self::Generator => "generator",
        }
    }
}

/// A class of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The stable number.
    pub code: u32,
    /// Whose side failed.
    pub side: Side,
    /// What failed, as a lowercase fragment without the parts that differ from case to case.
    pub message: &'static str,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $constant:ident = $code:literal, $side:ident, $message:literal;)*) => {
        impl Fault {
            $($(#[$doc])* pub const $constant: Self = Self { code: $code, side: Side::$side, message: $message };)*

            /// Every class but the HTTP statuses, by rising number.
            pub const TABLE: &[Self] = &[$(Self::$constant),*];
        }
    };
}

faults! {
    /// None of the others.
    GENERIC = 1000, Target, "request failed";
    /// The URL can't be parsed, has no host, or a scheme other than `http` and `https`.
    INVALID_URL = 1020, Script, "invalid URL";
    /// A request that HTTP has no form for: a header that can't be sent, for example.
    INVALID_REQUEST = 1021, Script, "invalid request";
    /// The request's time was over, wherever it was.
    TIMEOUT = 1050, Target, "request timed out";

    /// Name resolution failed in another way, or for the moment.
    DNS = 1100, Network, "name resolution failed";
    /// The name does not exist or has no address.
    DNS_NO_SUCH_HOST = 1101, Network, "no such host";

    /// Another failure of an open connection.
    TCP = 1200, Target, "connection failed";
    /// Writing to a connection that the other side had closed.
    TCP_BROKEN_PIPE = 1201, Target, "broken pipe";
    /// An operating system error on an open connection that has no class of its own.
    TCP_UNKNOWN = 1202, Target, "connection failed with an operating system error";
    /// Another failure to connect.
    DIAL = 1210, Target, "connect failed";
    /// No answer to the attempt to connect.
    DIAL_TIMEOUT = 1211, Target, "connect timed out";
    /// Nothing listens there.
    DIAL_REFUSED = 1212, Target, "connection refused";
    /// An operating system error while connecting that has no class of its own.
    DIAL_UNKNOWN = 1213, Target, "connect failed with an operating system error";
    /// No route to the network or the host.
    DIAL_UNREACHABLE = 1214, Network, "host or network unreachable";
    /// The other side reset the connection.
    TCP_RESET = 1220, Target, "connection reset by peer";
    /// The connection was closed where a response was due.
    CLOSED_BEFORE_RESPONSE = 1221, Target, "connection closed before the response";
    /// The kernel gave up on an open connection: its packets were not answered.
    TCP_TIMEOUT = 1222, Network, "connection timed out";

    /// The TLS handshake or the TLS connection failed in another way.
    TLS = 1300, Target, "TLS failed";
    /// The other side refused with a TLS alert.
    TLS_ALERT = 1301, Target, "TLS alert received";
    /// The certificate's issuer is not trusted.
    TLS_UNKNOWN_AUTHORITY = 1310, Target, "certificate signed by an unknown authority";
    /// The certificate is for another name.
    TLS_HOSTNAME_MISMATCH = 1311, Target, "certificate is for another host";
    /// The certificate has expired or is not valid yet.
    TLS_CERTIFICATE_TIME = 1312, Target, "certificate expired or not yet valid";
    /// The certificate is unusable in another way.
    TLS_BAD_CERTIFICATE = 1313, Target, "certificate not acceptable";

    /// The body is not what its `Content-Encoding` says, or larger than allowed once decompressed.
    DECOMPRESSION = 1701, Target, "decompression failed";

    /// What came back is not HTTP.
    MALFORMED_RESPONSE = 1800, Target, "malformed response";
    /// The response's head is larger than a client accepts, or has too many headers.
    HEADERS_TOO_LARGE = 1801, Target, "response headers too large";
    /// The response ended in the middle of its headers.
    TRUNCATED_HEADERS = 1802, Target, "truncated response headers";
    /// The body ended before its declared length or its last chunk.
    TRUNCATED_BODY = 1803, Target, "truncated body";
    /// The body is longer than the run allows to keep.
    BODY_TOO_LARGE = 1804, Target, "body larger than allowed";
    /// More redirects than the request follows.
    TOO_MANY_REDIRECTS = 1810, Target, "too many redirects";
    /// A redirect to something that is not an `http` or `https` URL.
    INVALID_REDIRECT = 1811, Target, "invalid redirect";
    /// A status that the journey did not expect and that is no 4xx or 5xx.
    UNEXPECTED_STATUS = 1820, Target, "unexpected status";

    /// Out of file descriptors.
    TOO_MANY_OPEN_FILES = 1900, Generator, "too many open files";
    /// No local port or address is left to connect from.
    NO_LOCAL_PORTS = 1901, Generator, "no local port left";
    /// The kernel has no memory or buffers left for the connection.
    NO_MEMORY = 1902, Generator, "out of memory for connections";
    /// loadr did something that it should not.
    INTERNAL = 1990, Generator, "internal error";

    /// The script threw, or did something that Rhai does not allow.
    SCRIPT_EXCEPTION = 2000, Script, "script error";
    /// The script called `fail`.
    SCRIPT_FAILED = 2001, Script, "iteration failed by the script";
    /// A check did not hold.
    CHECK_FAILED = 2002, Script, "check failed";
    /// The script computed for longer than it may.
    SCRIPT_TIME = 2003, Script, "script computed for too long";
    /// The script holds more memory than it may.
    SCRIPT_MEMORY = 2004, Script, "script memory limit reached";
    /// The script called functions too deeply.
    SCRIPT_STACK = 2005, Script, "script recursion too deep";
    /// A file that the request is to send can't be read.
    BODY_FILE = 2010, Script, "file to send can't be read";
    /// A response that is to go into a file can't be written there.
    SAVE_FILE = 2011, Script, "response can't be saved";
}

macro_rules! statuses {
    ($($status:literal $message:literal;)*) => {
        impl Fault {
            /// The class of a response status that counts as a failure: 1000 and the status for 4xx and 5xx,
            /// [`Fault::UNEXPECTED_STATUS`] for any other.
            #[must_use]
            pub const fn http_status(status: u16) -> Self {
                let message = match status {
                    $($status => $message,)*
                    400..=499 => "client error status",
                    500..=599 => "server error status",
                    _ => return Self::UNEXPECTED_STATUS,
                };
                Self { code: 1000 + status as u32, side: Side::Target, message }
            }
        }
    };
}

statuses! {
    400 "400 bad request";
    401 "401 unauthorized";
    403 "403 forbidden";
    404 "404 not found";
    405 "405 method not allowed";
    406 "406 not acceptable";
    408 "408 request timeout";
    409 "409 conflict";
    410 "410 gone";
    411 "411 length required";
    412 "412 precondition failed";
    413 "413 content too large";
    414 "414 URI too long";
    415 "415 unsupported media type";
    418 "418 I'm a teapot";
    422 "422 unprocessable content";
    425 "425 too early";
    429 "429 too many requests";
    431 "431 request header fields too large";
    500 "500 internal server error";
    501 "501 not implemented";
    502 "502 bad gateway";
    503 "503 service unavailable";
    504 "504 gateway timeout";
    507 "507 insufficient storage";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_rising_and_leave_the_statuses_free() {
        for pair in Fault::TABLE.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} and {}", pair[0].message, pair[1].message);
        }
        for fault in Fault::TABLE {
            assert!(!(1400..1600).contains(&fault.code), "{} sits among the HTTP statuses", fault.code);
        }
    }

    #[test]
    fn messages_are_unique_fragments() {
        for (at, fault) in Fault::TABLE.iter().enumerate() {
            assert!(!fault.message.ends_with('.'), "{}", fault.message);
            assert!(Fault::TABLE[at + 1..].iter().all(|other| other.message != fault.message), "{}", fault.message);
        }
    }

    #[test]
    fn statuses_become_classes() {
        for (status, code, message) in [
            (400, 1400, "400 bad request"),
            (404, 1404, "404 not found"),
            (499, 1499, "client error status"),
            (500, 1500, "500 internal server error"),
            (599, 1599, "server error status"),
            (200, 1820, "unexpected status"),
            (302, 1820, "unexpected status"),
            (600, 1820, "unexpected status"),
        ] {
            let fault = Fault::http_status(status);
            assert_eq!((fault.code, fault.message, fault.side), (code, message, Side::Target), "{status}");
        }
    }
}
