use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::*;
use crate::Params;
use crate::graph::NONE;
use crate::store::{Grouped, Rows, clustered};

fn built(store: &Grouped, params: Params, threads: usize) -> Graph {
    let mut graph = Graph::new(params);
    graph.grow(store.len() as u32);
    link_all(&mut graph, store, threads, &|_| true).expect("not stopped");
    graph
}

/// Checks that lists hold distinct other nodes of their layer, as many as they may.
fn check(graph: &Graph) {
    let entry = graph.entry.expect("rows");
    for layer in 0..=entry.level {
        let slots = slots_on(graph, layer);
        let nodes: Vec<u32> =
            slots.iter().map(|slot| if layer == 0 { *slot } else { graph.entry_at(*slot).ordinal }).collect();
        for node in &nodes {
            let mut buffer = [NONE; 64];
            let links = graph.read(layer, *node, &mut buffer);
            let distinct = (1..links.len()).all(|i| !links[..i].contains(&links[i]));
            assert!(distinct && !links.contains(node), "{node} on layer {layer}: {links:?}");
            assert!(links.len() <= graph.params.degree_max(layer));
            assert!(links.iter().all(|link| nodes.binary_search(link).is_ok()), "all on layer {layer}");
            assert!(!links.is_empty() || nodes.len() == 1, "{node} on layer {layer} is alone");
        }
    }
}

#[test]
fn the_threads_leave_no_trace() {
    // more rows than all meet all, on layer 0 and on layer 1
    let store = Grouped(clustered(9000, 5, 30, 4));
    let params = Params { m: 4, ef_construction: 60, seed: 5 };
    let one = built(&store, params, 1);
    check(&one);
    let bytes = crate::format::encode(&one);
    for threads in [0, 2, 5] {
        assert!(bytes == crate::format::encode(&built(&store, params, threads)), "{threads} threads");
    }
    let other = built(&store, Params { seed: 6, ..params }, 1);
    assert!(bytes != crate::format::encode(&other), "the seed decides");
}

#[test]
fn few_rows_and_equal_rows_have_sound_graphs() {
    for rows in [1, 2, 3, 10, 100] {
        check(&built(&Grouped(clustered(rows, 3, 2, 1)), Params::default(), 2));
    }
    for rows in [2, 10, 3000] {
        let graph = built(&Grouped(Rows::new(vec![vec![1.0, 2.0]; rows])), Params::default(), 2);
        check(&graph);
        assert!(
            crate::reach::unreachable(&graph).len() <= rows / 100,
            "alike, and yet linked one to the next"
        );
    }
    let mut graph = Graph::new(Params::default());
    link_all(&mut graph, &Grouped(Rows::new(Vec::new())), 2, &|_| true).expect("nothing to do");
    assert_eq!(graph.entry, None);
}

#[test]
fn bands_do_not_change_what_is_found() {
    let store = Grouped(clustered(700, 5, 10, 4));
    let graphs = [8 << 20, 40 * 31 * 7].map(|band| {
        let mut graph = Graph::new(Params { m: 6, ..Params::default() });
        graph.grow(700);
        let shape = Shape { all: 100, group: 40, group_max: 90, cell: 200, band, ..Shape::of(&graph.params) };
        let told = Told::new(700, u64::MAX, &|_| true);
        let layer = Layer { graph: &graph, store: &store, number: 0, threads: 2, shape: &shape, told: &told };
        layer.link((0..700).collect()).expect("not stopped");
        graph
    });
    for slot in 0..700 {
        let [a, b] = graphs.each_ref().map(|graph| graph.read(0, slot, &mut [NONE; 64]).to_vec());
        assert_eq!(a, b, "{slot} in one band and in many");
    }
}

#[test]
fn progress_grows_and_ends_at_the_rows() {
    let store = Grouped(clustered(3000, 5, 8, 4));
    let mut graph = Graph::new(Params::default());
    graph.grow(3000);
    let heard = Mutex::new(Vec::new());
    let progress = |rows| {
        heard.lock().push(rows);
        true
    };
    link_all(&mut graph, &store, 3, &progress).expect("not stopped");
    let heard = heard.into_inner();
    assert!(heard.is_sorted_by(|a, b| a < b) && heard.last() == Some(&3000), "{heard:?}");
    assert!(heard.len() > 20, "told often: {heard:?}");
}

#[test]
fn a_stop_ends_the_build_wherever_it_is() {
    let store = Grouped(clustered(3000, 5, 8, 4));
    for limit in [1, 100, 900, 1500, 2300, 2900, 3000] {
        let mut graph = Graph::new(Params::default());
        graph.grow(3000);
        let calls = AtomicU64::new(0);
        let stopped = link_all(&mut graph, &store, 2, &|rows| {
            assert_eq!(calls.load(Relaxed), 0, "nothing is told after the stop");
            calls.fetch_add(u64::from(rows >= limit), Relaxed);
            rows < limit
        });
        assert!(matches!(stopped, Err(BuildError::Stopped(rows)) if rows >= limit), "{limit}: {stopped:?}");
    }
}
