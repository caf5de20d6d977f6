//! What a measurement was made on, and with.

use std::process::Command;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

/// Processor, system, compiler and day.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Year, month, day of the month.
    pub(crate) date: String,
    /// This crate's version, with the commit where git tells.
    pub(crate) version: String,
    pub(crate) processor: String,
    pub(crate) system: String,
    pub(crate) compiler: String,
    /// How many cores this process may use: one if it is pinned.
    pub(crate) cores: usize,
    /// Processes that wanted to run in the last minute, on average; none where the system does not tell.
    pub(crate) load: Option<f64>,
}

impl Machine {
    /// This one, now.
    pub(crate) fn here() -> Self {
        Self {
            date: today(),
            version: version(),
            processor: processor(),
            system: system(),
            compiler: compiler(),
            cores: available_parallelism().map_or(1, usize::from),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok()),
        }
    }

    /// `2026-01-31-amd-epyc`
    pub(crate) fn file_stem(&self) -> String {
        let name = self.processor.split(" (").next().unwrap_or_default();
        let letters = name.to_lowercase();
        let words = letters.split(|letter: char| !letter.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        format!("{}-{}", self.date, words.join("-"))
    }
}

fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match output("git", &["describe", "--always", "--dirty"]) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.into(),
    }
}

/// What a program prints, if it runs.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().into())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The name in `/proc/cpuinfo`, with the numbers that tell one generation from another.
fn processor() -> String {
    let text = read("/proc/cpuinfo");
    let field = |name| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    };
    let numbers = [field("cpu family"), field("model"), field("stepping")];
    match (field("model name"), numbers) {
        (Some(name), [Some(family), Some(model), Some(stepping)]) => {
            format!("{name} (family {family}, model {model}, stepping {stepping})")
        }
        (Some(name), _) => name.into(),
        (None, _) => format!("{} processor", env::consts::ARCH),
    }
}

fn system() -> String {
    let release = read("/proc/sys/kernel/osrelease");
    format!("{} {}", env::consts::OS, release.trim())
        .trim_end()
        .into()
}

/// The compiler, and the instructions that it was allowed to use besides those that are detected.
fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = output(&rustc, &["--version"]).unwrap_or(rustc);
    let allowed: Vec<&str> = [
        ("sse4.2", cfg!(target_feature = "sse4.2")),
        ("avx2", cfg!(target_feature = "avx2")),
        ("fma", cfg!(target_feature = "fma")),
        ("avx512f", cfg!(target_feature = "avx512f")),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| is_on.then_some(name))
    .collect();
    match allowed[..] {
        [] => format!("{version}, no flags of the processor"),
        _ => format!("{version}, with {}", allowed.join(", ")),
    }
}

fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    date(since.map_or(0, |since| since.as_secs() / 86_400))
}

/// The day of the Gregorian calendar, that many days after the first of January 1970. Counted in years that begin in March,
/// so that the leap day is their last (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(days: u64) -> String {
    let days = days + 719_468; // since the first of March of the year 0
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    let year = 400 * era + year + carry;
    format!("{year}-{month:02}-{day:02}")
}
