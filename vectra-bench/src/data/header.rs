//! The header of an npy file: magic, version, length, and a Python dictionary of three entries.
//!
//! Source: `NumPy`'s format description, `numpy.lib.format`, versions 1.0 to 3.0.

/// The most bytes a header may take: real ones take 128.
pub(super) const BYTES_MAX: u64 = 64 << 10;

const MAGIC: &[u8] = b"\x93NUMPY";

/// What the elements of an array are; always little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
    /// Signed, 4 bytes.
    I32,
    /// Signed, 8 bytes.
    I64,
}

impl Dtype {
    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// As it stands in a header.
    pub(super) fn descr(self) -> &'static str {
        match self {
            Self::F16 => "<f2",
            Self::F32 => "<f4",
            Self::I32 => "<i4",
            Self::I64 => "<i8",
        }
    }

    fn from_descr(descr: &str) -> Option<Self> {
        match descr {
            "<f2" => Some(Self::F16),
            "<f4" => Some(Self::F32),
            "<i4" => Some(Self::I32),
            "<i8" => Some(Self::I64),
            _ => None,
        }
    }
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Malformed {
    /// The first bytes are not those of an npy file.
    #[error("it does not begin with the npy magic")]
    Magic,
    /// A version that is not known.
    #[error("version {0} is not known")]
    Version(u8),
    /// The header ends early, or is longer than any real one.
    #[error("the header is cut off or longer than 64 KiB")]
    Length,
    /// The dictionary does not parse.
    #[error("the header is no dictionary of 'descr', 'fortran_order' and 'shape'")]
    Dictionary,
    /// An element type that is not read.
    #[error("element type '{0}' is not supported; use <f2, <f4, <i4 or <i8")]
    Descr(String),
    /// Column after column.
    #[error("the array is stored column after column (fortran_order); store it row after row")]
    ColumnMajor,
    /// Not two dimensions, or rows without elements.
    #[error("the array must have two dimensions, the second at least 1")]
    Shape,
}

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Where the first element stands.
    pub(super) data_offset: u64,
}

impl Header {
    /// Understands the header at the beginning of `bytes`, which may go on behind it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Malformed::Magic)?;
        let [major, _, rest @ ..] = rest else { return Err(Malformed::Length) };
        let (length, rest) = match (*major, rest) {
            (1, [a, b, rest @ ..]) => (usize::from(u16::from_le_bytes([*a, *b])), rest),
            (2 | 3, [a, b, c, d, rest @ ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            (1..=3, _) => return Err(Malformed::Length),
            (version, _) => return Err(Malformed::Version(version)),
        };
        let text = rest.get(..length).ok_or(Malformed::Length)?;
        let data_offset = (bytes.len() - rest.len() + length) as u64;
        let text = std::str::from_utf8(text).map_err(|_| Malformed::Dictionary)?;
        let entries = Dictionary::parse(text).ok_or(Malformed::Dictionary)?;
        let dtype =
            Dtype::from_descr(entries.descr).ok_or_else(|| Malformed::Descr(entries.descr.to_owned()))?;
        if entries.fortran_order {
            return Err(Malformed::ColumnMajor);
        }
        match entries.shape[..] {
            [rows, columns] if columns > 0 => Ok(Self { dtype, rows, columns, data_offset }),
            _ => Err(Malformed::Shape),
        }
    }

    /// Header and elements together; `None` if no file can be that long.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        let elements = (self.rows as u64).checked_mul(self.columns as u64)?;
        elements.checked_mul(self.dtype.size() as u64)?.checked_add(self.data_offset)
    }
}

/// The three entries of the dictionary.
struct Dictionary<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl<'a> Dictionary<'a> {
    /// `None` unless each entry is there exactly once and nothing else is.
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            let after = match key {
                "descr" if descr.is_none() => {
                    let (text, after) = quoted(value)?;
                    descr = Some(text);
                    after
                }
                "fortran_order" if fortran_order.is_none() => {
                    let (order, after) = boolean(value)?;
                    fortran_order = Some(order);
                    after
                }
                "shape" if shape.is_none() => {
                    let (sizes, after) = tuple(value)?;
                    shape = Some(sizes);
                    after
                }
                _ => return None,
            };
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.is_empty() => {}
                None => return None,
            }
        }
        Some(Self { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

/// A string in single or double quotes, without escapes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn boolean(text: &str) -> Option<(bool, &str)> {
    let no = text.strip_prefix("False").map(|after| (false, after));
    no.or_else(|| text.strip_prefix("True").map(|after| (true, after)))
}

/// Whole numbers between parentheses; a comma may stand behind the last.
fn tuple(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inside, after) = text.strip_prefix('(')?.split_once(')')?;
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some((Vec::new(), after));
    }
    let sizes = inside.split(',').map(|size| size.trim().parse().ok()).collect::<Option<_>>()?;
    Some((sizes, after))
}
