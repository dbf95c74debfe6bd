//! The container file: a header block, page-checked sections, a footer that vouches for all of them.
//!
//! One pass writes it ([`Writer`]), append only; a reader ([`crate::PartHandle`]) looks at the header and the footer
//! and at nothing else until a section is asked for. The layout is in `toc.rs`, byte by byte.

mod reader;
mod toc;
mod verify;
mod writer;

pub use reader::identify;
pub use toc::{BLOCK, Header, PAGE};
pub use writer::{WriteError, Writer};

pub(crate) use reader::Toc;
pub(crate) use toc::{CODEC_PLAIN, Entry};
pub(crate) use verify::verify;
