#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What a part is called and what may be wrong with it.
mod damage;
mod format;
mod part;

// One file: its layout, writing it, reading it.
pub mod container;
mod file_section;
mod handle;
mod pages;
mod section;

// Many files: where parts are kept.
mod store;

// Parts out of the house.
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::container::Header;
pub use crate::damage::{Damage, DamageReport};
pub use crate::file_section::{FileSection, ReadBuf};
pub use crate::handle::{Mode, OpenError, PartHandle, ReadError};
pub use crate::part::{PartRef, Role, SectionKind};
#[cfg(feature = "remote")]
pub use crate::remote::{Patience, RemoteError, RemoteStore, TieredStore};
pub use crate::section::Section;
pub use crate::store::{Listing, LocalStore, MemStore, PartStore, StoreError};
