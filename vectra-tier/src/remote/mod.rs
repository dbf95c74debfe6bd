//! Parts in an object store.
//!
//! A request to a store over a network has three outcomes: it happened, it did not, or nobody knows. So no answer is
//! believed: whatever a put was told, what lies under the name afterwards decides, byte by byte against the part's
//! reference. Objects are created, never replaced; and nothing is removed but what a caller names.

mod bridge;
mod error;
mod object;
mod patience;
mod tiered;
mod url;

pub use error::RemoteError;
pub use patience::Patience;
pub use tiered::TieredStore;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use uuid::Uuid;
use vectra_core::env::Rng;
use vectra_core::io::{Blob, File};

use self::bridge::Bridge;
use self::error::Fault;
use self::object::ObjectFile;
use self::patience::Miss;
use self::url::{Fence, Place};
use crate::container::{Toc, verify};
use crate::damage::{Damage, DamageReport};
use crate::handle::{OpenError, PartHandle};
use crate::part::PartRef;
use crate::store::{Listing, LocalStore, PartStore, StoreError, file_name, part_id};

/// The largest part that is sent: what the common services take in one put.
const PART_BYTES_MAX: u64 = 5 << 30;

/// Parts as objects `<prefix>/<uuid>.part`. Cheap to clone; clones share one thread that talks to the store.
///
/// All calls block. They are made from any thread, those of an async runtime included (which they then block).
/// Not for `wasm`, where there is no thread to talk to the store.
#[derive(Debug, Clone)]
pub struct RemoteStore {
    bridge: Arc<Bridge>,
    objects: Arc<dyn ObjectStore>,
    prefix: Location,
    fence: Option<Arc<Fence>>,
    rng: Arc<dyn Rng>,
    patience: Patience,
}

/// What lies under a part's name.
enum Found {
    /// The part, every byte of it.
    Part,
    Nothing,
    SomethingElse(DamageReport),
}

/// Bytes that a request holds on to.
struct Held(Blob);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl RemoteStore {
    /// Parts in `objects`, whose names begin with `prefix`. `rng` spreads the pauses between attempts.
    pub fn new(
        objects: Arc<dyn ObjectStore>,
        prefix: &str,
        rng: Arc<dyn Rng>,
        patience: Patience,
    ) -> Result<Self, RemoteError> {
        let prefix = Location::parse(prefix)
            .map_err(|e| RemoteError::Url { url: prefix.to_owned(), what: e.to_string() })?;
        Self::at(Place { objects, prefix, fence: None }, rng, patience)
    }

    /// Parts in the store that `url` names: `file:///directory` (which must exist; every write is synced, links below
    /// it are refused) or `memory:///prefix` (gone with the last clone of the store).
    pub fn from_url(url: &str, rng: Arc<dyn Rng>, patience: Patience) -> Result<Self, RemoteError> {
        Self::at(url::resolve(url)?, rng, patience)
    }

    fn at(place: Place, rng: Arc<dyn Rng>, patience: Patience) -> Result<Self, RemoteError> {
        let bridge = Bridge::new().map_err(|e| RemoteError::Local {
            action: "start the thread beside",
            object: place.prefix.to_string(),
            source: e.into(),
        })?;
        let (objects, prefix, fence) = (place.objects, place.prefix, place.fence.map(Arc::new));
        Ok(Self { bridge: Arc::new(bridge), objects, prefix, fence, rng, patience })
    }

    /// The same store, with `name` appended to the prefix: one for each index that shares a store.
    pub fn under(&self, name: &str) -> Self {
        Self { prefix: self.prefix.clone().join(name), ..self.clone() }
    }

    /// The name of a part's object.
    pub fn object_name(&self, id: Uuid) -> String {
        self.location(id).to_string()
    }

    fn location(&self, id: Uuid) -> Location {
        self.prefix.clone().join(file_name(id))
    }

