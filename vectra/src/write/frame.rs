//! What a frame of the log says: the one place where its kind is looked at.

use thiserror::Error;
use vectra_core::codec::DecodeError;
use vectra_core::distance::ElementKind;

use super::bulk::frame::LoadFrame;
use super::op::{self, Op};
use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

/// The kind of a frame that carries operations.
pub(crate) const FRAME_BATCH: u8 = 1;
/// The kind of a frame that names the parts of a bulk load.
pub(crate) const FRAME_LOAD: u8 = 2;

/// The content of a frame.
#[derive(Debug)]
pub(crate) enum Logged {
    /// Operation `i` has the LSN `first_lsn + i`.
    Batch(Vec<Op>),
    /// Everything in it has the frame's only LSN.
    Load(LoadFrame),
}

/// What must be known of an index to read the frames of its log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    dim: usize,
    element: ElementKind,
    shards: usize,
}

/// Why a frame says nothing.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// Its checksum is right, its content is not.
    #[error("its content cannot be read")]
    Content(#[from] DecodeError),
    /// A later version wrote it.
    #[error("a frame of kind {0}, which this program does not know")]
    Kind(u8),
}

impl Shape {
    /// For an index with `shards` shards.
    pub(crate) fn of(settings: &Settings, shards: usize) -> Self {
        Self { dim: settings.dim as usize, element: settings.element, shards }
    }
}

impl Logged {
    /// Reads the payload of a frame; total over arbitrary bytes.
    pub(crate) fn decode(shape: Shape, kind: u8, op_count: u32, payload: &[u8]) -> Result<Self, FrameError> {
        match kind {
            FRAME_BATCH => Ok(Self::Batch(op::decode(payload, op_count, shape.dim, shape.element)?)),
            FRAME_LOAD => Ok(Self::Load(LoadFrame::decode(payload, shape.shards)?)),
            kind => Err(FrameError::Kind(kind)),
        }
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Content(e) => {
                Self::caused(ErrorKind::Corrupt, "a frame of the log cannot be read", e)
            }
            FrameError::Kind(_) => Self::new(
                ErrorKind::Unsupported,
                format!("the log holds {error}; open it with a later version"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_by_their_kind() {
        let shape = Shape::of(&Settings::new(2), 1);
        let ops = [Op::Delete { id: 7_u64.into() }];
        let payload = op::encode(&ops, shape.element);
        let read = |kind| Logged::decode(shape, kind, 1, &payload);
        assert!(matches!(read(FRAME_BATCH), Ok(Logged::Batch(read)) if read == ops));
        assert!(matches!(read(FRAME_LOAD), Err(FrameError::Content(_))), "no load");
        let load = LoadFrame { segments: Vec::new(), dead: vec![7_u64.into()] };
        let read = Logged::decode(shape, FRAME_LOAD, 1, &load.encode());
        assert!(matches!(read, Ok(Logged::Load(read)) if read == load));
    }

    #[test]
    fn what_a_later_version_wrote_is_not_called_damage() {
        let error = Logged::decode(Shape::of(&Settings::new(2), 1), 9, 1, &[]).expect_err("no such kind");
        let error = Error::from(error);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("kind 9"), "{error}");
    }
}
