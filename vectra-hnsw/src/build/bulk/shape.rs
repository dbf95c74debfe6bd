//! How large groups are and how many of them a row joins.

use crate::params::Params;

/// The numbers that a build goes by.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Rows up to which all meet all.
    pub(super) all: usize,
    /// Groups that a row joins.
    pub(super) joins: usize,
    /// Members of a group, on average.
    pub(super) group: usize,
    /// Members up to which a group is not carved again.
    pub(super) group_max: usize,
    /// Cells that a row joins where there are cells, and as many of the groups of each that it joins `joins` in all.
    pub(super) cells: usize,
    /// Members of a cell, on average; as many rows or fewer have no cells.
    pub(super) cell: usize,
    /// The nearest that a row takes from each of its groups.
    pub(super) taken: usize,
    /// Candidates that a row chooses its neighbours from.
    pub(super) kept: usize,
    /// Candidates of all rows of a band together.
    pub(super) band: usize,
}

impl Shape {
    /// Wider candidates are more groups.
    pub(super) fn of(params: &Params) -> Self {
        let cells = 4;
        Self {
            all: 2048,
            joins: (params.ef() * 3 / 20).clamp(8, 64) / cells * cells,
            group: 384,
            group_max: 2048,
            cells,
            cell: 16_384,
            taken: (params.m * 5 / 16).max(4),
            kept: (6 * params.m).max(48),
            // 32 MiB.
            band: 8 << 20,
        }
    }

    /// The work of one row: what its groups cost to find, to meet in, to choose from and to turn round.
    pub(super) fn work(&self) -> u64 {
        4 * self.joins as u64
    }
}
