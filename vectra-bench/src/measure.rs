//! Percentiles, resident memory, folder sizes and plain reading.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::Instant;

use vectra_core::memory::AlignedBuf;

/// The `share`-th quantile (0 to 1) of `sorted`, between two samples where it falls between them.
///
/// Linear interpolation, as `NumPy`'s default: Hyndman and Fan, "Sample quantiles in statistical packages",
/// The American Statistician 50 (1996), definition 7. `sorted` is not empty.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> f64 {
    let position = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize] as f64, sorted[position.ceil() as usize] as f64);
    below + (above - below) * position.fract()
}

/// Resident memory of this process in bytes; `None` where the operating system does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// The most memory of this process that was ever resident, in bytes; `None` where nobody tells.
pub(crate) fn resident_bytes_peak() -> Option<u64> {
    status("VmHWM:")
}

/// The resident memory of this process that no file backs, in bytes; `None` where nobody tells.
pub(crate) fn anonymous_bytes() -> Option<u64> {
    status("RssAnon:")
}

/// Resident memory by what is behind it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Resident {
    /// What no file backs: the process holds it alone, and it goes nowhere but to swap.
    pub(crate) own: u64,
    /// Pages of mapped files, the program's own among them: the page cache has them anyway, and the system may take them.
    pub(crate) mapped: u64,
}

/// The resident memory of this process by kind; `None` where nobody tells.
pub(crate) fn resident() -> Option<Resident> {
    Some(Resident { own: anonymous_bytes()?, mapped: status("RssFile:")? })
}

/// Begins the peak of [`resident_bytes_peak`] anew where the operating system can do that; elsewhere it goes on.
pub(crate) fn forget_resident_peak() {
    // The kernel's documentation of `clear_refs`: 5 resets the peak to what is resident now.
    let _goes_on = std::fs::write("/proc/self/clear_refs", "5");
}

fn status(field: &str) -> Option<u64> {
    parse_status(&std::fs::read_to_string("/proc/self/status").ok()?, field)
}

fn parse_status(text: &str, field: &str) -> Option<u64> {
    let mut words = text.lines().find_map(|line| line.strip_prefix(field))?.split_whitespace();
    let kibibytes: u64 = words.next()?.parse().ok()?;
    (words.next() == Some("kB")).then_some(kibibytes.checked_mul(1024)?)
}

/// The lengths of all files below `folder`, added up.
pub(crate) fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(total)
}

/// The middle one of some rates, of which there is at least one.
pub(crate) fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// The largest buffer read: beyond it no cache helps any more.
const BUFFER_BYTES_MAX: u64 = 1 << 30;
/// Words read per step, each into a sum of its own, so that no addition waits for the one before it.
const SUMS: usize = 16;

/// Plain reading, by one thread, of a resident buffer in huge pages where the system has them.
///
/// There are several [`WAYS`](Reading::WAYS) to do it, and the fastest is what a scan is held against, which must not be lower
/// because this program was built for an older machine: summing words takes loads as wide as the build's target allows,
/// comparing halves takes them as wide as the C library finds the machine to be.
pub(crate) struct Reading {
    buffer: AlignedBuf,
}

impl Reading {
    /// Summing from the front, summing both halves at once, comparing them.
    pub(crate) const WAYS: [fn(&[u64]) -> u64; 3] =
        [sum, sum_of_halves, |words| halves_are_equal(words).into()];

