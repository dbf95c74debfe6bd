//! The demonstration, from beginning to end.

use crate::run::Place;

#[test]
fn the_demo_builds_asks_and_measures() {
    let place = Place::new();
    let text = place.vectra("demo --dir shown").ok();
    assert!(text.contains("8,000 Debian packages") && text.contains("built a durable index"), "{text}");
    assert!(text.contains("hunspell-fr") && text.contains("circuslinux"), "{text}");
    assert_eq!(text.matches("(a one-line package description)").count(), 5, "{text}");
    let default =
        text.lines().find(|line| line.starts_with("default ")).expect("a line about the default search");
    let recall: f64 =
        default.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("its recall");
    assert!((0.95..=1.0).contains(&recall), "{text}");
    assert_eq!(text.matches("cargo run --release -p vectra-cli -- ").count(), 3, "{text}");
    assert!(text.is_ascii() && !text.contains('\x1b'));

    assert_eq!(place.items("shown"), 8000);
    let filter = r#"{"section": "games", "arch": "all"}"#;
    let args = ["query", "shown", "--like", "nethack-console", "--filter", filter, "--json"];
    let found = place.run(&args).json();
    let hits = found["hits"].as_array().expect("hits");
    assert_eq!(hits.len(), 10);
    assert!(hits.iter().all(|hit| hit["metadata"]["section"] == "games" && hit["metadata"]["arch"] == "all"));
    place.vectra("demo --dir shown").refused(4, "already holds an index", "vectra info shown");
}
