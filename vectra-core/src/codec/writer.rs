//! Building encoded bytes.

/// Appends little-endian numbers and length-prefixed bytes; the counterpart of [`crate::codec::Reader`].
#[derive(Debug, Clone, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on behind `bytes`.
    pub fn append_to(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// How many bytes are written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The written bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Raw bytes, without a length.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// One byte.
    pub fn u8(&mut self, n: u8) -> &mut Self {
        self.bytes(&[n])
    }

    /// A little-endian `u16`.
    pub fn u16(&mut self, n: u16) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    /// A little-endian `u32`.
    pub fn u32(&mut self, n: u32) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    /// A little-endian `u64`.
    pub fn u64(&mut self, n: u64) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    /// A little-endian `u128`.
    pub fn u128(&mut self, n: u128) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    /// A little-endian `f64`.
    pub fn f64(&mut self, n: f64) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    /// An LEB128 number in its shortest form.
    pub fn varint(&mut self, mut n: u64) -> &mut Self {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
        self
    }

    /// Bytes behind their varint length.
    pub fn prefixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(bytes.len() as u64).bytes(bytes)
    }

    /// Text behind its varint length.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.prefixed(text.as_bytes())
    }
}