    /// Sends `part`. When this returns, every byte of it has been read back and compared with its reference.
    ///
    /// After an error the part may or may not be in the store, and sending it again is safe. An object of that name
    /// with other content is an error, and stays. The part's file is mapped or, where it is not, held in memory
    /// meanwhile.
    pub fn upload(&self, part: &PartHandle) -> Result<(), RemoteError> {
        let (location, reference) = (self.location(part.reference().id), part.reference());
        if reference.length > PART_BYTES_MAX {
            let (object, length) = (location.to_string(), reference.length);
            return Err(RemoteError::TooLarge { object, length, limit: PART_BYTES_MAX });
        }
        // What is damaged here would take the name from what is not.
        part.verify().map_err(|e| local("verify", &location, e))?;
        let bytes = Bytes::from_owner(Held(part.file().map_err(|e| local("read", &location, e))?));
        let mut put_next = true;
        self.patience.try_hard(&*self.rng, |attempt| {
            let answer = if put_next { self.put(&location, bytes.clone()) } else { Ok(()) };
            match self.look(&location, reference, attempt) {
                Ok(Found::Part) => Ok(()),
                Ok(Found::Nothing) => {
                    put_next = true;
                    let error = |fault: Fault| fault.into_error("store", &location, attempt);
                    Err(match answer {
                        Err(fault @ Fault::Refused(_)) => Miss::Final(error(fault)),
                        Err(fault @ (Fault::Unclear(_) | Fault::Taken(_))) => Miss::Again(error(fault)),
                        // Stored, says the store, and there is nothing: it may be behind itself.
                        Ok(()) | Err(Fault::Absent) => {
                            Miss::Again(error(Fault::Unclear("it is not there after it was stored".into())))
                        }
                    })
                }
                Ok(Found::SomethingElse(damage)) => {
                    put_next = false;
                    Err(Miss::Again(RemoteError::Different { object: location.to_string(), damage }))
                }
                Err(miss) => {
                    put_next = false;
                    Err(miss)
                }
            }
        })
    }

    /// Reads the whole object of `part` and compares it with its reference.
    pub fn verify(&self, part: &PartRef) -> Result<(), RemoteError> {
        let location = self.location(part.id);
        self.patience.try_hard(&*self.rng, |attempt| match self.look(&location, part, attempt)? {
            Found::Part => Ok(()),
            Found::Nothing => Err(Miss::Again(RemoteError::Absent { object: location.to_string() })),
            Found::SomethingElse(damage) => {
                Err(Miss::Again(RemoteError::Different { object: location.to_string(), damage }))
            }
        })
    }

    /// Brings `part` into a local store, where it is published once every byte of it was compared with its reference,
    /// on the disk. If it is there already, and right, nothing is asked of the object store; if it is there and
    /// damaged, it is replaced.
    pub fn fetch(&self, part: &PartRef, into: &LocalStore) -> Result<(), RemoteError> {
        let location = self.location(part.id);
        let damaged = match into.open(part) {
            Ok(handle) if handle.verify().is_ok() => return Ok(()),
            Ok(_) | Err(OpenError::Corrupt(_)) => true,
            Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => false,
            Err(other) => return Err(local("open", &location, other)),
        };
        self.patience.try_hard(&*self.rng, |attempt| {
            let object = ObjectFile::new(self, location.clone(), part.length);
            let received = into.receive(part, &object);
            match (received, object.into_failure()) {
                (Ok(()), _) => Ok(()),
                (Err(_), Some(error @ RemoteError::Refused { .. })) => Err(Miss::Final(error)),
                (Err(_), Some(error)) => Err(Miss::Again(error)),
                (Err(Received::Different(damage)), None) => {
                    let object = location.to_string();
                    let error = RemoteError::Different { object, damage };
                    Err(if attempt < self.patience.attempts {
                        Miss::Again(error)
                    } else {
                        Miss::Final(error)
                    })
                }
                (Err(Received::Local(action, source)), None) => {
                    Err(Miss::Final(RemoteError::Local { action, object: location.to_string(), source }))
                }
            }
        })?;
        // Only now: a damaged copy is better than none.
        if damaged {
            into.remove(part.id).map_err(|e| local("replace", &location, e))?;
        }
        match into.publish(part) {
            // Somebody else brought it in meanwhile, as carefully.
            Err(StoreError::Published { .. }) => Ok(()),
            published => published.map_err(|e| local("publish", &location, e)),
        }
    }

    /// Removes a part that nothing refers to. Fine if it is gone already. After an error it may be gone or not.
    pub fn delete(&self, id: Uuid) -> Result<(), RemoteError> {
        let location = self.location(id);
        self.insist("remove", &location, || {
            let (objects, location) = (self.objects.clone(), location.clone());
            let answer = self.request(&location.clone(), 0, async move { objects.delete(&location).await });
            if matches!(answer, Err(Fault::Absent)) { Ok(()) } else { answer }
        })
    }

