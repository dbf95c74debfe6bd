//! The command lines: what is understood, what is handed on; and the Python side's own check.

use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: PeersOptions,
}

fn parse(line: &str) -> Result<PeersOptions, String> {
    let words = ["bench"].into_iter().chain(line.split_whitespace());
    Line::try_parse_from(words).map(|line| line.options).map_err(|error| error.to_string())
}

fn set() -> Set {
    let file = |name: &str| PathBuf::from(format!("/d/{name}.npy"));
    Set { base: file("b"), queries: file("q"), truth: file("t"), metric: "l2".to_owned() }
}

#[test]
fn the_defaults_are_the_generated_set_ten_neighbours_three_rounds() {
    let options = parse("--peers").expect("nothing else is needed");
    assert!(options.peers && options.only.is_empty());
    assert_eq!((options.k, options.rounds), (10, 3));
    assert_eq!(options.own_set().expect("nothing to look for"), None);
    assert!(!parse("").expect("the other benchmark").peers);
}

#[test]
fn what_belongs_together_is_asked_for_together() {
    for line in [
        "--base b --queries q --truth t",
        "--peers --base b",
        "--peers --base b --queries q",
        "--peers --metric dot",
        "--peers --base b --queries q --truth t --metric hamming",
        "--peers --rounds 0",
        "--peers --k 0",
        "--rounds 2",
        "--only svs",
    ] {
        assert!(parse(line).is_err(), "{line} passed");
    }
    let options =
        parse("--peers --base b --queries q --truth t --metric dot --only svs,hnswlib").expect("complete");
    assert_eq!((options.metric.as_str(), options.only.len()), ("dot", 2));
}

#[test]
fn a_set_of_ones_own_must_be_there() {
    let missing = parse("--peers --base no-such-file --queries q --truth t").expect("the line is complete");
    let error = missing.own_set().expect_err("no such file").to_string();
    assert!(error.contains("no-such-file"), "{error}");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let line = format!("--peers --base {manifest} --queries {manifest} --truth {manifest}");
    let found = parse(&line).expect("complete").own_set().expect("the file is there").expect("it was named");
    assert!(found.base.is_absolute());
    assert_eq!((found.metric.as_str(), &found.base), ("cosine", &found.truth));
}

#[test]
fn the_driver_is_told_everything() {
    let options = parse("--peers --k 20 --rounds 5 --only svs,zvec").expect("complete");
    let (root, set) = (Path::new("/r"), set());
    let run =
        Run { root, options: &options, set: &set, program: Path::new("/p/vb"), out: Path::new("/o.json") };
    let line = run.arguments("abc-dirty").join(" ");
    assert!(
        line.starts_with("-u /r/bench/peers/run.py --base /d/b.npy --queries /d/q.npy --truth /d/t.npy "),
        "{line}"
    );
    for part in [
        "--metric l2",
        "--vectra-bench /p/vb",
        "--work /r/target/peers-work",
        "--out /o.json",
        "--k 20",
        "--rounds 5",
        "--only svs,zvec",
        "--revision abc-dirty",
        "--command cargo xtask ",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let all = parse("--peers").expect("complete");
    let all = Run { options: &all, ..run }.arguments("");
    assert!(!all.contains(&"--only".to_owned()), "{all:?}");
}

#[test]
fn the_program_is_found_among_cargos_messages() {
    let messages = r#"{"target":{"name":"vectra"},"executable":null}
{"target":{"name":"vectra-bench"},"executable":null}
no json
{"target":{"name":"vectra-bench"},"executable":"/t/release/vectra-bench"}"#;
    assert_eq!(executable(messages), Some(PathBuf::from("/t/release/vectra-bench")));
    assert_eq!(executable("{}"), None);
}

#[test]
fn the_python_side_checks_itself() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/peers");
    if !process::succeeds(Command::new("python3").arg("--version")) {
        println!("python3 is missing: bench/peers/selfcheck.py was not run");
        return;
    }
    let mut command = Command::new("python3");
    command.current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1").arg("selfcheck.py");
    process::pass_through(&mut command).expect("its checks pass: run python3 bench/peers/selfcheck.py");
}
