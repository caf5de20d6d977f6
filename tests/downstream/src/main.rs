//! Trains two small networks as an embedding program would, and prints for each how long it took, on what, to which
//! loss, and a checksum of the parameters.
//!
//! `downstream [BACKEND]` takes a backend by name; the fastest is the default. The checksums of all fused backends are
//! the same.

use std::time::Instant;

use fused_mlp::random::StandardNormal;
use fused_mlp::{
    Backend, Corpus, Dataset, Dense, Error, ExampleOf, Minibatch, Mlp, Model, NameModel,
    Regression, Relu, SeedableRng, Sgd, TargetOf, Trainer, Vocabulary, Xoshiro256PlusPlus,
};

const STEPS: u32 = 10_000;
const BATCH: usize = 32;

/// Eight numbers in, one out.
type Curve = Mlp<Dense<8>, 64, Regression<1>, Relu>;

fn main() -> Result<(), Error> {
    let backend = match std::env::args().nth(1) {
        Some(name) => name.parse()?,
        None => Backend::detect(),
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(42);

    let names = Corpus::sample().split(42)?;
    let windows = names.train.windows(&Vocabulary::lowercase())?;
    let model = NameModel::standard_normal(&mut rng);
    train("names", model, &windows, 0.1, backend, &mut rng)?;

    let model = Curve::fan_in_scaled(&mut rng);
    train("curve", model, &curve(&mut rng)?, 0.01, backend, &mut rng)
}

/// Points of y = x₀ · x₁ + x₂.
fn curve(rng: &mut Xoshiro256PlusPlus) -> Result<Dataset<[f32; 8], [f32; 1]>, Error> {
    let mut normal = StandardNormal::default();
    let inputs: Vec<_> = (0..1_000)
        .map(|_| [(); 8].map(|()| normal.sample(rng)))
        .collect();
    let targets = inputs.iter().map(|x| [x[0] * x[1] + x[2]]).collect();
    Dataset::new(inputs, targets)
}

/// Takes the steps and prints a line about them.
fn train<M: Model>(
    name: &str,
    model: M,
    dataset: &Dataset<ExampleOf<M>, TargetOf<M>>,
    learning_rate: f32,
    backend: Backend,
    rng: &mut Xoshiro256PlusPlus,
) -> Result<(), Error> {
    let mut trainer = Trainer::new(model, Sgd::new(learning_rate))?.with_backend(backend);
    let mut minibatch = Minibatch::new(BATCH);
    let before = trainer.evaluate(dataset)?;
    let start = Instant::now();
    for _ in 0..STEPS {
        dataset.draw(rng, &mut minibatch);
        trainer.step_batch(&minibatch)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = trainer.evaluate(dataset)?;
    assert!(after < before, "{name}: loss {before} became {after}");
    println!(
        "{name}: {STEPS} steps in {seconds:.3} s on {}, loss {before:.4} -> {after:.4}, parameters {:016x}",
        trainer.backend(),
        checksum(&trainer.model()),
    );
    Ok(())
}

/// The 64-bit hash of Fowler, Noll and Vo (1a), over the bits of all parameters.
fn checksum(model: &impl Model) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    model.visit(&mut |_, values| {
        for byte in values.iter().flat_map(|value| value.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    });
    hash
}
