//! What is wrong with a file, precisely enough to tell someone.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::part::SectionKind;

/// Bytes of a file that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, bytes {offset}..{}: {what}{} is {found}, expected {expected}", .file.display(), .offset.saturating_add(*.length), Of(.section))]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where the damaged bytes begin.
    pub offset: u64,
    /// How many bytes the check covered.
    pub length: u64,
    /// The section they belong to, if any: its kind and field.
    pub section: Option<(SectionKind, u16)>,
    /// What was checked.
    pub what: &'static str,
    /// What it should have been.
    pub expected: String,
    /// What it was.
    pub found: String,
}

/// What bytes that cannot be read were expected to be.
pub(crate) const READABLE: &str = "readable";

struct Of<'a>(&'a Option<(SectionKind, u16)>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((kind, field)) => write!(f, " of section {kind} (field {field})"),
            None => Ok(()),
        }
    }
}

impl Damage {
    /// Damage of `what` in `file` at `offset`, outside any section.
    pub(crate) fn new(
        file: &Path,
        (offset, length): (u64, u64),
        what: &'static str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Self { file: file.to_owned(), offset, length, section: None, what, expected, found }
    }

    /// Whether the file system failed to read the bytes, so that nobody knows what they are.
    pub fn is_unreadable(&self) -> bool {
        self.expected == READABLE
    }

    /// The same damage, inside a section.
    pub(crate) fn within(mut self, kind: SectionKind, field: u16) -> Self {
        self.section = Some((kind, field));
        self
    }
}

/// Everything that a full check of one part found wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamageReport {
    /// In the order of the file, at most one per page.
    pub damages: Vec<Damage>,
}

impl DamageReport {
    /// The first place that the file system failed to read, if there is one.
    pub fn unreadable(&self) -> Option<&Damage> {
        self.damages.iter().find(|damage| damage.is_unreadable())
    }
}

impl fmt::Display for DamageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.damages.first().map(ToString::to_string).unwrap_or_default();
        write!(f, "{first}")?;
        match self.damages.len() {
            0 | 1 => Ok(()),
            n => write!(f, " (and {} more damages)", n - 1),
        }
    }
}

impl std::error::Error for DamageReport {}

/// A checksum as errors show it.
pub(crate) fn crc_text(crc: u32) -> String {
    format!("crc32c {crc:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_file_place_expected_and_found() {
        let damage = Damage::new(Path::new("seg/a.part"), (4096, 100), "page", crc_text(1), crc_text(2))
            .within(SectionKind(7), 3);
        assert_eq!(
            damage.to_string(),
            "seg/a.part, bytes 4096..4196: page of section 7 (field 3) is crc32c 00000002, expected crc32c 00000001"
        );
        let report = DamageReport { damages: vec![damage.clone(), damage] };
        assert!(report.to_string().ends_with("(and 1 more damages)"));
    }
}
