//! Building a segment's sections of metadata.

use vectra_core::Value;

use crate::error::BuildError;
use crate::index::{FieldBuilder, write_indexes};
use crate::row::check_row;
use crate::schema::Schema;
use crate::store::RowBuffer;

/// Takes the metadata of a segment's rows in slot order.
#[derive(Debug)]
pub struct Builder {
    rows: RowBuffer,
    fields: Vec<FieldBuilder>,
    error: Option<BuildError>,
}

/// The bytes of a container's sections of metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sections {
    /// All rows in compressed blocks.
    pub rows: Vec<u8>,
    /// The strings and the compression dictionary that the blocks share.
    pub dictionary: Vec<u8>,
    /// The indexes of the declared fields.
    pub indexes: Vec<u8>,
}

impl Builder {
    /// Starts without rows.
    pub fn new(schema: &Schema) -> Self {
        let fields = schema.fields().iter().map(FieldBuilder::new).collect();
        Self { rows: RowBuffer::default(), fields, error: None }
    }

    /// How many rows it has taken.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has taken no row.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// Bytes of rows that it holds in memory: the first 16 MiB as they came, beyond that compressed. What the indexes of
    /// declared fields take comes on top.
    pub fn buffered_bytes(&self) -> usize {
        self.rows.buffered_bytes()
    }

    /// Takes the metadata of the next slot. What [`check_row`] refuses makes [`Builder::finish`] fail.
    pub fn push(&mut self, metadata: &Value) {
        if self.error.is_some() {
            return;
        }
        let Ok(slot) = u32::try_from(self.rows.len()) else {
            self.error = Some(BuildError::TooManyRows);
            return;
        };
        if slot == u32::MAX {
            self.error = Some(BuildError::TooManyRows);
            return;
        }
        if let Err(source) = check_row(metadata) {
            self.error = Some(BuildError::Row { slot, source });
            return;
        }
        if let Err(error) = self.rows.push(metadata) {
            self.error = Some(error);
            return;
        }
        self.fields.iter_mut().for_each(|field| field.push(slot, metadata));
    }

    /// The sections; equal rows and schema give equal bytes.
    pub fn finish(self) -> Result<Sections, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let indexes = write_indexes(&self.fields)?;
        drop(self.fields);
        let (rows, dictionary) = self.rows.finish()?;
        Ok(Sections { rows, dictionary, indexes })
    }
}
