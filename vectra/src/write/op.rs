//! The payload of one log frame: the resolved effects of one batch, named by external id.
//!
//! Operation `i` of a frame has the LSN `first_lsn + i`. Replay is a pure function: a put kills the row of its id with
//! an older LSN and adds a new one, a delete kills, an update replaces the metadata of a sealed row.

use std::sync::Arc;

use half::f16;
use vectra_core::codec::{DecodeError, Reader, Writer, decode_value, encode_value};
use vectra_core::distance::ElementKind;
use vectra_core::{ItemId, Value};

use crate::segment::sections::DEFAULT_FIELD;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const UPDATE: u8 = 3;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// The item is now this.
    Put { id: ItemId, vector: Vec<f32>, metadata: Arc<Value> },
    /// The item is gone.
    Delete { id: ItemId },
    /// The item, whose vector is in a sealed segment, now has this metadata.
    Update { id: ItemId, metadata: Arc<Value> },
}

impl Op {
    pub(crate) fn id(&self) -> &ItemId {
        match self {
            Self::Put { id, .. } | Self::Delete { id } | Self::Update { id, .. } => id,
        }
    }
}

/// Encodes a batch; vectors in the element type in which they are stored.
pub(crate) fn encode(ops: &[Op], element: ElementKind) -> Vec<u8> {
    let mut out = Writer::new();
    for op in ops {
        match op {
            Op::Put { id, vector, metadata } => {
                out.u8(PUT).prefixed(&id.encode()).u16(DEFAULT_FIELD);
                match element {
                    ElementKind::F32 => vector.iter().for_each(|x| _ = out.bytes(&x.to_le_bytes())),
                    ElementKind::F16 => {
                        vector.iter().for_each(|x| _ = out.bytes(&f16::from_f32(*x).to_le_bytes()));
                    }
                }
                encode_value(metadata, &mut out);
            }
            Op::Delete { id } => _ = out.u8(DELETE).prefixed(&id.encode()),
            Op::Update { id, metadata } => {
                out.u8(UPDATE).prefixed(&id.encode());
                encode_value(metadata, &mut out);
            }
        }
    }
    out.into_bytes()
}

/// Reads the `count` operations of a payload; total over arbitrary bytes.
pub(crate) fn decode(
    payload: &[u8],
    count: u32,
    dim: usize,
    element: ElementKind,
) -> Result<Vec<Op>, DecodeError> {
    let mut r = Reader::new(payload);
    let mut ops = Vec::new();
    for _ in 0..count {
        let tag = r.u8()?;
        let id = ItemId::decode(r.prefixed()?)?;
        ops.push(match tag {
            PUT => {
                if r.u16()? != DEFAULT_FIELD {
                    return Err(r.error("a vector field this program knows"));
                }
                let vector = decode_vector(&mut r, dim, element)?;
                Op::Put { id, vector, metadata: Arc::new(decode_value(&mut r)?) }
            }
            DELETE => Op::Delete { id },
            UPDATE => Op::Update { id, metadata: Arc::new(decode_value(&mut r)?) },
            _ => return Err(r.error("kind of operation")),
        });
    }
    r.finish()?;
    Ok(ops)
}

fn decode_vector(r: &mut Reader<'_>, dim: usize, element: ElementKind) -> Result<Vec<f32>, DecodeError> {
    let bytes = r.bytes(dim * element.size())?;
    let vector: Vec<f32> = match element {
        ElementKind::F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        ElementKind::F16 => {
            bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
    };
    if vector.iter().all(|x| x.is_finite()) { Ok(vector) } else { Err(r.error("finite vector components")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vectra_core::testing::any_value;

    use super::*;

    fn any_op() -> impl Strategy<Value = Op> {
        let vector =
            proptest::collection::vec(-9i8..9, 3).prop_map(|v| v.into_iter().map(f32::from).collect());
        prop_oneof![
            (any::<u64>(), vector, any_value()).prop_map(|(n, vector, m)| Op::Put {
                id: n.into(),
                vector,
                metadata: Arc::new(m)
            }),
            "[a-z]{1,9}".prop_map(|id| Op::Delete { id: id.into() }),
            (any::<u64>(), any_value()).prop_map(|(n, m)| Op::Update { id: n.into(), metadata: Arc::new(m) }),
        ]
    }

    proptest! {
        #[test]
        fn round_trips(ops in proptest::collection::vec(any_op(), 1..8)) {
            for element in [ElementKind::F32, ElementKind::F16] {
                let bytes = encode(&ops, element);
                prop_assert_eq!(decode(&bytes, ops.len() as u32, 3, element).expect("own encoding"), ops.clone());
                prop_assert!(decode(&bytes, ops.len() as u32 + 1, 3, element).is_err());
            }
        }

        #[test]
        fn decode_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..80), count in 0u32..5) {
            _ = decode(&bytes, count, 3, ElementKind::F32);
        }
    }
}
