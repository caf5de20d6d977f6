//! Small networks, trained with nothing but `core` and `alloc`.
//!
//! Not generic, so that whoever compiles this crate compiles the kernels.

#![no_std]

use fused_mlp::{
    AdamW, Backend, Binary, Corpus, Dense, Error, Minibatch, Mlp, Model, Momentum, Predictor,
    Regression, Relu, Rng, SeedableRng, Sgd, Softmax, Tanh, Tokens, Trainer, Vocabulary,
    Xoshiro256PlusPlus,
};

type Names = Mlp<Tokens<27, 3, 2>, Tanh<20>, Softmax<27>>;
type Curve = Mlp<Dense<1>, Tanh<8>, Regression<1>>;
type Quadrants = Mlp<Dense<2>, (Tanh<20>, Relu<12>), Binary>;

/// A checksum of the names model after some steps on the built-in sample, in batches.
///
/// # Errors
///
/// Those of the crate; none is to be expected.
pub fn names(backend: Backend) -> Result<u64, Error> {
    let names = Corpus::sample().split(42)?;
    let train = names.train.windows(&Vocabulary::lowercase())?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(42);
    let model = Names::standard_normal(&mut rng);
    let mut trainer = Trainer::new(model, Sgd::new(0.1))?.with_backend(backend);
    let mut batch = Minibatch::new(32);
    for _ in 0..100 {
        train.draw(&mut rng, &mut batch);
        trainer.step_batch(&batch)?;
    }
    Ok(checksum(&trainer.model()))
}

/// A checksum of a curve learned one point at a time, and of what it predicts.
///
/// # Errors
///
/// Those of the crate; none is to be expected.
pub fn curve(backend: Backend) -> Result<u64, Error> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let model = Curve::fan_in_scaled(&mut rng);
    let mut trainer = Trainer::new(model, AdamW::new(0.01))?.with_backend(backend);
    for step in 0..1_000_u16 {
        let x = f32::from(step % 41) / 20.0 - 1.0;
        trainer.step_one(&[x], &[x * x])?;
    }
    let model = trainer.model();
    let predictor = Predictor::new(&model)?.with_backend(backend);
    let [y] = predictor.predict(&[0.25])?;
    Ok(checksum(&model) ^ u64::from(y.to_bits()))
}

/// A checksum of two hidden layers that learn whether two numbers have one sign, and of what they predict.
///
/// # Errors
///
/// Those of the crate; none is to be expected.
pub fn quadrants(backend: Backend) -> Result<u64, Error> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    let model = Quadrants::fan_in_scaled(&mut rng);
    let mut trainer = Trainer::new(model, Momentum::new(0.01, 0.9))?.with_backend(backend);
    for _ in 0..200 {
        let mut draw = || (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0;
        let points = [(); 32].map(|()| [draw(), draw()]);
        let is_one_sign = points.map(|[x, y]| x * y > 0.0);
        trainer.step(&points, &is_one_sign)?;
        trainer.step_one(&points[0], &is_one_sign[0])?;
    }
    let model = trainer.model();
    let predictor = Predictor::new(&model)?.with_backend(backend);
    let [probability] = predictor.predict(&[0.5, 0.25])?;
    Ok(checksum(&model) ^ u64::from(probability.to_bits()))
}

/// A checksum of steps whose multiply-adds have subnormal results, which are other ones where they are rounded twice.
///
/// # Errors
///
/// Those of the crate; none is to be expected.
pub fn subnormals(backend: Backend) -> Result<u64, Error> {
    let mut hash = 0;
    // A learning rate, the gradient of the output's bias, and the bias, as bits; the first is a public report of musl's `fmaf`.
    let steps: [[u32; 3]; 4] = [
        [0x1700_0800, 0x1cff_f001, 0x0001_0002],
        [0x2892_786c, 0x0b5f_b7b2, 0x8063_5ed0],
        [0x2627_9d42, 0x0dc3_7f18, 0x805e_c6b6],
        [0x2ec0_fc2b, 0x85fe_b17e, 0x8078_f0fa],
    ];
    for bits in steps {
        let [rate, gradient, bias] = bits.map(f32::from_bits);
        let mut model = Curve::zeroed();
        model.output.bias[0] = bias;
        let mut trainer = Trainer::new(model, Sgd::new(rate))?.with_backend(backend);
        // The gradient is 2 (z - y), and z is too small to matter in it.
        trainer.step_one(&[0.0], &[-0.5 * gradient])?;
        hash ^= checksum(&trainer.model()).rotate_left(bits[0] % 63);
    }
    Ok(hash)
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

/// All checksums in one for programs in other languages, on the backend of this place in [`Backend::NAMES`]; 0 is an error.
#[unsafe(no_mangle)]
pub extern "C" fn checksum_on(place: usize) -> u64 {
    let all = || {
        let backend = Backend::NAMES
            .get(place)
            .copied()
            .unwrap_or_default()
            .parse()?;
        let of_models = [names, curve, quadrants, subnormals];
        let mut all = 0_u64;
        for of_model in of_models {
            all = all.rotate_left(1) ^ of_model(backend)?;
        }
        Ok(all)
    };
    all().unwrap_or_else(|_: Error| 0)
}
