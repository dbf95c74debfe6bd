//! The least effort that is enough.

use crate::Outcome;

/// The smallest `ef` from `from` to `to` for which `recall(ef)` reaches `target`, `None` if none does.
///
/// Doubles until it is reached, then bisects; this takes recall to grow with `ef`, which it does but for noise.
pub(super) fn least(
    from: usize,
    to: usize,
    target: f64,
    mut recall: impl FnMut(usize) -> Outcome<f64>,
) -> Outcome<Option<usize>> {
    let (mut low, mut high) = (from, from);
    while recall(high)? < target {
        if high >= to {
            return Ok(None);
        }
        low = high + 1;
        high = high.saturating_mul(2).min(to);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if recall(middle)? < target {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(Some(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_reaches_the_target_is_found_in_few_steps() {
        for needed in 10..=500 {
            let mut asked = 0;
            let found = least(10, 500, 0.5, |ef| {
                asked += 1;
                Ok(if ef >= needed { 0.5 } else { 0.4 })
            });
            assert_eq!(found.expect("nothing fails"), Some(needed));
            assert!(asked <= 17, "{asked} passes for {needed}");
        }
    }

    #[test]
    fn an_unreachable_target_is_none_and_errors_pass_through() {
        assert_eq!(least(10, 100, 0.9, |_| Ok(0.5)).expect("nothing fails"), None);
        assert_eq!(least(10, 10, 0.9, |_| Ok(0.95)).expect("nothing fails"), Some(10));
        assert!(least(10, 100, 0.9, |_| Err("no".into())).is_err());
    }
}