    /// A buffer of `bytes` (rounded up; at most 1 GiB).
    pub(crate) fn new(bytes: u64) -> Self {
        let words =
            (bytes.min(BUFFER_BYTES_MAX) as usize).div_ceil(8).next_multiple_of(2 * SUMS).max(2 * SUMS);
        let mut buffer = AlignedBuf::zeroed(words * 8);
        let all = buffer.as_pod_mut::<u64>().expect("whole words that start at a line");
        for (i, word) in all.iter_mut().enumerate() {
            *word = ((i % (words / 2)) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        Self { buffer }
    }

    /// One pass in one way, in bytes per second.
    pub(crate) fn pass(&self, way: fn(&[u64]) -> u64) -> f64 {
        let words = self.buffer.as_pod::<u64>().expect("whole words that start at a line");
        let start = Instant::now();
        black_box(way(black_box(words)));
        self.buffer.len() as f64 / start.elapsed().as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// The sum of all words; their number is a multiple of [`SUMS`].
fn sum(words: &[u64]) -> u64 {
    let mut sums = [0_u64; SUMS];
    for step in words.as_chunks::<SUMS>().0 {
        for (sum, word) in sums.iter_mut().zip(step) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
}

/// The same, of both halves at once: two places further apart than a page keep more of the memory busy.
fn sum_of_halves(words: &[u64]) -> u64 {
    let (first, second) = words.split_at(words.len() / 2);
    let mut sums = [0_u64; SUMS];
    for (a, b) in first.as_chunks::<SUMS>().0.iter().zip(second.as_chunks::<SUMS>().0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = sum.wrapping_add(*a).wrapping_add(*b);
        }
    }
    sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
}

/// Reads every word if they are.
fn halves_are_equal(words: &[u64]) -> bool {
    let (first, second) = words.split_at(words.len() / 2);
    first == second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        let sorted = [10, 20, 30, 40];
        for (share, expected) in
            [(0.0, 10.0), (0.5, 25.0), (0.9, 37.0), (0.99, 39.7), (1.0, 40.0), (7.0, 40.0)]
        {
            let found = quantile(&sorted, share);
            assert!((found - expected).abs() < 1e-9, "{share}: {found}, not {expected}");
        }
        assert!((quantile(&[5], 0.99) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn memory_is_read_from_the_status_text() {
        let text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_status(text, "VmRSS:"), Some(1 << 20));
        assert_eq!(parse_status(text, "VmHWM:"), Some(2 << 20));
        for broken in
            ["", "VmRSS:", "VmRSS: 12", "VmRSS: x kB", "VmRSS: 12 MB", "VmRSS: 99999999999999999999 kB"]
        {
            assert_eq!(parse_status(broken, "VmRSS:"), None, "{broken}");
        }
        assert_eq!(parse_status(&format!("VmRSS: {} kB", u64::MAX), "VmRSS:"), None);
    }

    #[test]
    fn the_peak_is_no_less_than_the_present() {
        if let (Some(now), Some(peak)) = (resident_bytes(), resident_bytes_peak()) {
            assert!(now > 0 && peak >= now / 2, "{now} now, {peak} at most");
        }
        if let (Some(now), Some(Resident { own, mapped })) = (resident_bytes(), resident()) {
            assert!(own > 0 && mapped > 0 && own + mapped <= 2 * now, "{own} and {mapped} of {now}");
        }
    }

    #[test]
    fn folders_are_added_up_with_what_is_in_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("a"), [0; 10]).expect("it is writable");
        std::fs::create_dir(folder.path().join("b")).expect("it is writable");
        std::fs::write(folder.path().join("b/c"), [0; 7]).expect("it is writable");
        assert_eq!(folder_bytes(folder.path()).expect("it is readable"), 17);
        assert!(folder_bytes(&folder.path().join("none")).is_err());
    }

    #[test]
    fn every_word_is_summed() {
        let words: Vec<u64> = (1..=64).collect();
        assert_eq!(sum(&words), 64 * 65 / 2);
        assert_eq!(sum(&[u64::MAX; 32]), u64::MAX.wrapping_mul(32));
        assert_eq!(
            (sum_of_halves(&words), sum_of_halves(&[u64::MAX; 32])),
            (64 * 65 / 2, u64::MAX.wrapping_mul(32))
        );
        assert!(!halves_are_equal(&words) && halves_are_equal(&words.repeat(2)));
        assert!(!halves_are_equal(&[1, 2, 3, 1, 2, 4]));
    }

    #[test]
    fn every_way_reads_all_of_the_buffer() {
        let reading = Reading::new(100_000);
        assert!((100_000..100_500).contains(&reading.buffer.len()));
        let words = reading.buffer.as_pod::<u64>().expect("whole words");
        let all = words.iter().fold(0_u64, |all, word| all.wrapping_add(*word));
        assert_eq!(Reading::WAYS.map(|way| way(words)), [all, all, 1]);
        assert!(Reading::WAYS.iter().all(|way| reading.pass(*way) > 0.0));
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((median(vec![3.0, 1.0, 9.0]) - 3.0).abs() < 1e-9 && (median(vec![2.0]) - 2.0).abs() < 1e-9);
    }
}
