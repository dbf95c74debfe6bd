use super::*;
use vectra::Builder;

/// As the whole plan, with less of everything.
fn tiny() -> Plan {
    let mut plan = Plan::whole();
    for search in &mut plan.searches {
        (search.dim, search.rows, search.queries) = (search.dim / 4, search.rows / 4, 40);
    }
    plan.writes.inserts = 16;
    plan
}

/// What the gate says when this is done to the tiny plan after it was recorded.
fn planted(plant: impl FnOnce(&mut Plan)) -> Verdict {
    let mut plan = tiny();
    let recorded = plan.run().expect("nothing fails");
    plant(&mut plan);
    plan.run().expect("nothing fails").against(&recorded)
}

#[test]
fn the_same_work_costs_the_same() {
    let verdict = planted(|_| ());
    assert_eq!(verdict.table().lines().count(), 1, "{}", verdict.table());
    assert_eq!(verdict.failures(), 0);
}

#[test]
fn every_figure_that_should_be_there_says_something() {
    let record = tiny().run().expect("nothing fails");
    let zero = |end: &str| record.counters.iter().all(|(name, count)| !name.ends_with(end) || *count == 0);
    for end in ["/distances", "/exact_reads", "/segments", "/syncs", "/written_bytes", "/read_bytes"] {
        assert!(!zero(end), "no {end} was counted");
    }
    for name in ["l2/ef=16/hops", "cosine/ef=16/hops", "l2/most/hops", "l2/plain/filter_evaluations"] {
        assert!(record.counters[name] > 0, "{name}");
    }
    // One by one: at least a sync for every write.
    assert!(record.counters["writes/insert/syncs"] >= 16);
    assert!(record.recall.values().all(|share| (0.5..=1.0).contains(share)), "{:?}", record.recall);
    for name in ["l2/exact", "unsealed/default", "unsealed/tag"] {
        assert!((record.recall[name] - 1.0).abs() < 1e-9, "{name}: {}", record.recall[name]);
    }
}

#[test]
fn a_search_that_works_harder_is_caught() {
    let verdict = planted(|plan| {
        for ask in &mut plan.searches[0].asks {
            if let Effort::Ef(ef) = &mut ask.effort {
                *ef += 4;
            }
        }
    });
    assert!(verdict.failures() >= 2, "{}", verdict.table());
    assert!(verdict.table().contains("l2/ef=16/distances"), "{}", verdict.table());
    assert!(!verdict.table().contains("cosine/"), "{}", verdict.table());
}

#[test]
fn a_poorer_graph_is_caught() {
    let verdict = planted(|plan| plan.searches[0].graph = Some((4, 4)));
    let text = verdict.table();
    let caught = text.lines().any(|line| line.starts_with("l2/ef=16/recall") && line.ends_with("WORSE"));
    assert!(caught, "{text}");
}

#[test]
fn a_filter_without_its_index_is_caught() {
    let verdict = planted(|plan| {
        let tag = plan.searches[0].asks.iter_mut().find(|ask| ask.name == "tag").expect("it is asked");
        tag.want = Want::Plain;
    });
    assert!(verdict.table().contains("l2/tag/filter_evaluations"), "{}", verdict.table());
    assert!(verdict.failures() > 0);
}

#[test]
fn syncs_too_many_and_too_few_are_caught() {
    let more = |builder: Builder| builder.ack_after_mark(true);
    let verdict = planted(|plan| plan.writes.with = more);
    assert!(verdict.failures() > 0, "{}", verdict.table());
    assert!(verdict.table().contains("writes/insert/syncs"), "{}", verdict.table());

    let mut plan = tiny();
    plan.writes.with = more;
    let recorded = plan.run().expect("nothing fails");
    let verdict = tiny().run().expect("nothing fails").against(&recorded);
    assert!(verdict.count(Change::Fewer) > 0, "{}", verdict.table());
}

#[test]
fn a_baseline_is_recorded_and_compared_with() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let baseline = folder.path().join("gate.json");
    let error = read(&baseline).expect_err("it is not there").to_string();
    assert!(error.contains("--bless"), "{error}");
    std::fs::write(&baseline, r#"{"counters": {"a": -1}, "recall": {}}"#).expect("a writable folder");
    let error = read(&baseline).expect_err("no counter is negative").to_string();
    assert!(error.contains("not a record of the gate"), "{error}");

    let found = tiny().run().expect("nothing fails");
    std::fs::write(&baseline, report::json(&found).expect("plain data")).expect("a writable folder");
    let mut recorded = read(&baseline).expect("it was just written");
    let report = |recorded: &Record| GateReport { verdict: found.against(recorded), found: found.clone() };
    assert!(report(&recorded).outcome(false).is_ok());
    *recorded.counters.get_mut("l2/ef=16/distances").expect("it is counted") /= 2;
    let error = report(&recorded).outcome(false).expect_err("twice as many").to_string();
    assert!(error.starts_with("1 figure is not as recorded"), "{error}");
    assert!(report(&recorded).outcome(true).is_ok(), "what was blessed passes");
}
