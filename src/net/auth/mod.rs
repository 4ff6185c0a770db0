//! Who a request says it comes from: the ways of authentication that are spoken in the head of a request.
//!
//! Basic and bearer are a header each. [`digest`] answers a challenge and remembers it; [`aws`] signs the head as it goes
//! out. A redirect to another origin goes without any of them.

use std::fmt;
use std::rc::Rc;

use ::http::HeaderValue;

pub mod aws;
pub mod digest;

/// How a request authenticates itself.
#[derive(Clone)]
pub enum Auth {
    /// Name and password, in base64 (RFC 7617).
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
    /// A token (RFC 6750).
    Bearer(HeaderValue),
    /// Name and password, hashed with what the server challenges with (RFC 7616).
    Digest(Rc<digest::Credentials>),
    /// A signature of the request, as Amazon's services want it (Signature Version 4).
    Aws(Rc<aws::Key>),
}

impl Auth {
    /// Name and password.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.to_owned(), password: password.to_owned() }
    }

    /// A token; nothing when no header can carry it.
    #[must_use]
    pub fn bearer(token: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self::Bearer(value))
    }

    /// The scheme, as it stands in the header.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
            Self::Digest(_) => "Digest",
            Self::Aws(_) => aws::ALGORITHM,
        }
    }
}

/// Without what is secret.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Auth").field(&self.scheme()).finish()
    }
}
