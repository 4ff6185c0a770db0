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
//! | 1600 - 1699 | HTTP/2, as k6 numbers it: 1611, 1631 or 1651 and the error code of a GOAWAY, a stream or a connection |
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

    /// HTTP/2 failed in another way, or is not spoken there.
    HTTP2 = 1600, Target, "HTTP/2 failed";
    /// The server ended the connection with a GOAWAY whose error code is not among the known.
    HTTP2_GOAWAY = 1610, Target, "HTTP/2 connection ended by the server (GOAWAY)";
    /// The server reset the stream with an error code that is not among the known.
    HTTP2_STREAM = 1630, Target, "HTTP/2 stream reset by the server";
    /// The server broke the rules of HTTP/2, in another way.
    HTTP2_CONNECTION = 1650, Target, "HTTP/2 connection broken by the server";

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

/// Where an error code of HTTP/2 (RFC 9113, section 7) was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2Failure {
    /// In a GOAWAY frame of the server.
    GoAway,
    /// In a RST_STREAM frame of the server.
    Stream,
    /// Here: what the server sent breaks the rules for the whole connection.
    Connection,
}

macro_rules! http2_reasons {
    ($($reason:literal $goaway:literal $stream:literal $connection:literal;)*) => {
        impl Fault {
            /// The class of a failure with an error code of HTTP/2: 1611, 1631 or 1651 and the code.
            #[must_use]
            pub const fn http2(failure: Http2Failure, reason: u32) -> Self {
                let (first, message, other) = match failure {
                    Http2Failure::GoAway => {
                        (1611, match reason { $($reason => $goaway,)* _ => "" }, Self::HTTP2_GOAWAY)
                    }
                    Http2Failure::Stream => {
                        (1631, match reason { $($reason => $stream,)* _ => "" }, Self::HTTP2_STREAM)
                    }
                    Http2Failure::Connection => {
                        (1651, match reason { $($reason => $connection,)* _ => "" }, Self::HTTP2_CONNECTION)
                    }
                };
                if message.is_empty() { other } else { Self { code: first + reason, side: Side::Target, message } }
            }
        }
    };
}

http2_reasons! {
    0 "HTTP/2 GOAWAY: NO_ERROR" "HTTP/2 stream reset: NO_ERROR" "HTTP/2 connection error: NO_ERROR";
    1 "HTTP/2 GOAWAY: PROTOCOL_ERROR" "HTTP/2 stream reset: PROTOCOL_ERROR" "HTTP/2 connection error: PROTOCOL_ERROR";
    2 "HTTP/2 GOAWAY: INTERNAL_ERROR" "HTTP/2 stream reset: INTERNAL_ERROR" "HTTP/2 connection error: INTERNAL_ERROR";
    3 "HTTP/2 GOAWAY: FLOW_CONTROL_ERROR" "HTTP/2 stream reset: FLOW_CONTROL_ERROR" "HTTP/2 connection error: FLOW_CONTROL_ERROR";
    4 "HTTP/2 GOAWAY: SETTINGS_TIMEOUT" "HTTP/2 stream reset: SETTINGS_TIMEOUT" "HTTP/2 connection error: SETTINGS_TIMEOUT";
    5 "HTTP/2 GOAWAY: STREAM_CLOSED" "HTTP/2 stream reset: STREAM_CLOSED" "HTTP/2 connection error: STREAM_CLOSED";
    6 "HTTP/2 GOAWAY: FRAME_SIZE_ERROR" "HTTP/2 stream reset: FRAME_SIZE_ERROR" "HTTP/2 connection error: FRAME_SIZE_ERROR";
    7 "HTTP/2 GOAWAY: REFUSED_STREAM" "HTTP/2 stream reset: REFUSED_STREAM" "HTTP/2 connection error: REFUSED_STREAM";
    8 "HTTP/2 GOAWAY: CANCEL" "HTTP/2 stream reset: CANCEL" "HTTP/2 connection error: CANCEL";
    9 "HTTP/2 GOAWAY: COMPRESSION_ERROR" "HTTP/2 stream reset: COMPRESSION_ERROR" "HTTP/2 connection error: COMPRESSION_ERROR";
    10 "HTTP/2 GOAWAY: CONNECT_ERROR" "HTTP/2 stream reset: CONNECT_ERROR" "HTTP/2 connection error: CONNECT_ERROR";
    11 "HTTP/2 GOAWAY: ENHANCE_YOUR_CALM" "HTTP/2 stream reset: ENHANCE_YOUR_CALM" "HTTP/2 connection error: ENHANCE_YOUR_CALM";
    12 "HTTP/2 GOAWAY: INADEQUATE_SECURITY" "HTTP/2 stream reset: INADEQUATE_SECURITY" "HTTP/2 connection error: INADEQUATE_SECURITY";
    13 "HTTP/2 GOAWAY: HTTP_1_1_REQUIRED" "HTTP/2 stream reset: HTTP_1_1_REQUIRED" "HTTP/2 connection error: HTTP_1_1_REQUIRED";
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
    fn error_codes_of_http2_become_classes() {
        use Http2Failure::{Connection, GoAway, Stream};
        for (failure, reason, code, message) in [
            (GoAway, 0, 1611, "HTTP/2 GOAWAY: NO_ERROR"),
            (GoAway, 0xd, 1624, "HTTP/2 GOAWAY: HTTP_1_1_REQUIRED"),
            (GoAway, 0xe, 1610, Fault::HTTP2_GOAWAY.message),
            (Stream, 7, 1638, "HTTP/2 stream reset: REFUSED_STREAM"),
            (Stream, u32::MAX, 1630, Fault::HTTP2_STREAM.message),
            (Connection, 1, 1652, "HTTP/2 connection error: PROTOCOL_ERROR"),
            (Connection, 99, 1650, Fault::HTTP2_CONNECTION.message),
        ] {
            let fault = Fault::http2(failure, reason);
            assert_eq!((fault.code, fault.message, fault.side), (code, message, Side::Target));
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
