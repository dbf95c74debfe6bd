//! Item ids: one enum for numbers, UUIDs and strings, with one ordered byte encoding.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::codec::{DecodeError, Reader};

/// The largest encoded id, tag byte included.
pub const ID_BYTES_MAX: usize = 513;

const TAG_U64: u8 = 1;
const TAG_UUID: u8 = 2;
const TAG_STR: u8 = 3;

/// The caller's name for an item: a number, a UUID or a string.
///
/// The three kinds never compare equal to each other: `ItemId::from(7)` and `ItemId::from("7")` name two items.
/// Order: numbers before UUIDs before strings, each in its natural (byte) order; the encoding sorts the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemId {
    /// An unsigned number.
    U64(u64),
    /// A 128-bit UUID.
    Uuid(Uuid),
    /// A UTF-8 string of at most 512 bytes.
    Str(Arc<str>),
}

/// Why an id is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The string form is longer than 512 bytes.
    #[error("the id is {bytes} bytes long; at most 512 are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The empty string names nothing.
    #[error("the id is empty")]
    Empty,
}

impl ItemId {
    /// Checks the limits of a string id; numbers and UUIDs always pass.
    pub fn validate(&self) -> Result<(), IdError> {
        match self {
            Self::Str(s) if s.is_empty() => Err(IdError::Empty),
            Self::Str(s) if s.len() >= ID_BYTES_MAX => Err(IdError::TooLong { bytes: s.len() }),
            _ => Ok(()),
        }
    }

    /// Reads an id as people type it: digits become a number, the hyphenated UUID form a UUID, anything else a string.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        // The standard parser would take a plus sign, too.
        let id = if let Some(n) = text.parse::<u64>().ok().filter(|_| digits) {
            Self::U64(n)
        } else if text.len() == 36 {
            Uuid::parse_str(text).map_or_else(|_| Self::from(text), Self::Uuid)
        } else {
            Self::from(text)
        };
        id.validate().map(|()| id)
    }

    /// Appends the encoded form: a tag byte and big-endian (hence order-preserving) bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::U64(n) => {
                out.push(TAG_U64);
                out.extend_from_slice(&n.to_be_bytes());
            }
            Self::Uuid(u) => {
                out.push(TAG_UUID);
                out.extend_from_slice(u.as_bytes());
            }
            Self::Str(s) => {
                out.push(TAG_STR);
                out.extend_from_slice(s.as_bytes());
            }
        }
    }

    /// The encoded form as an owned vector; see [`ItemId::encode_into`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        self.encode_into(&mut out);
        out
    }

    /// Reads back what [`ItemId::encode_into`] wrote; total over arbitrary bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let tag = reader.u8()?;
        let rest = reader.rest();
        let bad = |what| DecodeError::new(1, what);
        match tag {
            TAG_U64 => {
                rest.try_into().map(|b| Self::U64(u64::from_be_bytes(b))).map_err(|_| bad("id number"))
            }
            TAG_UUID => rest.try_into().map(|b| Self::Uuid(Uuid::from_bytes(b))).map_err(|_| bad("id uuid")),
            TAG_STR if (1..ID_BYTES_MAX).contains(&rest.len()) => {
                std::str::from_utf8(rest).map(Self::from).map_err(|_| bad("id text"))
            }
            _ => Err(DecodeError::new(0, "id tag")),
        }
    }
}

impl From<u64> for ItemId {
    fn from(n: u64) -> Self {
        Self::U64(n)
    }
}

impl From<Uuid> for ItemId {
    fn from(u: Uuid) -> Self {
        Self::Uuid(u)
    }
}

impl From<&str> for ItemId {
    fn from(s: &str) -> Self {
        Self::Str(s.into())
    }
}

impl From<String> for ItemId {
    fn from(s: String) -> Self {
        Self::Str(s.into())
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U64(n) => n.fmt(f),
            Self::Uuid(u) => u.fmt(f),
            Self::Str(s) => s.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_id() -> impl Strategy<Value = ItemId> {
        prop_oneof![
            any::<u64>().prop_map(ItemId::from),
            any::<u128>().prop_map(|n| ItemId::Uuid(Uuid::from_u128(n))),
            "\\PC{1,40}".prop_map(ItemId::from),
        ]
    }

    proptest! {
        #[test]
        fn encoding_round_trips_and_keeps_order(a in any_id(), b in any_id()) {
            prop_assert_eq!(ItemId::decode(&a.encode()).expect("own encoding"), a.clone());
            prop_assert_eq!(a.encode().cmp(&b.encode()), a.cmp(&b));
        }

        #[test]
        fn decode_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(id) = ItemId::decode(&bytes) {
                prop_assert_eq!(id.encode(), bytes);
            }
        }
    }

    #[test]
    fn limits() {
        assert_eq!(ItemId::from("").validate(), Err(IdError::Empty));
        assert!(ItemId::from("x".repeat(512)).validate().is_ok());
        assert_eq!(ItemId::from("x".repeat(513)).validate(), Err(IdError::TooLong { bytes: 513 }));
    }

    #[test]
    fn parse_reads_what_people_type() {
        assert_eq!(ItemId::parse("42").expect("number"), ItemId::U64(42));
        let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert!(matches!(ItemId::parse(uuid).expect("uuid"), ItemId::Uuid(_)));
        assert_eq!(ItemId::parse("vim").expect("text"), ItemId::from("vim"));
        assert_eq!(ItemId::parse(""), Err(IdError::Empty));
    }
}
