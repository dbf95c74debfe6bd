//! What the report of a run says in short.

use serde_json::Value;

/// Where Vectra stands, in lines; an error if it was not measured at all.
pub(super) fn lines(report: &Value) -> Result<Vec<String>, String> {
    let engines = report["engines"].as_object().ok_or("the report has no engines")?;
    let measured =
        |name: &str| report["summary"][name]["points"].as_array().is_some_and(|all| !all.is_empty());
    if !measured("vectra") {
        let why =
            engines.get("vectra").and_then(|record| record["error"].as_str()).unwrap_or("no reason given");
        return Err(format!("Vectra was not measured: {why}"));
    }
    let peers: Vec<&str> = engines.keys().map(String::as_str).filter(|name| *name != "vectra").collect();
    let count = peers.iter().filter(|name| measured(name)).count();
    let mut lines = vec![format!("{count} of {} peers measured", peers.len())];
    for target in ["0.90", "0.95", "0.99"] {
        lines.push(match hardest(report, &peers, target) {
            Some((name, ratio, sign)) => {
                format!("at recall {target} Vectra is {sign}{ratio:.2} times {name}, the hardest peer")
            }
            None => format!("at recall {target} there is nothing to compare"),
        });
    }
    Ok(lines)
}

/// The peer to which Vectra's ratio, call floor subtracted, is least: its name, the ratio, and whether that is a bound.
fn hardest<'a>(report: &'a Value, peers: &[&'a str], target: &str) -> Option<(&'a str, f64, &'a str)> {
    let ratio = |name: &'a str| {
        let value = &report["summary"][name]["ratio_less_floor"][target];
        Some((name, value[0].as_f64()?, value[1].as_str()?))
    };
    peers.iter().filter_map(|name| ratio(name)).min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        let points = json!([{"recall": 0.9}]);
        json!({
            "engines": {"vectra": {}, "fast": {}, "slow": {}, "gone": {"error": "missing"}},
            "summary": {
                "vectra": {"points": points},
                "fast": {"points": points, "ratio_less_floor": {"0.90": [1.25, ""], "0.95": [1.5, "<="], "0.99": null}},
                "slow": {"points": points, "ratio_less_floor": {"0.90": [4.0, ""], "0.95": [5.0, ""], "0.99": null}},
                "gone": {"points": []},
            },
        })
    }

    #[test]
    fn the_hardest_peer_is_named_at_each_recall() {
        let lines = lines(&report()).expect("Vectra was measured");
        assert_eq!(
            lines,
            [
                "2 of 3 peers measured",
                "at recall 0.90 Vectra is 1.25 times fast, the hardest peer",
                "at recall 0.95 Vectra is <=1.50 times fast, the hardest peer",
                "at recall 0.99 there is nothing to compare",
            ]
        );
    }

    #[test]
    fn a_run_without_vectra_is_an_error_with_its_reason() {
        let mut report = report();
        report["summary"]["vectra"]["points"] = json!([]);
        report["engines"]["vectra"]["error"] = json!("build: status 1");
        assert_eq!(lines(&report), Err("Vectra was not measured: build: status 1".to_owned()));
        assert!(lines(&json!({})).is_err());
    }
}