    /// What is under the prefix, as far as the store tells: a part missing here may be there all the same.
    pub fn list(&self) -> Result<Listing, RemoteError> {
        let found = self.insist("list", &self.prefix, || {
            let (objects, prefix) = (self.objects.clone(), self.prefix.clone());
            self.request(&self.prefix, 0, async move { objects.list_with_delimiter(Some(&prefix)).await })
        })?;
        let mut listing = Listing::default();
        for object in found.objects {
            let name = object.location.filename().unwrap_or_default();
            match part_id(name) {
                Some(id) => listing.parts.push((id, object.size)),
                None => listing.ignored.push(name.to_owned()),
            }
        }
        listing.parts.sort_unstable();
        Ok(listing)
    }

    /// Asks for something that may be asked for twice.
    fn insist<T>(
        &self,
        action: &'static str,
        object: &Location,
        ask: impl Fn() -> Result<T, Fault>,
    ) -> Result<T, RemoteError> {
        self.patience.try_hard(&*self.rng, |attempt| {
            ask().map_err(|fault| {
                let last = matches!(fault, Fault::Refused(_));
                let error = fault.into_error(action, object, attempt);
                if last { Miss::Final(error) } else { Miss::Again(error) }
            })
        })
    }

    /// One request that moves `bytes`, for an object or listing at `location`.
    fn request<T: Send + 'static>(
        &self,
        location: &Location,
        bytes: u64,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, Fault> {
        if let Some(fence) = &self.fence {
            fence.check(location).map_err(Fault::Refused)?;
        }
        self.bridge.call(self.patience.limit(bytes), request)
    }

    fn put(&self, location: &Location, bytes: Bytes) -> Result<(), Fault> {
        let (objects, name, length) = (self.objects.clone(), location.clone(), bytes.len() as u64);
        let options = PutOptions::from(PutMode::Create);
        let put = async move { objects.put_opts(&name, PutPayload::from(bytes), options).await.map(drop) };
        self.request(location, length, put)
    }

    /// Reads what lies under a name and compares it with the part that should.
    fn look(&self, location: &Location, part: &PartRef, attempt: u32) -> Result<Found, Miss<RemoteError>> {
        let (objects, name) = (self.objects.clone(), location.clone());
        let length = match self.request(location, 0, async move { objects.head(&name).await }) {
            Ok(meta) => meta.size,
            Err(Fault::Absent) => return Ok(Found::Nothing),
            Err(fault) => {
                let last = matches!(fault, Fault::Refused(_));
                let error = fault.into_error("look at", location, attempt);
                return Err(if last { Miss::Final(error) } else { Miss::Again(error) });
            }
        };
        let object = ObjectFile::new(self, location.clone(), length);
        let damage = compare(&object, part);
        match (damage, object.into_failure()) {
            // Gone between the two requests, or never seen by the second.
            (_, Some(RemoteError::Absent { .. })) => Ok(Found::Nothing),
            (_, Some(error @ RemoteError::Refused { .. })) => Err(Miss::Final(error)),
            (_, Some(error)) => Err(Miss::Again(error)),
            (None, None) => Ok(Found::Part),
            (Some(damage), None) => Ok(Found::SomethingElse(damage)),
        }
    }
}

/// How the object differs from the part; nothing if it is the part, byte by byte.
fn compare(object: &ObjectFile<'_>, part: &PartRef) -> Option<DamageReport> {
    let path = object.path();
    let one = |damage| Some(DamageReport { damages: vec![damage] });
    let length = object.len().unwrap_or_default();
    if length != part.length {
        return one(Damage::new(&path, (0, length), "object length", part.length, length));
    }
    match Toc::read(object, &path) {
        Ok(toc) => verify(object, &path, &toc, part).err(),
        Err(OpenError::Corrupt(damage)) => one(damage),
        Err(error) => one(Damage::new(&path, (0, length), "object", "a part this program reads", error)),
    }
}

fn local(
    action: &'static str,
    location: &Location,
    source: impl std::error::Error + Send + Sync + 'static,
) -> RemoteError {
    RemoteError::Local { action, object: location.to_string(), source: source.into() }
}

/// Why a part did not arrive.
#[derive(Debug)]
pub(crate) enum Received {
    /// The bytes that came are not the part.
    Different(DamageReport),
    /// Reading (then the object knows why) or the local disk failed: what was done, and what happened.
    Local(&'static str, Box<dyn std::error::Error + Send + Sync>),
}
