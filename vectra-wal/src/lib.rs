#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// The words.
mod error;
mod log;

// The bytes.
mod control;
mod frame;
mod header;

// Writing.
mod group;
mod log_file;
mod mark;
mod sync;
mod truncate;
mod writer;

// Reading.
mod chain;
mod dump;
mod follow;
mod reader;
mod recover;
mod salvage;
mod seal;
mod walk;

// The two logs.
mod file_log;
mod null_log;

pub use crate::chain::identity;
pub use crate::control::Control;
pub use crate::dump::{DumpEntry, DumpFrame};
pub use crate::error::{AppendError, Corruption, OpenError, VisitError};
pub use crate::file_log::{FileLog, Options};
pub use crate::follow::{LogTail, Progress};
pub use crate::frame::{Frame, PAYLOAD_BYTES_CEILING};
pub use crate::header::{FileHeader, Predecessor};
pub use crate::log::{Anchor, Durability, Log, LogStats, Lsn, Ticket};
pub use crate::null_log::NullLog;
pub use crate::recover::Recovery;
pub use crate::salvage::{Gap, SalvageReport};
pub use crate::seal::BadSeal;
