//! What every router does, and the encoding of maps.

use std::num::NonZeroU16;

use proptest::prelude::*;
use vectra_core::ItemId;
use vectra_core::codec::{Reader, Writer};
use vectra_shard::{HashRouter, RangeRouter, Router, Routing, ShardMap};

/// Runs every rule on a router, with some ids.
fn conforms(router: &dyn Router, ids: &[Vec<u8>]) {
    assert!(router.shards() > 0);
    for id in ids {
        let shard = router.route(id);
        assert!(shard < router.shards(), "{router:?} sends {id:?} to {shard}");
        assert_eq!(router.route(&id.clone()), shard, "the same id goes to the same shard");
    }
    assert!(router.route(&[]) < router.shards(), "total, also over what is no id");
}

fn ids() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let id = prop_oneof![
        any::<u64>().prop_map(ItemId::from),
        (0_u64..100).prop_map(ItemId::from),
        "[a-z]{1,12}".prop_map(ItemId::from),
    ];
    prop::collection::vec(id.prop_map(|id| id.encode()), 1..60)
}

fn hash() -> impl Strategy<Value = HashRouter> {
    (1_u16..).prop_map(|shards| HashRouter::new(NonZeroU16::new(shards).expect("from 1 on")))
}

fn range() -> impl Strategy<Value = RangeRouter> {
    prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..20), 0..40).prop_map(|splits| {
        RangeRouter::new(splits.into_iter().map(Vec::into).collect()).expect("a set ascends")
    })
}

fn routing() -> impl Strategy<Value = Routing> {
    prop_oneof![hash().prop_map(Routing::from), range().prop_map(Routing::from)]
}

fn encoded(map: &ShardMap) -> Vec<u8> {
    let mut out = Writer::new();
    map.encode(&mut out);
    out.into_bytes()
}

fn decoded(bytes: &[u8]) -> Option<ShardMap> {
    let mut reader = Reader::new(bytes);
    let map = ShardMap::decode(&mut reader).ok()?;
    reader.finish().ok().map(|()| map)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn routers_conform(hash in hash(), range in range(), ids in ids()) {
        conforms(&hash, &ids);
        conforms(&range, &ids);
        conforms(&Routing::from(hash), &ids);
        conforms(&ShardMap::new(range), &ids);
    }

    #[test]
    fn ranges_keep_the_order(range in range(), ids in ids()) {
        let mut ids = ids;
        ids.sort();
        prop_assert!(ids.iter().map(|id| range.route(id)).is_sorted());
        for (shard, split) in range.splits().iter().enumerate() {
            prop_assert_eq!(usize::from(range.route(split)), shard + 1, "a split begins the next shard");
        }
    }

    #[test]
    fn more_shards_move_an_item_by_proportion_only(id in ids(), shards in 1_u16..1000) {
        let router = |shards: u16| HashRouter::new(NonZeroU16::new(shards).expect("from 1 on"));
        for id in id {
            prop_assert_eq!(router(2 * shards).route(&id) / 2, router(shards).route(&id), "doubling splits each shard");
        }
    }

    #[test]
    fn maps_round_trip(version in any::<u64>(), routing in routing()) {
        let map = ShardMap { version, routing };
        let bytes = encoded(&map);
        prop_assert_eq!(decoded(&bytes), Some(map));
        for cut in 0..bytes.len() {
            prop_assert_eq!(decoded(&bytes[..cut]), None, "{} of {} bytes", cut, bytes.len());
        }
    }

    #[test]
    fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40), kind in 0_u8..4) {
        let mut bytes = bytes;
        if let Some(tag) = bytes.get_mut(8) { *tag = kind; }
        if let Some(map) = decoded(&bytes) {
            prop_assert_eq!(encoded(&map), bytes, "one map has one encoding");
        }
    }
}

/// The bytes of the first version; they are readable for ever.
#[test]
fn the_encoding_is_pinned() {
    let hash = ShardMap::new(HashRouter::new(NonZeroU16::new(513).expect("not zero")));
    assert_eq!(encoded(&hash), [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2]);
    let range = RangeRouter::new(vec![Box::from(*b"\x03a"), Box::from(*b"\x03bcd")]).expect("ascending");
    let map = hash.next(range);
    assert_eq!(encoded(&map), *b"\x02\0\0\0\0\0\0\0\x02\x02\x02\x03a\x04\x03bcd");
}

#[test]
fn maps_that_no_index_has_are_refused() {
    let map = |routing: &[u8]| decoded(&[&[0; 8], routing].concat());
    assert!(map(&[1, 1, 0]).is_some());
    assert_eq!(map(&[1, 0, 0]), None, "no shards");
    assert_eq!(map(&[0, 1, 0]), None, "no such router");
    assert_eq!(map(&[3, 1, 0]), None, "no such router");
    assert!(map(b"\x02\x02\x01a\x01b").is_some());
    assert_eq!(map(b"\x02\x02\x01b\x01a"), None, "splits out of order");
    assert_eq!(map(b"\x02\x02\x01a\x01a"), None, "splits that repeat");
    assert_eq!(map(b"\x02\xff\xff\xff\xff\x0f"), None, "more splits than bytes");
    let long = |len: usize| {
        let mut out = Writer::new();
        out.u8(2).varint(1).prefixed(&vec![7; len]);
        map(&out.into_bytes())
    };
    assert!(long(513).is_some() && long(514).is_none(), "longer than any id");
}
