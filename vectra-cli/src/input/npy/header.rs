//! The header of a `NumPy` file, read without trust.

use vectra::ElementKind;

use super::MAGIC;

/// The longest header that is read, magic and length included; real ones take 128 bytes.
pub(super) const PREFIX_MAX: usize = 1 << 16;

/// What a header says, all of it checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: ElementKind,
    pub(super) rows: u64,
    /// At least 1 and at most [`vectra::DIM_MAX`].
    pub(super) columns: u32,
    /// Where the first element stands.
    pub(super) data_at: u64,
}

/// Why a file is not the kind of array that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NpyError {
    #[error("this is not a NumPy file (it does not begin with \\x93NUMPY)")]
    Foreign,
    #[error("the file ends within its header: it is truncated")]
    TruncatedHeader,
    #[error("the NumPy format version {0}.{1} is not known")]
    Version(u8, u8),
    #[error("the header is damaged: {0}")]
    Damaged(&'static str),
    #[error("the elements are big-endian (`{0}`)")]
    BigEndian(String),
    #[error("the elements are of type `{0}`; f16 and f32 are read")]
    Element(String),
    #[error("the array is in Fortran order")]
    Fortran,
    #[error("the array has {0} dimensions instead of 2")]
    Dimensions(usize),
    #[error("the array has {0} columns; 1 to {max} are possible", max = vectra::DIM_MAX)]
    Columns(u64),
    #[error("the file has {found} bytes, its header asks for {expected}: it is truncated")]
    Truncated { expected: u64, found: u64 },
    #[error("the file has {found} bytes, its header asks for {expected}: something stands behind the array")]
    Trailing { expected: u64, found: u64 },
}

impl NpyError {
    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Foreign => {
                "save the array with numpy.save, or name the file after what it is (.fvecs, .jsonl)"
            }
            Self::TruncatedHeader | Self::Truncated { .. } | Self::Trailing { .. } | Self::Damaged(_) => {
                "copy or save the file again"
            }
            Self::Version(..) => "save the array again with numpy.save",
            Self::BigEndian(_) | Self::Element(_) => "convert it: numpy.save(FILE, a.astype('<f4'))",
            Self::Fortran => "convert it: numpy.save(FILE, numpy.ascontiguousarray(a))",
            Self::Dimensions(_) => "one vector per row: numpy.save(FILE, a.reshape(rows, dim))",
            Self::Columns(_) => "one vector per row, each with the dimension of the index",
        }
    }
}

impl Header {
    /// Reads the header at the start of `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NpyError> {
        if !bytes.starts_with(MAGIC) {
            let begun = !bytes.is_empty() && MAGIC.starts_with(bytes);
            return Err(if begun { NpyError::TruncatedHeader } else { NpyError::Foreign });
        }
        let byte = |at: usize| bytes.get(at).copied().ok_or(NpyError::TruncatedHeader);
        let (major, minor) = (byte(6)?, byte(7)?);
        let (text_at, length) = match (major, minor) {
            (1, 0) => (10, usize::from(u16::from_le_bytes([byte(8)?, byte(9)?]))),
            (2 | 3, 0) => (12, u32::from_le_bytes([byte(8)?, byte(9)?, byte(10)?, byte(11)?]) as usize),
            _ => return Err(NpyError::Version(major, minor)),
        };
        if length > PREFIX_MAX - text_at {
            return Err(NpyError::Damaged("it is too long"));
        }
        let text = bytes.get(text_at..text_at + length).ok_or(NpyError::TruncatedHeader)?;
        let text = std::str::from_utf8(text).map_err(|_| NpyError::Damaged("it is not text"))?;
        let fields =
            Fields::parse(text).ok_or(NpyError::Damaged("it is not a dictionary as NumPy writes it"))?;
        fields.check((text_at + length) as u64)
    }

    /// Bytes of one row.
    pub(super) fn row_bytes(&self) -> u64 {
        u64::from(self.columns) * self.element.size() as u64
    }

    /// Compares the size that the header asks for with that of the file.
    pub(super) fn check_length(&self, found: u64) -> Result<(), NpyError> {
        let data = self.rows.checked_mul(self.row_bytes());
        let expected = data.and_then(|data| data.checked_add(self.data_at)).unwrap_or(u64::MAX);
        match found.cmp(&expected) {
            std::cmp::Ordering::Less => Err(NpyError::Truncated { expected, found }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(NpyError::Trailing { expected, found }),
        }
    }
}

/// The three entries of the dictionary.
#[derive(Debug, Default)]
struct Fields<'a> {
    descr: Option<&'a str>,
    fortran: Option<bool>,
    shape: Option<Vec<u64>>,
}

impl<'a> Fields<'a> {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` with free spacing and order.
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = Self::default();
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
        while !rest.is_empty() {
            let (key, after) = quoted(rest)?;
            rest = after.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" if rest.starts_with(['\'', '"']) => {
                    let (descr, after) = quoted(rest)?;
                    fields.descr = Some(descr);
                    after
                }
                // A list describes records; it has no comma-free end, so nothing behind it is read.
                "descr" => {
                    fields.descr = Some("record");
                    return Some(fields);
                }
                "fortran_order" => {
                    let fortran = rest.starts_with("True");
                    fields.fortran = Some(fortran);
                    rest.strip_prefix(if fortran { "True" } else { "False" })?
                }
                "shape" => {
                    let (shape, after) = tuple(rest)?;
                    fields.shape = Some(shape);
                    after
                }
                _ => return None,
            };
            rest = rest.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(after) => after.trim_start(),
                None if rest.is_empty() => rest,
                None => return None,
            };
        }
        Some(fields)
    }

    fn check(self, data_at: u64) -> Result<Header, NpyError> {
        let descr = self.descr.ok_or(NpyError::Damaged("it has no `descr`"))?;
        let element = match descr {
            "<f2" => ElementKind::F16,
            "<f4" => ElementKind::F32,
            ">f2" | ">f4" => return Err(NpyError::BigEndian(descr.to_owned())),
            _ => return Err(NpyError::Element(descr.chars().take(20).collect())),
        };
        let fortran = self.fortran.ok_or(NpyError::Damaged("it has no `fortran_order`"))?;
        let shape = self.shape.ok_or(NpyError::Damaged("it has no `shape`"))?;
        let [rows, columns] = shape[..] else { return Err(NpyError::Dimensions(shape.len())) };
        if fortran {
            return Err(NpyError::Fortran);
        }
        let columns = u32::try_from(columns).ok().filter(|c| (1..=vectra::DIM_MAX).contains(c));
        let columns = columns.ok_or(NpyError::Columns(shape[1]))?;
        Ok(Header { element, rows, columns, data_at })
    }
}

/// A quoted string without escapes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// A tuple of whole numbers, and what follows it.
fn tuple(text: &str) -> Option<(Vec<u64>, &str)> {
    let (inside, after) = text.strip_prefix('(')?.split_once(')')?;
    let mut parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    if parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    let numbers = parts.into_iter().map(|part| part.trim_end_matches('L').parse().ok());
    Some((numbers.collect::<Option<_>>()?, after))
}
