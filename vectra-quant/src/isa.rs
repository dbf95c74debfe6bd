//! The instruction sets that kernels are written for, and which of them this machine has.
//!
//! Each codec has a table of kernels for some of them, in the order of preference, and always one that is
//! [`Portable`](Isa::Portable). A table is handed out only by [`runnable`]: whoever holds one may call what is in it.

use std::sync::OnceLock;

/// An instruction set, as far as kernels use it. The names of the features are those of `target_feature`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "aarch64"), allow(dead_code, reason = "of another architecture"))]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "of another architecture"))]
pub(crate) enum Isa {
    /// `avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,avx512vpopcntdq`: all that processors with 512 bits have had since
    /// Ice Lake and Zen 4.
    Avx512,
    /// `avx512f,avx512vnni`
    Avx512Vnni,
    /// `avx2,avxvnni`: products of bytes where there are no 512 bits.
    AvxVnni,
    /// `avx2`
    Avx2,
    /// `neon`
    Neon,
    /// What the compiler takes for granted.
    Portable,
}

impl Isa {
    /// What kernels are called by.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::AvxVnni => "avxvnni",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has all features of the set.
    #[cfg(target_arch = "x86_64")]
    fn is_present(self) -> bool {
        use std::arch::is_x86_feature_detected as detected;
        let vnni = || detected!("avx512f") && detected!("avx512vnni");
        match self {
            Self::Avx512 => {
                let bytes = detected!("avx512bw") && detected!("avx512vl") && detected!("avx512vbmi");
                vnni() && bytes && detected!("avx512vpopcntdq")
            }
            Self::Avx512Vnni => vnni(),
            Self::AvxVnni => detected!("avx2") && detected!("avxvnni"),
            Self::Avx2 => detected!("avx2"),
            Self::Neon => false,
            Self::Portable => true,
        }
    }

    /// Whether this machine has all features of the set.
    #[cfg(target_arch = "aarch64")]
    fn is_present(self) -> bool {
        match self {
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            other => other == Self::Portable,
        }
    }

    /// Whether this machine has all features of the set.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn is_present(self) -> bool {
        self == Self::Portable
    }
}

/// A table of kernels, all of one instruction set.
pub(crate) trait Table: Sync + 'static {
    /// The set.
    fn isa(&self) -> Isa;

    /// Every table there is for this architecture, the preferred one first and the portable one last.
    fn all() -> Vec<&'static Self>;
}

/// The tables that this machine can run, the preferred one first; never empty.
pub(crate) fn runnable<T: Table>() -> Vec<&'static T> {
    let mut tables = T::all();
    tables.retain(|table| table.isa().is_present());
    tables
}

/// The table to use on this machine, found at the first call and kept in `chosen`.
pub(crate) fn choose<T: Table>(chosen: &OnceLock<&'static T>) -> &'static T {
    chosen.get_or_init(|| runnable::<T>()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(Isa);

    impl Table for Named {
        fn isa(&self) -> Isa {
            self.0
        }

        fn all() -> Vec<&'static Self> {
            static ALL: [Named; 6] = [
                Named(Isa::Avx512),
                Named(Isa::Avx512Vnni),
                Named(Isa::AvxVnni),
                Named(Isa::Avx2),
                Named(Isa::Neon),
                Named(Isa::Portable),
            ];
            ALL.iter().collect()
        }
    }

    #[test]
    fn what_every_machine_has_comes_last() {
        let runnable = runnable::<Named>();
        assert_eq!(runnable.last().expect("never empty").0, Isa::Portable);
        let chosen = OnceLock::new();
        assert_eq!(choose::<Named>(&chosen).0, runnable[0].0);
        let names: Vec<&str> = Named::all().iter().map(|table| table.isa().name()).collect();
        assert_eq!(names, ["avx512", "avx512vnni", "avxvnni", "avx2", "neon", "portable"]);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_set_has_those_it_is_made_of() {
        assert!(!Isa::Avx512.is_present() || Isa::Avx512Vnni.is_present());
        assert!(!Isa::AvxVnni.is_present() || Isa::Avx2.is_present());
        assert!(!Isa::Neon.is_present());
    }
}
