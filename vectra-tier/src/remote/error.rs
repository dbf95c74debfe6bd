//! What can go wrong between here and an object store.

use std::error::Error;
use std::fmt;

use crate::damage::DamageReport;

pub(super) type Source = Box<dyn Error + Send + Sync>;

/// Why a part could not be sent to, or had from, an object store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The URL names no store that this build can reach.
    #[error("{url}: {what}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// The store does not answer, or not sensibly, however often it is asked. What was asked for may have happened.
    #[error(
        "the object store cannot {action} {object} (tried {attempts} times); try again when it is reachable"
    )]
    Unavailable {
        /// What was asked for.
        action: &'static str,
        /// The object, or the prefix of a listing.
        object: String,
        /// How often it was tried.
        attempts: u32,
        /// What the store said last.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store answers, and says no. Asking again would not help.
    #[error("the object store refuses to {action} {object}; check its permissions and what it supports")]
    Refused {
        /// What was asked for.
        action: &'static str,
        /// The object, or the prefix of a listing.
        object: String,
        /// What the store said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store says, again and again, that it has no such object.
    #[error("{object} is not in the object store")]
    Absent {
        /// The object.
        object: String,
    },
    /// The object is there, and it is not the part. Nothing was removed or replaced.
    #[error("{object} is not the part that it should be; nothing was changed")]
    Different {
        /// The object.
        object: String,
        /// How it differs.
        #[source]
        damage: DamageReport,
    },
    /// The part is larger than an object may be that is sent in one piece.
    #[error("{object} would have {length} bytes; at most {limit} can be sent in one piece")]
    TooLarge {
        /// The object.
        object: String,
        /// The part's length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file on this side failed, not the store.
    #[error("cannot {action} the local file of {object}")]
    Local {
        /// What was tried.
        action: &'static str,
        /// The object.
        object: String,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What became of one request.
#[derive(Debug)]
pub(super) enum Fault {
    /// No such object, says the store.
    Absent,
    /// An object of that name is there already, or a request like this one is under way: whose it is, is not said.
    Taken(Source),
    /// Asking again does not help.
    Refused(Source),
    /// It may have happened or not, and may work the next time.
    Unclear(Source),
}

impl From<object_store::Error> for Fault {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        match error {
            E::NotFound { .. } => Self::Absent,
            E::AlreadyExists { .. } | E::Precondition { .. } => Self::Taken(error.into()),
            E::InvalidPath { .. }
            | E::NotSupported { .. }
            | E::NotImplemented { .. }
            | E::PermissionDenied { .. }
            | E::Unauthenticated { .. }
            | E::UnknownConfigurationKey { .. } => Self::Refused(error.into()),
            other => Self::Unclear(other.into()),
        }
    }
}

impl Fault {
    /// The error after the last of `attempts`.
    pub(super) fn into_error(
        self,
        action: &'static str,
        object: &dyn fmt::Display,
        attempts: u32,
    ) -> RemoteError {
        let object = object.to_string();
        match self {
            Self::Absent => RemoteError::Absent { object },
            Self::Refused(source) => RemoteError::Refused { action, object, source },
            Self::Taken(source) | Self::Unclear(source) => {
                RemoteError::Unavailable { action, object, attempts, source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::Error as E;

    use super::*;

    fn source() -> Source {
        "what the store said".into()
    }

    /// What is tried again, and what is believed, follows from these classes alone.
    #[test]
    fn answers_of_a_store_are_told_apart() {
        let path = || "a/b".to_owned();
        let class = |error: E| match Fault::from(error) {
            Fault::Absent => "absent",
            Fault::Taken(_) => "taken",
            Fault::Refused(_) => "refused",
            Fault::Unclear(_) => "unclear",
        };
        assert_eq!(class(E::NotFound { path: path(), source: source() }), "absent");
        assert_eq!(class(E::AlreadyExists { path: path(), source: source() }), "taken");
        assert_eq!(class(E::Precondition { path: path(), source: source() }), "taken");
        assert_eq!(class(E::PermissionDenied { path: path(), source: source() }), "refused");
        assert_eq!(class(E::Unauthenticated { path: path(), source: source() }), "refused");
        assert_eq!(class(E::NotSupported { source: source() }), "refused");
        // Whatever else it is may be over in a moment, and what was asked for may have happened.
        assert_eq!(class(E::Generic { store: "S3", source: source() }), "unclear");
        assert_eq!(class(E::NotModified { path: path(), source: source() }), "unclear");
    }

    #[test]
    fn errors_name_the_object_the_attempts_and_what_the_store_said() {
        let of = |fault: Fault| fault.into_error("read", &"a/b.part", 3);
        let unavailable = of(Fault::Unclear(source()));
        assert!(matches!(unavailable, RemoteError::Unavailable { attempts: 3, .. }));
        assert!(unavailable.to_string().contains("cannot read a/b.part (tried 3 times)"), "{unavailable}");
        assert_eq!(unavailable.source().map(ToString::to_string).as_deref(), Some("what the store said"));
        // Whose the object is was never found out: that is not the caller's part in the store.
        assert!(matches!(of(Fault::Taken(source())), RemoteError::Unavailable { .. }));
        let refused = of(Fault::Refused(source()));
        assert!(refused.to_string().contains("refuses to read a/b.part"), "{refused}");
        assert!(refused.source().is_some());
        let absent = of(Fault::Absent);
        assert_eq!(absent.to_string(), "a/b.part is not in the object store");
        assert!(absent.source().is_none());
    }
}
