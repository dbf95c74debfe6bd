//! The full check of a file: no byte of it is without a meaning, and every byte is looked at.

use std::io;
use std::path::Path;

use vectra_core::codec::{Digester, crc32c};
use vectra_core::io::File;

use crate::container::toc::{Entry, PAGE};
use crate::container::{BLOCK, Toc};
use crate::damage::{Damage, DamageReport, READABLE, crc_text};
use crate::handle::OpenError;
use crate::part::PartRef;

/// Reads all of `file` again (never through a map) and compares it with `toc` and `expected`.
pub(crate) fn verify(
    file: &dyn File,
    path: &Path,
    toc: &Toc,
    expected: &PartRef,
) -> Result<(), DamageReport> {
    let mut check = Check { file, path, toc, buf: vec![0; PAGE], damages: Vec::new() };
    check.frame(expected);
    for at in 0..toc.entries.len() {
        check.section(at);
    }
    if check.damages.is_empty() { Ok(()) } else { Err(DamageReport { damages: check.damages }) }
}

struct Check<'a> {
    file: &'a dyn File,
    path: &'a Path,
    toc: &'a Toc,
    buf: Vec<u8>,
    damages: Vec<Damage>,
}

impl Check<'_> {
    /// Length, header and footer.
    fn frame(&mut self, expected: &PartRef) {
        let damage = match Toc::read(self.file, self.path) {
            Ok(now) if now.length != expected.length => {
                let place = (0, now.length);
                Damage::new(self.path, place, "file length", expected.length, now.length)
            }
            Ok(now) => match now.expect(self.path, expected) {
                Ok(()) => return,
                Err(damage) => damage,
            },
            Err(OpenError::Corrupt(damage)) => damage,
            Err(OpenError::Io { source, .. }) => {
                let expected = expected_instead(&source);
                Damage::new(self.path, (0, BLOCK), "header or footer", expected, source)
            }
            Err(OpenError::Unsupported { what, .. } | OpenError::Away { what, .. }) => {
                Damage::new(self.path, (0, BLOCK), "header", "as it was when opened", what)
            }
        };
        self.damages.push(damage);
    }

    /// Pages, padding and digest of one section.
    fn section(&mut self, at: usize) {
        let (toc, entry) = (self.toc, self.toc.entries[at]);
        let before = self.damages.len();
        let mut digester = Digester::new();
        for (page, crc) in toc.page_crcs(at).iter().enumerate() {
            let from = page as u64 * PAGE as u64;
            let length = (entry.length - from).min(PAGE as u64);
            let Some(bytes) = self.read(entry.offset + from, length, &entry) else { continue };
            digester.update(bytes);
            let found = crc32c(bytes);
            if found != *crc {
                self.report((entry.offset + from, length), &entry, "page", crc_text(*crc), crc_text(found));
            }
        }
        if self.damages.len() == before && digester.finish() != entry.digest {
            let (expected, found) = (entry.digest.to_string(), digester.finish().to_string());
            self.report((entry.offset, entry.length), &entry, "digest", expected, found);
        }
        self.padding(at, &entry);
    }

    fn padding(&mut self, at: usize, entry: &Entry) {
        let start = entry.offset + entry.length;
        let end = self.toc.entries.get(at + 1).map_or(self.toc.footer, |next| next.offset);
        let Some(bytes) = self.read(start, end - start, entry) else { return };
        if let Some(bad) = bytes.iter().position(|byte| *byte != 0) {
            let found = format!("{:#04x}", bytes[bad]);
            self.report((start + bad as u64, 1), entry, "padding", "0x00".to_owned(), found);
        }
    }

    /// At most a page of bytes, or `None` and a damage.
    fn read(&mut self, offset: u64, length: u64, entry: &Entry) -> Option<&[u8]> {
        let read = self.file.read_exact_at(&mut self.buf[..length as usize], offset);
        if let Err(error) = read {
            let expected = expected_instead(&error).to_owned();
            self.report((offset, length), entry, "page", expected, error.to_string());
            return None;
        }
        Some(&self.buf[..length as usize])
    }

    fn report(
        &mut self,
        place: (u64, u64),
        entry: &Entry,
        what: &'static str,
        expected: String,
        found: String,
    ) {
        let damage = Damage::new(self.path, place, what, expected, found);
        self.damages.push(damage.within(entry.kind, entry.field));
    }
}

/// A file that has become shorter is damaged; one that cannot be read may be sound.
fn expected_instead(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::UnexpectedEof { "as long as the rest says" } else { READABLE }
}
