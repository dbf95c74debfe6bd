//! What a vector must satisfy, checked on whole files before anything is written.

use half::f16;
use vectra::{ElementKind, Metric, Settings};

/// The rules of one index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VectorRules {
    pub(crate) dim: usize,
    pub(crate) element: ElementKind,
    pub(crate) metric: Metric,
}

impl VectorRules {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { dim: settings.dim as usize, element: settings.element, metric: settings.metric }
    }

    /// The first rule that the vector breaks.
    pub(crate) fn check(&self, vector: &[f32]) -> Result<(), String> {
        if vector.len() != self.dim {
            return Err(format!(
                "the vector has {} components, the index has {} dimensions",
                vector.len(),
                self.dim
            ));
        }
        if let Some(at) = vector.iter().position(|x| !self.stored(*x).is_finite()) {
            let found = vector[at];
            return Err(format!(
                "component {at} is {found}; it must be finite and within what {} holds",
                self.element
            ));
        }
        let length_squared: f64 = vector.iter().map(|x| f64::from(self.stored(*x)).powi(2)).sum();
        if self.metric == Metric::Cosine && !length_squared.is_normal() {
            return Err(
                "the vector has no direction (its length is zero), which cosine distance needs".to_owned()
            );
        }
        Ok(())
    }

    /// A component as the index keeps it.
    fn stored(&self, x: f32) -> f32 {
        match self.element {
            ElementKind::F32 => x,
            ElementKind::F16 => f16::from_f32(x).to_f32(),
        }
    }
}

/// Whether a vector from a file is the one that is stored already.
pub(crate) fn same_vector(rules: &VectorRules, given: &[f32], stored: &[f32]) -> bool {
    given.len() == stored.len()
        && given.iter().zip(stored).all(|(a, b)| rules.stored(*a).to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: VectorRules = VectorRules { dim: 2, element: ElementKind::F16, metric: Metric::Cosine };

    #[test]
    fn each_rule_is_named() {
        assert_eq!(RULES.check(&[1.0, 0.0]), Ok(()));
        assert!(RULES.check(&[1.0]).expect_err("short").contains("1 components"));
        assert!(RULES.check(&[1.0, f32::NAN]).expect_err("nan").contains("component 1 is NaN"));
        assert!(RULES.check(&[1e6, 1.0]).expect_err("large").contains("f16"));
        assert!(RULES.check(&[0.0, 1e-20]).expect_err("none left").contains("direction"));
        let wide = VectorRules { element: ElementKind::F32, metric: Metric::L2, ..RULES };
        assert_eq!(wide.check(&[1e6, 1.0]), Ok(()));
        assert_eq!(wide.check(&[0.0, 0.0]), Ok(()));
    }

    #[test]
    fn sameness_is_that_of_the_stored_precision() {
        assert!(same_vector(&RULES, &[0.1, 1.0], &[f16::from_f32(0.1).to_f32(), 1.0]));
        assert!(!same_vector(&RULES, &[0.2, 1.0], &[f16::from_f32(0.1).to_f32(), 1.0]));
        assert!(!same_vector(&RULES, &[0.2], &[0.2, 1.0]));
    }
}
