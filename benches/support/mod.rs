//! What the benchmarks share. Each of them compiles its own copy, and uses a part of it.
#![allow(
    dead_code,
    reason = "no benchmark uses all of it, so `expect` would fail somewhere"
)]

pub(crate) mod effort;
pub(crate) mod machine;
pub(crate) mod peer_data;
pub(crate) mod peers;
pub(crate) mod rounds;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod training;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::Criterion;
use fused_mlp::probe::{self, Part, Probe};
use fused_mlp::{Backend, NameModel};

/// Settings of the run that everyone repeats, as in the post.
pub(crate) const STEPS: usize = 10_000;
pub(crate) const BATCH: usize = 32;
pub(crate) const LEARNING_RATE: f32 = 0.1;

/// The name model's widths.
pub(crate) const VOCAB: usize = 27;
pub(crate) const CONTEXT: usize = 3;
pub(crate) const EMBED: usize = 2;
pub(crate) const INPUTS: usize = CONTEXT * EMBED;
pub(crate) const HIDDEN: usize = 100;

/// What the name model's shape is called in the benchmarks' ids.
pub(crate) const SHAPE: &str = "names";

/// Multiply-adds of one step of the name model.
pub(crate) const STEP_MULTIPLY_ADDS: usize = multiply_adds(&[INPUTS, HIDDEN, VOCAB], BATCH);
const _: () = assert!(STEP_MULTIPLY_ADDS == 316_800);

/// Multiply-adds of a training step of a model of tokens with these widths, input to output: a product forward for each layer,
/// and two backward.
pub(crate) const fn multiply_adds(widths: &[usize], batch: usize) -> usize {
    let mut weights = 0;
    let mut layer = 1;
    while layer < widths.len() {
        weights += widths[layer - 1] * widths[layer];
        layer += 1;
    }
    3 * batch * weights
}

/// The backends that have instructions of their own: those that the kernels are compiled for, shape by shape.
pub(crate) fn native() -> impl Iterator<Item = Backend> {
    let mut probe = Probe::<NameModel>::new();
    Backend::available().filter(move |&backend| probe.run(backend, Part::Tanh, 1).is_some())
}

/// Criterion with the arguments of the command line, and less time for each benchmark than it takes by itself: there are a
/// hundred of them.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// What `work` takes.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

/// How long a backend needs for so many multiply-adds and nothing else: no program can be faster on one core.
pub(crate) fn fma_peak(backend: Backend, multiply_adds: usize) -> Duration {
    fma_chains(backend, fastest_chains(backend), multiply_adds)
}

/// The number of chains of multiply-adds that is the fastest, measured once: see [`probe::FMA_CHAINS`].
fn fastest_chains(backend: Backend) -> usize {
    static FASTEST: Mutex<BTreeMap<&str, usize>> = Mutex::new(BTreeMap::new());
    let mut fastest = FASTEST.lock().expect("no panic while it is held");
    *fastest.entry(backend.name()).or_insert_with(|| {
        let best = |chains| (0..20).map(|_| fma_chains(backend, chains, 1 << 20)).min();
        let chains = probe::FMA_CHAINS.iter().copied();
        chains
            .min_by_key(|&chains| best(chains))
            .expect("there are some")
    })
}

fn fma_chains(backend: Backend, chains: usize, multiply_adds: usize) -> Duration {
    let mut done = 0;
    let taken = time(|| done = probe::fma_peak(backend, chains, multiply_adds));
    taken.mul_f64(fraction(multiply_adds, done))
}

/// A quotient of counts.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of steps and multiply-adds are far below 2⁵³"
)]
pub(crate) fn fraction(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
