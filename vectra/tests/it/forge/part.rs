//! Part files taken apart and put together again with right sums, whatever they then say.

use vectra_core::codec::{crc32c, digest};

/// Alignment of sections.
const BLOCK: usize = 4096;
/// Bytes under one checksum.
const PAGE: usize = 64 << 10;
const ENTRY: usize = 48;
const TRAILER: usize = 64;

/// One section, with what the directory says of it.
#[derive(Debug, Clone)]
pub(crate) struct ForgedSection {
    /// Kind `u16`, field `u16`, codec `u8` and three zeros.
    pub(crate) name: [u8; 8],
    pub(crate) bytes: Vec<u8>,
}

impl ForgedSection {
    /// The kind.
    pub(crate) fn kind(&self) -> u16 {
        u16::from_le_bytes([self.name[0], self.name[1]])
    }
}

/// A container file that can be changed.
#[derive(Debug, Clone)]
pub(crate) struct ForgedPart {
    /// The first block; its checksum is computed when the file is put together.
    pub(crate) header: Vec<u8>,
    pub(crate) sections: Vec<ForgedSection>,
    /// Bytes to put over the directory and the trailer, counted from the directory's first byte, before the sums.
    pub(crate) patches: Vec<(usize, u8)>,
}

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize
}

impl ForgedPart {
    /// Takes an intact file apart.
    pub(crate) fn parse(file: &[u8]) -> Self {
        let trailer = file.len() - TRAILER;
        let directory = number(file, trailer + 8);
        let entries = file[directory..trailer].chunks_exact(ENTRY);
        let sections = entries.map(|entry| {
            let (offset, length) = (number(entry, 8), number(entry, 16));
            let name = entry[..8].try_into().expect("eight bytes");
            ForgedSection { name, bytes: file[offset..offset + length].to_vec() }
        });
        Self { header: file[..BLOCK].to_vec(), sections: sections.collect(), patches: Vec::new() }
    }

    /// The section of this kind.
    pub(crate) fn section(&mut self, kind: u16) -> &mut Vec<u8> {
        let found = self.sections.iter_mut().find(|section| section.kind() == kind);
        &mut found.expect("the part has such a section").bytes
    }

    /// Bytes of directory and trailer.
    pub(crate) fn footer_len(&self) -> usize {
        self.sections.len() * ENTRY + TRAILER
    }

    /// The file and where its footer begins; every sum is right.
    pub(crate) fn assemble(&self) -> (Vec<u8>, usize) {
        let mut file = self.header.clone();
        let sum = crc32c(&file[..BLOCK - 4]);
        file[BLOCK - 4..].copy_from_slice(&sum.to_le_bytes());
        let (mut pages, mut directory) = (Vec::new(), Vec::new());
        for section in &self.sections {
            directory.push((file.len(), pages.len()));
            section.bytes.chunks(PAGE).for_each(|page| pages.extend(crc32c(page).to_le_bytes()));
            file.extend_from_slice(&section.bytes);
            file.resize(file.len().next_multiple_of(BLOCK), 0);
        }
        let footer = file.len();
        file.extend_from_slice(&pages);
        let directory_at = file.len();
        for (section, (offset, first_page)) in self.sections.iter().zip(directory) {
            file.extend_from_slice(&section.name);
            for value in [offset, section.bytes.len(), footer + first_page] {
                file.extend_from_slice(&(value as u64).to_le_bytes());
            }
            file.extend_from_slice(&digest(&section.bytes).to_le_bytes());
        }
        self.append_trailer(&mut file, footer, directory_at, sum);
        (file, footer)
    }

    fn append_trailer(&self, file: &mut Vec<u8>, footer: usize, directory: usize, header_sum: u32) {
        let length = file.len() + TRAILER;
        file.extend_from_slice(&(footer as u64).to_le_bytes());
        file.extend_from_slice(&(directory as u64).to_le_bytes());
        file.extend_from_slice(&(self.sections.len() as u32).to_le_bytes());
        file.extend_from_slice(&header_sum.to_le_bytes());
        file.extend_from_slice(&(length as u64).to_le_bytes());
        file.extend_from_slice(&self.header[32..48]);
        file.extend_from_slice(&[0; 8]);
        file.extend_from_slice(b"VECTREND");
        for (at, value) in &self.patches {
            file[directory + at] = *value;
        }
        let at = file.len() - 16;
        let sum = crc32c(&file[footer..at]);
        file[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }

    /// Makes the sums right that codes and graphs carry in their own headers.
    pub(crate) fn repair_inner_sums(&mut self) {
        for section in &mut self.sections {
            let at = match section.kind() {
                33 => 60,
                34 => 124,
                _ => continue,
            };
            if section.bytes.len() >= at + 4 {
                let sum = crc32c(&section.bytes[..at]);
                section.bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
    }
}
