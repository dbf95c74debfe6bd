//! Lists of group members in few bytes.

/// Groups of positions, each ascending. A member takes a byte or two: the gap to the one before it.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    first: u32,
    last: u32,
    /// Gaps after the first, seven bits a byte, the lowest first; the highest bit says that more follow.
    gaps: Box<[u8]>,
}

impl Groups {
    /// Adds a group unless it has fewer than two members: they meet nobody.
    pub(super) fn push_some(&mut self, members: &[u32]) {
        if members.len() > 1 {
            self.push(members);
        }
    }

    fn push(&mut self, members: &[u32]) {
        let (first, last) = (members[0], members[members.len() - 1]);
        let mut gaps = Vec::with_capacity(2 * members.len());
        for pair in members.windows(2) {
            assert!(pair[0] < pair[1], "members ascend");
            let mut gap = pair[1] - pair[0];
            while gap >= 0x80 {
                gaps.push(gap as u8 | 0x80);
                gap >>= 7;
            }
            gaps.push(gap as u8);
        }
        self.groups.push(Group { first, last, gaps: gaps.into_boxed_slice() });
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether the span of a group and `range` overlap: whether a member may be within it.
    pub(super) fn touches(&self, group: usize, range: &std::ops::Range<u32>) -> bool {
        let group = &self.groups[group];
        group.first < range.end && group.last >= range.start
    }

    /// The members of a group, into `members`.
    pub(super) fn read(&self, group: usize, members: &mut Vec<u32>) {
        let group = &self.groups[group];
        members.clear();
        members.push(group.first);
        let (mut last, mut gap, mut shift) = (group.first, 0, 0);
        for byte in &group.gaps {
            gap |= u32::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                last += gap;
                members.push(last);
                (gap, shift) = (0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn members_are_read_as_they_were_pushed(
            lists in prop::collection::vec(prop::collection::btree_set(any::<u32>(), 0..40), 0..10),
            range in any::<(u32, u32)>(),
        ) {
            let lists: Vec<Vec<u32>> = lists.into_iter().map(|list| list.into_iter().collect()).collect();
            let mut groups = Groups::default();
            lists.iter().for_each(|list| groups.push_some(list));
            let expected: Vec<&Vec<u32>> = lists.iter().filter(|list| list.len() > 1).collect();
            prop_assert_eq!(groups.len(), expected.len());
            let (range, mut members) = (range.0.min(range.1)..range.0.max(range.1), vec![7]);
            for (group, expected) in expected.into_iter().enumerate() {
                groups.read(group, &mut members);
                prop_assert_eq!(&members, expected);
                let within = expected.iter().any(|member| range.contains(member));
                prop_assert!(groups.touches(group, &range) || !within);
            }
        }
    }

    #[test]
    fn near_members_take_a_byte() {
        let mut groups = Groups::default();
        groups.push_some(&(5..1005).map(|i| i * 100).collect::<Vec<u32>>());
        assert_eq!(groups.groups[0].gaps.len(), 999);
        assert!(groups.touches(0, &(500..501)) && !groups.touches(0, &(0..500)));
        assert!(!groups.touches(0, &(100_401..u32::MAX)));
    }

    #[test]
    #[should_panic(expected = "members ascend")]
    fn a_member_twice_is_refused() {
        Groups::default().push_some(&[3, 3]);
    }
}
