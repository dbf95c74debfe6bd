//! Every request fails in every way, once and for good: no part is lost, no wrong one is accepted, and nothing is
//! removed but what was asked for.

use std::sync::Arc;

use vectra_tier::testing::{FaultyStore, Request, Trouble};
use vectra_tier::{PartRef, PartStore, RemoteStore};

use crate::remote::{Folder, Outcome, folder, remote, stored};

/// What the caller was told.
#[derive(Default)]
struct Told {
    uploaded: Vec<PartRef>,
    fetched: Vec<PartRef>,
    errors: usize,
}

/// Two parts go, come back, and one of them is removed. Goes on after errors, as a caller would with other parts.
fn live(folder: &Folder, remote: &RemoteStore, parts: &[PartRef; 2]) -> Outcome<Told> {
    let mut told = Told::default();
    for part in parts {
        match remote.upload(&*folder.home.open(part)?) {
            Ok(()) => told.uploaded.push(*part),
            Err(_) => told.errors += 1,
        }
    }
    for part in parts {
        match remote.fetch(part, &folder.cache) {
            Ok(()) => told.fetched.push(*part),
            Err(_) => told.errors += 1,
        }
    }
    told.errors += usize::from(remote.list().is_err());
    told.errors += usize::from(remote.delete(parts[1].id).is_err());
    Ok(told)
}

fn check(
    folder: &Folder,
    store: &FaultyStore,
    names: &[String; 2],
    parts: &[PartRef; 2],
    told: &Told,
) -> Outcome {
    let file = folder.file(&parts[0])?;
    if told.uploaded.contains(&parts[0]) && stored(store, &names[0])? != Some(file) {
        return Err("a part that was acknowledged is not in the store".into());
    }
    if told.uploaded.contains(&parts[1]) {
        let there = stored(store, &names[1])?;
        if there.is_some_and(|bytes| Ok(bytes) != folder.file(&parts[1]).map_err(drop)) {
            return Err("a part that was acknowledged is wrong".into());
        }
    }
    for (request, name) in store.trace() {
        if request == Request::Delete && name != names[1] {
            return Err(format!("{name} was removed").into());
        }
    }
    let cached = folder.cache.list()?;
    for (id, _) in &cached.parts {
        let part = parts.iter().find(|part| part.id == *id).ok_or("a strange part in the cache")?;
        folder.cache.open(part)?.verify()?;
    }
    for part in &told.fetched {
        if !cached.parts.iter().any(|(id, _)| *id == part.id) {
            return Err("a fetched part is not in the cache".into());
        }
    }
    for part in parts {
        folder.home.open(part)?.verify()?;
    }
    folder.assert_tidy()
}

fn run(fail: impl Fn(&FaultyStore)) -> Outcome<(Told, usize)> {
    let (folder, store) = (folder()?, FaultyStore::new());
    let remote = remote(Arc::new(store.clone()))?;
    let parts = [folder.part(1)?, folder.part(2)?];
    let names = [remote.object_name(parts[0].id), remote.object_name(parts[1].id)];
    fail(&store);
    let told = live(&folder, &remote, &parts)?;
    check(&folder, &store, &names, &parts, &told)?;
    let requests = store.trace().len();
    // Once the store is well again, everything can be had but what was removed or stored wrong.
    store.recover();
    for part in &told.uploaded[..told.uploaded.len().min(1)] {
        if part == &parts[0] {
            remote.fetch(part, &folder.cache)?;
        }
    }
    Ok((told, requests))
}

#[test]
fn every_request_fails_once_in_every_way() -> Outcome {
    let (told, requests) = run(|_| {})?;
    assert_eq!((told.uploaded.len(), told.fetched.len(), told.errors), (2, 2, 0));
    assert!(requests > 15, "{requests}");
    for n in 0..requests {
        for trouble in Trouble::ALL {
            let (told, _) =
                run(|store| store.fail(n, trouble)).map_err(|e| format!("{trouble:?} at {n}: {e}"))?;
            // Everything but a refusal, and a store that kept wrong bytes, is lived through.
            if !matches!(trouble, Trouble::Forbidden | Trouble::StoredWrong) {
                assert_eq!(told.errors, 0, "{trouble:?} at {n}");
            }
        }
    }
    Ok(())
}

#[test]
fn from_every_request_on_everything_fails() -> Outcome {
    let (_, requests) = run(|_| {})?;
    for n in 0..requests {
        for trouble in Trouble::ALL {
            // Waiting out each request of each run would take minutes.
            if matches!(trouble, Trouble::Silence | Trouble::Deaf) && n != 9 {
                continue;
            }
            run(|store| store.fail_from(n, trouble)).map_err(|e| format!("{trouble:?} from {n}: {e}"))?;
        }
    }
    Ok(())
}
