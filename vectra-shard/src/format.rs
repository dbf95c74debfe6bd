//! The encoding of a shard map: version (`u64`, little-endian), the router's kind (a byte), then what that kind needs.
//!
//! | kind | rest |
//! |---|---|
//! | 1 hash | shards `u16` little-endian, not 0 |
//! | 2 range | number of splits (varint), then each split behind its length (varint), strictly ascending |

use std::num::NonZeroU16;

use vectra_core::codec::{DecodeError, Reader, Writer};
use vectra_core::ids::ID_BYTES_MAX;

use crate::map::ShardMap;
use crate::router::{HashRouter, RangeRouter, Router, Routing};

const HASH: u8 = 1;
const RANGE: u8 = 2;

impl ShardMap {
    /// Appends the encoded form: version (`u64`, little-endian), then the router.
    pub fn encode(&self, out: &mut Writer) {
        out.u64(self.version);
        encode(&self.routing, out);
    }

    /// Reads back what [`ShardMap::encode`] wrote; total over arbitrary bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { version: reader.u64()?, routing: decode(reader)? })
    }
}

fn encode(routing: &Routing, out: &mut Writer) {
    match routing {
        Routing::Hash(router) => _ = out.u8(HASH).u16(router.shards()),
        Routing::Range(router) => {
            out.u8(RANGE).varint(router.splits().len() as u64);
            router.splits().iter().for_each(|split| _ = out.prefixed(split));
        }
    }
}

fn decode(reader: &mut Reader<'_>) -> Result<Routing, DecodeError> {
    let at = reader.position();
    match reader.u8()? {
        HASH => {
            let shards =
                NonZeroU16::new(reader.u16()?).ok_or(DecodeError::new(at + 1, "number of shards"))?;
            Ok(HashRouter::new(shards).into())
        }
        RANGE => {
            let splits = reader.count(1)?;
            let splits = (0..splits).map(|_| split(reader)).collect::<Result<_, _>>()?;
            let router = RangeRouter::new(splits).map_err(|_| DecodeError::new(at + 1, "split points"))?;
            Ok(router.into())
        }
        _ => Err(DecodeError::new(at, "kind of router")),
    }
}

fn split(reader: &mut Reader<'_>) -> Result<Box<[u8]>, DecodeError> {
    let at = reader.position();
    let bytes = reader.prefixed()?;
    if bytes.len() > ID_BYTES_MAX { Err(DecodeError::new(at, "split point")) } else { Ok(bytes.into()) }
}
