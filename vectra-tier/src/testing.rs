//! An object store that fails as told.

use std::collections::BTreeMap;
use std::fmt;
use std::future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;

/// What a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Storing an object.
    Put,
    /// Asking for an object's length.
    Head,
    /// Reading bytes.
    Get,
    /// Removing an object.
    Delete,
    /// Listing a prefix.
    List,
}

/// What may happen to a request. Where one makes no sense, the request is served as if nothing was the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The service is overloaded (503), and nothing happens.
    Busy,
    /// It happens, and the answer is an error (500).
    AnswerLost,
    /// It happens, and the client never hears of it.
    Silence,
    /// Nothing happens, and the client never hears of it.
    Deaf,
    /// Put: "exists already" (409), and nothing was stored.
    Conflict,
    /// Put: stored, and an attempt of the client's own that it does not know of finds it there: "exists already".
    OwnConflict,
    /// Put: one byte is stored wrong, and the answer is that all is well.
    StoredWrong,
    /// Get: the body ends early.
    Truncated,
    /// Get: one byte of the body is wrong.
    Flipped,
    /// Head, get, list: the answer of a replica that has not heard of anything yet.
    Stale,
    /// The client may not do that (403).
    Forbidden,
}

impl Trouble {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::Busy,
        Self::AnswerLost,
        Self::Silence,
        Self::Deaf,
        Self::Conflict,
        Self::OwnConflict,
        Self::StoredWrong,
        Self::Truncated,
        Self::Flipped,
        Self::Stale,
        Self::Forbidden,
    ];
}

#[derive(Debug, Default)]
struct Plan {
    once: BTreeMap<usize, Trouble>,
    from: Option<(usize, Trouble)>,
    trace: Vec<(Request, String)>,
}

/// An object store in memory, whose requests fail by their number. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct FaultyStore {
    objects: Arc<InMemory>,
    plan: Arc<Mutex<Plan>>,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl FaultyStore {
    /// An empty store without any trouble.
    pub fn new() -> Self {
        Self::default()
    }

    /// Request `n` (from 0, over the life of the store) meets `trouble`.
    pub fn fail(&self, n: usize, trouble: Trouble) {
        self.plan.lock().once.insert(n, trouble);
    }

    /// Request `n` and all behind it meet `trouble`.
    pub fn fail_from(&self, n: usize, trouble: Trouble) {
        self.plan.lock().from = Some((n, trouble));
    }

    /// From now on nothing fails.
    pub fn recover(&self) {
        let mut plan = self.plan.lock();
        plan.once.clear();
        plan.from = None;
    }

    /// Every request so far and the name it was about.
    pub fn trace(&self) -> Vec<(Request, String)> {
        self.plan.lock().trace.clone()
    }

    /// A store of its own with the same objects, without any trouble: what another process finds after this one died.
    pub fn fork(&self) -> Self {
        Self { objects: Arc::new(self.objects.fork()), plan: Arc::default() }
    }

    /// The store behind, which never fails.
    pub fn sound(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects) as Arc<dyn ObjectStore>
    }

    fn note(&self, request: Request, name: &dyn fmt::Display) -> Option<Trouble> {
        let mut plan = self.plan.lock();
        let n = plan.trace.len();
        plan.trace.push((request, name.to_string()));
        let always = plan.from.filter(|(from, _)| n >= *from).map(|(_, trouble)| trouble);
        plan.once.get(&n).copied().or(always)
    }
}

fn failed(what: &str) -> Error {
    Error::Generic { store: "FaultyStore", source: what.into() }
}

fn absent(path: &Path) -> Error {
    Error::NotFound { path: path.to_string(), source: "not heard of".into() }
}

fn exists(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "409".into() }
}

/// What happens before a request is served, whatever it is.
async fn before(trouble: Option<Trouble>, path: &Path) -> Result<()> {
    match trouble {
        Some(Trouble::Busy) => Err(failed("503 slow down")),
        Some(Trouble::Forbidden) => {
            Err(Error::PermissionDenied { path: path.to_string(), source: "403".into() })
        }
        Some(Trouble::Deaf) => future::pending().await,
        _ => Ok(()),
    }
}

/// What happens after it was served.
async fn after<T>(trouble: Option<Trouble>, answer: T) -> Result<T> {
    match trouble {
        Some(Trouble::AnswerLost) => Err(failed("500 internal error")),
        Some(Trouble::Silence) => future::pending().await,
        _ => Ok(answer),
    }
}

fn flipped(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x10;
    }
    bytes.into()
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let trouble = self.note(Request::Put, location);
        before(trouble, location).await?;
        let payload = match trouble {
            Some(Trouble::Conflict) => return Err(exists(location)),
            Some(Trouble::StoredWrong) => flipped(&Bytes::from(payload)).into(),
            _ => payload,
        };
        let answer = self.objects.put_opts(location, payload, opts).await?;
        if trouble == Some(Trouble::OwnConflict) {
            return Err(exists(location));
        }
        after(trouble, answer).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let trouble = self.note(if head { Request::Head } else { Request::Get }, location);
        before(trouble, location).await?;
        if trouble == Some(Trouble::Stale) {
            return Err(absent(location));
        }
        let mut answer = self.objects.get_opts(location, options).await?;
        if let (false, Some(Trouble::Truncated | Trouble::Flipped)) = (head, trouble) {
            let (meta, range) = (answer.meta.clone(), answer.range.clone());
            let (attributes, extensions) = (answer.attributes.clone(), answer.extensions.clone());
            let bytes = answer.bytes().await?;
            let bytes = match trouble {
                Some(Trouble::Truncated) => bytes.slice(..bytes.len() / 2),
                _ => flipped(&bytes),
            };
            let payload = GetResultPayload::Stream(stream::once(future::ready(Ok(bytes))).boxed());
            answer = GetResult { payload, meta, range, attributes, extensions };
        }
        after(trouble, answer).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let one = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let trouble = store.note(Request::Delete, &location);
                before(trouble, &location).await?;
                store.objects.delete(&location).await?;
                after(trouble, location).await
            }
        };
        locations.then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let everything = Path::default();
        let trouble = self.note(Request::List, prefix.unwrap_or(&everything));
        before(trouble, prefix.unwrap_or(&everything)).await?;
        let mut answer = self.objects.list_with_delimiter(prefix).await?;
        if trouble == Some(Trouble::Stale) {
            answer.objects.clear();
        }
        after(trouble, answer).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
