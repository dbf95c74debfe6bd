//! The encoding of a [`PartRef`], which manifests and log frames embed. All numbers are little-endian.
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 16 | id |
//! | 16 | 1 | role |
//! | 17 | 8 | length of the file |
//! | 25 | 16 | digest of its footer |

use uuid::Uuid;
use vectra_core::codec::{DecodeError, Digest, Reader, Writer};

use crate::part::{PartRef, Role};

impl PartRef {
    /// The length of the encoded form in bytes.
    pub const ENCODED_LEN: usize = 41;

    /// Appends the encoded form: id (16 bytes), role (1), length (8), digest (16), all little-endian.
    pub fn encode(&self, out: &mut Writer) {
        out.bytes(self.id.as_bytes()).u8(self.role.code()).u64(self.length).bytes(&self.digest.to_le_bytes());
    }

    /// Reads back what [`PartRef::encode`] wrote; total over arbitrary bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = Uuid::from_bytes(reader.array()?);
        let at = reader.position();
        let role = Role::from_code(reader.u8()?).ok_or(DecodeError::new(at, "part role"))?;
        let length = reader.u64()?;
        let digest = Digest::from_le_bytes(reader.array()?);
        Ok(Self { id, role, length, digest })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn references_round_trip(id in any::<u128>(), role in 0_usize..5, length in any::<u64>(), digest in any::<u128>()) {
            let part = PartRef { id: Uuid::from_u128(id), role: Role::ALL[role], length, digest: Digest(digest) };
            let mut out = Writer::new();
            part.encode(&mut out);
            prop_assert_eq!(out.len(), PartRef::ENCODED_LEN);
            let bytes = out.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(PartRef::decode(&mut reader), Ok(part));
            prop_assert!(reader.finish().is_ok());
            prop_assert!(PartRef::decode(&mut Reader::new(&bytes[..bytes.len() - 1])).is_err());
        }

        #[test]
        fn decoding_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(part) = PartRef::decode(&mut Reader::new(&bytes)) {
                let mut out = Writer::new();
                part.encode(&mut out);
                prop_assert_eq!(out.as_bytes(), &bytes[..PartRef::ENCODED_LEN]);
            }
        }
    }
}
