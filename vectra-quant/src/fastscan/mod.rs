//! Sums of table entries over many rows of short codes: what product quantization, and sign bits four at a time, make of
//! a query.
//!
//! A row has a code of four or eight bits in each of some columns; a query has a table of 16 or 256 numbers for each column;
//! the score of a row is the sum of the entries that its codes name. Codes lie in blocks of 64 rows, column by column
//! ([`Layout`]), so that one instruction looks up 64 of them in a table that is a register (Andre et al. 2015). For
//! this the entries are bytes ([`Tables`]): every four columns share out what a byte can hold, so that four
//! entries are added before they are widened.
//!
//! Sums are exact integers, the same on every instruction set.
//!
//! ```
//! use vectra_quant::fastscan::{Layout, Tables, nearest};
//!
//! // Three rows of two columns, and for each column what its codes 0 to 15 cost.
//! let layout = Layout::nibbles(2);
//! let mut blocks = Vec::new();
//! layout.append(&mut blocks, 0, &[0, 0, 5, 1, 15, 15]);
//! let costs: Vec<f32> = (0..2).flat_map(|_| (0..16).map(|code| code as f32)).collect();
//! let query = Tables::new(layout, &costs);
//!
//! let mut sums = [0; 3];
//! query.scan(&blocks, &mut sums);
//! assert!((query.value(sums[1]) - 6.0).abs() <= query.error_max());
//! let best = nearest(&[&query], &blocks, 3, 2, |_| true);
//! assert_eq!(best[0].iter().map(|found| found.row).collect::<Vec<_>>(), [0, 1]);
//! ```

mod bytes;
mod kernel;
mod layout;
mod scan;
mod sieve;
mod tables;

pub use layout::{BLOCK_ROWS, COLUMNS_MAX, Layout};
pub use scan::scan_many;
pub use sieve::{Found, nearest, nearest_of};
pub use tables::Tables;
