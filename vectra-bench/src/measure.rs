//! Percentiles, resident memory, folder sizes and the machine's read bandwidth.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::Instant;

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

/// How fast one thread reads memory, in bytes per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bandwidth {
    pub(crate) best: f64,
    pub(crate) median: f64,
}

/// Passes over the buffer that count.
const PASSES: usize = 9;
/// The largest buffer read: beyond it no cache helps any more.
const BUFFER_BYTES_MAX: u64 = 1 << 30;
/// Words read per step, each into a sum of its own, so that no addition waits for the one before it.
const SUMS: usize = 16;

/// Plain reading, by one thread, of a resident buffer.
///
/// A pass reads the buffer in two ways and the faster one counts: summing its words, whose loads are as wide as the
/// build's target allows, and comparing its halves, whose loads are as wide as the C library finds the machine to
/// be. The bound a scan is held against must not be lower because this program was built for an older machine.
pub(crate) struct Reading {
    buffer: Vec<u64>,
}

impl Reading {
    /// A buffer of `bytes` (rounded up; at most 1 GiB).
    pub(crate) fn new(bytes: u64) -> Self {
        let words =
            (bytes.min(BUFFER_BYTES_MAX) as usize).div_ceil(8).next_multiple_of(2 * SUMS).max(2 * SUMS);
        let half: Vec<u64> =
            (0..words as u64 / 2).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        Self { buffer: half.repeat(2) }
    }

    /// One pass, in bytes per second.
    pub(crate) fn pass(&self) -> f64 {
        let summing = Instant::now();
        black_box(sum(black_box(&self.buffer)));
        let summing = summing.elapsed();
        let comparing = Instant::now();
        black_box(halves_are_equal(black_box(&self.buffer)));
        let seconds = summing.min(comparing.elapsed()).as_secs_f64().max(f64::MIN_POSITIVE);
        (self.buffer.len() * 8) as f64 / seconds
    }
}

/// Measures plain reading of a buffer of `bytes`; see [`Reading`].
pub(crate) fn read_bandwidth(bytes: u64) -> Bandwidth {
    let reading = Reading::new(bytes);
    reading.pass();
    let mut rates: Vec<f64> = (0..PASSES).map(|_| reading.pass()).collect();
    rates.sort_by(f64::total_cmp);
    Bandwidth { best: rates[PASSES - 1], median: rates[PASSES / 2] }
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
        assert!(!halves_are_equal(&words) && halves_are_equal(&words.repeat(2)));
        assert!(!halves_are_equal(&[1, 2, 3, 1, 2, 4]));
    }

    #[test]
    fn the_best_pass_is_no_slower_than_the_median() {
        let found = read_bandwidth(100_000);
        assert!(found.median > 0.0 && found.best >= found.median, "{found:?}");
    }
}
