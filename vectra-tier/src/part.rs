//! The names of things: what a part is for, what one of its sections holds, and the reference that vouches for it.

use std::fmt;

use uuid::Uuid;
use vectra_core::codec::Digest;

/// What a part is for. The first two are truth, `Index` is derived from them, the last two amend them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Ids, sequence numbers and vectors.
    Rows,
    /// Metadata and filter indexes.
    Meta,
    /// Codes, graph and calibration; can be rebuilt from the rows.
    Index,
    /// Which rows are dead.
    Deletes,
    /// Metadata changed after the seal.
    Overlay,
}

impl Role {
    /// Every role, in the order of the codes.
    pub const ALL: [Self; 5] = [Self::Rows, Self::Meta, Self::Index, Self::Deletes, Self::Overlay];

    /// The number that stands for the role in files.
    pub fn code(self) -> u8 {
        match self {
            Self::Rows => 1,
            Self::Meta => 2,
            Self::Index => 3,
            Self::Deletes => 4,
            Self::Overlay => 5,
        }
    }

    /// The role with this number, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows => "rows",
            Self::Meta => "meta",
            Self::Index => "index",
            Self::Deletes => "deletes",
            Self::Overlay => "overlay",
        })
    }
}

/// What a section holds: a number that the caller chooses and the container only carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionKind(pub u16);

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A reference to a finished part that pins down every byte of it.
///
/// The digest covers the file's footer, which holds the digest of every section and the checksum of the header;
/// padding is zero. So two files that satisfy the same reference and verify are equal byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartRef {
    /// The part's name.
    pub id: Uuid,
    /// What it is for.
    pub role: Role,
    /// The file's length in bytes.
    pub length: u64,
    /// The digest of the file's footer.
    pub digest: Digest,
}

impl fmt::Display for PartRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} part {} ({} bytes, {})", self.role, self.id, self.length, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_pinned_and_come_back() {
        assert_eq!(Role::ALL.map(Role::code), [1, 2, 3, 4, 5]);
        for code in 0..=u8::MAX {
            assert_eq!(Role::from_code(code).map(Role::code), (1..=5).contains(&code).then_some(code));
        }
        assert_eq!(Role::Overlay.to_string(), "overlay");
    }
}
