//! Ids keep apart what people keep apart.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;
use vectra_core::ItemId;
use vectra_core::ids::{ID_BYTES_MAX, IdError};

/// Ids in ascending order, with the ends of each kind.
fn ascending() -> Vec<ItemId> {
    let longest = "\u{10ffff}".repeat(128);
    vec![
        ItemId::from(0),
        ItemId::from(1),
        ItemId::from(255),
        ItemId::from(256),
        ItemId::from(u64::MAX),
        ItemId::Uuid(Uuid::nil()),
        ItemId::Uuid(Uuid::from_u128(1)),
        ItemId::Uuid(Uuid::from_u128(1 << 64)),
        ItemId::Uuid(Uuid::max()),
        ItemId::from("\0"),
        ItemId::from("0"),
        ItemId::from("1"),
        ItemId::from("10"),
        ItemId::from("A"),
        ItemId::from("a"),
        ItemId::from("a\0"),
        ItemId::from("aa"),
        ItemId::from("b"),
        ItemId::from("\u{e9}"),
        ItemId::from(longest),
    ]
}

#[test]
fn kinds_are_apart_and_each_is_in_its_own_order() {
    let ids = ascending();
    for (at, a) in ids.iter().enumerate() {
        assert_eq!(a.validate(), Ok(()));
        for (other_at, b) in ids.iter().enumerate() {
            assert_eq!(a.cmp(b), at.cmp(&other_at), "{a} {b}");
            assert_eq!(a.encode().cmp(&b.encode()), at.cmp(&other_at), "{a} {b}");
            assert_eq!(a == b, at == other_at);
        }
        assert_eq!(ItemId::decode(&a.encode()).as_ref(), Ok(a));
        assert!(a.encode().len() <= ID_BYTES_MAX);
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[test]
fn only_digits_are_read_as_a_number() {
    for text in ["+42", "-1", " 42", "42 ", "4_2", "0x2a", "4.2", "\u{664}\u{662}", "18446744073709551616"] {
        assert_eq!(ItemId::parse(text), Ok(ItemId::from(text)), "{text}");
    }
    for (text, number) in [("0", 0), ("42", 42), ("18446744073709551615", u64::MAX)] {
        assert_eq!(ItemId::parse(text), Ok(ItemId::from(number)));
    }
}

#[test]
fn only_the_hyphenated_form_is_read_as_a_uuid() {
    let uuid = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
    assert_eq!(ItemId::parse(&uuid.hyphenated().to_string()), Ok(ItemId::Uuid(uuid)));
    assert_eq!(ItemId::parse(&uuid.hyphenated().to_string().to_uppercase()), Ok(ItemId::Uuid(uuid)));
    for text in [uuid.simple().to_string(), uuid.braced().to_string(), uuid.urn().to_string()] {
        assert_eq!(ItemId::parse(&text), Ok(ItemId::from(text.as_str())), "{text}");
    }
    let almost = "67e55044-10b1-426f-9247-bb680e5fe0cg";
    assert_eq!(ItemId::parse(almost), Ok(ItemId::from(almost)));
}

#[test]
fn the_longest_id_fits_its_limit_and_no_longer_one_is_read() {
    let longest = ItemId::from("x".repeat(512));
    assert_eq!(longest.encode().len(), ID_BYTES_MAX);
    assert_eq!(ItemId::decode(&longest.encode()), Ok(longest.clone()));
    let mut too_long = longest.encode();
    too_long.push(b'x');
    assert!(ItemId::decode(&too_long).is_err());
    assert_eq!(ItemId::parse(&"x".repeat(600)), Err(IdError::TooLong { bytes: 600 }));
    for (bytes, why) in [
        (&[][..], "no tag"),
        (&[1], "a number of no bytes"),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], "nine bytes"),
        (&[2, 0, 0], "a short uuid"),
        (&[3], "an empty text"),
        (&[3, 0xff], "not UTF-8"),
        (&[4, 1], "an unknown tag"),
        (&[0], "tag zero"),
    ] {
        assert!(ItemId::decode(bytes).is_err(), "{why}");
    }
}

proptest! {
    /// What a number or UUID prints as is read as itself again: a listing can be typed back in.
    #[test]
    fn what_is_shown_can_be_typed(number in any::<u64>(), uuid in any::<u128>(), text in "[a-z][a-z0-9-]{0,20}") {
        for id in [ItemId::from(number), ItemId::Uuid(Uuid::from_u128(uuid)), ItemId::from(text)] {
            prop_assert_eq!(ItemId::parse(&id.to_string()), Ok(id));
        }
    }

    #[test]
    fn different_ids_have_different_bytes(a in "\\PC{1,6}", b in "\\PC{1,6}", n in any::<u64>()) {
        let (a, b) = (ItemId::from(a), ItemId::from(b));
        prop_assert_eq!(a == b, a.encode() == b.encode());
        prop_assert_ne!(ItemId::from(n), ItemId::from(n.to_string()));
        prop_assert_ne!(ItemId::from(n).encode(), ItemId::from(n.to_string()).encode());
    }
}
