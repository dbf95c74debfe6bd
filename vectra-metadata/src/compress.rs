//! zstd, where the build has it; without it everything is stored as it is.

use crate::format::Codec;

#[cfg(feature = "zstd")]
pub(crate) use with_zstd::{Compressor, Decompressor, train};
#[cfg(not(feature = "zstd"))]
pub(crate) use without::{Compressor, Decompressor, train};

/// Bytes and how they are compressed.
pub(crate) struct Packed {
    pub(crate) codec: Codec,
    pub(crate) bytes: Vec<u8>,
}

#[cfg(feature = "zstd")]
mod with_zstd {
    use std::io;

    use vectra_core::codec::DecodeError;
    use zstd::zstd_safe::{DCtx, DParameter, get_frame_content_size};

    use super::Packed;
    use crate::format::{Codec, RATIO_MAX};

    /// Metadata is compressed once, in the background, and read often.
    const LEVEL: i32 = 15;
    /// Blocks are 64 KiB; a frame may not ask for a larger window than 8 MiB.
    const WINDOW_LOG_MAX: u32 = 23;
    /// Less is not worth a frame.
    const BYTES_MIN: usize = 64;

    /// A dictionary of at most `bytes_max` bytes trained on `samples`, `None` where they are too few.
    pub(crate) fn train(samples: &[&[u8]], bytes_max: usize) -> Option<Vec<u8>> {
        zstd::dict::from_samples(samples, bytes_max).ok()
    }

    /// Compresses pieces, with a dictionary or without.
    pub(crate) struct Compressor {
        zstd: zstd::bulk::Compressor<'static>,
        codec: Codec,
    }

    impl Compressor {
        pub(crate) fn new(dictionary: &[u8]) -> io::Result<Self> {
            let (zstd, codec) = if dictionary.is_empty() {
                (zstd::bulk::Compressor::new(LEVEL)?, Codec::Zstd)
            } else {
                (zstd::bulk::Compressor::with_dictionary(LEVEL, dictionary)?, Codec::ZstdTrained)
            };
            Ok(Self { zstd, codec })
        }

        /// The smaller of compressed and raw.
        pub(crate) fn pack(&mut self, raw: Vec<u8>) -> io::Result<Packed> {
            if raw.len() >= BYTES_MIN {
                let bytes = self.zstd.compress(&raw)?;
                if bytes.len() < raw.len() && raw.len() <= bytes.len() * RATIO_MAX {
                    return Ok(Packed { codec: self.codec, bytes });
                }
            }
            Ok(Packed { codec: Codec::Raw, bytes: raw })
        }
    }

    /// Decompresses pieces of one segment.
    pub(crate) struct Decompressor {
        context: DCtx<'static>,
    }

    impl Decompressor {
        /// For pieces of `codec`, whose dictionary is `dictionary`.
        pub(crate) fn new(codec: Codec, dictionary: &[u8]) -> Result<Self, DecodeError> {
            let mut context = DCtx::create();
            let window = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX));
            window.map_err(|_| DecodeError::new(0, "window limit"))?;
            if codec == Codec::ZstdTrained {
                let loaded = context.load_dictionary(dictionary);
                loaded.map_err(|_| DecodeError::new(0, "zstd dictionary"))?;
            }
            Ok(Self { context })
        }

        /// Exactly `raw_len` bytes, which the frame has to state too; the caller has capped `raw_len`.
        pub(crate) fn unpack(&mut self, stored: &[u8], raw_len: usize) -> Result<Vec<u8>, DecodeError> {
            if get_frame_content_size(stored).ok().flatten() != Some(raw_len as u64) {
                return Err(DecodeError::new(0, "frame of the stated length"));
            }
            let mut raw = Vec::with_capacity(raw_len);
            let written = self.context.decompress(&mut raw, stored);
            if written.is_ok_and(|len| len == raw_len) && raw.len() == raw_len {
                return Ok(raw);
            }
            Err(DecodeError::new(0, "zstd frame"))
        }
    }
}

#[cfg(not(feature = "zstd"))]
mod without {
    use std::io;

    use vectra_core::codec::DecodeError;

    use super::Packed;
    use crate::format::Codec;

    pub(crate) fn train(_samples: &[&[u8]], _bytes_max: usize) -> Option<Vec<u8>> {
        None
    }

    pub(crate) struct Compressor;

    impl Compressor {
        #[allow(clippy::unnecessary_wraps, reason = "the same shape as with zstd")]
        pub(crate) fn new(_dictionary: &[u8]) -> io::Result<Self> {
            Ok(Self)
        }

        #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "the same shape as with zstd")]
        pub(crate) fn pack(&mut self, raw: Vec<u8>) -> io::Result<Packed> {
            Ok(Packed { codec: Codec::Raw, bytes: raw })
        }
    }

    pub(crate) struct Decompressor;

    impl Decompressor {
        pub(crate) fn new(_codec: Codec, _dictionary: &[u8]) -> Result<Self, DecodeError> {
            Err(DecodeError::new(0, "zstd support in this build"))
        }

        #[allow(clippy::unused_self, reason = "the same shape as with zstd")]
        pub(crate) fn unpack(&mut self, _stored: &[u8], _raw_len: usize) -> Result<Vec<u8>, DecodeError> {
            Err(DecodeError::new(0, "zstd support in this build"))
        }
    }
}

/// Whether this build can read pieces of `codec`.
pub(crate) fn supported(codec: Codec) -> bool {
    codec == Codec::Raw || cfg!(feature = "zstd")
}

#[cfg(all(test, feature = "zstd"))]
mod tests;
