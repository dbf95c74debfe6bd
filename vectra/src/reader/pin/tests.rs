use vectra_core::io::MemFs;

use super::*;

fn folder() -> (Arc<dyn Fs>, Env) {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.mkdir(Path::new("/index")).expect("an empty disk");
    (fs, Env::os(1))
}

const ROOT: &str = "/index";

#[test]
fn a_pin_holds_its_generation_until_it_is_dropped() {
    let (fs, env) = folder();
    let root = Path::new(ROOT);
    assert_eq!(pins_held(&*fs, root).expect("no folder of pins yet"), BTreeSet::new());
    let take = |generation| Pin::take(&fs, root, &env, generation).expect("a disk").expect("writable");
    let (seven, again, nine) = (take(7), take(7), take(9));
    assert_eq!(pins_held(&*fs, root).expect("readable"), BTreeSet::from([7, 9]));
    drop(seven);
    assert_eq!(pins_held(&*fs, root).expect("readable"), BTreeSet::from([7, 9]));
    drop(again);
    assert_eq!(pins_held(&*fs, root).expect("readable"), BTreeSet::from([9]));
    drop(nine);
    assert_eq!(fs.list(&root.join(PINS)).expect("a folder"), []);
}

#[test]
fn a_pin_whose_reader_is_gone_is_removed_and_other_files_are_left_alone() {
    let (fs, env) = folder();
    let root = Path::new(ROOT);
    drop(Pin::take(&fs, root, &env, 1));
    let stale = format!("{:020}-{}", 3, env.rng.uuid());
    for name in [&stale, "note.txt", "00000000000000000003", "00000000000000000003-x"] {
        let file = fs.create_new(&root.join(PINS).join(name)).expect("a new name");
        file.write_all_at(b"text", 0).expect("space");
    }
    assert_eq!(pins_held(&*fs, root).expect("readable"), BTreeSet::new());
    let left = fs.list(&root.join(PINS)).expect("a folder");
    let names: Vec<&str> = left.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["00000000000000000003", "00000000000000000003-x", "note.txt"]);
    assert_eq!(fs.read(&root.join(PINS).join("note.txt"), 99).expect("readable"), b"text");
}

#[test]
fn names_say_the_generation() {
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    assert_eq!(pin_generation(&format!("00000000000000000012-{id}")), Some(12));
    for name in
        [id.to_owned(), format!("12-{id}"), format!("0000000000000000001x-{id}"), "\u{e9}".repeat(10) + id]
    {
        assert_eq!(pin_generation(&name), None, "{name}");
    }
}
