//! Trains three small networks as an embedding program would, asserts that they have learned, and prints for each how long
//! it took, on what, to which loss, and a checksum of the parameters.
//!
//! `downstream [BACKEND]` takes a backend by name; the fastest is the default. The checksums of all fused backends are
//! the same.

use std::time::Instant;

use fused_mlp::{
    Backend, Corpus, Dataset, Dense, Error, ExampleOf, Minibatch, Mlp, Model, NameModel,
    Regression, Relu, Rng, SeedableRng, Sgd, Tanh, TargetOf, Trainer, Vocabulary,
    Xoshiro256PlusPlus,
};

const STEPS: u32 = 10_000;
const DEEP_STEPS: u32 = 4_000;
const BATCH: usize = 32;

/// Eight numbers in, one out.
type Borehole = Mlp<Dense<8>, Relu<64>, Regression<1>>;
/// The same through two hidden layers.
type DeepBorehole = Mlp<Dense<8>, (Tanh<32>, Tanh<32>), Regression<1>>;

fn main() -> Result<(), Error> {
    let backend = match std::env::args().nth(1) {
        Some(name) => name.parse()?,
        None => Backend::detect(),
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(42);

    let names = Corpus::sample().split(42)?;
    let windows = names.train.windows(&Vocabulary::lowercase())?;
    let model = NameModel::standard_normal(&mut rng);
    let loss = train("names", model, &windows, STEPS, 0.1, backend, &mut rng)?;
    assert!(loss < 2.6, "{loss} nats a letter");

    let model = Borehole::fan_in_scaled(&mut rng);
    let holes = boreholes(&mut rng)?;
    let loss = train("borehole", model, &holes, STEPS, 0.05, backend, &mut rng)?;
    assert!(loss < 0.005, "{loss} of the variance is left");

    let model = DeepBorehole::fan_in_scaled(&mut rng);
    let loss = train("deep", model, &holes, DEEP_STEPS, 0.05, backend, &mut rng)?;
    assert!(loss < 0.005, "{loss} of the variance is left");
    Ok(())
}

/// Water that flows through a borehole, from Harper and Gupta (1983), a common test of regressions: 2,000 boreholes drawn
/// evenly from the customary ranges.
///
/// ```text
/// 2π Tu (Hu − Hl) / (q · (1 + 2 L Tu / (q rw² Kw) + Tu / Tl))     q = ln(r / rw), in m³ a year
/// ```
///
/// Inputs are scaled to [−1, 1], flows to mean 0 and variance 1.
fn boreholes(rng: &mut Xoshiro256PlusPlus) -> Result<Dataset<[f32; 8], [f32; 1]>, Error> {
    const RANGES: [[f32; 2]; 8] = [
        [0.05, 0.15],          // rw: radius of the hole, m
        [100.0, 50_000.0],     // r: radius of influence, m
        [63_070.0, 115_600.0], // Tu: transmissivity of the upper aquifer, m² a year
        [990.0, 1_110.0],      // Hu: its head, m
        [63.1, 116.0],         // Tl: transmissivity of the lower aquifer, m² a year
        [700.0, 820.0],        // Hl: its head, m
        [1_120.0, 1_680.0],    // L: length of the hole, m
        [9_855.0, 12_045.0],   // Kw: its conductivity, m a year
    ];
    let inputs: Vec<[f32; 8]> = (0..2_000)
        .map(|_| [(); 8].map(|()| rng.next_u32() as f32 / 2.0_f32.powi(31) - 1.0))
        .collect();
    let flow = |input: &[f32; 8]| {
        let mut hole = *input;
        for (x, [low, high]) in hole.iter_mut().zip(RANGES) {
            *x = low + (*x + 1.0) / 2.0 * (high - low);
        }
        let [rw, r, tu, hu, tl, hl, l, kw] = hole;
        let q = (r / rw).ln();
        let resistance = q * (1.0 + 2.0 * l * tu / (q * rw * rw * kw) + tu / tl);
        std::f32::consts::TAU * tu * (hu - hl) / resistance
    };
    let flows: Vec<f32> = inputs.iter().map(flow).collect();
    let mean = flows.iter().sum::<f32>() / 2_000.0;
    let deviation = (flows.iter().map(|f| (f - mean).powi(2)).sum::<f32>() / 2_000.0).sqrt();
    let targets = flows
        .into_iter()
        .map(|f| [(f - mean) / deviation])
        .collect();
    Dataset::new(inputs, targets)
}

/// Takes the steps, prints a line about them, and returns the loss at the end.
fn train<M: Model>(
    name: &str,
    model: M,
    dataset: &Dataset<ExampleOf<M>, TargetOf<M>>,
    steps: u32,
    learning_rate: f32,
    backend: Backend,
    rng: &mut Xoshiro256PlusPlus,
) -> Result<f32, Error> {
    let mut trainer = Trainer::new(model, Sgd::new(learning_rate))?.with_backend(backend);
    let mut minibatch = Minibatch::new(BATCH);
    let before = trainer.evaluate(dataset)?;
    let start = Instant::now();
    for _ in 0..steps {
        dataset.draw(rng, &mut minibatch);
        trainer.step_batch(&minibatch)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = trainer.evaluate(dataset)?;
    println!(
        "{name}: {steps} steps in {seconds:.5} s on {}, loss {before:.4} -> {after:.4}, parameters {:016x}",
        trainer.backend(),
        checksum(&trainer.model()),
    );
    Ok(after)
}

/// The 64-bit hash of Fowler, Noll and Vo (1a), over the bits of all parameters.
fn checksum(model: &impl Model) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for (_, values) in model.tensors() {
        for byte in values.iter().flat_map(|value| value.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}
